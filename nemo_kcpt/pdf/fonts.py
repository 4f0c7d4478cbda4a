"""Fonts that a PDF names and does not embed: PDFium gets the same stand-in on every machine, whatever is installed.

PDFium looks for such fonts on the machine, and where it finds none it drops every text that is a single character (大,
○ in the cell of a table) without a word, since a character without an outline has no width. So the text of a document
differed between two machines. What the stand-in's letters look like does not matter, as nobody sees them; their advance
comes from the PDF itself. Latin fonts keep PDFium's own substitutes.
"""

from __future__ import annotations

import ctypes
from functools import lru_cache
from typing import Any

from nemo_kcpt.pdf.box_font import FONT

EAST_ASIAN = frozenset({128, 129, 130, 134, 136})
"""Windows' character sets of Japanese, Korean and Chinese."""
SYMBOL = 2
"""What PDFium asks for where a font has an encoding of its own."""


@lru_cache(maxsize=1)
def use_stand_in() -> tuple[Any, ...]:
    """Give PDFium the stand-in, once a process; what is returned must stay alive as long as PDFium."""
    import pypdfium2.raw as pdfium

    kinds = dict(pdfium.FPDF_SYSFONTINFO._fields_)

    def find(_: Any, weight: int, italic: int, charset: int, pitch: int, face: Any, exact: Any) -> int | None:
        return 1 if charset in EAST_ASIAN or charset == SYMBOL else None

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
