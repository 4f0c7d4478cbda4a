"""A distillation that dies at any of its writes ends like one that did not."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.distillation import stage as distill
from tests.crash import crash_everywhere
from tests.distillation.test_distill_stage import config


@pytest.mark.slow
def test_a_distillation(small: Path, tmp_path: Path) -> None:
    points = crash_everywhere(tmp_path / "out", lambda: distill.run(config(small, tmp_path / "out")), least=12)
    assert {point.split(" ", 1)[1] for point in points} >= {"shard-000000.safetensors", "shard-000001.safetensors"}
