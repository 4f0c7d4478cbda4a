"""Tables on a PDF's page: cells that stand below each other, row by row, are written as rows of Markdown.

A PDF knows no tables, only text at places. Written as plain lines the rows of a table look like a paragraph, and the
cleaning joins them: 46.75 of one row and 9,584 of the next. Rows are told by their cells: at least two beside each
other, with wide gaps between them, each of which begins, ends or is centred where the cell above it is.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from nemo_kcpt.pdf.stretches import Stretch

ALIGNED = 0.35
"""Share of the size by which the edges or middles of cells may differ."""
APART = 4.0
"""Times the size that the baselines of two rows are apart at most."""
_JAPANESE = re.compile("[ぁ-ゖァ-ヺー一-鿿]")
_HALF = re.compile(r"\d,\d{1,2}$")
_REST = re.compile(r"\d{1,2}(?![\d,.])")
ROWS = {2: 3}
"""Columns -> rows that are a table at least; two for three columns and more."""


def with_tables(stretches: Sequence[Stretch]) -> list[Stretch]:
    """The stretches of a page in the same order, each row of a table as one of its own line."""
    lines = _lines(stretches)
    written: list[Stretch] = []
    start = 0
    after_table = False
    while start < len(lines):
        end = start + 1
        while end < len(lines) and _is_row_below(lines[end - 1], lines[end]):
            end += 1
        columns = len(lines[start])
        is_table = columns > 1 and end - start >= ROWS.get(columns, 2) and not _is_contents(lines[start:end])
        if is_table:
            rows = [[stretch.text.strip() for stretch in line] for line in lines[start:end]]
            if columns > 2:
                more, end = _more_rows(lines, start, end)
                rows = [*rows[:-1], *more]
            first = lines[start][0]
            space = _line_end(first.space) if written else first.space
            written += [replace(first, text=_row(rows[0]), space=space)]
            written += [replace(first, text=f"|{' --- |' * columns}", space="\n")]
            written += [replace(first, text=_row(row), space="\n") for row in rows[1:]]
        else:
            for line in lines[start:end]:
                head, *rest = line
                written += [replace(head, space=_line_end(head.space)) if after_table else head, *rest]
                after_table = False
        after_table = is_table
        start = end
    return written


def _lines(stretches: Sequence[Stretch]) -> list[list[Stretch]]:
    """The stretches line by line: on one baseline, from left to right."""
    lines: list[list[Stretch]] = []
    for stretch in stretches:
        last = lines[-1][-1] if lines else None
        if last is not None and abs(stretch.base - last.base) < 0.3 * stretch.size and stretch.left > last.right:
            lines[-1].append(stretch)
        else:
            lines.append([stretch])
    return lines


def _more_rows(lines: Sequence[list[Stretch]], start: int, end: int) -> tuple[list[list[str]], int]:
    """The last row of a table and those below it whose cells have several lines; and the first line that is none.

    The cells of a row are drawn from left to right, each with all its lines: a row ends where the columns begin anew.

    Args:
        lines: of the page.
        start: of the table.
        end: of its rows with a line each.
    """
    rows = lines[start:end]
    lefts = [min(row[column].left for row in rows) for column in range(len(rows[0]))]
    size = rows[-1][0].size
    limits = [*lefts[1:], float("inf")]
    texts = [[stretch.text.strip() for stretch in rows[-1]]]
    at, column, lowest = [end], len(lefts) - 1, rows[-1][0].base
    number = end
    while number < len(lines):
        places = [_column(stretch, lefts, limits, size) for stretch in lines[number]]
        near = lowest - APART * size <= lines[number][0].base <= lowest + APART * size
        if not near or None in places:
            break
        for stretch, cell_column in zip(lines[number], places):
            assert cell_column is not None
            if cell_column < column:
                texts.append([""] * len(lefts))
                at.append(number)
            texts[-1][cell_column] = _cell(texts[-1][cell_column], stretch.text.strip())
            column, lowest = cell_column, min(lowest, stretch.base)
        number += 1
    while len(texts) > 1 and sum(map(bool, texts[-1])) < 2:  # a heading below the table, say
        texts.pop()
        number = at.pop()
    return texts, number


def _column(stretch: Stretch, lefts: Sequence[float], limits: Sequence[float], size: float) -> int | None:
    """The column in which a stretch is; None if it is in none, or in several."""
    fits = (
        n for n, (left, limit) in enumerate(zip(lefts, limits)) if stretch.left >= left - size and stretch.right < limit
    )
    return next(fits, None)


def _cell(above: str, below: str) -> str:
    """Two lines of a cell as one; a number that its width has broken (7,185,78 and 5, - and 3.5) is one."""
    if not above or not below:
        return above or below
    if above.endswith("\x02"):
        return above + below  # a word whose hyphen is left to the cleaning
    broken = (_HALF.search(above) and _REST.match(below)) or (above in ("-", "\u2212") and below[0].isdigit())
    return above + ("" if broken or (_JAPANESE.match(above[-1]) and _JAPANESE.match(below)) else " ") + below


def _is_row_below(above: Sequence[Stretch], below: Sequence[Stretch]) -> bool:
    if len(above) != len(below) or len(above) < 2:
        return False
    down = above[0].base - below[0].base
    return 0 < down <= APART * above[0].size and all(map(_are_aligned, above, below))


def _are_aligned(above: Stretch, below: Stretch) -> bool:
    most = ALIGNED * max(above.size, below.size)
    middles = (above.left + above.right - below.left - below.right) / 2
    return min(abs(above.left - below.left), abs(above.right - below.right), abs(middles)) <= most


def _is_contents(lines: Sequence[Sequence[Stretch]]) -> bool:
    """Whether lines are entries of a table of contents: two columns, the right one with numbers that rise."""
    if len(lines[0]) != 2 or not all(line[1].text.strip().isdecimal() for line in lines):
        return False
    numbers = [int(line[1].text) for line in lines]
    return all(above <= below for above, below in pairwise(numbers))


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def _line_end(space: str) -> str:
    return space if "\n" in space else "\n"
