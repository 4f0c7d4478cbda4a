"""The parts of a graph: a node is one process, a cell a model that is compared."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.environments import bridge_python
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.backends import BRIDGE, NEMO, bridge_command, nemo_command, on_ranks
from nemo_kcpt.experiment.experiment import Training
from nemo_kcpt.recipe_calls import call

REPORT = "report"
SERVING = ("import", "distill")
"""Kinds of steps whose results trainings alone read."""
"""The node that comes last, whatever failed before."""


@dataclass(frozen=True, kw_only=True)
class Launch:
    """A training as a backend's command line and Slurm's launcher take it."""

    task: str
    """pretrain or finetune."""
    name: str
    """The recipe's."""
    arguments: Mapping[str, Any]
    overrides: Sequence[str]
    processes: int = 1
    backend: str = NEMO

    @property
    def recipe(self) -> str:
        """NAME(argument=value, …), as NeMo's command line takes it."""
        return call(self.name, self.arguments)

    def command(self) -> list[str]:
        """What trains it on this machine."""
        if self.backend == BRIDGE:
            python = str(bridge_python() or ".venv-bridge/bin/python")  # that it is there is looked at before it runs
            words = bridge_command(python, self.name, self.arguments, self.overrides)
        else:
            words = nemo_command(self.task, self.recipe, self.overrides)
        return on_ranks(self.backend, words, self.processes)


@dataclass(frozen=True, kw_only=True)
class Node:
    """One process: what it runs, what must be there before and afterwards."""

    name: str
    kind: str
    """Nodes of one kind take about as long."""
    command: Sequence[str]
    products: Sequence[Path] = ()
    """Files that are there when it has ended well."""
    folders: Sequence[Path] = ()
    """What it alone writes; deleted when it is made again from other inputs."""
    after: Sequence[str] = ()
    """Names of the nodes that it needs."""
    reads: Mapping[str, Path] = field(default_factory=dict)
    """The user's own files that it reads."""
    expected: float = 10
    """Seconds, until one of its kind has been measured."""
    launch: Launch | None = None
    metrics: Path | None = None
    """Where a training writes its own progress."""
    disposable: Sequence[Path] = ()
    """What may be deleted when everything that needs this node is finished."""
    environment: Mapping[str, str] = field(default_factory=dict)
    cells: Sequence[str] = ()
    """Cells that it serves, if not all."""
    forks: bool = False
    """Whether its command needs NeMo and is one process, so that a Python that has imported it may fork for it."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """A model that is compared: a training, tuned with an instruction set; or the base."""

    name: str
    training: Training | None
    seed: int | None
    set: str | None
    model: Path
    """Hugging Face folder."""
    pack: Path | None
    trainings: Sequence[str]
    """Its training nodes, the pretraining first."""
    nodes: Sequence[str]
    """All nodes that only it or its sisters need, in order."""
    tested: str
    """Name of the folders of its answers, verdicts and scores, and behind a dash of the nodes that make them."""

    @property
    def group(self) -> str:
        """Its name without its seed: what its sisters share."""
        return self.name if self.seed is None else self.name.replace(f"@{self.seed}", "", 1)


def kcpt(*commands: Sequence[str]) -> list[str]:
    """`kcpt` commands, run in one process."""
    return [sys.executable, "-m", "nemo_kcpt.several", json.dumps([list(words) for words in commands])]


def stage_node(
    out: Path, name: str, kind: str, stage: str, keys: Sequence[str], after: Sequence[str], product: str, **more: Any
) -> Node:
    """A node that runs one stage into the folder `out`, whose file `product` is there when it is done."""
    return Node(
        name=name,
        kind=kind,
        command=kcpt([stage, *keys, f"out={out}"]),
        products=[out / product],
        folders=[out],
        after=after,
        **more,
    )


def report_node(run: Path, after: Sequence[str]) -> Node:
    """The report of the experiment in the folder `run`."""
    out = run / "report"
    return Node(
        name=REPORT,
        kind=REPORT,
        command=kcpt(["grid", "--config", str(run / "experiment.yaml"), f"node={REPORT}"]),
        products=[out / "report.json", out / "report.html", out / "report.md"],
        folders=[out],
        after=after,
        expected=15,
    )


def idle_steps(nodes: Mapping[str, Node], names: Collection[str], done: Collection[str]) -> set[str]:
    """Of `names` those that serve trainings alone, where all of these are done, if on another machine."""
    serving = (name for name in names if nodes[name].kind in SERVING)
    heirs = {name: [heir for heir in names if name in nodes[heir].after] for name in serving}
    return {name for name, own in heirs.items() if own and all(heir in done for heir in own)}


def needed(nodes: Mapping[str, Node], names: Sequence[str]) -> list[str]:
    """The named ones of `nodes` and all that they need, in the order of `nodes`.

    Raises:
        BadInput: an unknown name.
    """
    wanted: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name not in nodes:
            raise BadInput(f"only: no step '{name}'; {nearest(name, list(nodes))}")
        if name not in wanted:
            wanted.add(name)
            left += nodes[name].after
    return [name for name in nodes if name in wanted]
