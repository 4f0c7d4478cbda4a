"""Text in drawings of Office that is in parts of its own: charts and diagrams (SmartArt)."""

from __future__ import annotations

from typing import Any

from nemo_kcpt.office.numbers.formats import show
from nemo_kcpt.office.package import Contents, Package, attribute, child, descendants, local
from nemo_kcpt.text.markdown_tables import table

POINTS = 200
"""Points of a chart that are written; of a larger one only titles and names."""


def drawing_lines(node: Any, package: Package, part: str, contents: Contents) -> list[str]:
    """The text of the charts and diagrams that a drawing refers to, in order.

    Args:
        node: the drawing.
        package: the file.
        part: the part that the drawing is in.
        contents: takes what is to be said of it.
    """
    lines: list[str] = []
    for element in [node, *descendants(node, ("txbxContent",))]:
        if local(element) == "relIds" and (target := package.target(part, attribute(element, "dm"))):
            lines += diagram_lines(package.xml(target))
        elif local(element) == "chart" and (target := package.target(part, attribute(element, "id"))):
            lines += chart_lines(package.xml(target))
    return lines


def diagram_lines(root: Any) -> list[str]:
    """The texts of a diagram's points, as a list by their depth."""
    points = {attribute(node, "modelId"): node for node in root.iter("{*}pt")}
    below: dict[str | None, list[tuple[int, str | None]]] = {}
    children = set()
    for node in root.iter("{*}cxn"):
        if attribute(node, "type") in (None, "parOf"):
            source, target = attribute(node, "srcId"), attribute(node, "destId")
            below.setdefault(source, []).append((int(attribute(node, "srcOrd") or 0), target))
            children.add(target)
    lines: list[str] = []
    seen: set[str | None] = set()

    def add(name: str | None, depth: int) -> None:
        if name in seen or name not in points:
            return
        seen.add(name)
        text = _text(points[name]) if attribute(points[name], "type") in (None, "node", "asst") else ""
        if text:
            lines.append(f"{'  ' * min(depth, 2)}- {text}")
        for _, lower in sorted(below.get(name, []), key=lambda pair: pair[0]):
            add(lower, depth + bool(text))

    for name in [*(key for key in points if key not in children), *points]:
        add(name, 0)
    return lines


def chart_lines(root: Any, *, values: bool = True) -> list[str]:
    """A chart's title, the titles of its axes, and with `values` its series with their values as a table."""
    chart = child(root, "chart")
    if chart is None:
        return []
    lines = [text for text in [_text(child(chart, "title"))] if text]
    plot = child(chart, "plotArea")
    axes = [
        text
        for axis in (plot if plot is not None else ())
        if local(axis) in ("catAx", "valAx", "dateAx", "serAx")
        and attribute(child(axis, "delete")) not in ("1", "true")
        if (text := _text(child(axis, "title")))
    ]
    lines += axes
    return [*lines, *_series_lines(chart)] if values else lines


def _series_lines(chart: Any) -> list[str]:
    series = list(chart.iter("{*}ser"))
    names = [
        _first(child(node, "tx")) or _text(child(node, "tx")) or f"Series{number}"
        for number, node in enumerate(series, 1)
    ]
    categories: list[str] = []
    values: list[dict[int, str]] = []
    for node in series:
        points = _points(child(node, "cat") if child(node, "cat") is not None else child(node, "xVal"))
        categories = categories if len(categories) >= len(points) else [points[key] for key in sorted(points)]
        values.append(_points(child(node, "val") if child(node, "val") is not None else child(node, "yVal")))
    count = max([len(categories), *(max(column, default=-1) + 1 for column in values)], default=0)
    if 0 < count * len(series) <= POINTS:
        head = ["", *names]
        rows = [
            [categories[row] if row < len(categories) else str(row + 1), *(column.get(row, "") for column in values)]
            for row in range(count)
        ]
        return ["", table([head, *rows])]
    return [name for name in names if name]


def _points(node: Any) -> dict[int, str]:
    """The stored values of a series by their places, as their format shows them."""
    points: dict[int, str] = {}
    levels = list(node.iter("{*}lvl")) if node is not None else []
    for level in levels:  # of names within names, the innermost first
        last = ""
        outer = {int(attribute(pt, "idx") or 0): child(pt, "v").text or "" for pt in level.iterchildren("{*}pt")}
        for index in sorted(points) if points else sorted(outer):
            last = outer.get(index, last)
            points[index] = f"{last} {points[index]}" if index in points else last
    if levels:
        return points
    for cache in node.iter("{*}numCache", "{*}strCache", "{*}numLit", "{*}strLit") if node is not None else ():
        code = (child(cache, "formatCode").text or "") if child(cache, "formatCode") is not None else ""
        for point in cache.iter("{*}pt"):
            value = child(point, "v")
            if value is not None and value.text:
                is_text = local(cache).startswith("str")
                own = attribute(point, "formatCode") or code or "General"
                points[int(attribute(point, "idx") or 0)] = value.text if is_text else _formatted(value.text, own)
    return points


def _formatted(value: str, code: str) -> str:
    try:
        return show(float(value), code)
    except ValueError:
        return value


def _first(node: Any) -> str:
    points = _points(node)
    return points[min(points)] if points else ""


def _text(node: Any) -> str:
    """The text of an element in DrawingML, its paragraphs parted by spaces."""
    if node is None:
        return ""
    paragraphs = ["".join(element.text or "" for element in paragraph.iter("{*}t")) for paragraph in node.iter("{*}p")]
    return " ".join(" ".join(paragraphs).split())
