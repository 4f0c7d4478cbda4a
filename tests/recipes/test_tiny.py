"""The CPU recipes: what they configure, and how `nemo llm pretrain` and `finetune` run, resume and parallelise them."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random
from typing import Any

import fiddle
import pytest
import torch

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.errors import BadInput
from nemo_kcpt.records.packs import read_info
from tests import forks
from tests.waiting import wait_for


def losses(folder: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (folder / "metrics.jsonl").read_text().splitlines()]


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


def kill_at(running: forks.Running, metrics: Path, step: int) -> int:
    """SIGKILL all processes of a training once it has done `step` steps; returns the steps then done."""
    wait_for(lambda: metrics.is_file() and metrics.read_bytes().count(b"\n") >= step, 600)
    running.kill()
    return metrics.read_bytes().count(b"\n")


def tensors(folder: Path) -> dict[str, torch.Tensor]:
    """All tensors of a training's newest checkpoint, the optimizer's too."""
    reader = CheckpointReader(find_checkpoint(folder))
    return {name: reader.tensor(name) for name, meta in reader._metadata.items() if hasattr(meta, "properties")}


STEPS, EVERY = 30, 5
"""Of the training that is killed, and between its checkpoints; an epoch ends after the 13th step and the 25th."""
SMALLER = {"num_layers": 2, "hidden_size": 64, "ffn_hidden_size": 96, "num_attention_heads": 2, "num_query_groups": 2}
SMALLER |= {"kv_channels": 16}
"""Of its model: what is resumed is not more for a larger one."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_training_killed_at_random_steps_goes_on_bit_by_bit(packs: Path, tmp_path: Path) -> None:
    """SIGKILL to every process of two ranks, and again when it goes on: losses, weights and the optimizer's state are
    those of a training left in peace.

    That the same holds for a training of one process is seen in tests/demo/test_demo_run.py.
    """
    random = Random(2)

    whole, killed = tmp_path / "whole", tmp_path / "killed"

    def start(folder: Path) -> forks.Running:
        factory = f"kcpt_tiny(pack='{packs}/anchored',dir='{folder}',processes=2)"
        keys = [f"trainer.max_steps={STEPS}", f"log.ckpt.every_n_train_steps={EVERY}", "data.num_workers=1"]
        keys += ["data.attention=block_diagonal", *(f"model.config.{name}={size}" for name, size in SMALLER.items())]
        words = ["nemo", "llm", "pretrain", "--factory", factory, "--yes", *keys]
        return forks.start(forks.console, words, ranks=2, log=tmp_path / f"{folder.name}.log")

    def kill_between(first: int, last: int) -> list[bytes]:
        aim = random.randint(first, last)
        reached = kill_at(start(killed), killed / "metrics.jsonl", aim)
        print(f"killed after step {reached} of {STEPS}, aimed at {aim}")
        assert aim <= reached < STEPS, "the kill came too early or too late to prove anything"
        assert not (killed / "training.json").exists()
        return (killed / "metrics.jsonl").read_bytes().splitlines()

    start(whole).result()
    before = (whole / "metrics.jsonl").read_bytes()
    start(whole).result()  # finished: nothing is trained again
    assert (whole / "metrics.jsonl").read_bytes() == before
    at_first = kill_between(EVERY + 1, 2 * EVERY + 2)
    at_second = kill_between(len(at_first) + EVERY + 1, STEPS - 6)
    start(killed).result()
    in_the_end = (killed / "metrics.jsonl").read_bytes().splitlines()
    # Times and speeds up to the checkpoint are still the killed process's: it was resumed, not done again.
    for at_the_kill, later in ((at_first, at_second), (at_second, in_the_end)):
        kept = (len(at_the_kill) - 1) // EVERY * EVERY
        assert later[:kept] == at_the_kill[:kept] and later[kept] != at_the_kill[kept]
    assert losses(killed) == losses(whole) and len(losses(killed)) == STEPS
    ours, theirs = tensors(killed), tensors(whole)
    assert ours.keys() == theirs.keys() and any(name.startswith("optimizer") for name in ours)
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert json.loads((killed / "training.json").read_text()) == {"steps": STEPS}


class Tunings:
    """The losses of the same tuning by one process, by two that share the layers and by two that share the batches.

    A step's 16 windows are one micro-batch of the one process, and two of each of the two. In full float32.
    """

    def __init__(self, packs: Path, trained: Path, folder: Path) -> None:
        self.packs, self.trained, self.folder = packs, trained, folder
        self._done: dict[str, list[float]] = {}

    def __getitem__(self, name: str) -> list[float]:
        ranks = 1 if name == "one" else 2
        sizes = ",tensor_parallel=2" if name == "tensor" else ""
        batches = ["data.global_batch_size=16", "data.micro_batch_size=4"]
        data = [f"data=kcpt_instructions(pack='{self.packs}/instruction')", *batches] if name == "data" else []
        source = f"pack='{self.packs}/instruction',dir='{self.folder}/{name}',restore='{self.trained}'"
        factory = f"kcpt_sft_tiny({source},epochs=4,processes={ranks}{sizes})"
        exact = ["trainer.callbacks[1].matmul_precision=highest", "trainer.max_steps=5"]
        if name not in self._done:
            words = ["nemo", "llm", "finetune", "--factory", factory, "--yes", *exact, *data]
            forks.command(words, ranks=ranks, log=self.folder / f"{name}.log")
            self._done[name] = losses(self.folder / name)
        return self._done[name]


@pytest.fixture(scope="module")
def tunings(packs: Path, trained: Path, tmp_path_factory: pytest.TempPathFactory) -> Tunings:
    return Tunings(packs, trained, tmp_path_factory.mktemp("tunings"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tensor", "data"])
def test_parallel_tuning_is_that_of_one_process(tunings: Tunings, name: str) -> None:
    """Also where micro-batches differ in how many tokens bear loss, as replies do: each such token weighs the same."""
    assert len(tunings["one"]) == 5
    assert tunings[name] == pytest.approx(tunings["one"], rel=1e-5)


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("data.seed=7", "data.seed", 7),
        ("data.loss=outputs", "data.loss", "outputs"),
        ("data.global_batch_size=32", "data.global_batch_size", 32),
        ("data.attention=block_diagonal", "data.attention", "block_diagonal"),
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


@pytest.mark.parametrize("recipe_name", ["kcpt_tiny", "mock"])
@pytest.mark.parametrize(
    ("factory", "module"),
    [("kcpt_packed", "PackedPretrainingDataModule"), ("kcpt_instructions", "InstructionDataModule")],
)
def test_another_data_module_is_given_by_name(
    packs: Path, tmp_path: Path, recipe_name: str, factory: str, module: str
) -> None:
    """To our recipes, and to one that came with NeMo's own data."""
    import nemo_run
    from nemo.collections import llm
    from nemo_run.cli.cli_parser import parse_cli_args

    from nemo_kcpt_recipes import kcpt_tiny

    recipe: Any = kcpt_tiny(pack=str(packs / "concat"), dir=str(tmp_path))
    if recipe_name == "mock":
        recipe.data = nemo_run.Config(llm.MockDataModule, seq_length=64)
    name = "instruction" if factory == "kcpt_instructions" else "anchored"
    overrides = [f"data={factory}(pack='{packs}/{name}')", "data.global_batch_size=4", "data.attention=block_diagonal"]
    data = parse_cli_args(llm.pretrain, overrides, recipe).data
    assert data.__fn_or_cls__.__name__ == module
    built = fiddle.build(data)
    assert (built.global_batch_size, built.attention, built.info.mode) == (4, "block_diagonal", name)
