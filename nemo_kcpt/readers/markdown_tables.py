"""Tables as Markdown: one way to write them for every format that has cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_BAR = re.compile(r"(?<!\\)\|")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a Markdown table, the first row as its heading; empty rows and columns go, empty if all are.

    A cell is one line: bars in it are escaped, its line ends become spaces.
    """
    cells = [[_BAR.sub(r"\\|", _SPACE.sub(" ", cell).strip()) for cell in row] for row in rows]
    width = max(map(len, cells), default=0)
    full = [row + [""] * (width - len(row)) for row in cells if any(row)]
    kept = [column for column in range(width) if any(row[column] for row in full)]
    if not full:
        return ""
    first, *rest = ([row[column] for column in kept] for row in full)
    return "\n".join(map(line, (first, ["---"] * len(kept), *rest)))


def line(cells: Sequence[str]) -> str:
    """One row, of cells that are ready."""
    return f"| {' | '.join(cells)} |"
