"""A graph of small real processes, to see how the runner goes about it."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, cast

from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import Cell, Node
from nemo_kcpt.experiment.runner import run_graph
from nemo_kcpt.experiment.states import States

WRITE = "import sys, pathlib; p = pathlib.Path(sys.argv[1]); p.parent.mkdir(parents=True, exist_ok=True); "


class SmallGraph:
    """What the runner and the states ask of a graph."""

    def __init__(self, run: Path, nodes: Sequence[Node]) -> None:
        self.run, self.nodes, self.cells = run, {node.name: node for node in nodes}, list[Cell]()


def node(run: Path, name: str, after: Sequence[str] = (), code: str = "", **more: Any) -> Node:
    """A node that runs `code`, then appends a line to RUN/NAME/made.txt."""
    made = run / name / "made.txt"
    lines = f"{WRITE}{code or 'pass'}; p.open('a').write('made\\n')"
    return Node(
        name=name,
        kind="small",
        command=[sys.executable, "-c", lines, str(made)],
        products=[made],
        folders=[made.parent],
        after=after,
        expected=1,
        **more,
    )


def states_of(run: Path, nodes: Sequence[Node]) -> States:
    """The states of such a graph."""
    return States(cast(Graph, SmallGraph(run, nodes)))


def times(run: Path, name: str) -> int:
    """How often a node has run to its end."""
    made = run / name / "made.txt"
    return len(made.read_text().splitlines()) if made.is_file() else 0


def run_all(
    states: States, workers: int = 1, tick: Callable[[], None] = lambda: None, keep: bool = True
) -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Run everything; what failed, and what was said."""
    said: list[tuple[str, str]] = []
    failed = run_graph(states, list(states.graph.nodes), workers, lambda *what: said.append(what), tick, keep=keep)
    return dict(failed), said
