"""Runs what is not finished of a graph on this machine. A failed node stops its heirs alone."""

from __future__ import annotations

import contextlib
import shutil
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_kcpt import forks
from nemo_kcpt.environments import has_nvidia_driver
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.experiment.backends import BRIDGE, needed_bridge_python
from nemo_kcpt.experiment.nodes import REPORT, Node, idle_steps
from nemo_kcpt.experiment.process import StepProcess
from nemo_kcpt.experiment.states import BEGUN, BLOCKED, DONE, FAILED, RUNNING, STALE, States
from nemo_kcpt.runs import MANIFEST, stage

POLL_SECONDS = 0.1
NEMO_MODULES = ("nemo.collections.llm", "nemo_kcpt_recipes")

Say = Callable[[str, str], None]
"""Told of a node's name and what became of it."""


@dataclass
class Running:
    """A node that runs: its process, and the folder that is held meanwhile."""

    node: Node
    process: StepProcess
    hold: contextlib.AbstractContextManager[Any]
    started: float = field(default_factory=time.time)


def start(states: States, node: Node, fork: bool = False) -> Running:
    """Start a node's process, a fork of the preloaded server where that can be and `fork` is true.

    Raises:
        BadInput: another process holds the node.
    """
    inputs = dict(states.inputs_of(node))
    again = node.name == REPORT  # other cells may be finished by now
    hold = stage(node.name, states.folder(node.name), config=states.config_of(node), inputs=inputs, redo=again)
    current = hold.__enter__()
    current.done = False  # its files are not there, or it would not be started
    try:
        (states.folder(node.name) / MANIFEST).unlink(missing_ok=True)
        started = time.time()
        states.begin(node.name)
        states.write(node.name, RUNNING, started)
        process = StepProcess(
            node.name,
            node.command,
            states.log(node.name),
            node.products,
            node.environment,
            node.metrics,
            fork and node.forks,
        )
    except BaseException as error:
        hold.__exit__(type(error), error, error.__traceback__)
        raise
    return Running(node, process, hold, started)


def finish(states: States, running: Running) -> KcptError | None:
    """Write down how a process that has ended ended; the reason if badly."""
    problem = running.process.problem()
    if problem is None:
        running.hold.__exit__(None, None, None)
        states.forget(running.node.name)
        return None
    states.write(running.node.name, FAILED, running.started, str(problem))
    with contextlib.suppress(KcptError):
        running.hold.__exit__(type(problem), problem, None)
    return problem


def note_end(states: States, node: Node) -> None:
    """Write down that a node which another program has run ended well.

    Raises:
        KcptError: what it should have written is not there.
    """
    missing = [path for path in node.products if not path.is_file()]
    if missing:
        raise KcptError(f"step {node.name} did not write {missing[0]}")
    config, inputs = states.config_of(node), dict(states.inputs_of(node))
    with stage(node.name, states.folder(node.name), config=config, inputs=inputs):
        states.forget(node.name)


def abandon(states: States, running: Running) -> None:
    """Stop a process; the node is waiting again."""
    running.process.stop()
    states.forget(running.node.name)
    with contextlib.suppress(KeyboardInterrupt):
        running.hold.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)


AGAIN = "--redo makes them again and keeps the others; another out= folder keeps both"
"""What to do about stale nodes."""


def refuse_stale(states: States, names: Sequence[str], redo: bool, again: str = AGAIN) -> None:
    """Look for nodes that were made from other inputs; with `redo` delete what they and their heirs made.

    Raises:
        BadInput: there are some, and `redo` was not asked for.
    """
    for name in names:
        states.adopt(name)
    stale = [name for name in names if name != REPORT and states.of(name).word == STALE]
    if not stale:
        return
    if not redo:
        first = stale[0]
        more = f", and {len(stale) - 1} more that come after it" if len(stale) > 1 else ""
        changed = f"step {first} was made from something else ({states.differences(first)}){more}"
        raise BadInput(f"{states.graph.run}: {changed}. {again}")
    for name in stale:
        clear(states, name)


def clear(states: States, name: str) -> None:
    """Delete what a node made, and its manifest first."""
    (states.folder(name) / MANIFEST).unlink(missing_ok=True)
    states.forget(name)
    for folder in states.graph.nodes[name].folders:
        shutil.rmtree(folder, ignore_errors=True)
    (states.folder(name) / BEGUN).unlink(missing_ok=True)  # last: what it tells of is gone


