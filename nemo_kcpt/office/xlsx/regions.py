"""Where the tables of a sheet are: regions between empty rows and columns, written as they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from nemo_kcpt.text.markdown_tables import cell_text, line, table

Row = dict[int, str]
"""Column -> what its cell shows; of cells that show something, and empty texts under merged ones: they part nothing."""
CHUNK = 5_000
"""Rows of a region that are held at once."""
LONG = 60
"""Characters from which on the only cell of a row is a line of text."""


class Block(NamedTuple):
    """A table or a line of text."""

    text: str
    continues: bool = False
    """Whether these are more rows of the table before."""


class Regions:
    """Takes the rows of a sheet in order and gives blocks of Markdown."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._last = 0
        self._columns: list[int] | None = None
        """Columns of a table of which a beginning is already written."""

    def add(self, number: int, row: Row) -> Iterator[Block]:
        """A row by its number; gives what is complete."""
        if not row:
            return
        if self._rows and number > self._last + 1:
            yield from self.end()
        elif self._columns is not None and number > self._last + 1:
            self._columns = None
        self._last = number
        self._rows.append(row)
        if len(self._rows) >= CHUNK:
            yield from self._written(goes_on=True)

    def end(self) -> Iterator[Block]:
        """What is left when a region or the sheet ends."""
        yield from self._written(goes_on=False)

    def _written(self, *, goes_on: bool) -> Iterator[Block]:
        rows, self._rows = self._rows, []
        columns, self._columns = self._columns, None
        if columns is not None and rows and all(_filled(row).keys() <= set(columns) for row in rows):
            lines = (line([cell_text(row.get(column, "")) for column in columns]) for row in rows)
            yield Block("\n".join(lines), continues=True)
            self._columns = columns if goes_on else None
            return
        groups = _groups(rows)
        for group in groups:
            yield from _blocks([{key: row[key] for key in group if key in row} for row in rows], group)
        if goes_on and len(groups) == 1 and len(groups[0]) > 1:
            self._columns = [column for column in groups[0] if any(row.get(column) for row in rows)]


def _filled(row: Row) -> Row:
    return {column: text for column, text in row.items() if text}


def _groups(rows: list[Row]) -> list[list[int]]:
    """The columns that belong together: between columns that are empty in all rows."""
    groups: list[list[int]] = []
    for column in sorted({key for row in rows for key in row}):
        if groups and column == groups[-1][-1] + 1:
            groups[-1].append(column)
        else:
            groups.append([column])
    return groups


def _blocks(rows: list[Row], columns: list[int]) -> Iterator[Block]:
    """A table, with the lines above it that are no rows of it."""
    rows = [row for row in map(_filled, rows) if row]
    while len(columns) > 1 and rows and len(rows[0]) == 1:
        yield Block(next(iter(rows.pop(0).values())))
    if not rows:
        return
    if len(columns) == 1 and (len(rows) == 1 or any(len(text) > LONG for row in rows for text in row.values())):
        for row in rows:
            yield from map(Block, row.values())
        return
    if text := table([[row.get(column, "") for column in columns] for row in rows]):
        yield Block(text)
