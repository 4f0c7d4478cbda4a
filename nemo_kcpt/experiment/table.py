"""The live table: a line for what all share, one for each cell, and how long is left."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from nemo_kcpt.experiment.clock import left_seconds
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import REPORT
from nemo_kcpt.experiment.process import clock_time
from nemo_kcpt.experiment.states import BLOCKED, DONE, FAILED, RUNNING, STALE, State

if TYPE_CHECKING:
    from rich.console import RenderableType

KINDS = {
    "pack": "pack",
    "pretrain": "pretraining",
    "finetune": "tuning",
    "export": "export",
    "answers": "answers",
    "verdicts": "judge",
    "scores": "scores",
}
"""Columns of the table: a kind of node and its heading."""


def mark(state: State | None) -> str:
    """A node's state in a few characters, with rich's markup."""
    if state is None:
        return ""
    if state.word == RUNNING:
        share = f"{state.fraction:.0%}" if state.fraction is not None else clock_time(state.seconds or 0)
        return f"[bold cyan]▶ {share}[/]"
    took = f" {clock_time(state.seconds)}" if state.seconds and state.seconds >= 1 else ""
    return {
        DONE: f"[green]✓[/][dim]{took}[/]",
        FAILED: "[bold red]✗ failed[/]",
        BLOCKED: "[red]– blocked[/]",
        STALE: "[yellow]changed[/]",
    }.get(state.word, "[dim]·[/]")


def counts(states: Mapping[str, State], names: Sequence[str]) -> str:
    """`12 of 40 steps done, 2 running, 1 failed`."""
    words = [states[name].word for name in names]
    text = f"{words.count(DONE)} of {len(words)} steps done, {words.count(RUNNING)} running"
    failed, blocked = words.count(FAILED), words.count(BLOCKED)
    return text + (f", {failed} failed" if failed else "") + (f", {blocked} blocked by them" if blocked else "")


def grid_table(graph: Graph, states: Mapping[str, State], names: Sequence[str], workers: int) -> RenderableType:
    """The whole state of a grid."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    in_cells = {name for cell in graph.cells for name in cell.nodes}
    shared = [name for name in names if name not in in_cells and name != REPORT]
    parts = [f"{name} {mark(states[name])}" for name in shared]
    wanted = {name: states[name] for name in names}
    left = left_seconds(graph, wanted, workers)
    kinds = [kind for kind in KINDS if any(graph.nodes[name].kind == kind for name in names)]
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("model")
    for kind in kinds:
        table.add_column(KINDS[kind])
    for cell in graph.cells:
        if not set(cell.nodes) & set(names):
            continue
        own = {graph.nodes[name].kind: states[name] for name in cell.nodes}
        table.add_row(cell.name, *(mark(own.get(kind)) for kind in kinds))
    last = f"{REPORT} {mark(states[REPORT])}" if REPORT in names else ""
    foot = f"{counts(states, names)}; about {clock_time(left)} left" if left else counts(states, names)
    return Group(Text.from_markup("   ".join(parts)), table, Text.from_markup(f"{last}   {foot}"))
