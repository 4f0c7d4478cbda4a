"""The sheets of a workbook as Markdown tables: rows as they are seen, merged cells, and what lies upon a sheet."""

from __future__ import annotations

import re
from bisect import bisect_left
from collections.abc import Iterator
from typing import Any

from nemo_kcpt.documents.base import Place, too_large
from nemo_kcpt.documents.zipped import BadContainer
from nemo_kcpt.office.drawings import chart_lines, diagram_lines
from nemo_kcpt.office.package import LEFT_OUT, Contents, Package, attribute, child, local
from nemo_kcpt.office.pieces import on_one_line
from nemo_kcpt.office.xlsx.cells import HIDDEN, Cells, column_name, place_of
from nemo_kcpt.office.xlsx.regions import Block, Regions

CONDITIONAL = "sheets with number formats that depend on conditions"
COLUMNS = 16_384
"""Columns that a sheet may have."""
MERGES = 100_000
"""Merged ranges of a sheet that are looked at."""
_MERGE = re.compile(rb"<(?:\w+:)?mergeCell\s[^>]*?\bref=[\"']([A-Za-z]+\d+):([A-Za-z]+\d+)[\"']")
_RULE = re.compile(rb"<(?:\w+:)?cfRule\s[^>]*?\bdxfId=[\"'](\d{1,9})[\"']")
_PLAIN_NAME = re.compile(r"(?:Sheet|シート|Tabelle|Feuil|工作表)\s*\d*", re.I)


def fill(package: Package, contents: Contents, place: Place) -> None:
    """Read a workbook."""
    part = package.related("", "officeDocument")
    if part.endswith(".bin"):
        raise BadContainer("is a binary workbook (.xlsb); save it as .xlsx")
    root = package.xml(part)
    since_1904 = attribute(child(root, "workbookPr"), "date1904") in ("1", "true", "on")
    cells = Cells(package, contents, place, part, since_1904)
    sheets = child(root, "sheets")
    nodes = [node for node in (sheets if sheets is not None else ()) if local(node) == "sheet"]
    visible = [node for node in nodes if (attribute(node, "state") or "visible") == "visible"]
    texts: list[str] = []
    size = 0
    for node in visible:
        name = attribute(node, "name") or ""
        generic = len(visible) == 1 and _PLAIN_NAME.fullmatch(name)
        pieces = [] if generic else [f"# {' '.join(name.split())}"]
        for block in _sheet(package, package.target(part, attribute(node, "id")), name, cells, contents):
            pieces += ["\n" if block.continues else "\n\n", block.text]
            size += len(block.text)
            if size > place.max_bytes:
                raise BadContainer(too_large(size, place))
        cells.end_sheet(name)
        if len(pieces) > 1:
            texts.append("".join(pieces).strip("\n"))
    for node in nodes:
        if node not in visible:
            contents.flaw(HIDDEN, f"sheet {attribute(node, 'name')}", "unhide it in Excel to have it read")
    contents.text = "\n\n".join(texts)
    contents.fields["sheets"] = len(visible)
    contents.is_named_by_file = True


def _sheet(package: Package, part: str, name: str, cells: Cells, contents: Contents) -> Iterator[Block]:
    """The blocks of a sheet."""
    if not part:  # a module of macros in old files
        contents.flaw(LEFT_OUT, f"sheet {name}", "it is not in the file; open it in Excel and save it")
        return
    merged, rules = _about(package, part)
    if rules & cells.formats.conditional:
        contents.flaw(CONDITIONAL, f"sheet {name}", "numbers are written as they are shown without the conditions")
    covered = Covered(merged)
    regions = Regions()
    gone = hidden_rows = 0
    is_hidden = bytearray(COLUMNS + 1)
    hidden: list[int] | None = None
    left_out: set[int] = set()
    last = 0
    for node in package.container.stream_xml(part, "{*}row", "{*}col"):
        if local(node) == "col":
            if _is_hidden(node, "width"):
                first, end = max(int(node.get("min", 0)), 0), min(int(node.get("max", 0)), COLUMNS) + 1
                is_hidden[first:end] = b"\1" * max(end - first, 0)
                hidden = None
            continue
        if hidden is None:
            hidden = [column for column, yes in enumerate(is_hidden) if yes]
        last = int(node.get("r") or last + 1)
        if _is_hidden(node, "ht"):
            hidden_rows += any(child(cell, "v") is not None or child(cell, "is") is not None for cell in node)
            gone += 1
            continue
        row = _row(node, last, cells, covered)
        left_out |= {column for column, text in row.items() if text and is_hidden[column : column + 1] == b"\1"}
        yield from regions.add(last - gone, _without(row, hidden))
    yield from regions.end()
    if hidden_rows or left_out:
        columns = ", ".join(map(column_name, sorted(left_out)[:20]))
        what = [f"{hidden_rows:,} row{'s' if hidden_rows > 1 else ''}"] * bool(hidden_rows) + [
            f"columns {columns}"
        ] * bool(left_out)
        contents.flaw(HIDDEN, f"sheet {name}", f"{' and '.join(what)}; unhide them in Excel to have them read")
    drawing = package.related(part, "drawing")
    if drawing:
        yield from _drawn(package, drawing, name, contents)


