"""A mixture of experts is trained alike by one rank and by two, whatever the two share."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.files import read_jsonl
from tests import forks
from tests.conversion.hf_models import MOE, save_model

EXPERT_PARALLEL = ["trainer.strategy.expert_model_parallel_size=2"]
WAYS: dict[str, tuple[int, int, list[str]]] = {
    "one rank": (1, 1, []),
    "experts": (2, 1, EXPERT_PARALLEL),
    "tensors": (2, 2, []),
}
"""Ranks, of which so many are tensor-parallel, and what else is said."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_losses_are_those_of_one_rank(packs: Path, tmp_path: Path) -> None:
    """The router's too, whose coefficient is large enough to show in the others."""
    hf = save_model(tmp_path / "hf", **MOE, vocab_size=1024, router_aux_loss_coef=0.01)
    forks.command(["kcpt", "convert", "import", hf, "--to", tmp_path / "base"], log=tmp_path / "import.log")
    rest = "pipeline_parallel=1,context_parallel=1,micro_batch_size=2,recompute='none'"
    found = {}
    for number, (name, (ranks, tensor, more)) in enumerate(WAYS.items()):
        folder = tmp_path / str(number)
        folders = f"model='{hf}',pack='{packs}/concat',dir='{folder}',restore='{tmp_path}/base'"
        call = f"kcpt_model({folders},gpus={ranks},tensor_parallel={tensor},{rest})"
        small = ["data.global_batch_size=4", "optim.config.lr=1e-2", "trainer.max_steps=3"]
        words = ["nemo", "llm", "pretrain", "--factory", call, "--yes", *small, *more]
        forks.command(words, log=tmp_path / f"{number}.log", ranks=ranks)
        lines = list(read_jsonl(folder / "metrics.jsonl"))
        found[name] = [line[field] for line in lines for field in ("loss", "router_loss")]
    assert len(found["one rank"]) == 6
    for name in WAYS:
        assert found[name] == pytest.approx(found["one rank"], abs=1e-4), name
