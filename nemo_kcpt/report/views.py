"""What page, Markdown and LaTeX show, arranged from the contents of report.json alone."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.report.build import HEADLINES

Report = Mapping[str, Any]
Row = Mapping[str, Any]


def is_grid(report: Report) -> bool:
    """Whether groups say more than the models: cells of a grid, or several seeds."""
    return bool(report["cells"]) or any(len(row["models"]) > 1 for row in report["groups"])


def shown_rows(report: Report) -> list[Row]:
    """The rows of the main table: groups of a grid, else models."""
    return list(report["groups"] if is_grid(report) else report["models"])


def main_metric(report: Report) -> str | None:
    """The metric of plots: the headline's, else the first of `HEADLINES` that was run."""
    if report["headline"]:
        return str(report["headline"]["metric"])
    return next((metric for metric in HEADLINES if any(row[metric] is not None for row in report["models"])), None)


def row_of(report: Report, name: str, split: str) -> Row | None:
    """The row of a group, or of a model, on a split."""
    rows = (row for row in shown_rows(report) if row["name"] == name and row["split"] == split)
    return next(rows, None)


def family(cell: Row) -> str:
    """What a training shares with those of other context lengths: its name without the length, as anchored-block."""
    name = str(cell["training"] or cell["mode"] or cell["name"])
    return re.sub(rf"-?{cell['seq_length']}(?!\d)", "", name) or name if cell["seq_length"] else name


def group_cells(report: Report) -> dict[str, list[Row]]:
    """The cells of each group that are in the main table, with their family."""
    groups = {name: row["name"] for row in report["groups"] for name in row["models"]}
    by_group: dict[str, list[Row]] = {}
    for cell in report["cells"]:
        if cell["name"] in groups:
            by_group.setdefault(groups[cell["name"]], []).append(cell)
    return by_group


def mean_of(cells: Sequence[Row], key: str) -> float | None:
    """The mean of what cells of one group count; None where none of them knows it."""
    known = [cell[key] for cell in cells if cell[key] is not None]
    return sum(known) / len(known) if known else None


@dataclass(frozen=True)
class Matrix:
    """One family's cells as the method's table 1: context lengths down, instruction sets across."""

    family: str
    lengths: tuple[int, ...]
    sets: tuple[str, ...]
    names: Mapping[tuple[int, str], str]
    """Group of each length and set that has answers."""
    states: Mapping[tuple[int, str], str]
    """States of the other cells: failed, waiting, …"""


def matrices(report: Report) -> list[Matrix]:
    """A matrix for each family with two lengths and two sets at least, each place taken by one group."""
    measured = {cell["name"]: group for group, cells in group_cells(report).items() for cell in cells}
    by_family: dict[str, list[Row]] = {}
    for cell in report["cells"]:
        if cell["seq_length"] and cell["set"]:
            by_family.setdefault(family(cell), []).append(cell)
    result = []
    for name, cells in by_family.items():
        lengths = tuple(sorted({cell["seq_length"] for cell in cells}))
        sets = tuple(dict.fromkeys(cell["set"] for cell in cells))
        names: dict[tuple[int, str], set[str]] = {}
        for cell in cells:
            names.setdefault((cell["seq_length"], cell["set"]), set()).add(measured.get(cell["name"], ""))
        taken = {position: groups - {""} for position, groups in names.items()}
        if len(lengths) > 1 and len(sets) > 1 and all(len(groups) < 2 for groups in taken.values()):
            states = {(cell["seq_length"], cell["set"]): cell["state"] for cell in cells}
            groups = {position: next(iter(group_names)) for position, group_names in taken.items() if group_names}
            result.append(Matrix(name, lengths, sets, groups, {k: v for k, v in states.items() if k not in groups}))
    return result


@dataclass(frozen=True)
class Series:
    """A line of a plot: places on the x axis with the rows of groups."""

    label: str
    points: tuple[tuple[float, Row], ...]


