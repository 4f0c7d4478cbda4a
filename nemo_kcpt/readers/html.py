"""HTML: one document a file, its main text by trafilatura as Markdown (headings, lists, tables), its path as id.

The page is made simpler before, so that little is lost on the way: formulas become TeX where the page has it, raised
and lowered text becomes characters (10⁶, H₂O, a footnote's mark [^3]), what the page shows otherwise than its text says
is written (markup/html/shown.py), readings of kanji (ruby) and emphasis go, tables that only lay out the page become
blocks, captions become paragraphs. Nothing is ever fetched, and no script is run: a page that a script fills has no
main text, which is a problem that says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.errors import BadInput
from nemo_kcpt.markup.html.page import main_text
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.confluence import is_confluence_page
from nemo_kcpt.text.encodings import BrokenUtf8, UnknownEncoding, check_name, decode

_DECLARED = re.compile(
    rb"""<meta[^>]+charset\s*=\s*["']?\s*([\w.:-]+)|<\?xml[^>]+encoding\s*=\s*["']([\w.:-]+)""", re.I
)


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file; a page without main text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        page = _decoded(path.read_bytes(), place.encoding)
    except UnknownEncoding as error:
        yield Found(str(path), source, {}, str(error))
        return
    if not page.strip():
        yield Found(str(path), source, {}, "the file is empty")
        return
    text, fields, count = main_text(page)
    if not text:
        nothing = "no main text was found: a page of links, or one that a script fills; save its text instead"
        yield Found(str(path), source, {}, nothing)
        return
    yield Found(str(path), source, {"paper_id": source, **fields, "text": text}, changes={"raised": count})


def _decoded(data: bytes, name: str) -> str:
    """The page's text: in the encoding its bytes are surely in, else in the one it declares."""
    try:
        return decode(data, name).text
    except BrokenUtf8:
        raise
    except UnknownEncoding:
        declared = _DECLARED.search(data[:4096]) if name == "auto" else None
        if declared is None:
            raise
        try:
            label = (declared[1] or declared[2]).decode().lower()
            return decode(data, check_name({"x-sjis": "cp932", "windows-31j": "cp932"}.get(label, label))).text
        except BadInput:
            pass
        raise


def is_page(path: Path) -> bool:
    """Whether a file is a page that no other reader knows better."""
    return path.suffix.lower() != ".html" or not is_confluence_page(path)


READER = Reader(name="html", suffixes=(".html", ".htm", ".xhtml"), read=read, documents=True, recognises=is_page)
