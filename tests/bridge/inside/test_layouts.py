"""Data, tensor and pipeline parallel over gloo: the losses of one process, on the same windows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.bridge.runs import plan, train
from tests.tiny_pack import make_pack


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A pack, and a checkpoint to start from: random weights depend on the layout."""
    folder = tmp_path_factory.mktemp("start")
    pack = make_pack(folder)
    forks.call(train, plan(folder / "base", pack, steps=1, every=1), log=folder / "log")
    return pack, folder / "base"


@pytest.fixture(scope="module")
def alone(start: tuple[Path, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[int, float]:
    folder = tmp_path_factory.mktemp("alone")
    losses, _ = forks.call(train, plan(folder, start[0], steps=3, restore=start[1]), log=folder / "log")
    return losses


@pytest.mark.parametrize(
    "layout", [{"dp": 2}, {"dp": 2, "distributed": True}, {"tp": 2}, {"pp": 2}, {"micro": 4}], ids=str
)
def test_losses_agree(
    tmp_path: Path, start: tuple[Path, Path], alone: dict[int, float], layout: dict[str, Any]
) -> None:
    ranks = layout.get("dp", 1) * layout.get("tp", 1) * layout.get("pp", 1)
    asked = plan(tmp_path / "run", start[0], steps=3, restore=start[1], **layout)
    losses, _ = forks.call(train, asked, log=tmp_path / "log", ranks=ranks)
    assert losses == pytest.approx(alone, rel=1e-5)
    assert len(losses) == 3


def test_a_layout_that_does_not_divide_the_model(tmp_path: Path, start: tuple[Path, Path]) -> None:
    asked = plan(tmp_path / "run", start[0], restore=start[1], tp=3)
    running = forks.start(train, asked, log=tmp_path / "log", ranks=3)
    assert running.wait() != 0
    assert "do not divide by tensor_parallel=3" in running.output
