"""Text of a PDF whose font does not say which characters its glyphs are.

Such a font has no ToUnicode map and numbers its glyphs in an order of its own. PDFium then gives the number for a
character: 3 for a space, or, worse, 1 for an R. Each of them becomes U+FFFD, so that no number or letter is taken for
one that the page shows.
"""

from __future__ import annotations

import ctypes
import re
from collections import defaultdict
from collections.abc import Sequence
from typing import Any

UNKNOWN = "\ufffd"
FIRST = frozenset("!\"#$%&'()*")
"""What the first ten glyphs of a font are numbered as, if that begins at 33, the first code that is no space."""
FEWEST = 5
"""Different characters from which on the numbering of a font can be told."""
_OWN = re.compile("(?<=[^\\s\ue000-\uf8ff])[\ue000-\uf8ff]")


def mapped(textpage: Any, units: Sequence[str]) -> list[str]:
    """The UTF-16 units of a text page, with U+FFFD for a character that is not known, a space for a blank one."""
    import pypdfium2.raw as pdfium

    characters = list(units)
    error = pdfium.FPDFText_HasUnicodeMapError
    wrong = [number for number in range(len(characters)) if error(textpage, number) == 1]
    if len(FIRST & set(characters)) >= FEWEST - 1:
        wrong += _numbered(textpage, characters)
    for number in wrong:
        characters[number] = UNKNOWN if _has_shape(textpage, number) else " "
    return characters


def unknown(text: str) -> int:
    """Characters of a page's text that are not known: U+FFFD, and private ones, but for a bullet before a line."""
    return text.count(UNKNOWN) + len(_OWN.findall(text))


def _numbered(textpage: Any, units: Sequence[str]) -> list[int]:
    """The characters in fonts that number their glyphs from 33 on, as they were needed."""
    import pypdfium2.raw as pdfium

    fonts: dict[int, list[int]] = defaultdict(list)
    for number, unit in enumerate(units):
        item = None if unit.isspace() else pdfium.FPDFText_GetTextObject(textpage, number)
        if item:
            fonts[ctypes.addressof(pdfium.FPDFTextObj_GetFont(item).contents)].append(number)
    return [n for numbers in fonts.values() if _by_first_use([units[n] for n in numbers]) for n in numbers]


def _by_first_use(characters: Sequence[str]) -> bool:
    """Whether characters are numbers in order: nearly all of the first ten, few gaps below the last, few letters."""
    there = set(characters)
    small = sum("a" <= character <= "z" for character in characters)
    last = max(map(ord, there)) - 32
    return (
        len(there) >= FEWEST
        and len(there & FIRST) >= min(len(there), 10) - 1
        and last <= 1.5 * len(there) + 2
        and small < 0.2 * len(characters)
    )


def _has_shape(textpage: Any, number: int) -> bool:
    import pypdfium2.raw as pdfium

    left, right, bottom, top = (ctypes.c_double() for _ in range(4))
    pdfium.FPDFText_GetCharBox(textpage, number, left, right, bottom, top)
    return right.value > left.value and top.value > bottom.value