def over_length(report: Report) -> dict[str, list[Series]]:
    """Series over context length on held-out questions: for each matrix one a set, else one a family."""
    series: dict[str, list[Series]] = {}
    for matrix in matrices(report):
        lines = []
        for name in matrix.sets:
            rows = [(length, _row(report, matrix.names.get((length, name)))) for length in matrix.lengths]
            lines.append(Series(name, tuple((length, row) for length, row in rows if row is not None)))
        series[matrix.family] = [line for line in lines if line.points]
    if series:
        return series
    lines = against(report, "seq_length")
    lengths = {length for line in lines for length, _ in line.points}
    return {"": lines} if len(lengths) > 1 else {}


def _row(report: Report, name: str | None) -> Row | None:
    return row_of(report, name, "test") if name is not None else None


def against(report: Report, key: str) -> list[Series]:
    """Held-out rows against what a group's cells count (tokens, device_hours, co_location), one series a family or,
    where there is a matrix, a set; empty where fewer than two places differ by a hundredth."""
    by_set = bool(matrices(report))
    lines: dict[str, list[tuple[float, Row]]] = {}
    for name, cells in group_cells(report).items():
        if name == report["base"]:
            continue
        x, row = mean_of(cells, key), row_of(report, name, "test")
        if x is not None and row is not None:
            label = str(cells[0]["set"]) if by_set else family(cells[0])
            lines.setdefault(label, []).append((x, row))
    places = sorted(x for points in lines.values() for x, _ in points)
    if not places or places[-1] - places[0] <= 0.01 * abs(places[-1]):
        return []
    return [Series(label, tuple(sorted(points, key=lambda point: point[0]))) for label, points in lines.items()]


def labels(report: Report) -> list[str]:
    """Labels of all series, in order: sets where there is a matrix, else families."""
    all_matrices = matrices(report)
    cells = [cell for cells in group_cells(report).values() for cell in cells if cell["name"] != report["base"]]
    by_set = [name for matrix in all_matrices for name in matrix.sets]
    return list(dict.fromkeys([*by_set, *(str(cell["set"]) if all_matrices else family(cell) for cell in cells)]))


def base_row(report: Report) -> Row | None:
    """The untrained model on held-out questions."""
    return row_of(report, report["base"], "test")


def few_names(report: Report) -> list[str]:
    """Models of the plots that have a dot for each: all of them, of more than five the chosen ones."""
    names = list(dict.fromkeys(row["name"] for row in report["models"]))
    return names if len(names) <= 5 else [name for name in names if name in report["chosen"]]


def shell_line(command: Sequence[str]) -> str:
    """A command as one types it."""
    return shlex.join(command)


def costs(report: Report) -> list[tuple[str, str]]:
    """What everything took, in words: (what, how much)."""
    rows: list[tuple[str, str]] = []
    made = report["data"]["synthetic"]
    if made and made["cost"] is not None:
        calls = f"{made['calls']:,} calls" if made["calls"] is not None else ""
        tokens = made["prompt_tokens"], made["completion_tokens"]
        words = [calls, f"{tokens[0]:,} + {tokens[1]:,} tokens" if None not in tokens else "", _money(made["cost"])]
        rows.append(("Synthetic data", ", ".join(word for word in words if word)))
    for judged in report["data"]["judges"]:
        if judged["requests"] is not None:
            tokens = judged["prompt_tokens"] or 0, judged["completion_tokens"] or 0
            words = [
                f"{judged['requests']:,} requests",
                f"{tokens[0]:,} + {tokens[1]:,} tokens",
                _money(judged["cost"]),
            ]
            rows.append((f"Judging ({judged['judge'] or 'unnamed'})", ", ".join(words)))
    asked = report["data"]["questions"]["asked"]
    if asked and asked["requests"] is not None:
        words = [f"{asked['requests']:,} requests", _money(asked["cost"])]
        rows.append(("Filtering questions", ", ".join(words)))
    total = report["totals"]
    if total:
        words = [f"{total['device_hours']:.2f} {total['device']}-hours", f"{total['tokens']:,} tokens"]
        rows.append((f"Training, {total['trainings']} in all", ", ".join(words)))
    return rows


def _money(cost: float | None) -> str:
    return f"cost {cost:.2f}" if cost else "no price given"
