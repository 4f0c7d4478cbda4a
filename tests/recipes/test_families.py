"""A model of each family, from its folder through a training and back: the loss falls, and a rerun resumes."""

from __future__ import annotations

from pathlib import Path
from statistics import fmean

import pytest

from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.hf.families import families
from nemo_kcpt.hf.model_shape import read_hf_shape
from tests import forks
from tests.conversion.hf_models import FAMILIES, save_model

TRAINED = {name: next(kind for kind in reversed(FAMILIES) if kind.split()[0] == name) for name in families()}
"""Of each family one of the small models."""
LAST = 12
GIVEN = ",tensor_parallel=1,pipeline_parallel=1,context_parallel=1,micro_batch_size=2,recompute='none'"
"""The planner does not know experts' memory."""


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("family", TRAINED)
def test_a_folder_is_trained_resumed_and_exported(family: str, packs: Path, tmp_path: Path) -> None:
    sizes = FAMILIES[TRAINED[family]]
    hf = save_model(tmp_path / "hf", **{**sizes, "vocab_size": 1024})
    convert = ["kcpt", "convert"]
    layout = GIVEN if read_hf_shape(hf).num_moe_experts else ""
    forks.command([*convert, "import", hf, "--to", tmp_path / "base"], log=tmp_path / "import.log")
    call = (
        f"kcpt_model(model='{hf}',pack='{packs}/concat',dir='{tmp_path}/run',restore='{tmp_path}/base',gpus=1{layout})"
    )
    level = ["optim.config.lr=1e-2", "optim.lr_scheduler.min_lr=1e-2"]  # so that steps may be added
    small = ["data.global_batch_size=4", "data.micro_batch_size=2", *level]
    for steps in (LAST // 2, LAST):
        words = ["nemo", "llm", "pretrain", "--factory", call, "--yes", *small, f"trainer.max_steps={steps}"]
        forks.command(words, log=tmp_path / f"{steps}.log")
    lines = list(read_jsonl(tmp_path / "run/metrics.jsonl"))
    assert [line["step"] for line in lines] == [*range(1, LAST + 1)]
    losses = [line["loss"] for line in lines]
    assert max(losses[LAST // 2], fmean(losses[-3:])) < losses[0] - 0.1  # after the resume, and at the end
    shape = read_hf_shape(hf)
    if shape.num_moe_experts and shape.moe_router_topk:
        assert all(0.9 < line["router_loss"] < shape.num_moe_experts / shape.moe_router_topk for line in lines)
        assert all(line["dropped_tokens"] == 0 for line in lines)
    assert read_shape(find_checkpoint(tmp_path / "run")) == shape and shape.family.name == family
    export = [*convert, "export", tmp_path / "run", "--to", tmp_path / "out", f"tokenizer={packs}/tokenizer"]
    forks.command(export, log=tmp_path / "export.log")
    assert read_hf_shape(tmp_path / "out") == shape
    assert read_json(tmp_path / "out/parity.json")["max_abs_diff"] <= 1e-4
