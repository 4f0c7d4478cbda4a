"""Stretches of a PDF's page: pieces on one baseline that follow each other without a wide gap."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nemo_kcpt.pdf.raised import Piece

GAP = 1.15
"""Share of the size that columns, or cells of a table, are apart at least; the cells of LaTeX are, by 1.2."""
JAPANESE = re.compile(r"[ぁ-ゖァ-ヺ一-鿿]")


@dataclass
class Stretch:
    """Text on one baseline without a wide gap."""

    text: str
    space: str
    left: float
    right: float
    base: float
    size: float


def stretches(pieces: Sequence[Piece]) -> list[Stretch]:
    """The pieces put together as far as they follow each other closely, in the same order."""
    merged: list[Stretch] = []
    for piece in pieces:
        last = merged[-1] if merged else None
        if last is not None and _follows(last, piece):
            last.text += piece.space + piece.text
            last.right = max(last.right, piece.right)
            if not piece.kind and piece.size >= last.size:
                last.base, last.size = piece.base, piece.size
            continue
        space = _space(last, piece) if last else piece.space
        merged.append(Stretch(piece.text, space, piece.left, piece.right, piece.base, piece.size))
    return merged


def _space(last: Stretch, piece: Piece) -> str:
    """The space before a piece; a line's end only where PDFium has one, or misses one, for good reasons."""
    down = (last.base - piece.base) / (last.size or 1)
    below = (piece.left < last.left and down > 0.5) or _is_below(last, piece)
    if "\n" not in piece.space and not last.text.endswith("\x02") and below:
        return "\n"  # the next line, which it takes for more of the same one
    if "\n" in piece.space and len(piece.text) == 1 and abs(down) < 0.05 and piece.left > last.right:
        return " "  # it takes a single narrow digit for vertical writing
    return piece.space


def _follows(last: Stretch, piece: Piece) -> bool:
    if "\n" in piece.space or _is_below(last, piece):
        return False
    return bool(piece.kind) or -1.0 < (piece.left - last.right) / (last.size or 1) < GAP


def _is_below(last: Stretch, piece: Piece) -> bool:
    """Whether a piece is on a line below, which PDFium takes for vertical writing if it is a single character: 7 over 3
    is not 73, while Japanese letters below each other are one text; or far above, as a header that is drawn last."""
    down, size = last.base - piece.base, last.size or 1
    if piece.kind or down < -2 * size:
        return not piece.kind
    if JAPANESE.match(last.text[-1:]) and JAPANESE.match(piece.text):
        return False
    return down > 0.9 * size and piece.left < last.right
