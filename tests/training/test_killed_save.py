"""A training killed while it saves never takes that checkpoint for a finished one, and ends as if left alone."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nemo_kcpt.checkpoints.finished import check_complete, find_checkpoint, finished_checkpoints, unfinished_checkpoints
from nemo_kcpt.checkpoints.layout import WEIGHTS
from nemo_kcpt.errors import BadInput
from tests import forks
from tests.training.slow_save import train_and_hang
from tests.waiting import wait_for

pytestmark = pytest.mark.slow


Losses = dict[int | str, float]


def train(folder: Path) -> Losses:
    return forks.call(train_and_hang, str(folder), 0, "", log=folder.parent / "log")


def kill_in_save(folder: Path, number: int) -> None:
    """Start a training and SIGKILL all of it when its save `number` has written some of its tensors."""
    told = folder.parent / "saving"
    running = forks.start(train_and_hang, str(folder), number, str(told), log=folder.parent / "log")
    wait_for(lambda: told.exists() or running.processes[0].exitcode is not None, 300)
    assert told.exists(), f"it ended before the save: {running.output[-3000:]}"
    running.kill()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Losses]:
    folder = tmp_path_factory.mktemp("whole")
    return folder / "run", train(folder / "run")


@pytest.mark.parametrize("number", [1, 3])
def test_a_save_that_was_killed_is_not_taken(whole: tuple[Path, Losses], tmp_path: Path, number: int) -> None:
    """Killed in its first save it starts again; killed in its third it goes on from the second."""
    run = tmp_path / "run"
    kill_in_save(run, number)
    last = 2 * number - 1
    killed = run / f"step={last}"
    assert [entry for entry in unfinished_checkpoints(run) if entry.name == killed.name] == [killed]
    assert [path.name for path in finished_checkpoints(run)] == [f"step={step}" for step in range(1, last, 2)]
    with pytest.raises(BadInput, match=rf"{killed.name}: half written: its saving was interrupted"):
        check_complete(killed)
    losses = train(run)
    expected = {step: loss for step, loss in whole[1].items() if int(step) >= last}
    assert losses == expected
    assert len(finished_checkpoints(run)) == 4


def test_a_checkpoint_that_is_half_there_is_named_with_both_sizes(whole: tuple[Path, Losses], tmp_path: Path) -> None:
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
