"""Japanese vertical writing in a PDF: letters below each other are one line, and lines go from right to left.

PDFium ends a line after every letter that is drawn alone, and reads lines from left to right.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from nemo_kcpt.readers.pdf_raised import Piece

FEWEST = 5
"""Single letters below each other that are a line and not a column of a table."""
PITCH = (0.7, 1.35)
"""Shares of the size by which a letter is below the one before it."""
_JAPANESE = re.compile("[ぁ-ゖァ-ヺー一-鿿々、。]")


def lines_from_right_to_left(pieces: Sequence[Piece]) -> list[Piece]:
    """The pieces with vertical lines in one piece each, in reading order where most of the page is vertical."""
    found: list[Piece] = []
    start = 0
    while start < len(pieces):
        end = start + 1
        while end < len(pieces) and _is_below(pieces[end - 1], pieces[end]):
            end += 1
        chain = pieces[start:end]
        text = "".join(piece.text for piece in chain)
        if len(chain) > 1 and len(text) >= FEWEST and 2 * len(_JAPANESE.findall(text)) > len(text):
            edges = min(piece.left for piece in chain), max(piece.right for piece in chain)
            one = replace(chain[0], text=text, left=edges[0], right=edges[1], foot=chain[-1].foot)
            found.append(replace(one, space=_line_end(one.space) if found else one.space))
            if end < len(pieces) and "\n" not in pieces[end].space:
                pieces = [*pieces[:end], replace(pieces[end], space="\n"), *pieces[end + 1 :]]
        else:
            found += chain
        start = end
    vertical = sum(len(piece.text) for piece in found if piece.is_vertical)
    return _ordered(found) if 2 * vertical > sum(len(piece.text) for piece in found) else found


def _is_below(one: Piece, two: Piece) -> bool:
    if not all(
        len(piece.text) == 1 or piece.is_vertical or (piece.kind and len(piece.text) < 4) for piece in (one, two)
    ):
        return False
    size = max(one.size, two.size)
    apart = abs(one.left + one.right - two.left - two.right) / 2
    return apart < 0.6 * size and PITCH[0] * size <= one.foot - two.base <= PITCH[1] * size


def _ordered(pieces: Sequence[Piece]) -> list[Piece]:
    """Runs of vertical lines that go from left to right, turned round."""
    ordered: list[Piece] = []
    run: list[Piece] = []
    for piece in [*pieces, None]:
        if piece is not None and run and piece.is_vertical and piece.left > run[-1].right - 0.3 * piece.size:
            run.append(piece)
            continue
        spaces = [one.space for one in run]
        turned = [replace(one, space=space) for one, space in zip(reversed(run), spaces)]
        ordered += [turned[0], *(replace(one, space=_line_end(one.space)) for one in turned[1:])] if turned else []
        run = []
        if piece is not None and piece.is_vertical:
            run = [piece]
        elif piece is not None:
            ordered.append(piece)
    return ordered


def _line_end(space: str) -> str:
    return space if "\n" in space else "\n"
