"""Fonts that a PDF names and does not embed: PDFium gets the same stand-in on every machine, whatever is installed.

PDFium looks for such fonts on the machine, and where it finds none it drops every text that is a single character (大,
○ in the cell of a table) without a word, since a character without an outline has no width. So the text of a document
differed between two machines. What the stand-in's letters look like does not matter, as nobody sees them; their advance
comes from the PDF itself. Latin fonts keep PDFium's own substitutes.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any, NamedTuple

from nemo_kcpt.readers.pdf_box_font import FONT

EAST_ASIAN = frozenset({128, 129, 130, 134, 136})
"""Windows' character sets of Japanese, Korean and Chinese."""
LEAST = 1e-3
"""Points of a width or height."""
SYMBOL = 2
"""What PDFium asks for where a font has an encoding of its own."""


_FOR_ALL: list[bool] = []
"""Not empty while the stand-in is used for Latin fonts too."""


@lru_cache(maxsize=1)
def use_stand_in() -> tuple[Any, ...]:
    """Give PDFium the stand-in, once a process; what is returned must stay alive as long as PDFium."""
    import pypdfium2.raw as pdfium

    kinds = dict(pdfium.FPDF_SYSFONTINFO._fields_)

    def find(_: Any, weight: int, italic: int, charset: int, pitch: int, face: Any, exact: Any) -> int | None:
        return 1 if charset in EAST_ASIAN or charset == SYMBOL or _FOR_ALL else None

    def data(_: Any, font: Any, table: int, buffer: Any, size: int) -> int:
        if table:
            return 0  # the whole file is asked for next
        if buffer and size >= len(FONT):
            ctypes.memmove(buffer, FONT, len(FONT))
        return len(FONT)

    calls = {
        "MapFont": find,
        "GetFontData": data,
        "GetFaceName": lambda _, font, buffer, size: 0,
        "GetFontCharset": lambda _, font: 128,
        "DeleteFont": lambda _, font: None,
        "EnumFonts": lambda _, mapper: None,
        "Release": lambda _: None,
    }
    info = pdfium.FPDF_SYSFONTINFO()
    info.version = 1
    kept = []
    for name, call in calls.items():
        kept.append(kinds[name](call))
        setattr(info, name, kept[-1])
    pdfium.FPDF_SetSystemFontInfo(ctypes.byref(info))
    return (info, *kept)


@contextmanager
def stand_in_for_all() -> Iterator[None]:
    """Documents opened in here get the stand-in for every font that is not embedded.

    For a font that calls itself Latin and holds Japanese all the same.
    """
    _FOR_ALL.append(True)
    try:
        yield
    finally:
        _FOR_ALL.pop()


class WithoutWidth(NamedTuple):
    """Text objects without a width, which PDFium drops: spaces, or letters that have no shape."""

    shapeless: int
    """In a font none of whose letters has a shape, as that of the text behind a scan."""
    not_embedded: int
    """In a font that is not embedded."""


def without_width(items: Iterable[Any]) -> WithoutWidth:
    """Count the text objects that have no width.

    A space alone has none either. So a font counts as one without shapes only if longer texts in it have no height: any
    other has a height wherever it shows a letter.

    Args:
        items: PDFium's handles of a page's text objects.
    """
    import pypdfium2.raw as pdfium

    edges = [ctypes.c_float() for _ in range(4)]
    flat: Counter[int] = Counter()
    shaped: set[int] = set()
    shapeless: set[int] = set()
    not_embedded = 0
    for item in items:
        pdfium.FPDFPageObj_GetBounds(item, *edges)
        left, bottom, right, top = (edge.value for edge in edges)
        font = pdfium.FPDFTextObj_GetFont(item)
        key = ctypes.addressof(font.contents)
        if top - bottom > LEAST and right - left > LEAST:
            shaped.add(key)
        elif max(right - left, top - bottom) > LEAST:
            shapeless.add(key)
        else:
            flat[key] += 1
            not_embedded += pdfium.FPDFFont_GetIsEmbedded(font) == 0
    return WithoutWidth(sum(count for key, count in flat.items() if key in shapeless - shaped), not_embedded)