def _renew_disposed(states: States, names: Sequence[str]) -> None:
    """Make nodes again whose files were deleted to save disk, where another node needs them after all."""
    for name in reversed(names):
        if states.of(name).word == DONE or name == REPORT:
            continue
        for before in states.graph.nodes[name].after:
            node = states.graph.nodes[before]
            if node.disposable and states.of(before).word == DONE and not all(p.exists() for p in node.disposable):
                clear(states, before)


def without_idle(states: States, names: Sequence[str]) -> list[str]:
    """Without the steps that serve trainings alone where all of these are done, if on another machine."""
    done = {name for name in names if states.of(name).word == DONE}
    idle = idle_steps(states.graph.nodes, names, done)
    return [name for name in names if name not in idle]


def dispose(states: States) -> None:
    """Delete the checkpoints of trainings whose heirs are all done."""
    graph = states.graph
    for name, node in graph.nodes.items():
        heirs = [heir for heir in graph.nodes.values() if name in heir.after]
        there = [path for path in node.disposable if path.exists()]
        if there and states.of(name).word == DONE and all(states.of(heir.name).word == DONE for heir in heirs):
            for path in there:
                shutil.rmtree(path)


def run_graph(
    states: States, names: Sequence[str], workers: int, say: Say, tick: Callable[[], None], keep: bool = True
) -> dict[str, KcptError]:
    """Run the nodes that are not done, in order, `workers` at a time.

    Args:
        states: of the graph.
        names: the nodes wanted, in an order in which they can run.
        workers: processes at once.
        say: called when a node starts and ends.
        tick: called several times a second.
        keep: whether the checkpoints of trainings stay when nothing needs them any more.

    Returns:
        The nodes that failed, with the reasons.

    Raises:
        BadInput: the backend is not installed.
    """
    nodes = states.graph.nodes
    if any(node.launch is not None and node.launch.backend == BRIDGE for node in nodes.values()):
        needed_bridge_python()
    _renew_disposed(states, names)
    done = {name for name in names if states.of(name).word == DONE and name != REPORT}
    for name in names:
        if name in done:
            say(name, "finished before")
        else:
            states.forget(name)  # failed ones are tried again
    failed: dict[str, KcptError] = {}
    blocked: set[str] = set()
    running: dict[str, Running] = {}
    left = [name for name in names if name not in done]
    fork = _preload(states, left)
    try:
        while left or running:
            for name in [name for name in running if running[name].process.ended]:
                ended = running.pop(name)
                problem = finish(states, ended)
                if problem is None:
                    done.add(name)
                    say(name, DONE)
                    if not keep:
                        dispose(states)
                else:
                    failed[name] = problem
                    say(name, f"{FAILED}: {problem}")
            for name in list(left):
                bad = [dependency for dependency in nodes[name].after if dependency in failed or dependency in blocked]
                if bad and name != REPORT:
                    left.remove(name)
                    blocked.add(name)
                    say(name, f"{BLOCKED}: {bad[0]} failed")
                elif len(running) < workers and _is_ready(nodes[name], done, failed, blocked):
                    left.remove(name)
                    if name == REPORT and states.of(name).word == DONE:
                        say(name, "finished before")
                        continue
                    running[name] = start(states, nodes[name], fork)
                    say(name, RUNNING)
            tick()
            if running:
                time.sleep(POLL_SECONDS)
    except BaseException:
        for step in running.values():
            abandon(states, step)
        raise
    return failed


def _preload(states: States, left: Sequence[str]) -> bool:
    """Begin to import NeMo once for the nodes that need it, if there are several; not beside a GPU, which forks of a
    process that knows it cannot use."""
    several = sum(states.graph.nodes[name].forks for name in left) > 1
    if not several or has_nvidia_driver():
        return False
    forks.preload(NEMO_MODULES, states.log("nemo-import"))
    return True


def _is_ready(node: Node, done: set[str], failed: dict[str, KcptError], blocked: set[str]) -> bool:
    if node.name == REPORT:  # of what there is, once nothing more can come
        return all(dependency in done or dependency in failed or dependency in blocked for dependency in node.after)
    return all(dependency in done for dependency in node.after)
