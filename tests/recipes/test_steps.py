"""The tiny recipe's own steps, through `nemo llm finetune`: golden losses, and a resume that is exact to the bit."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.files import read_jsonl
from tests import forks
from tests.tiny_pack import make_pack
from tests.training.golden_losses import check_golden

Train = Callable[..., dict[int, float]]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pack"))


@pytest.fixture
def train(pack: Path, tmp_path: Path) -> Train:
    def run(name: str, *keys: str, die_at: int = 0) -> dict[int, float]:
        factory = f"kcpt_sft_tiny(pack='{pack}',dir='{tmp_path}/{name}',epochs=2)"
        exact = ["trainer.callbacks[1].matmul_precision=highest", "data.global_batch_size=4", "data.micro_batch_size=2"]
        words = ["nemo", "llm", "finetune", "--factory", factory, "--yes", *exact, *keys]
        running = forks.start(dying, words, die_at, log=tmp_path / f"{name}.log")
        assert running.wait() == (-signal.SIGKILL if die_at else 0), running.output[-6000:]
        return {line["step"]: line["loss"] for line in read_jsonl(tmp_path / name / "metrics.jsonl")}

    return run


def dying(words: list[str], step: int) -> None:
    """In a fork: the command, which SIGKILL ends when this step's line is written, and its checkpoint is not."""
    from nemo_kcpt.training.metrics import MetricsFile

    write = MetricsFile.on_train_batch_end

    def written(self: Any, trainer: Any, *arguments: Any) -> None:
        write(self, trainer, *arguments)
        if trainer.global_step == step:
            os.kill(os.getpid(), signal.SIGKILL)

    MetricsFile.on_train_batch_end = written
    forks.console(words)


def test_losses_and_learning_rates_are_those_of_the_last_release(train: Train, tmp_path: Path) -> None:
    """Order of windows, labels, masks, loss on replies alone, warm-up and cosine, AdamW: what a recipe promises."""
    losses = train("run", "trainer.max_steps=5")
    rates = {f"lr {line['step']}": line["lr"] for line in read_jsonl(tmp_path / "run/metrics.jsonl")}
    check_golden("sft_tiny", {**losses, **rates})


def test_a_run_is_resumed_on_its_own_schedule(train: Train, tmp_path: Path) -> None:
    """NeMo itself takes the checkpoint's: the rest of a longer run at the least learning rate, without a word."""
    short = ["log.ckpt.every_n_train_steps=2", "trainer.max_steps=2"]
    train("run", *short)
    for other, says in (
        (["trainer.max_steps=4"], "trainer.max_steps was 2, is 4"),
        (["trainer.max_steps=2", "optim.config.lr=1e-3"], "optim.config.lr was"),
    ):
        with pytest.raises(AssertionError, match="another schedule") as failed:
            train("run", short[0], *other)
        assert says in str(failed.value) and "start a new run (another dir) from its weights" in str(failed.value)
    # A learning rate that stays as it is has no schedule that steps could change.
    level = ["optim.config.lr=1e-3", "optim.lr_scheduler.min_lr=1e-3", short[0]]
    train("level", *level, "trainer.max_steps=2")
    assert list(train("level", *level, "trainer.max_steps=4")) == [1, 2, 3, 4]


@pytest.mark.parametrize("workers", [0, 1])
def test_a_training_that_was_killed_goes_on_as_if_it_had_not_been(train: Train, workers: int) -> None:
    """At the very next sample after the newest of its checkpoints, with the optimizer's state; then once more."""
    keys = [f"data.num_workers={workers}", "log.ckpt.every_n_train_steps=1", "trainer.max_steps=6"]
    whole = train("whole", *keys)
    assert list(whole) == [1, 2, 3, 4, 5, 6]
    for step in (3, 5):
        assert list(train("killed", *keys, die_at=step)) == list(range(1, step + 1))
    assert train("killed", *keys) == whole
