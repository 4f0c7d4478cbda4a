"""A recipe trained by NeMo and by Megatron-Bridge from the same weights: the same windows, losses, learning rates."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.environments import bridge_python
from nemo_kcpt.files import read_jsonl
from tests import forks

TIMES = {"seconds", "tokens_per_second", "memory_gib"}


def by_nemo(task: str, recipe: str, folder: Path, steps: int, **arguments: Path) -> list[dict[str, Any]]:
    given = ",".join(f"{name}='{value}'" for name, value in {**arguments, "dir": folder}.items())
    words = ["--factory", f"{recipe}({given})", "--yes", f"trainer.max_steps={steps}"]
    forks.command(["nemo", "llm", task, *words], log=folder.with_suffix(".log"))
    return list(read_jsonl(folder / "metrics.jsonl"))


def by_the_bridge(recipe: str, folder: Path, steps: int, **arguments: Path) -> list[dict[str, Any]]:
    given = [f"{name}={value}" for name, value in {**arguments, "dir": folder}.items()]
    words = ["kcpt", "train", recipe, "backend=bridge", *given, f"train.train_iters={steps}"]
    forks.command(words, log=folder.with_suffix(".log"))
    return list(read_jsonl(folder / "metrics.jsonl"))


def switched(source: Path, out: Path) -> Path:
    forks.command(["kcpt", "convert", "switch", source, "--to", out], log=out.with_suffix(".log"))
    return out


def compare(nemos: list[dict[str, Any]], bridges: list[dict[str, Any]], steps: int) -> None:
    assert len(nemos) == len(bridges) == steps
    for ours, theirs in zip(nemos, bridges):
        assert ours.keys() == theirs.keys()
        assert theirs["loss"] == pytest.approx(ours["loss"], rel=1e-4)
        same = [name for name in ours if name not in TIMES | {"loss"}]
        assert {name: theirs[name] for name in same} == pytest.approx({name: ours[name] for name in same})


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_losses_are_the_same_through_pretraining_and_tuning(packs: Path, tmp_path: Path) -> None:
    if bridge_python() is None:
        pytest.skip(".venv-bridge is not there: `make setup-bridge` builds it, `make test` does so")
    anchored, instruction = packs / "anchored", packs / "instruction"
    by_nemo("pretrain", "kcpt_tiny", tmp_path / "base", 2, pack=anchored)
    base = switched(tmp_path / "base", tmp_path / "for-bridge")
    nemos = by_nemo("pretrain", "kcpt_tiny", tmp_path / "nemo", 12, pack=anchored, restore=tmp_path / "base")
    bridges = by_the_bridge("kcpt_tiny", tmp_path / "bridge", 12, pack=anchored, restore=base)
    compare(nemos, bridges, 12)
    assert nemos[-1]["loss"] < nemos[0]["loss"] - 0.1
    # Its windows hold several samples, which do not see each other, and only outputs count.
    start = switched(tmp_path / "bridge", tmp_path / "for-nemo")
    nemos = by_nemo("finetune", "kcpt_sft_tiny", tmp_path / "nemo-2", 6, pack=instruction, restore=start)
    bridges = by_the_bridge("kcpt_sft_tiny", tmp_path / "bridge-2", 6, pack=instruction, restore=tmp_path / "bridge")
    compare(nemos, bridges, 6)
