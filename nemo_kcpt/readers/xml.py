"""XML of no kind that is read: named with its root element, so that a file is never left out without a word."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.markup.xml.safe import root_of
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.confluence import is_confluence_root
from nemo_kcpt.readers.jats import is_jats_root
from nemo_kcpt.readers.mediawiki import is_mediawiki_root
from nemo_kcpt.readers.tei import is_tei_root

READ = "JATS (<article>), TEI (<TEI>), MediaWiki (<mediawiki>), Confluence (<hibernate-generic>)"
"""What is read of XML, for messages."""


def is_other(path: Path) -> bool:
    """Whether a file is XML that no reader knows."""
    root = root_of(path)
    return not any(test(root) for test in (is_jats_root, is_tei_root, is_mediawiki_root, is_confluence_root))


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """A problem that says what the file is."""
    path = one_file(piece.paths)
    root = root_of(path)
    what = f"is XML with the root element <{root.name}>" if root.name else "no XML element begins in its first 64 KiB"
    if not path.stat().st_size:
        what = "the file is empty"
    advice = "save its text as Markdown or HTML, or leave such files out by format="
    yield Found(str(path), place.relative(path), {}, f"{what}; of XML are read: {READ}; {advice}")


READER = Reader(name="xml", suffixes=(".xml", ".nxml"), read=read, documents=True, refuses=True, recognises=is_other)
