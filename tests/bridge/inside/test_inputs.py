"""What cannot be trained is refused before the first step, by a sentence that says what to do."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.planning.training import TrainingPlan
from tests import forks
from tests.bridge.runs import LORA, plan, train
from tests.tiny_pack import make_pack


class Start:
    """A pack, and a training on it of two steps."""

    def __init__(self, folder: Path) -> None:
        self.pack = make_pack(folder)
        self.plan = plan(folder / "run", self.pack, steps=2, every=2)
        forks.call(train, self.plan, log=folder / "log")

    @property
    def checkpoint(self) -> Path:
        return Path(self.plan.dir) / "checkpoints/iter_0000002"


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Start:
    return Start(tmp_path_factory.mktemp("start"))


def refused(asked: TrainingPlan, tmp_path: Path, *overrides: str) -> str:
    running = forks.start(train, asked, overrides, log=tmp_path / "log")
    assert running.wait() != 0
    return running.output.splitlines()[-1]


def test_another_pack(start: Start, tmp_path: Path) -> None:
    """The same windows under another fingerprint."""
    other = shutil.copytree(start.pack, tmp_path / "other")
    manifest = read_json(other / "manifest.json")
    manifest["fingerprint"] = "0" * len(manifest["fingerprint"])
    write_json(other / "manifest.json", manifest)
    run = shutil.copytree(start.plan.dir, tmp_path / "run")
    message = refused(replace(start.plan, pack=str(other), dir=str(run), steps=4), tmp_path)
    assert "was trained on a pack with fingerprint" in message and "start a new run (another dir)" in message


def test_another_order(start: Start, tmp_path: Path) -> None:
    run = shutil.copytree(start.plan.dir, tmp_path / "run")
    message = refused(replace(start.plan, dir=str(run), steps=4), tmp_path, "dataset.seed=7")
    assert "what differs: data.seed was 1234, is 7" in message


@pytest.mark.parametrize(
    ("changes", "overrides", "says"),
    [
        ({"from_scratch": False}, [], "the training would start from random weights"),
        ({}, ["model.seq_length=64"], "the model's sequence length is 64"),
        ({}, ["model.vocab_rows=12"], "the model only 12 vocabulary rows"),
        ({}, ["optimizer.learning=1"], "no override of Megatron-Bridge's ConfigContainer"),
        ({}, ["train.train_iters"], "no override of Megatron-Bridge's ConfigContainer"),
        ({"lora": LORA}, [], "adapters go with trained weights"),
        ({"restore": "nowhere"}, [], "nowhere: no finished checkpoint in it"),
    ],
)
def test_a_start_that_cannot_be(
    start: Start, tmp_path: Path, changes: dict[str, Any], overrides: list[str], says: str
) -> None:
    assert says in refused(replace(start.plan, dir=str(tmp_path / "run"), **changes), tmp_path, *overrides)


@pytest.mark.parametrize(
    ("changes", "overrides", "says"),
    [
        ({"steps": 4}, (), "train.train_iters was 2, is 4. Resume with the keys that the run began with"),
        ({"learning_rate": 1e-3}, ("train.train_iters=2",), "optimizer.lr was 0.003, is 0.001, optimizer.min_lr was"),
        ({}, ("scheduler.lr_warmup_iters=0",), "scheduler.lr_warmup_iters was 1, is 0"),
    ],
)
def test_another_schedule(
    changes: dict[str, Any], overrides: tuple[str, ...], says: str, start: Start, tmp_path: Path
) -> None:
    run = shutil.copytree(start.plan.dir, tmp_path / "run")
    message = refused(replace(start.plan, dir=str(run), **changes), tmp_path, *overrides)
    assert says in message and "scheduler.override_opt_param_scheduler=true takes the new one" in message


def test_another_schedule_that_is_meant(start: Start, tmp_path: Path) -> None:
    run = shutil.copytree(start.plan.dir, tmp_path / "run")
    meant = ["scheduler.override_opt_param_scheduler=true"]
    losses, _ = forks.call(train, replace(start.plan, dir=str(run), steps=4), meant, log=tmp_path / "log")
    assert len(losses) == 4


def test_adapters_train_and_resume_and_are_not_others(start: Start, tmp_path: Path) -> None:
    asked = plan(tmp_path / "run", start.pack, steps=4, every=2, restore=start.checkpoint, lora=True)
    whole = forks.call(train, asked, log=tmp_path / "whole.log")
    again = replace(asked, dir=str(tmp_path / "again"))
    assert forks.start(train, again, die_at=3, log=tmp_path / "died.log").wait() != 0
    assert forks.call(train, again, log=tmp_path / "again.log") == whole
    lora = read_json(tmp_path / "run/checkpoints/iter_0000004/lora.json")
    assert (lora["rank"], lora["base"]) == (4, str(start.checkpoint))
    other = replace(again, lora=replace(LORA, rank=8), steps=6)
    assert "was trained with LoRA of rank 4" in refused(other, tmp_path)
    assert "give lora= as before" in refused(replace(again, lora=None, steps=6), tmp_path)


def test_overrides_reach_the_training(start: Start, tmp_path: Path) -> None:
    asked = replace(start.plan, dir=str(tmp_path / "run"))
    losses, _ = forks.call(train, asked, ["train.train_iters=1", "optimizer.lr=1e-2"], log=tmp_path / "log")
    assert len(losses) == 1
