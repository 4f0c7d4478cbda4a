"""A training killed while it saves never takes that checkpoint for a finished one, and ends as if left alone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from nemo_kcpt.conversion.checkpoint import (
    WEIGHTS,
    check_complete,
    find_checkpoint,
    finished_checkpoints,
    unfinished_checkpoints,
)
from nemo_kcpt.errors import BadInput

SCRIPT = str(Path(__file__).with_name("slow_save.py"))

pytestmark = pytest.mark.slow


class Trainings:
    """The process that forks toy trainings: NeMo is imported once for all of them."""

    def __init__(self, log: Path) -> None:
        self.log = log
        command = [sys.executable, SCRIPT, str(log)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment
        )

    def start(self, folder: Path, losses: Path, hanging_save: int = 0) -> int:
        """Begin a training; returns its process id, which is that of its process group too."""
        assert self.process.stdin is not None
        order = {"folder": str(folder), "hanging_save": hanging_save, "losses": str(losses)}
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return int(self.answer())

    def answer(self) -> str:
        assert self.process.stdout is not None
        line = self.process.stdout.readline().strip()
        assert line, self.log.read_text()[-3000:]
        return line


@pytest.fixture(scope="module")
def trainings(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trainings]:
    running = Trainings(tmp_path_factory.mktemp("trainings") / "log.txt")
    yield running
    running.process.kill()
    running.process.communicate()


def train(trainings: Trainings, folder: Path, losses: Path) -> dict[str, float]:
    trainings.start(folder, losses)
    assert trainings.answer() == "0", trainings.log.read_text()[-3000:]
    return json.loads(losses.read_text())


def kill_in_save(trainings: Trainings, folder: Path, number: int, losses: Path) -> None:
    """Start a training and SIGKILL all of it when its save `number` has written some of its tensors."""
    group = trainings.start(folder, losses, number)
    answer = trainings.answer()
    assert answer == "SAVING", f"it ended before the save: {answer} {trainings.log.read_text()[-3000:]}"
    os.killpg(group, signal.SIGKILL)
    assert trainings.answer() == str(-signal.SIGKILL)


@pytest.fixture(scope="module")
def whole(trainings: Trainings, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, float]]:
    folder = tmp_path_factory.mktemp("whole")
    return folder / "run", train(trainings, folder / "run", folder / "losses.json")


@pytest.mark.parametrize("number", [1, 3])
def test_a_save_that_was_killed_is_not_taken(
    trainings: Trainings, whole: tuple[Path, dict[str, float]], tmp_path: Path, number: int
) -> None:
    """Killed in its first save it starts again; killed in its third it goes on from the second."""
    run = tmp_path / "run"
    kill_in_save(trainings, run, number, tmp_path / "losses.json")
    last = 2 * number - 1
    killed = run / f"step={last}"
    assert [entry for entry in unfinished_checkpoints(run) if entry.name == killed.name] == [killed]
    assert [path.name for path in finished_checkpoints(run)] == [f"step={step}" for step in range(1, last, 2)]
    with pytest.raises(BadInput, match=rf"{killed.name}: half written: its saving was interrupted"):
        check_complete(killed)
    losses = train(trainings, run, tmp_path / "losses.json")
    expected = {step: loss for step, loss in whole[1].items() if int(step) >= last}
    assert losses == expected
    assert len(finished_checkpoints(run)) == 4


def test_a_checkpoint_that_is_half_there_is_named_with_both_sizes(
    whole: tuple[Path, dict[str, float]], tmp_path: Path
) -> None:
    copy = tmp_path / "run" / "checkpoints" / "step=7"
    shutil.copytree(whole[0] / "step=7", copy)
    assert find_checkpoint(tmp_path / "run") == copy
    part = max((copy / WEIGHTS).glob("*.distcp"), key=lambda path: path.stat().st_size)
    size = part.stat().st_size
    part.write_bytes(part.read_bytes()[: size // 2])
    with pytest.raises(BadInput, match=rf"{part.name}: {size // 2} bytes, .* says at least \d+; it is half there"):
        find_checkpoint(tmp_path / "run")
    part.unlink()
    with pytest.raises(BadInput, match=rf"{part.name}: 0 bytes"):
        find_checkpoint(copy)
    (copy / WEIGHTS / ".metadata").unlink()
    with pytest.raises(BadInput, match=r"no finished checkpoint in it; .*the saving of step=7 was interrupted"):
        find_checkpoint(tmp_path / "run")
