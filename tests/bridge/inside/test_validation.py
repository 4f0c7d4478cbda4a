"""The loss on another pack before each checkpoint: of the same windows each time, and also after a resume."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nemo_kcpt.records.packs import read_info
from tests import forks
from tests.bridge.runs import plan, train
from tests.tiny_pack import make_pack


def validation_losses(folder: Path) -> dict[int, float | None]:
    """As metrics.jsonl has them."""
    lines = (folder / "metrics.jsonl").read_text().splitlines()
    return {line["step"]: line["val_loss"] for line in map(json.loads, lines)}


def test_each_validation_is_of_the_same_windows(tmp_path: Path) -> None:
    pack = make_pack(tmp_path)
    assert read_info(pack).windows % 3  # a rest that the next validation would begin with
    level = {"steps": 6, "every": 2, "global_batch_size": 3, "learning_rate": 1e-12, "validation": str(pack)}
    for name, die_at in (("whole", 0), ("killed", 3)):
        asked = plan(tmp_path / name, pack, **level)
        if die_at:
            assert forks.start(train, asked, die_at=die_at, log=tmp_path / "died.log").wait() != 0
        forks.call(train, asked, log=tmp_path / f"{name}.log")
    found = validation_losses(tmp_path / "whole")
    assert found[1] is None and found[2] is None  # known only after the step
    assert found[3] == pytest.approx(found[5], rel=1e-6) and 3 < found[3] < 9
    assert validation_losses(tmp_path / "killed")[5] == found[5]