def _is_hidden(node: Any, size: str) -> bool:
    """Whether a row or column is hidden, or has no height or width."""
    return node.get("hidden") in ("1", "true") or not float(node.get(size) or 1)


def _without(row: dict[int, str], hidden: list[int]) -> dict[int, str]:
    """A row without hidden columns, the others close together as they are seen."""
    if not hidden:
        return row
    places = ((column, bisect_left(hidden, column)) for column in row)
    return {column - before: row[column] for column, before in places if hidden[before : before + 1] != [column]}


class Covered:
    """Which cells are under merged ones, asked for row by row.

    Args:
        spans: merged ranges (top, left, bottom, right), sorted.
    """

    def __init__(self, spans: list[tuple[int, int, int, int]]) -> None:
        self._waiting = spans[::-1]
        self._over: list[tuple[int, int, int, int]] = []

    def of_row(self, number: int) -> list[tuple[int, int, int, int]]:
        """The ranges that a row crosses."""
        while self._waiting and self._waiting[-1][0] <= number:
            self._over.append(self._waiting.pop())
        self._over = [span for span in self._over if span[2] >= number]
        return self._over


def _row(node: Any, number: int, cells: Cells, covered: Covered) -> dict[int, str]:
    """What the cells of a row show; of merged cells between others those that are covered are empty texts."""
    row: dict[int, str] = {}
    column = 0
    over = covered.of_row(number)
    for cell in node.iterchildren("{*}c"):
        position = place_of(cell.get("r"))
        column = position[1] if position else column + 1
        if over and any(left <= column <= right and (number, column) != (top, left) for top, left, _, right in over):
            continue  # under a merged cell, where nothing is seen
        if text := on_one_line(cells.text(cell, f"{column_name(column)}{number}")):
            row[column] = text
    last = max(row, default=0)
    for _, left, _, right in over if len(row) > 1 else ():
        row = {**dict.fromkeys(range(left, min(right, last) + 1), ""), **row}
    return row


def _about(package: Package, part: str) -> tuple[list[tuple[int, int, int, int]], set[int]]:
    """The merged ranges of a sheet (top, left, bottom, right) and the numbers of its conditions' formats: what its file
    has behind the cells."""
    merged: list[tuple[int, int, int, int]] = []
    rules: set[int] = set()
    rest = b""
    for block in package.container.blocks(part):
        data = rest + block
        rules |= {int(match[1]) for match in _RULE.finditer(data)}
        for match in _MERGE.finditer(data):
            first, last = place_of(match[1].decode()), place_of(match[2].decode())
            if first and last and len(merged) < MERGES:
                merged.append((*first, *last))
        rest = data[max(data.rfind(b"<"), len(data) - 400) :]
    return sorted(set(merged)), rules


def _drawn(package: Package, part: str, sheet: str, contents: Contents) -> Iterator[Block]:
    """Text boxes, titles of charts and diagrams upon a sheet; a chart's values are in its cells."""
    root = package.xml(part)
    for about in list(root.iter("{*}cNvPr")):
        if about.get("hidden") in ("1", "true"):
            drawing = about.getparent().getparent()
            detail = f"drawing {about.get('name') or 'without a name'}; unhide it in Excel to have it read"
            if local(drawing) != "pic":
                contents.flaw(HIDDEN, f"sheet {sheet}", detail)
            drawing.getparent().remove(drawing)
    for node in root.iter():
        name = local(node)
        if name == "txBody":
            paragraphs = ("".join(element.text or "" for element in p.iter("{*}t")) for p in node.iter("{*}p"))
            if text := "\n".join(filter(None, (" ".join(line.split()) for line in paragraphs))):
                yield Block(text)
        elif name == "pic":
            contents.pictures += 1
        else:
            lines: list[str] = []
            if name == "chart" and (target := package.target(part, attribute(node, "id"))):
                lines = chart_lines(package.xml(target), values=False)
            elif name == "relIds" and (target := package.target(part, attribute(node, "dm"))):
                lines = diagram_lines(package.xml(target))
            if lines:
                yield Block("\n".join(lines))
