"""A grid whose runner dies at any of its writes does no finished step again, and no heir of a failed one ever."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_kcpt.experiment import runner
from nemo_kcpt.experiment.nodes import Node
from nemo_kcpt.experiment.states import BLOCKED, DONE, FAILED
from tests.crash import crash_everywhere
from tests.grid.small import run_all, states_of


def node(run: Path, name: str, after: list[str], code: str = "true") -> Node:
    """A node that a shell runs, in milliseconds; that it began is noted where a kill cannot undo it."""
    made = run / name / "made.txt"
    line = f"echo {name} >> {run.with_name('paid')}; mkdir -p {made.parent}; {code} && echo {name} > {made}"
    return Node(
        name=name,
        kind="small",
        command=["/bin/sh", "-c", line],
        products=[made],
        folders=[made.parent],
        after=after,
        expected=1,
    )


@pytest.fixture
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    monkeypatch.setattr(runner, "POLL_SECONDS", 0.002)
    run = tmp_path / "run"

    def go() -> None:
        nodes = [node(run, "first", []), node(run, "good", ["first"]), node(run, "bad", ["first"], "false")]
        failed, _ = run_all(states_of(run, [*nodes, node(run, "heir", ["bad"])]))
        assert set(failed) == {"bad"}
        states = {
            name: state.word for name, state in states_of(run, [*nodes, node(run, "heir", ["bad"])]).all().items()
        }
        assert states == {"first": DONE, "good": DONE, "bad": FAILED, "heir": BLOCKED}

    return go


def test_a_runner_that_dies_anywhere(work: Callable[[], None], tmp_path: Path) -> None:
    """The step that fails is tried again by each run, and of the others only the one that was under way."""
    crash_everywhere(
        tmp_path / "run",
        work,
        paid=tmp_path / "paid",
        under_way=1,
        again="bad",
        safe=("made.txt",),
        leave_out=("logs/*", "nodes/*/state.json"),
        least=35,
    )
