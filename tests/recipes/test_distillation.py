"""Recipes with a distillation: what they set, and `nemo llm pretrain` and `finetune` from the command line."""

from __future__ import annotations

import json
import signal
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.distillation import stage as distill
from nemo_kcpt.errors import BadInput
from nemo_kcpt.several import run
from tests import forks
from tests.conversion.hf_models import SIZES
from tests.recipes.test_steps import dying


@pytest.fixture(scope="session")
def starting(packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `hf`, a model of the tiny recipe's shape with the packs' tokenizer, `base`, its import, and
    `teacher`, its distillation of the anchored pack."""
    import shutil

    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path_factory.mktemp("starting")
    shutil.copytree(packs / "tokenizer", folder / "hf")
    torch.manual_seed(1)
    shape = {"hidden_size": 256, "intermediate_size": 688, "num_hidden_layers": 4, "num_key_value_heads": 4}
    sizes = {
        **SIZES,
        **shape,
        "vocab_size": 1024,
        "max_position_embeddings": 512,
        "head_dim": 64,
        "initializer_range": 0.1,
    }
    LlamaForCausalLM(LlamaConfig(**sizes)).save_pretrained(folder / "hf")
    assert run([["convert", "import", str(folder / "hf"), "--to", str(folder / "base")]]) == 0
    distill.run(distill.Config(pack=packs / "anchored", model=folder / "hf", out=folder / "teacher", k=16))
    return folder


def test_a_recipe_takes_the_students_view_and_the_weights(packs: Path, starting: Path, tmp_path: Path) -> None:
    from nemo_kcpt_recipes import kcpt_demo, kcpt_sft_tiny, kcpt_tiny

    given: dict[str, Any] = {"distillation": str(starting / "teacher"), "dir": str(tmp_path)}
    for recipe in (kcpt_tiny, kcpt_demo):
        made = recipe(pack=str(packs / "anchored"), kl_weight=0.5, ce_weight=0, **given)
        assert made.data.attention == "split" and made.data.distillation == str(starting / "teacher")
        config = made.model.config
        assert (config.kl_weight, config.ce_weight, config.temperature) == (0.5, 0, 1.0)
    plain = kcpt_tiny(pack=str(packs / "anchored"), dir=str(tmp_path))
    assert not hasattr(plain.model.config, "kl_weight") or plain.model.config.kl_weight == 0
    tuned = kcpt_sft_tiny(pack=str(packs / "instruction"), **given)
    assert tuned.data.__fn_or_cls__.__name__ == "InstructionDataModule" and tuned.model.config.kl_weight == 1
    with pytest.raises(BadInput, match="kl_weight, ce_weight: are for a training with distillation=FOLDER"):
        kcpt_tiny(pack=str(packs / "anchored"), dir=str(tmp_path), kl_weight=1.0)
    with pytest.raises(BadInput, match="none may be below 0, and one must be above"):
        kcpt_tiny(pack=str(packs / "anchored"), kl_weight=0, ce_weight=0, **given)
    with pytest.raises(BadInput, match="not a finished distillation"):
        kcpt_tiny(pack=str(packs / "anchored"), dir=str(tmp_path), distillation=str(tmp_path))


def train(log: Path, task: str, factory: str, *overrides: str, ranks: int = 1, die_at: int = 0) -> forks.Running:
    words = ["nemo", "llm", task, "--factory", factory, "--yes", *overrides]
    return forks.start(dying, words, die_at, ranks=ranks, log=log)


STEPS, EVERY = 6, 2
"""Of the training, and between its checkpoints."""


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_from_the_command_line_on_one_rank_and_two_and_resumed(packs: Path, starting: Path, tmp_path: Path) -> None:
    """Both parts are in the metrics file, the KL holds the student back, layouts agree, a resumed run is exact."""
    source = f"pack='{packs}/anchored',restore='{starting}/base',distillation='{starting}/teacher'"
    exact = ["trainer.callbacks[1].matmul_precision=highest", f"log.ckpt.every_n_train_steps={EVERY}"]
    exact += ["data.global_batch_size=8", f"trainer.max_steps={STEPS}"]

    def start(name: str, keys: str = "", ranks: int = 1, die_at: int = 0) -> forks.Running:
        weights = "kl_weight=0.001" if name == "free" else "kl_weight=10"
        factory = f"kcpt_tiny({source},dir='{tmp_path}/{name}',{weights}{keys})"
        micro = f"data.micro_batch_size={1 if name == 'pipeline' else 4}"  # a pipeline takes a packed window at a time
        return train(tmp_path / f"{name}.log", "pretrain", factory, *exact, micro, ranks=ranks, die_at=die_at)

    def done(name: str, keys: str = "", ranks: int = 1) -> list[list[float]]:
        """Loss, cross entropy and KL of each step."""
        start(name, keys, ranks).result()
        found = [json.loads(line) for line in (tmp_path / name / "metrics.jsonl").read_text().splitlines()]
        return [[line[part] for part in ("loss", "ce", "kl")] for line in found]

    whole, free = done("one"), done("free")
    assert whole[0][1:] == pytest.approx(free[0][1:]) and whole[-1][2] < 0.9 * free[-1][2]
    assert free[-1][1] < free[0][1]
    assert all(ce <= loss <= ce + 10 * kl for loss, ce, kl in whole)
    assert start("killed", die_at=EVERY + 1).wait() == -signal.SIGKILL
    assert (tmp_path / "killed/metrics.jsonl").read_text().count("\n") == EVERY + 1
    assert done("killed") == whole
    for name, keys in (("tensor", ",tensor_parallel=2"), ("pipeline", ",pipeline_parallel=2")):
        for found, expected in zip(done(name, f"{keys},processes=2", ranks=2), whole):
            assert found == pytest.approx(expected, rel=1e-4)  # six steps of Adam after 1e-7


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_adapters_learn_from_a_teacher_too(packs: Path, starting: Path, tmp_path: Path) -> None:
    """LoRA trains in place of the weights, and starts where the teacher is but for what only the teacher has seen."""
    source = f"pack='{packs}/anchored',restore='{starting}/base',distillation='{starting}/teacher'"
    factory = f"kcpt_tiny({source},dir='{tmp_path}/x',lora=4,kl_weight=2)"
    train(tmp_path / "log", "pretrain", factory, "trainer.max_steps=3", "optim.config.lr=1e-2").result()
    found = [json.loads(line) for line in (tmp_path / "x/metrics.jsonl").read_text().splitlines()]
    assert len(found) == 3 and all(line["kl"] > 0 and line["ce"] > 0 for line in found)
    assert all(line["ce"] < line["loss"] < line["ce"] + 2 * line["kl"] for line in found)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_another_model_or_random_weights_are_refused(
    packs: Path, starting: Path, trained: Path, tmp_path: Path
) -> None:
    log, source = tmp_path / "log", f"pack='{packs}/anchored',distillation='{starting}/teacher',dir='{tmp_path}/x'"
    for restore, said in ((f",restore='{trained}'", "has other weights than"), ("", "starts from random weights")):
        with pytest.raises(AssertionError):
            train(log, "pretrain", f"kcpt_tiny({source}{restore})", "trainer.max_steps=1").result()
        assert said in log.read_text().replace("\n", " ")
