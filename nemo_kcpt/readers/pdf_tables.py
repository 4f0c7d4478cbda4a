"""Tables on a PDF's page: cells that stand below each other, row by row, are written as rows of Markdown.

A PDF knows no tables, only text at places. Written as plain lines the rows of a table look like a paragraph, and the
cleaning joins them: 46.75 of one row and 9,584 of the next. Rows are told by their cells: at least two beside each
other, with wide gaps between them, each of which begins, ends or is centred where the cell above it is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_kcpt.readers.pdf_columns import Stretch

ALIGNED = 0.35
"""Share of the size by which the edges or middles of cells may differ."""
APART = 4.0
"""Times the size that the baselines of two rows are apart at most."""
ROWS = {2: 3}
"""Columns -> rows that are a table at least; two for three columns and more."""


def with_tables(found: Sequence[Stretch]) -> list[Stretch]:
    """The stretches of a page in the same order, each row of a table as one of its own line."""
    lines = _lines(found)
    written: list[Stretch] = []
    start = 0
    after_table = False
    while start < len(lines):
        end = start + 1
        while end < len(lines) and _is_row_below(lines[end - 1], lines[end]):
            end += 1
        columns = len(lines[start])
        is_table = columns > 1 and end - start >= ROWS.get(columns, 2) and not _is_contents(lines[start:end])
        rows = [_row(line) for line in lines[start:end]] if is_table else []
        if rows:
            rule = replace(rows[0], text=f"|{' --- |' * columns}", space="\n")
            first = rows[0] if written else replace(rows[0], space=lines[start][0].space)
            written += [first, rule, *rows[1:]]
        else:
            for line in lines[start:end]:
                first, *rest = line
                written += [replace(first, space=_line_end(first.space)) if after_table else first, *rest]
                after_table = False
        after_table = bool(rows)
        start = end
    return written


def _lines(found: Sequence[Stretch]) -> list[list[Stretch]]:
    """The stretches line by line: on one baseline, from left to right, without a line's end between them."""
    lines: list[list[Stretch]] = []
    for one in found:
        last = lines[-1][-1] if lines else None
        if (
            last is not None
            and "\n" not in one.space
            and abs(one.base - last.base) < 0.3 * one.size
            and one.left > last.right
        ):
            lines[-1].append(one)
        else:
            lines.append([one])
    return lines


def _is_row_below(above: Sequence[Stretch], below: Sequence[Stretch]) -> bool:
    if len(above) != len(below) or len(above) < 2:
        return False
    down = above[0].base - below[0].base
    return 0 < down <= APART * above[0].size and all(map(_are_aligned, above, below))


def _are_aligned(one: Stretch, two: Stretch) -> bool:
    most = ALIGNED * max(one.size, two.size)
    middles = (one.left + one.right - two.left - two.right) / 2
    return min(abs(one.left - two.left), abs(one.right - two.right), abs(middles)) <= most


def _is_contents(lines: Sequence[Sequence[Stretch]]) -> bool:
    """Whether lines are entries of a table of contents: two columns, the right one with numbers that rise."""
    if len(lines[0]) != 2 or not all(line[1].text.strip().isdecimal() for line in lines):
        return False
    numbers = [int(line[1].text) for line in lines]
    return all(one <= two for one, two in pairwise(numbers))


def _row(line: Sequence[Stretch]) -> Stretch:
    cells = " | ".join(one.text.strip().replace("|", "\\|") for one in line)
    return replace(line[0], text=f"| {cells} |", space=_line_end(line[0].space), right=line[-1].right)


def _line_end(space: str) -> str:
    return space if "\n" in space else "\n"
