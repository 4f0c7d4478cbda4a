"""PDF: one document a file, its text as PDFium reads it, pages joined by form feeds (the mark the cleaning relies on).

Pages that are only a picture are named in the field `image_pages` and in a warning: their text needs OCR. The title of
the metadata is taken only if it stands on the first two pages, since many are a template's or a file's name.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.readers.base import Found, Piece, Place, Reader, one_file, too_large
from nemo_kcpt.logs import LOG

PAGES = 5_000
"""Pages a document may have."""
FEW = 100
"""Characters on a page that may be a stamp, as archives put on scans, and no text."""
LINES = 300
"""Drawn lines on a page without text that may be letters turned into outlines."""
PASSWORD, SECURITY = 4, 5
"""PDFium's error codes for files that are locked."""


class Unreadable(Exception):
    """A document cannot be read; says why, and what would help."""


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        record = _record(path, source, place)
    except Unreadable as error:
        yield Found(str(path), source, {}, str(error))
        return
    if images := record.get("image_pages"):
        LOG.warning("corpus: %s: only pictures on %s; their text would need OCR", source, _pages(images))
    yield Found(str(path), source, record)


def _record(path: Path, source: str, place: Place) -> dict[str, Any]:
    import pypdfium2

    if not path.stat().st_size:
        raise Unreadable("the file is empty")
    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (PASSWORD, SECURITY):
            raise Unreadable("is locked by a password; unlock it, for instance with qpdf --decrypt") from None
        raise Unreadable(f"is damaged, or no PDF ({error}); fetch it anew, or repair it with qpdf or mutool") from None
    with document:
        if not 0 < len(document) <= PAGES:
            raise Unreadable(f"has {len(document):,} pages, where 1 to {PAGES:,} were expected; split it")
        texts, images = _read_pages(document, place)
        title = document.get_metadata_value("Title")
    if not any(text.strip() for text in texts):
        raise Unreadable(_no_text(len(texts), images))
    record = {
        "paper_id": source,
        "title": title_of(title, texts[:2]),
        "text": "\f".join(texts),
        "pages": len(texts),
    }
    return {**record, "image_pages": images} if images else record


def _read_pages(document: Any, place: Place) -> tuple[list[str], list[int]]:
    """The text of every page, and the numbers (from 1) of those that are pictures."""
    import pypdfium2

    texts: list[str] = []
    images: list[int] = []
    size = 0
    for number in range(1, len(document) + 1):
        try:
            page = document[number - 1]
            textpage = page.get_textpage()
            # U+0002, PDFium's mark for a hyphen at a line's end, is left to the cleaning step control_characters
            text = textpage.get_text_bounded().replace("\r\n", "\n").replace("\f", "\n")
            if len(text.strip()) < FEW and _is_picture(page, bool(text.strip())):
                images.append(number)
                text = ""
            textpage.close()
            page.close()
        except pypdfium2.PdfiumError as error:
            raise Unreadable(f"page {number} is damaged ({error}); fetch the file anew, or repair it") from None
        texts.append(text)
        size += len(text.encode("utf-8", "replace"))
        if size > place.max_bytes:
            raise Unreadable(too_large(size, place))
    return texts, images


def _is_picture(page: Any, has_text: bool) -> bool:
    """True for a page without text that shows pictures or outlines, and for one that is a picture with a stamp."""
    import pypdfium2.raw

    kinds = [pypdfium2.raw.FPDF_PAGEOBJ_IMAGE, pypdfium2.raw.FPDF_PAGEOBJ_PATH]
    pictures = paths = 0
    area = 0.0
    for item in page.get_objects(filter=kinds, max_depth=5):
        if item.type == pypdfium2.raw.FPDF_PAGEOBJ_PATH:
            paths += 1
            continue
        left, bottom, right, top = item.get_bounds()
        pictures += 1
        area += abs(right - left) * abs(top - bottom)
    if has_text:
        return area >= 0.5 * page.get_width() * page.get_height()
    return pictures > 0 or paths > LINES


def _no_text(pages: int, images: Sequence[int]) -> str:
    what = f"all {pages} pages are pictures" if len(images) == pages else "there is no text on any page"
    if 0 < len(images) < pages:
        what += f" ({_pages(images)} of {pages} {'is a picture' if len(images) == 1 else 'are pictures'})"
    return f"{what}; run OCR first, for instance ocrmypdf -l jpn in.pdf out.pdf"


def _pages(numbers: Sequence[int]) -> str:
    return f"page{'s' if len(numbers) > 1 else ''} {', '.join(map(str, numbers))}"


def title_of(title: str, pages: Sequence[str]) -> str:
    """The title of the metadata, if it is one: a whole phrase that the first pages show; else nothing."""
    title = " ".join(title.replace("\x00", "").split())
    key = _letters(title)
    return title if len(key) >= 4 and key in _letters("".join(pages)) else ""


def _letters(text: str) -> str:
    return "".join(filter(str.isalnum, unicodedata.normalize("NFKC", text).casefold()))


READER = Reader(name="pdf", suffixes=(".pdf",), read=read, documents=True)
