"""How long a run still takes: what its steps are expected to take, at the pace of this machine."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING

from nemo_kcpt.experiment.states import BLOCKED, DONE, FAILED, RUNNING, State

if TYPE_CHECKING:
    from nemo_kcpt.experiment.graph import Graph
    from nemo_kcpt.experiment.nodes import Node

ENOUGH = 0.03
"""Share of a step from which on its own progress says how long it takes."""
TRAININGS = ("pretrain", "finetune")
TURNS = 5
REFERENCE_PRODUCTS = 0.31
"""Seconds that `measure_pace`'s matrix products take on the two cores that `expected` was measured on."""
REFERENCE_LOOP = 0.152
"""Seconds that its loop takes there."""


def measure_pace() -> dict[str, float]:
    """How much slower than the reference machine this one is now: for trainings, and for everything else ("").

    Takes half a second there; matrix products of the tiny model's shape with all cores, and a loop of plain Python.
    Each is the median of five turns, so that a moment in which something else ran counts for nothing.

    What is returned is its square root: half a second says about half, in orders of magnitude, of what minutes will
    show. numpy's kernels are not torch's, and what ran beside at the start need not go on. On three runs whose products
    took 1, 2.4 and 4.5 times the reference the whole demo took 1, 1.4 and 1.7 times as long.
    """
    import numpy as np

    left, right = np.ones((1024, 256), np.float32), np.ones((256, 1376), np.float32)

    def loop() -> None:
        sum(number * number % 7 for number in range(2_000_000 // TURNS))

    def products() -> None:
        for _ in range(60 // TURNS):
            left @ right

    pace = {}
    for name, work, reference in (("training", products, REFERENCE_PRODUCTS), ("", loop, REFERENCE_LOOP)):
        seconds = []
        for _ in range(TURNS):
            begun = time.perf_counter()
            work()
            seconds.append(time.perf_counter() - begun)
        pace[name] = math.sqrt(statistics.median(seconds) * TURNS / reference)
    return pace


def group_of(node: Node) -> str:
    """Steps of one group are slower or faster together."""
    return "training" if node.kind in TRAININGS else node.kind


def _expected_whole(node: Node, state: State) -> float | None:
    """Seconds of a step in all, as far as it tells itself."""
    if state.word == DONE:
        return state.seconds
    if state.word == RUNNING and state.fraction and state.fraction >= ENOUGH and state.seconds:
        return state.seconds / state.fraction
    return None


def left_seconds(
    graph: Graph, states: Mapping[str, State], workers: int, pace: Mapping[str, float] | None = None
) -> float:
    """About how long what is not finished takes.

    A step takes what was expected of it, times what those of its group have taken over what was expected of them.

    Args:
        graph: the steps, in an order in which they can run.
        states: of those that are wanted.
        workers: steps that run at once.
        pace: of `measure_pace`, for groups of which nothing is known yet.
    """
    taken: dict[str, float] = {}
    wanted: dict[str, float] = {}
    for name, state in states.items():
        whole = _expected_whole(graph.nodes[name], state)
        if whole:
            group = group_of(graph.nodes[name])
            taken[group] = taken.get(group, 0.0) + whole
            wanted[group] = wanted.get(group, 0.0) + graph.nodes[name].expected
    guess = pace or {}
    ends: dict[str, float] = {}
    free = [0.0] * workers
    for name, state in states.items():
        node, group = graph.nodes[name], group_of(graph.nodes[name])
        if state.word in (DONE, FAILED, BLOCKED):
            continue
        whole = node.expected * (taken[group] / wanted[group] if group in taken else guess.get(group, guess.get("", 1)))
        if state.word == RUNNING:
            whole = max((_expected_whole(node, state) or whole) - (state.seconds or 0.0), 0.0)
        begins = max([min(free), *(ends[dependency] for dependency in node.after if dependency in ends)])
        free[free.index(min(free))] = ends[name] = begins + whole
    return max(ends.values(), default=0.0)
