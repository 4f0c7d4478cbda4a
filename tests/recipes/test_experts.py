"""A mixture of experts is trained alike by one rank and by two, whatever the two share."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from nemo_kcpt.distillation import stage as distill
from nemo_kcpt.files import read_jsonl
from tests import forks
from tests.conversion.hf_models import MOE, save_model

WAYS = {"one rank": (1, 1, 1), "experts": (2, 1, 2), "tensors": (2, 2, 1)}
"""Ranks, of which so many are tensor-parallel, or share the experts."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_losses_are_those_of_one_rank(packs: Path, tmp_path: Path) -> None:
    """The router's too, whose coefficient is large enough to show in the others."""
    hf = save_model(tmp_path / "hf", **MOE, vocab_size=1024, router_aux_loss_coef=0.01)
    forks.command(["kcpt", "convert", "import", hf, "--to", tmp_path / "base"], log=tmp_path / "import.log")
    rest = "pipeline_parallel=1,context_parallel=1,micro_batch_size=2,recompute='none'"
    found = {}
    for number, (name, (ranks, tensor, expert)) in enumerate(WAYS.items()):
        folder = tmp_path / str(number)
        folders = f"model='{hf}',pack='{packs}/concat',dir='{folder}',restore='{tmp_path}/base'"
        call = f"kcpt_model({folders},gpus={ranks},tensor_parallel={tensor},expert_parallel={expert},{rest})"
        small = ["data.global_batch_size=4", "optim.config.lr=1e-2", "trainer.max_steps=3"]
        words = ["nemo", "llm", "pretrain", "--factory", call, "--yes", *small]
        forks.command(words, log=tmp_path / f"{number}.log", ranks=ranks)
        lines = list(read_jsonl(folder / "metrics.jsonl"))
        found[name] = [line[field] for line in lines for field in ("loss", "router_loss")]
    assert len(found["one rank"]) == 6
    for name in WAYS:
        assert found[name] == pytest.approx(found["one rank"], abs=1e-4), name


@pytest.mark.slow
@pytest.mark.timeout(600)
def test_a_mixture_of_experts_learns_from_its_starting_self(packs: Path, tmp_path: Path) -> None:
    """With room for half of the tokens at each expert, so that some are dropped, which the metrics say."""
    hf = save_model(tmp_path / "hf", **MOE, vocab_size=1024, router_aux_loss_coef=0.01)
    shutil.copytree(packs / "tokenizer", hf, dirs_exist_ok=True)
    forks.command(["kcpt", "convert", "import", hf, "--to", tmp_path / "base"], log=tmp_path / "import.log")
    distill.run(distill.Config(pack=packs / "anchored", model=hf, out=tmp_path / "teacher", k=16))
    folders = f"model='{hf}',pack='{packs}/anchored',dir='{tmp_path}/run',restore='{tmp_path}/base'"
    layout = "tensor_parallel=1,pipeline_parallel=1,micro_batch_size=2,recompute='none'"
    call = f"kcpt_model({folders},distillation='{tmp_path}/teacher',gpus=1,{layout})"
    small = ["data.global_batch_size=4", "trainer.max_steps=2", "model.config.moe_expert_capacity_factor=0.5"]
    forks.command(["nemo", "llm", "pretrain", "--factory", call, "--yes", *small], log=tmp_path / "log")
    lines = list(read_jsonl(tmp_path / "run/metrics.jsonl"))
    assert len(lines) == 2
    for line in lines:
        assert line["kl"] > 0 and line["ce"] > 0 and 0.9 < line["router_loss"] < 3
        assert 0.4 < line["dropped_tokens"] < 0.8
