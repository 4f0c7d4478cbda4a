"""Japanese vertical writing in a PDF: letters below each other are one line, and lines go from right to left.

PDFium ends a line after every letter that is drawn alone, and reads lines from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from statistics import median

from nemo_kcpt.pdf.raised import Piece

FEWEST = 5
"""Single letters below each other that are a line and not a column of a table."""
TIER = 3
"""Lines of a tier at least."""
PITCH = (0.7, 1.35)
"""Shares of the size by which a letter is below the one before it."""
_JAPANESE = re.compile("[ぁ-ゖァ-ヺー一-鿿々、。]")


def lines_from_right_to_left(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with vertical lines in one piece each, in reading order where most of the page is vertical."""
    merged: list[Piece] = []
    start = 0
    while start < len(pieces):
        end = start + 1
        while end < len(pieces) and _is_below(pieces[end - 1], pieces[end]):
            end += 1
        chain = pieces[start:end]
        text = "".join(piece.text for piece in chain)
        if len(chain) > 1 and len(text) >= FEWEST and 2 * len(_JAPANESE.findall(text)) > len(text):
            edges = min(piece.left for piece in chain), max(piece.right for piece in chain)
            line = replace(chain[0], text=text, left=edges[0], right=edges[1], foot=chain[-1].foot)
            merged.append(replace(line, space=_line_end(line.space) if merged else line.space))
            if end < len(pieces) and "\n" not in pieces[end].space:
                pieces = [*pieces[:end], replace(pieces[end], space="\n"), *pieces[end + 1 :]]
        else:
            merged += chain
        start = end
    vertical = sum(len(piece.text) for piece in merged if piece.is_vertical)
    return _ordered(merged) if 2 * vertical > sum(len(piece.text) for piece in merged) else merged


def _is_below(above: Piece, below: Piece) -> bool:
    if not all(
        len(piece.text) == 1 or piece.is_vertical or (piece.kind and len(piece.text) < 4) for piece in (above, below)
    ):
        return False
    size = max(above.size, below.size)
    apart = abs(above.left + above.right - below.left - below.right) / 2
    return apart < 0.6 * size and PITCH[0] * size <= above.foot - below.base <= PITCH[1] * size


def _ordered(pieces: Sequence[Piece]) -> list[Piece]:
    """The lines of a page of vertical writing from right to left, tier by tier; what is above first, the rest last.

    A line is all that is in one column: letters below each other, numbers that lie across it, a heading with its
    number and a space. A page's number, below or above all of them, is none of it.
    """
    size = median(piece.size for piece in pieces if piece.is_vertical)
    whole = [piece for piece in pieces if piece.is_vertical]
    top, bottom = max(piece.base for piece in whole), min(piece.foot for piece in whole)

    def is_inside(piece: Piece) -> bool:
        narrow = piece.is_vertical or (len(piece.text) <= 3 and piece.right - piece.left < 1.7 * size)
        return narrow and bottom - size <= piece.foot and piece.base <= top + size

    inside = sorted((piece for piece in pieces if is_inside(piece)), key=_middle, reverse=True)
    lines: list[list[Piece]] = []
    for piece in inside:
        if lines and _middle(lines[-1][0]) - _middle(piece) < 0.7 * size:
            lines[-1].append(piece)
        else:
            lines.append([piece])
    ordered = [line for tier in _tiers(lines, size) for line in tier]
    outside = [piece for piece in pieces if not is_inside(piece)]
    first, *rest = [
        *(piece for piece in outside if piece.base > top),
        *(_one_line(line, size) for line in ordered),
        *(replace(piece, space=_line_end(piece.space)) for piece in outside if piece.base <= top),
    ]
    return [replace(first, space=pieces[0].space), *rest]


def _tiers(lines: Sequence[list[Piece]], size: float) -> list[list[list[Piece]]]:
    """The lines of each tier of a page, the upper one first: those above a height no letter crosses, then others."""
    edges = sorted((piece for line in lines for piece in line), key=lambda piece: -piece.base)
    lowest = edges[0].foot if edges else 0.0
    for piece in edges[1:]:
        if lowest - piece.base > 2.5 * size:
            above = [kept for line in lines if (kept := [other for other in line if other.base > piece.base])]
            below = [kept for line in lines if (kept := [other for other in line if other.base <= piece.base])]
            if min(len(above), len(below)) >= TIER:
                return [above, *_tiers(below, size)]
        lowest = min(lowest, piece.foot)
    return [list(lines)]


def _one_line(line: Sequence[Piece], size: float) -> Piece:
    """The pieces of a vertical line as one, from top to bottom."""
    first, *rest = sorted(line, key=lambda piece: -piece.base)
    text, foot = first.text, first.foot
    for piece in rest:
        text += (" " if foot - piece.base > 1.7 * size else "") + piece.text
        foot = min(foot, piece.foot)
    return replace(first, text=text, foot=foot, space=_line_end(first.space))


def _middle(piece: Piece) -> float:
    return (piece.left + piece.right) / 2


def _line_end(space: str) -> str:
    return space if "\n" in space else "\n"
