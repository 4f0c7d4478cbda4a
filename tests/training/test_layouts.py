"""Real ``llm.pretrain`` runs on one and two gloo ranks: every layout learns the same, and a resume is exact."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

RELATIVE = 1e-5
ROUNDED = 5e-3
"""With products of bfloat16 operands."""
SCRIPT = str(Path(__file__).with_name("toy_run.py"))

Losses = dict[str, dict[str, float]]

pytestmark = pytest.mark.slow


STEPS = 23
"""The first three are trained on one rank; the twenty that follow are compared between layouts."""
AFTER_THREE = [str(step) for step in range(4, STEPS + 1)]


def launch(jobs: list[dict[str, Any]], folder: Path, ranks: int) -> subprocess.CompletedProcess[str]:
    """Runs the jobs one after the other in one launch; checkpoints land in ``folder/NAME``, losses in a file."""
    jobs_file = folder / f"jobs-{ranks}.json"
    jobs_file.write_text(json.dumps([{"folder": str(folder / job["name"]), **job} for job in jobs]))
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc_per_node={ranks}"]
    command = [
        sys.executable,
        *(torchrun if ranks > 1 else []),
        SCRIPT,
        str(jobs_file),
        str(losses_file(folder, ranks)),
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=700)


def losses_file(folder: Path, ranks: int) -> Path:
    return folder / f"losses-{ranks}.json"


def jobs_of_one_rank(folder: Path) -> list[dict[str, Any]]:
    start = f"{folder}/plain/step=2"
    return [
        {"name": "plain", "save_every": 3, "max_steps": STEPS},
        {"name": "tied", "save_every": 3, "tied": True},
        {"name": "resumed", "load": start, "max_steps": STEPS, "validate_every": 5},
        {"name": "packed", "load": start, "packed": True},
        {"name": "rounded", "load": start, "max_steps": 9, "save_every": 3, "products": "bfloat16"},
        {"name": "rounded_resumed", "load": f"{folder}/rounded/step=5", "max_steps": 9, "products": "bfloat16"},
        {"name": "not_rounded", "load": start, "products": "float32"},
        {"name": "recompute", "load": start, "recompute": True},
        {"name": "z_loss", "load": start, "z_loss": 0.01, "validate_every": 3},
        {"name": "chain_one", "load": f"{folder}/chain_pipeline/step=12", "max_steps": 18, "save_every": 18,
         "distributed_optimizer": True},
    ]  # fmt: skip


def jobs_of_two_ranks(folder: Path) -> list[dict[str, Any]]:
    plain, tied, zero = (f"{folder}/{name}/step=2" for name in ("plain", "tied", "distributed"))
    twenty: dict[str, Any] = {"load": plain, "max_steps": STEPS, "validate_every": 5}
    shared = {"distributed_optimizer": True, "load": zero}
    return [
        {"name": "distributed", "distributed_optimizer": True, "save_every": 3, "max_steps": STEPS},
        {"name": "distributed_resumed", **shared},
        {"name": "chain_tensor", "tp": 2, "sequence_parallel": True, "max_steps": 8, "save_every": 8, **shared},
        {"name": "chain_pipeline", "pp": 2, "max_steps": 13, "save_every": 13, **shared,
         "load": f"{folder}/chain_tensor/step=7"},
        {"name": "tensor", "tp": 2, "save_every": 10, **twenty},
        {"name": "tensor_resumed", "load": f"{folder}/tensor/step=9", "tp": 2, "max_steps": 12},
        {"name": "sequence", "tp": 2, "sequence_parallel": True, **twenty},
        {"name": "pipeline", "pp": 2, **twenty},
        {"name": "data", **twenty},
        {"name": "packed_tensor", "load": plain, "tp": 2, "sequence_parallel": True, "packed": True},
        {"name": "rounded_tensor", "load": plain, "tp": 2, "products": "bfloat16", "max_steps": 9},
        {"name": "rounded_sequence", "load": plain, "tp": 2, "sequence_parallel": True, "products": "bfloat16",
         "max_steps": 9},
        {"name": "rounded_data", "load": plain, "products": "bfloat16", "max_steps": 9},
        {"name": "rounded_pipeline", "load": plain, "pp": 2, "products": "bfloat16", "max_steps": 9},
        {"name": "z_loss_tensor", "load": plain, "tp": 2, "z_loss": 0.01, "validate_every": 3},
        {"name": "tied_pipeline", "load": tied, "pp": 2, "tied": True},
        {"name": "chain_data", "max_steps": STEPS, **shared, "load": f"{folder}/chain_one/step=17"},
    ]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("layouts")


@pytest.fixture(scope="module")
def both(folder: Path) -> tuple[Losses, Losses]:
    """The losses of one rank and those of two: both launches at once, each waiting for what it loads of the other."""
    jobs = {1: jobs_of_one_rank(folder), 2: jobs_of_two_ranks(folder)}
    with ThreadPoolExecutor() as pool:
        launches = [pool.submit(launch, jobs[ranks], folder, ranks) for ranks in jobs]
    ended = [one.result() for one in launches]
    # Where one fails, the other gives up waiting for it.
    assert [done.returncode for done in ended] == [0, 0], "\n".join(done.stdout[-2000:] + done.stderr for done in ended)
    one, two = (json.loads(losses_file(folder, ranks).read_text()) for ranks in jobs)
    return one, two


@pytest.fixture(scope="module")
def one_rank(both: tuple[Losses, Losses]) -> Losses:
    return both[0]


@pytest.fixture(scope="module")
def two_ranks(both: tuple[Losses, Losses]) -> Losses:
    return both[1]


@pytest.fixture(scope="module")
def chain(one_rank: Losses, two_ranks: Losses) -> dict[str, float]:
    """TP=2 with sequence parallel, then PP=2, one rank, DP=2, each from the checkpoint of the one before."""
    links = (two_ranks["chain_tensor"], two_ranks["chain_pipeline"], one_rank["chain_one"], two_ranks["chain_data"])
    return {step: loss for link in links for step, loss in link.items()}


def test_a_resume_on_one_rank_is_exact(one_rank: Losses) -> None:
    resumed = {step: loss for step, loss in one_rank["resumed"].items() if step.isdigit()}
    assert resumed == {step: one_rank["plain"][step] for step in AFTER_THREE}


def test_recomputation_changes_nothing(one_rank: Losses) -> None:
    assert one_rank["recompute"] == {step: one_rank["resumed"][step] for step in "456"}


def test_the_model_learns(one_rank: Losses) -> None:
    assert one_rank["plain"]["6"] < one_rank["plain"]["1"] - 0.2


def test_packing_changes_the_loss(one_rank: Losses) -> None:
    """Otherwise the packed layouts below would agree for nothing."""
    assert abs(one_rank["packed"]["4"] - one_rank["resumed"]["4"]) > 1e-4


@pytest.mark.parametrize(
    ("layout", "reference"),
    [
        ("tensor", "resumed"), ("sequence", "resumed"), ("pipeline", "resumed"), ("data", "resumed"),
        ("packed_tensor", "packed"), ("z_loss_tensor", "z_loss"),
    ],
)  # fmt: skip
def test_two_ranks_go_on_from_a_checkpoint_as_one_would(
    one_rank: Losses, two_ranks: Losses, layout: str, reference: str
) -> None:
    """Every step's loss, and the validations'."""
    assert two_ranks[layout] == pytest.approx(one_rank[reference], rel=RELATIVE)
    assert reference != "resumed" or len(two_ranks[layout]) == 20 + STEPS // 5


def test_bf16_products_learn_as_float32_does(one_rank: Losses) -> None:
    expected = {step: one_rank["plain"][step] for step in "456789"}
    assert one_rank["rounded"] != expected
    assert one_rank["rounded"] == pytest.approx(expected, rel=ROUNDED)


def test_a_resume_with_bf16_products_is_exact(one_rank: Losses) -> None:
    """It starts with fresh copies of the weights, so that this says too that none is stale after a step."""
    assert one_rank["rounded_resumed"] == {step: one_rank["rounded"][step] for step in "789"}


def test_products_in_float32_are_untouched(one_rank: Losses) -> None:
    assert one_rank["not_rounded"] == pytest.approx({step: one_rank["plain"][step] for step in "456"}, rel=1e-6)


@pytest.mark.parametrize("layout", ["tensor", "sequence", "data", "pipeline"])
def test_two_ranks_with_bf16_products_learn_as_one(one_rank: Losses, two_ranks: Losses, layout: str) -> None:
    assert two_ranks[f"rounded_{layout}"] == pytest.approx(one_rank["rounded"], rel=ROUNDED)


def test_tied_embeddings_over_pipeline_stages_learn_as_one_matrix(one_rank: Losses, two_ranks: Losses) -> None:
    assert two_ranks["tied_pipeline"] == pytest.approx({step: one_rank["tied"][step] for step in "456"}, rel=RELATIVE)


def test_validation_measures_the_loss_of_what_was_learnt(one_rank: Losses) -> None:
    losses = [one_rank["resumed"][f"validation after {step}"] for step in (5, 10, 15, 20)]
    assert losses == sorted(losses, reverse=True) and losses[-1] < losses[0] - 0.2


def test_the_z_loss_is_part_of_the_training_alone(one_rank: Losses) -> None:
    """At the same weights the training loss is higher by it, and validation measures the cross entropy."""
    assert one_rank["z_loss"]["4"] > one_rank["resumed"]["4"] + 0.05
    assert one_rank["z_loss"]["validation after 6"] < one_rank["z_loss"]["6"]


def test_a_training_goes_on_from_layout_to_layout_as_if_uninterrupted(
    chain: dict[str, float], two_ranks: Losses
) -> None:
    expected = {step: two_ranks["distributed"][step] for step in AFTER_THREE}
    assert chain == pytest.approx(expected, rel=RELATIVE)


def test_the_distributed_optimizer_equals_the_plain_one(one_rank: Losses, two_ranks: Losses) -> None:
    assert two_ranks["distributed"] == pytest.approx(one_rank["plain"], rel=RELATIVE)


def test_a_resume_of_the_distributed_optimizer_is_exact(two_ranks: Losses) -> None:
    """The trap: with one step tensor for all parameters the resume runs, and is wrong."""
    assert two_ranks["distributed_resumed"] == {step: two_ranks["distributed"][step] for step in "456"}


def test_a_tensor_parallel_resume_is_exact(two_ranks: Losses) -> None:
    assert two_ranks["tensor_resumed"] == {step: two_ranks["tensor"][step] for step in ("11", "12")}


@pytest.mark.parametrize("name", ["plain", "tensor", "distributed"])
def test_a_checkpoint_carries_its_context(folder: Path, two_ranks: Losses, name: str) -> None:
    """NeMo drops it silently if the strategy or the model cannot be serialised."""
    context = next((folder / name).glob("step=*/context/model.yaml")).read_text()
    assert "vocab_rows: 96" in context
    assert "KcptLlamaModel" in context
