"""Each override of the CPU backend for Megatron-Bridge is needed, and the line that it answers is still there."""

from __future__ import annotations

import importlib.util
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from nemo_kcpt import cpu_backend
from nemo_kcpt.cpu_backend.bridge import OVERRIDES
from nemo_kcpt.cpu_backend.override import Override
from nemo_kcpt.hf.families import family_of
from tests import forks
from tests.bridge.runs import plan, train
from tests.conftest import ROOT
from tests.tiny_pack import make_pack

SITE_PACKAGES = Path(importlib.util.find_spec("torch").origin).parents[1]


@pytest.mark.parametrize("override", OVERRIDES, ids=lambda one: one.name)
def test_upstream_still_says_what_the_table_says(override: Override) -> None:
    assert override.says in (SITE_PACKAGES / override.upstream).read_text(encoding="utf-8")


@pytest.mark.parametrize("field", ["name", "target"])
def test_nothing_is_listed_twice(field: str) -> None:
    values = [getattr(override, field) for override in OVERRIDES]
    assert len(set(values)) == len(values)


def test_importing_the_table_changes_nothing() -> None:
    script = """
import sys, torch
before = {name: id(value) for name, value in vars(torch.cuda).items()}
import nemo_kcpt.cpu_backend.bridge
print([name for name, value in vars(torch.cuda).items() if before.get(name) != id(value)], "megatron" in sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] False"


RECOMPUTE = ["model.recompute_granularity=full", "model.recompute_method=uniform", "model.recompute_num_layers=1"]
NO_CUDA = "Torch not compiled with CUDA enabled"
FAILS_WITHOUT = {
    **dict.fromkeys(
        [
            *("current_device", "synchronize", "get_rng_state", "torch_in_optimizer"),
            *("torch_in_clip_grads", "torch_in_utils", "torch_in_schedules", "current_stream", "tensor_cuda"),
            *("saved_rng_state", "set_jit_fusion_options", "torch_in_setup", "torch_in_loaders"),
            *("torch_in_train_utils",),
        ],
        NO_CUDA,
    ),
    "clip_grads": "AssertionError",
    "distributed_param_groups": "Wrapped parameters must be one of torch.cuda.FloatTensor",
    "distributed_sharded_state": "AssertionError",
    "distributed_set_states": "KeyError: 'step'",
    "stream": "torch.cuda.Stream requires CUDA support",
    "initialize_megatron": "Megatron requires CUDA.",
}


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("pack"))


def trained(folder: Path, pack: Path, without: str, **options: Any) -> dict[str, Any]:
    """Losses and weights of a run of two steps and its resumption for two more, or how it failed."""
    asked = plan(folder / "run", pack, steps=4, every=2, distributed=True, **options)
    for words in ([*RECOMPUTE, "train.exit_interval=2"], RECOMPUTE):
        running = forks.start(train, asked, words, without=without, log=folder / "log")
        if running.wait(120):
            return {"failed": running.output}
    return {"losses": (folder / "run/metrics.jsonl").read_text()}


@pytest.mark.parametrize("name", FAILS_WITHOUT)
def test_training_fails_without(tmp_path: Path, pack: Path, name: str) -> None:
    assert FAILS_WITHOUT[name] in trained(tmp_path, pack, name).get("failed", "it trained")


WRONG_WITHOUT = {
    *("set_rng_state", "distributed_load_state", "set_random_seed", "write_results_queue"),
    "adapters_without_transformer_engine",
}
"""No error in that training; each has a test of its own below."""


def test_each_has_a_test() -> None:
    assert {*FAILS_WITHOUT, *WRONG_WITHOUT} == {one.name for one in OVERRIDES}


def test_with_all_of_them_it_trains_and_resumes(tmp_path: Path, pack: Path) -> None:
    assert trained(tmp_path, pack, "")["losses"].count("\n") == 4


def test_a_resumed_training_counts_its_steps_once(tmp_path: Path, pack: Path) -> None:
    """All parameters would share one step, which AdamW advances once for each."""
    right, wrong = (trained(tmp_path / name, pack, name) for name in ("", "distributed_load_state"))
    losses = [[json.loads(line)["loss"] for line in one["losses"].splitlines()] for one in (right, wrong)]
    assert losses[0][:3] == losses[1][:3]
    assert abs(losses[0][3] - losses[1][3]) > 1e-3


def test_without_seeds_a_training_does_not_resume(tmp_path: Path, pack: Path) -> None:
    """The Bridge ends such a resumption with exit code 0."""
    assert trained(tmp_path, pack, "set_random_seed")["losses"].count("\n") == 2


def test_random_numbers_of_a_named_state(tmp_path: Path) -> None:
    """Drawn in `fork`, they leave those outside as they were."""
    assert forks.call(outside_is_untouched, "", log=tmp_path / "log")
    assert not forks.call(outside_is_untouched, "set_rng_state", log=tmp_path / "log")


def outside_is_untouched(without: str) -> bool:
    from megatron.core.tensor_parallel import random

    cpu_backend.activate([one for one in OVERRIDES if one.name != without])
    random.model_parallel_cuda_manual_seed(7, tp_rank=0, ep_rank=0, etp_rank=0)
    before = torch.get_rng_state()
    with random.get_cuda_rng_tracker().fork():
        torch.rand(3)
    return torch.equal(before, torch.get_rng_state())


def test_a_mixture_of_experts(tmp_path: Path, pack: Path) -> None:
    asked = plan(tmp_path / "run", pack, steps=2, every=2)
    experts = {"num_moe_experts": 4, "moe_router_topk": 2, "moe_ffn_hidden_size": 32, "moe_aux_loss_coeff": 0.01}
    asked = replace(asked, shape=replace(asked.shape, family=family_of("qwen3_moe", "the tests"), **experts))
    losses, _ = forks.call(train, asked, log=tmp_path / "log")
    assert len(losses) == 2


def test_adapters(tmp_path: Path, pack: Path) -> None:
    base = plan(tmp_path / "base", pack, steps=1, every=1)
    forks.call(train, base, log=tmp_path / "base.log")
    asked = plan(tmp_path / "run", pack, steps=1, every=1, restore=Path(base.dir), lora=True)
    running = forks.start(train, asked, without="adapters_without_transformer_engine", log=tmp_path / "log")
    assert running.wait() != 0 and "TypeError" in running.output


def test_the_queue_of_a_save_is_forked(tmp_path: Path) -> None:
    assert "spawn" not in forks.call(queue_process, log=tmp_path / "log")


def queue_process() -> str:
    """The command of the process that holds it."""
    from megatron.core.dist_checkpointing.strategies import filesystem_async

    cpu_backend.activate(OVERRIDES)
    before = set(psutil.Process().children())
    filesystem_async.get_write_results_queue()
    (started,) = set(psutil.Process().children()) - before
    return " ".join(started.cmdline())
