"""Tables as Markdown: one way to write them for every format that has cells."""

from __future__ import annotations

import re
from collections.abc import Sequence

_SPACE = re.compile(r"[ \t\r\n\f\v]+")
_BAR = re.compile(r"(?<!\\)\|")
_FORMULA = re.compile(r"(\$\$?)(?:\\.|[^\\$])+?\1", re.S)
_TEX = re.compile(r"[\\^_{}=<>]")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as a Markdown table, the first row as its heading; empty rows and columns go, empty if all are.

    A cell is one line (`cell_text`).
    """
    cells = [[cell_text(cell) for cell in row] for row in rows]
    width = max(map(len, cells), default=0)
    full = [row + [""] * (width - len(row)) for row in cells if any(row)]
    kept = [column for column in range(width) if any(row[column] for row in full)]
    if not full:
        return ""
    first, *rest = ([row[column] for column in kept] for row in full)
    return "\n".join(map(line, (first, ["---"] * len(kept), *rest)))


def cell_text(text: str) -> str:
    """A cell on one line: bars are escaped, those of formulas written as TeX's own words, which mean the same."""
    text = _SPACE.sub(" ", text).strip()
    if "|" not in text:
        return text
    pieces, start = [], 0
    for match in _FORMULA.finditer(text):
        if not _TEX.search(match[0]) and match[0].count("|") != 2:
            continue  # prices, say
        inner = _BAR.sub(r"\\vert ", match[0].replace(r"\|", r"\Vert "))
        pieces += [_BAR.sub(r"\\|", text[start : match.start()]), inner]
        start = match.end()
    return "".join([*pieces, _BAR.sub(r"\\|", text[start:])])


def line(cells: Sequence[str]) -> str:
    """One row, of cells that are ready."""
    return f"| {' | '.join(cells)} |"
