"""The pages of a PDF: the text of each, and of which ones something must be said."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Place, too_large
from nemo_kcpt.documents.ocr_texts import OcrTexts, texts_of
from nemo_kcpt.pdf.fonts import use_stand_in
from nemo_kcpt.pdf.page import read_page
from nemo_kcpt.pdf.unseen import draw_fields
from nemo_kcpt.text.raised import fractions

PAGES = 5_000
"""Pages a document may have."""
FEW = 100
"""Characters on a page that may be a stamp, as archives put on scans, and no text."""
UNKNOWN = 0.3
"""Share of a page's letters that are not known from which on its text is of no use."""
LINES = 300
"""Drawn lines on a page without text that may be letters turned into outlines."""
LONGEST = 4_096
"""Pixels of a drawn page's longer side at most."""
WARNINGS = {
    "ocr_pages": "the text of {pages} is what an OCR engine read in pictures, and not stored text",
    "image_pages": "only pictures on {pages}; their text would need OCR",
    "mixed_pages": "the lines of two columns may be mixed on {pages}: they were drawn line by line; look at the text",
    "unmapped_pages": "characters are not known on {pages}: a font does not say what its glyphs are; run OCR anew, for "
    "instance ocrmypdf --force-ocr -l jpn in.pdf out.pdf",
}
"""Field of a record that names pages -> what a warning says of them."""
PASSWORD, SECURITY = 4, 5
"""PDFium's error codes for files that are locked."""


class Unreadable(Exception):
    """A document cannot be read; says why, and what would help."""


@dataclass
class Contents:
    """What the pages of a document hold."""

    title: str
    """The title in the metadata."""
    texts: list[str] = field(default_factory=list)
    """One a page."""
    named: dict[str, list[int]] = field(default_factory=lambda: {name: [] for name in WARNINGS})
    """Pages, from 1, with something to warn of."""
    changes: Counter[str] = field(default_factory=Counter)
    ocr: OcrTexts = field(default_factory=OcrTexts)
    """What an OCR engine read in pictures."""
    attachments: list[str] = field(default_factory=list)
    """Names of files that it carries, which are not read."""


def contents_of(path: Path, place: Place) -> Contents:
    """The text of every page, and what is to be said of the pages."""
    import pypdfium2
    import pypdfium2.raw

    try:
        document = pypdfium2.PdfDocument(path)
    except pypdfium2.PdfiumError as error:
        if error.err_code in (PASSWORD, SECURITY):
            raise Unreadable("is locked by a password; unlock it, for instance with qpdf --decrypt") from None
        raise Unreadable(f"is damaged, or no PDF ({error}); fetch it anew, or repair it with qpdf or mutool") from None
    with document:
        if document.get_formtype() == pypdfium2.raw.FORMTYPE_XFA_FULL:
            raise Unreadable(
                "is a dynamic form (XFA), whose pages Adobe's programs alone can draw; print it there as a PDF"
            )
        if document.get_formtype():
            document.init_forms()  # before its pages are loaded: fields without a drawing of their own get one
        if not 0 < len(document) <= PAGES:
            raise Unreadable(f"has {len(document):,} pages, where 1 to {PAGES:,} were expected; split it")
        contents = Contents(document.get_metadata_value("Title"), ocr=texts_of(place, path))
        size = 0
        for number in range(1, len(document) + 1):
            try:
                _add_page(contents, document, number)
            except pypdfium2.PdfiumError as error:
                raise Unreadable(f"page {number} is damaged ({error}); fetch the file anew, or repair it") from None
            size += len(contents.texts[-1].encode("utf-8", "replace"))
            if size > place.max_bytes:
                raise Unreadable(too_large(size, place))
        contents.attachments = [_attachment(document, index) for index in range(document.count_attachments())]
    return contents


def _attachment(document: Any, index: int) -> str:
    """The name of an attached file; its number, from 1, where it has none that can be read."""
    import pypdfium2

    try:
        return str(document.get_attachment(index).get_name()) or str(index + 1)
    except pypdfium2.PdfiumError:
        return str(index + 1)


def _add_page(contents: Contents, document: Any, number: int) -> None:
    page = document[number - 1]
    if draw_fields(page):
        page.close()
        page = document[number - 1]
    page_text = read_page(page)
    # U+0002, PDFium's mark for a hyphen at a line's end, is left to the cleaning step control_characters
    text = page_text.text.replace("\f", "\n")
    text = fractions(text) if page_text.changes["raised"] else text
    unreadable = ""
    if len(text.strip()) < FEW and _is_picture(page, bool(text.strip())):
        unreadable = "image_pages"
    elif page_text.unknown > UNKNOWN * len("".join(text.split())):
        unreadable = "unmapped_pages"
    if unreadable and number in contents.ocr.pages:
        contents.named["ocr_pages"].append(number)
        contents.changes["ocr"] += 1
        text = contents.ocr.pages[number].replace("\f", "\n")
    elif unreadable:
        contents.named[unreadable].append(number)
        contents.changes["unmapped_pages"] += unreadable == "unmapped_pages"
        text = ""
    else:
        contents.changes += page_text.changes
        for doubt in page_text.doubts:
            contents.named[doubt].append(number)
            contents.changes[doubt] += 1
    contents.texts.append(text)
    page.close()


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


def picture_pages(place: Place, path: Path) -> list[int]:
    """The pages, from 1, that are pictures or in a font that does not say what its glyphs are; none where the file
    cannot be read."""
    use_stand_in()
    try:
        contents = contents_of(path, replace(place, ocr=""))
    except Unreadable:
        return []
    pages = sorted({*contents.named["image_pages"], *contents.named["unmapped_pages"]})
    return [page for page in pages if not contents.texts[page - 1]]


def page_image(path: Path, page: int, dpi: int) -> bytes:
    """A page, from 1, as a PNG in shades of grey, with fields and notes; at most `LONGEST` pixels a side.

    Raises:
        pypdfium2.PdfiumError: it cannot be drawn.
    """
    import pypdfium2

    use_stand_in()
    with pypdfium2.PdfDocument(path) as document:
        drawn = document[page - 1]
        scale = min(dpi / 72, LONGEST / max(drawn.get_width(), drawn.get_height()))
        image = drawn.render(scale=scale, grayscale=True).to_pil()
    out = io.BytesIO()
    image.save(out, "PNG")
    return out.getvalue()
