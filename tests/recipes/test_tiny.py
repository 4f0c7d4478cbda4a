"""The CPU recipes: what they configure, and how `nemo llm pretrain` and `finetune` run, resume and parallelise them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.data.windows import epoch_order
from nemo_kcpt.errors import BadInput
from nemo_kcpt.packing.store import read_info

NEMO = Path(sys.executable).with_name("nemo")


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


def nemo(task: str, factory: str, *overrides: str) -> list[str]:
    return [str(NEMO), "llm", task, "--factory", factory, "--yes", *overrides]


def run(command: list[str], **environment: str) -> None:
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, env={**os.environ, **environment})
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]


def test_the_recipe_follows_from_the_pack(packs: Path, tmp_path: Path) -> None:
    from nemo_kcpt_recipes import kcpt_sft_tiny, kcpt_tiny

    info = read_info(packs / "concat")
    recipe = kcpt_tiny(pack=str(packs / "concat"), dir=str(tmp_path), epochs=3)
    assert recipe.model.config.vocab_rows == info.vocab_size == 1024
    assert recipe.model.config.seq_length == recipe.data.global_batch_size * 4 == 64
    assert recipe.trainer.max_steps % 2 == 0
    assert 0 <= recipe.trainer.max_steps * 16 - 3 * info.windows < 32
    assert recipe.log.ckpt.every_n_train_steps * 2 == recipe.trainer.max_steps
    raw = kcpt_tiny(pack=str(packs / "raw"), dir=str(tmp_path), epochs=3, steps_like=str(packs / "concat"))
    assert raw.trainer.max_steps == recipe.trainer.max_steps
    tuning = kcpt_sft_tiny(pack=str(packs / "instruction"), dir=str(tmp_path))
    assert tuning.data.__fn_or_cls__.__name__ == "InstructionDataModule"
    assert tuning.__fn_or_cls__.__name__ == "finetune"


def test_a_recipe_survives_serialization(packs: Path, tmp_path: Path) -> None:
    from fiddle.experimental import serialization

    from nemo_kcpt_recipes import kcpt_tiny

    recipe = kcpt_tiny(pack=str(packs / "concat"), dir=str(tmp_path))
    assert serialization.load_json(serialization.dump_json(recipe)) == recipe


def test_bad_input_is_named_before_anything_starts(packs: Path, tmp_path: Path) -> None:
    from nemo_kcpt_recipes import kcpt_tiny

    with pytest.raises(BadInput, match="not a finished pack"):
        kcpt_tiny(pack=str(tmp_path))
    with pytest.raises(BadInput, match="no finished checkpoint"):
        kcpt_tiny(pack=str(packs / "concat"), restore=str(tmp_path))
    with pytest.raises(BadInput, match="epochs: 0 was given"):
        kcpt_tiny(pack=str(packs / "concat"), epochs=0)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_killed_training_goes_on_bit_by_bit(packs: Path, tmp_path: Path) -> None:
    """SIGKILL after the checkpoint at the middle: the losses of a resumed training are those of an undisturbed one."""

    def command(folder: Path) -> list[str]:
        factory = f"kcpt_tiny(pack='{packs}/concat',dir='{folder}',epochs=3)"
        return nemo("pretrain", factory, "optim.config.lr=2e-3")

    whole, killed = tmp_path / "whole", tmp_path / "killed"
    run(command(whole))
    steps = len(losses(whole))
    process = subprocess.Popen(command(killed), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    metrics = killed / "metrics.jsonl"
    while time.monotonic() < deadline and process.poll() is None:
        if metrics.is_file() and metrics.read_bytes().count(b"\n") > steps // 2 + 2:
            break
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    at_the_kill = metrics.read_bytes().splitlines()
    reached = len(at_the_kill)
    assert steps // 2 < reached < steps, "the kill came too early or too late to prove anything"
    assert not (killed / "training.json").exists()
    run(command(killed))
    assert losses(killed) == losses(whole)
    # Times and speeds of the first half are still those of the killed process: it was resumed, not done again.
    assert metrics.read_bytes().splitlines()[: steps // 2] == at_the_kill[: steps // 2]
    assert json.loads((killed / "training.json").read_text()) == {"steps": steps}
    before = (killed / "metrics.jsonl").read_bytes()
    run(command(killed))  # finished: nothing is trained again
    assert (killed / "metrics.jsonl").read_bytes() == before


def train(task: str, factory: str, processes: int, *overrides: str) -> None:
    """`nemo llm TASK` in full float32, with one process, or two started by torchrun."""
    parallel = ["run.executor=kcpt_torchrun", f"run.executor.ntasks_per_node={processes}"] if processes > 1 else []
    exact = "trainer.callbacks[1].matmul_precision=highest"
    run(nemo(task, factory, exact, *overrides, *parallel), OMP_NUM_THREADS=str(2 // processes))


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_tensor_parallel_tuning_is_that_of_one_process(packs: Path, trained: Path, tmp_path: Path) -> None:
    for name, processes in (("one", 1), ("two", 2)):
        parallel = f"processes={processes},tensor_parallel={processes}"
        source = f"pack='{packs}/instruction',dir='{tmp_path}/{name}',restore='{trained}',epochs=4"
        train("finetune", f"kcpt_sft_tiny({source},{parallel})", processes)
    assert len(losses(tmp_path / "one")) >= 4
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_data_parallel_pretraining_is_that_of_one_process(packs: Path, trained: Path, tmp_path: Path) -> None:
    """With windows that all bear loss on the same number of tokens: NeMo averages gradients per micro-batch."""
    windows = read_info(packs / "concat").windows
    seed = next(seed for seed in range(99) if windows - 1 not in epoch_order(windows, seed, 0)[:64])
    for name, processes in (("one", 1), ("two", 2)):
        source = f"pack='{packs}/concat',dir='{tmp_path}/{name}',restore='{trained}',epochs=0.2"
        train("pretrain", f"kcpt_tiny({source},processes={processes})", processes, f"data.seed={seed}")
    assert len(losses(tmp_path / "one")) == 4
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-5)


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("data.seed=7", "data.seed", 7),
        ("data.loss=outputs", "data.loss", "outputs"),
        ("data.global_batch_size=32", "data.global_batch_size", 32),
        ("model.config.num_layers=2", "model.config.num_layers", 2),
        ("model.config.rotary_base=500000", "model.config.rotary_base", 500000),
        ("model.config.kv_channels=32", "model.config.kv_channels", 32),
        ("trainer.max_steps=3", "trainer.max_steps", 3),
        ("optim.config.lr=1e-4", "optim.config.lr", 1e-4),
        ("trainer.callbacks[1].matmul_precision=highest", "trainer.callbacks.1.matmul_precision", "highest"),
    ],
)
def test_every_part_is_overridable_the_nemo_way(
    packs: Path, tmp_path: Path, override: str, path: str, expected: object
) -> None:
    from nemo.collections import llm
    from nemo_run.cli.cli_parser import parse_cli_args

    from nemo_kcpt_recipes import kcpt_tiny

    recipe: Any = kcpt_tiny(pack=str(packs / "concat"), dir=str(tmp_path))
    recipe = parse_cli_args(llm.pretrain, [override], recipe)
    for name in path.split("."):
        recipe = recipe[int(name)] if name.isdigit() else getattr(recipe, name)
    assert recipe == expected
