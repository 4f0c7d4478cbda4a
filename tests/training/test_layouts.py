"""Real ``llm.pretrain`` runs on one and two gloo ranks: every layout learns the same, and a resume is exact."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests import forks
from tests.training.golden_losses import check_golden
from tests.training.toy_run import train

RELATIVE = 1e-5
ROUNDED = 5e-3
"""With products of bfloat16 operands."""

Losses = dict[int | str, float]

pytestmark = pytest.mark.slow

STEPS = 8
"""The first three are trained on one rank; the five that follow are compared between layouts."""
AFTER_THREE = range(4, STEPS + 1)

TENSOR: dict[str, Any] = {"ranks": 2, "tp": 2}
SEQUENCE: dict[str, Any] = {**TENSOR, "sequence_parallel": True}
PIPELINE: dict[str, Any] = {"ranks": 2, "pp": 2}
DATA: dict[str, Any] = {"ranks": 2}
ZERO: dict[str, Any] = {"distributed_optimizer": True}
FROM_THREE: dict[str, Any] = {"load": "plain/step=2"}
TO_THE_END: dict[str, Any] = {**FROM_THREE, "max_steps": STEPS, "validate_every": 2}
ROUNDING: dict[str, Any] = {**FROM_THREE, "products": "bfloat16", "max_steps": 6}
DISTILLED: dict[str, Any] = {**FROM_THREE, "kl_weight": 2.0, "z_loss": 0.01, "validate_every": 3}

JOBS: dict[str, dict[str, Any]] = {
    "plain": {"save_every": 3, "max_steps": STEPS},
    "tied": {"save_every": 3, "tied": True},
    "resumed": TO_THE_END,
    "packed": {**FROM_THREE, "packed": True},
    "rounded": {**ROUNDING, "save_every": 5},
    "rounded_resumed": {**ROUNDING, "load": "rounded/step=4"},
    "not_rounded": {**FROM_THREE, "products": "float32"},
    "recompute": {**FROM_THREE, "recompute": True},
    "z_loss": {**FROM_THREE, "z_loss": 0.01, "validate_every": 3},
    "tensor": {**TO_THE_END, **TENSOR, "save_every": 6},
    "tensor_resumed": {**TENSOR, "load": "tensor/step=5", "max_steps": STEPS},
    "sequence": {**TO_THE_END, **SEQUENCE},
    "pipeline": {**TO_THE_END, **PIPELINE},
    "data": {**TO_THE_END, **DATA},
    "packed_tensor": {**FROM_THREE, **SEQUENCE, "packed": True},
    "rounded_tensor": {**ROUNDING, **TENSOR},
    "rounded_sequence": {**ROUNDING, **SEQUENCE},
    "rounded_pipeline": {**ROUNDING, **PIPELINE},
    "rounded_data": {**ROUNDING, **DATA},
    "z_loss_tensor": {**FROM_THREE, **TENSOR, "z_loss": 0.01, "validate_every": 3},
    "distilled": DISTILLED,
    "distilled_tensor": {**DISTILLED, **SEQUENCE},
    "distilled_pipeline": {**DISTILLED, **PIPELINE},
    "distilled_data": {**DISTILLED, **DATA},
    "distilled_micro": {**DISTILLED, "micro_batch_size": 1, "validate_every": 0},
    "distilled_packed": {**DISTILLED, "packed": True},
    "distilled_packed_tensor": {**DISTILLED, **TENSOR, "packed": True},
    "distilled_warm": {**DISTILLED, "temperature": 2.0},
    "distilled_warm_tensor": {**DISTILLED, **TENSOR, "temperature": 2.0},
    "tied_pipeline": {**PIPELINE, "load": "tied/step=2", "tied": True},
    "distributed": {**DATA, **ZERO, "save_every": 3, "max_steps": STEPS},
    "distributed_resumed": {**DATA, **ZERO, "load": "distributed/step=2"},
    "chain_tensor": {**SEQUENCE, **ZERO, "load": "distributed/step=2", "max_steps": 4, "save_every": 4},
    "chain_pipeline": {**PIPELINE, **ZERO, "load": "chain_tensor/step=3", "max_steps": 5, "save_every": 5},
    "chain_one": {**ZERO, "load": "chain_pipeline/step=4", "max_steps": 6, "save_every": 6},
    "chain_data": {**DATA, **ZERO, "load": "chain_one/step=5", "max_steps": STEPS},
}
"""Options of :func:`train`, and `ranks`; `load` begins with the name of the job whose checkpoint it is."""


class Trainings:
    """The jobs, each trained when it is first asked for, after the one that it goes on from."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._done: dict[str, Losses] = {}

    def __getitem__(self, name: str) -> Losses:
        if name not in self._done:
            options = dict(JOBS[name])
            if "load" in options:
                assert self[options["load"].partition("/")[0]]
                options["load"] = f"{self.folder}/{options['load']}"
            self._done[name] = forks.call(
                train, folder=str(self.folder / name), log=self.folder / f"{name}.log", **options
            )
        return self._done[name]


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> Trainings:
    return Trainings(tmp_path_factory.mktemp("layouts"))


def some(losses: Losses, steps: range) -> Losses:
    return {step: losses[step] for step in steps}


@pytest.mark.parametrize("name", ["plain", "tied", "packed", "z_loss"])
def test_losses_are_those_of_the_last_release(losses: Trainings, name: str) -> None:
    """A change that is not numeric leaves them as they are. All that follow are compared with these."""
    check_golden(name, losses[name])


def test_a_resume_on_one_rank_is_exact(losses: Trainings) -> None:
    resumed = {step: loss for step, loss in losses["resumed"].items() if isinstance(step, int)}
    assert resumed == some(losses["plain"], AFTER_THREE)


