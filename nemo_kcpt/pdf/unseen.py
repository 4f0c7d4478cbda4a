"""Text of a PDF's page that PDFium leaves out without a word, put where it sees it.

PDFium leaves out a text object without width. A space has none, and neither has a single letter whose font has no
outlines: one that is not embedded, or that of the text behind a scan. A stroked outline gives an object the width of
its pen, whatever its font is. Nor does PDFium read what fields of a form and notes on a page show; drawn into the page,
they are text like any other.
"""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from typing import Any

LEAST = 1e-3
"""Points of a width."""
PEN = 0.8
"""Width of the pen as a share of the font's size: about that of a letter."""


def draw_fields(page: Any) -> bool:
    """Draw the fields of forms and the notes of a page that show text into it; True if there are any.

    The page has to be loaded anew then.
    """
    import pypdfium2.raw as pdfium

    kinds = {pdfium.FPDF_ANNOT_WIDGET, pdfium.FPDF_ANNOT_FREETEXT}
    has_fields = False
    for number in range(pdfium.FPDFPage_GetAnnotCount(page)):
        annotation = pdfium.FPDFPage_GetAnnot(page, number)
        has_fields = has_fields or pdfium.FPDFAnnot_GetSubtype(annotation) in kinds
        pdfium.FPDFPage_CloseAnnot(annotation)
    return has_fields and pdfium.FPDFPage_Flatten(page, pdfium.FLAT_NORMALDISPLAY) == pdfium.FLATTEN_SUCCESS


def show_letters(page: Any, items: Sequence[Any]) -> int:
    """Give letters without width one; returns how many text objects were letters, and not just spaces.

    Args:
        page: of pypdfium2.
        items: PDFium's handles of its text objects.
    """
    import pypdfium2.raw as pdfium

    flat = {_address(item): item for item in items if _width(item) < LEAST}
    if not flat:
        return 0
    for item in flat.values():
        _draw(item, pdfium.FPDF_TEXTRENDERMODE_STROKE)
    textpage = page.get_textpage()
    letters: set[int] = set()
    for number in range(textpage.count_chars()):
        item = pdfium.FPDFText_GetTextObject(textpage, number)
        if item and _address(item) in flat and not chr(pdfium.FPDFText_GetUnicode(textpage, number)).isspace():
            letters.add(_address(item))
    textpage.close()
    for address, item in flat.items():
        if address not in letters:  # a space of its own would only part what stands together
            _draw(item, pdfium.FPDF_TEXTRENDERMODE_FILL)
    return len(letters)


def _width(item: Any) -> float:
    import pypdfium2.raw as pdfium

    left, bottom, right, top = (ctypes.c_float() for _ in range(4))
    pdfium.FPDFPageObj_GetBounds(item, left, bottom, right, top)
    return right.value - left.value


def _draw(item: Any, mode: int) -> None:
    """Set how an object is drawn, and let PDFium measure it again."""
    import pypdfium2.raw as pdfium

    size = ctypes.c_float()
    pdfium.FPDFTextObj_GetFontSize(item, size)
    pdfium.FPDFTextObj_SetTextRenderMode(item, mode)
    pdfium.FPDFPageObj_SetStrokeWidth(item, PEN * size.value)
    pdfium.FPDFPageObj_Transform(item, 1, 0, 0, 1, 0, 0)


def _address(item: Any) -> int:
    return ctypes.addressof(item.contents)
