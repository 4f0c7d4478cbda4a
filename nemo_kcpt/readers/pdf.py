"""PDF: one document a file, its text as PDFium reads it, pages joined by form feeds (the mark the cleaning relies on).

Raised and lowered text, sideways text and columns that are drawn line by line are read as they stand on the page; where
that is not sure, a warning and a field name the pages, as they name those that are only a picture and need OCR. The
title of the metadata is taken only if it stands on the first two pages, since many are a template's or a file's name.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import LEFT_OUT, Flaw, Found, Piece, Place, one_file
from nemo_kcpt.logs import LOG
from nemo_kcpt.pdf.document import WARNINGS, Contents, Unreadable, contents_of, page_image, picture_pages
from nemo_kcpt.pdf.fonts import use_stand_in
from nemo_kcpt.readers.base import Pictures, Reader
from nemo_kcpt.text.raised import nfkc


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        record, contents = _record(path, source, place)
    except Unreadable as error:
        yield Found(str(path), source, {}, str(error))
        return
    for name, warning in WARNINGS.items():
        if name in record:
            LOG.warning("corpus: %s: %s", source, warning.format(pages=_pages(record[name])))
    detail = "what is attached is not read; save it as a file of its own"
    flaws = [Flaw(LEFT_OUT, f"{path}, attachment {name}", detail) for name in contents.attachments]
    yield Found(str(path), source, record, changes=contents.changes, flaws=flaws)


def _record(path: Path, source: str, place: Place) -> tuple[dict[str, Any], Contents]:
    use_stand_in()
    if not path.stat().st_size:
        raise Unreadable("the file is empty")
    contents = contents_of(path, place)
    if not any(text.strip() for text in contents.texts):
        raise Unreadable(_no_text(len(contents.texts), contents.named))
    record = {
        "paper_id": source,
        "title": title_of(contents.title, contents.texts[:2]),
        "text": "\f".join(contents.texts),
        "pages": len(contents.texts),
    }
    if contents.named["ocr_pages"]:
        record["ocr_model"] = contents.ocr.model
    return {**record, **{name: pages for name, pages in contents.named.items() if pages}}, contents


def _no_text(pages: int, named: Mapping[str, Sequence[int]]) -> str:
    """Why a document has no text, and what to do."""
    kinds = {"image_pages": ("a picture", "pictures"), "unmapped_pages": (_UNMAPPED, _UNMAPPED)}
    what = "there is no text on any page"
    for name, (one, many) in kinds.items():
        if len(named[name]) == pages:
            what = f"all {pages} pages are {many}"
        elif named[name]:
            what += f" ({_pages(named[name])} of {pages} {f'is {one}' if len(named[name]) == 1 else f'are {many}'})"
    force = " --force-ocr" if named["unmapped_pages"] else ""
    return f"{what}; run OCR first, for instance ocrmypdf{force} -l jpn in.pdf out.pdf"


_UNMAPPED = "in a font that does not say what its glyphs are"


def _pages(numbers: Sequence[int]) -> str:
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def title_of(title: str, pages: Sequence[str]) -> str:
    """The title of the metadata, if it is one: a whole phrase that the first pages show; else nothing."""
    title = " ".join(title.replace("\x00", "").split())
    key = _letters(title)
    return title if len(key) >= 4 and key in _letters("".join(pages)) else ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, nfkc(text).casefold()))


READER = Reader(name="pdf", suffixes=(".pdf",), read=read, documents=True, pictures=Pictures(picture_pages, page_image))