def test_recomputation_changes_nothing(losses: Trainings) -> None:
    assert losses["recompute"] == some(losses["plain"], range(4, 7))


def test_the_model_learns(losses: Trainings) -> None:
    assert losses["plain"][6] < losses["plain"][1] - 0.2


def test_packing_changes_the_loss(losses: Trainings) -> None:
    """Otherwise the packed layouts below would agree for nothing."""
    assert abs(losses["packed"][4] - losses["plain"][4]) > 1e-4


@pytest.mark.parametrize(
    ("layout", "reference"),
    [
        ("tensor", "resumed"),
        ("sequence", "resumed"),
        ("pipeline", "resumed"),
        ("data", "resumed"),
        ("packed_tensor", "packed"),
        ("z_loss_tensor", "z_loss"),
        ("distilled_tensor", "distilled"),
        ("distilled_pipeline", "distilled"),
        ("distilled_data", "distilled"),
        ("distilled_packed_tensor", "distilled_packed"),
        ("distilled_warm_tensor", "distilled_warm"),
    ],
)
def test_two_ranks_go_on_from_a_checkpoint_as_one_would(losses: Trainings, layout: str, reference: str) -> None:
    """Every step's loss, and the validations'."""
    assert losses[layout] == pytest.approx(losses[reference], rel=RELATIVE)
    assert reference != "resumed" or len(losses[layout]) == 5 + 3


def test_bf16_products_learn_as_float32_does(losses: Trainings) -> None:
    expected = some(losses["plain"], range(4, 7))
    assert losses["rounded"] != expected
    assert losses["rounded"] == pytest.approx(expected, rel=ROUNDED)


def test_a_resume_with_bf16_products_is_exact(losses: Trainings) -> None:
    """It starts with fresh copies of the weights, so that this says too that none is stale after a step."""
    assert losses["rounded_resumed"] == some(losses["rounded"], range(6, 7))


def test_products_in_float32_are_untouched(losses: Trainings) -> None:
    assert losses["not_rounded"] == pytest.approx(some(losses["plain"], range(4, 7)), rel=1e-6)


@pytest.mark.parametrize("layout", ["tensor", "sequence", "data", "pipeline"])
def test_two_ranks_with_bf16_products_learn_as_one(losses: Trainings, layout: str) -> None:
    assert losses[f"rounded_{layout}"] == pytest.approx(losses["rounded"], rel=ROUNDED)


def test_tied_embeddings_over_pipeline_stages_learn_as_one_matrix(losses: Trainings) -> None:
    assert losses["tied_pipeline"] == pytest.approx(some(losses["tied"], range(4, 7)), rel=RELATIVE)


def test_validation_measures_the_loss_of_what_was_learnt(losses: Trainings) -> None:
    found = [losses["resumed"][f"validation after {step}"] for step in (4, 6, 8)]
    assert found == sorted(found, reverse=True) and found[-1] < found[0] - 0.2


def test_the_z_loss_is_part_of_the_training_alone(losses: Trainings) -> None:
    """At the same weights the training loss is higher by it, and validation measures the cross entropy."""
    assert losses["z_loss"][4] > losses["plain"][4] + 0.05
    assert losses["z_loss"]["validation after 6"] < losses["z_loss"][6]


def test_a_distilled_training_comes_nearer_to_its_teacher(losses: Trainings) -> None:
    """What its loss is made of is told apart, of each step; validation measures the cross entropy alone."""
    found = losses["distilled"]
    assert found["kl of 6"] < found["kl of 4"] - 0.01
    # Two tokens in three have a teacher; what is left is the z-loss.
    assert 0 < found[4] - 0.5 * found["ce of 4"] - 2.0 * found["kl of 4"] * 2 / 3 < 0.5
    assert found["ce of 4"] == pytest.approx(losses["plain"][4], rel=1e-4)
    assert found["validation after 6"] < found[6]


def test_a_teacher_weighs_the_same_in_every_micro_batch(losses: Trainings) -> None:
    expected = {name: value for name, value in losses["distilled"].items() if "validation" not in str(name)}
    assert losses["distilled_micro"] == pytest.approx(expected, rel=RELATIVE)


def test_a_training_goes_on_from_layout_to_layout_as_if_uninterrupted(losses: Trainings) -> None:
    """TP=2 with sequence parallel, then PP=2, one rank, DP=2, each from the checkpoint of the one before."""
    links = (losses[f"chain_{name}"] for name in ("tensor", "pipeline", "one", "data"))
    found = {step: loss for link in links for step, loss in link.items()}
    assert found == pytest.approx(some(losses["distributed"], AFTER_THREE), rel=RELATIVE)


def test_the_distributed_optimizer_equals_the_plain_one(losses: Trainings) -> None:
    assert losses["distributed"] == pytest.approx(losses["plain"], rel=RELATIVE)


def test_a_resume_of_the_distributed_optimizer_is_exact(losses: Trainings) -> None:
    """The trap: with one step tensor for all parameters the resume runs, and is wrong."""
    assert losses["distributed_resumed"] == some(losses["distributed"], range(4, 7))


def test_a_tensor_parallel_resume_is_exact(losses: Trainings) -> None:
    assert losses["tensor_resumed"] == some(losses["tensor"], range(7, STEPS + 1))


@pytest.mark.parametrize("name", ["plain", "tensor", "distributed"])
def test_a_checkpoint_carries_its_context(losses: Trainings, name: str) -> None:
    """NeMo drops it silently if the strategy or the model cannot be serialised."""
    assert losses[name]
    context = next((losses.folder / name).glob("step=*/context/model.yaml")).read_text()
    assert "vocab_rows: 96" in context
    assert "KcptLlamaModel" in context
