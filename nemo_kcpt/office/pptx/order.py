"""The order in which the shapes of a slide are read: by where they are, bands from above, columns from the left."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple, TypeVar


class Box(NamedTuple):
    """Where a shape is, in any unit."""

    left: float
    top: float
    right: float
    bottom: float


T = TypeVar("T")
OVERLAP = 0.15
"""Share of the smaller of two shapes by which they may overlap and still be above, or beside, each other."""


def reading_order(shapes: Sequence[tuple[T, Box | None]], *, from_right: bool = False) -> list[T]:
    """Shapes in the order of reading.

    They are cut into bands, bands into columns, and so on; what cannot be cut stays in the order of the file. A shape
    of which nobody says where it is follows the one before it.

    Args:
        shapes: with their boxes, in the order of the file.
        from_right: columns are read from the right, as those of vertical Japanese are.
    """
    placed: list[tuple[list[T], Box]] = []
    first: list[T] = []
    for shape, box in shapes:
        if box is not None:
            placed.append(([shape], box))
        elif placed:
            placed[-1][0].append(shape)
        else:
            first.append(shape)
    return [*first, *(shape for group in _cut(placed, from_right, tries=2) for shape in group)]


def _cut(placed: list[tuple[list[T], Box]], from_right: bool, tries: int, across: bool = True) -> list[list[T]]:
    if len(placed) < 2 or not tries:
        return [group for group, _ in placed]
    parts = _parts(placed, across)
    if len(parts) == 1:
        return _cut(placed, from_right, tries - 1, not across)
    if from_right and not across:
        parts.reverse()
    return [group for part in parts for group in _cut(part, from_right, 2, not across)]


def _parts(placed: list[tuple[list[T], Box]], across: bool) -> list[list[tuple[list[T], Box]]]:
    """The shapes cut where no shape is: by horizontal lines if `across`, else by vertical ones."""

    def span(box: Box) -> tuple[float, float]:
        return (box.top, box.bottom) if across else (box.left, box.right)

    order = sorted(range(len(placed)), key=lambda number: (span(placed[number][1])[0], number))
    parts: list[list[int]] = []
    end = least = 0.0
    for number in order:
        low, high = span(placed[number][1])
        allowed = OVERLAP * min(high - low, least)
        if parts and low < end - allowed:
            parts[-1].append(number)
            end, least = max(end, high), min(least, high - low)
        else:
            parts.append([number])
            end, least = high, high - low
    return [[placed[number] for number in sorted(part)] for part in parts]
