"""What an experiment's trainings take: steps, tokens, memory and hours, from the planner."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.hardware import Cluster, known_gpu
from nemo_kcpt.planning.layouts import best
from nemo_kcpt.planning.recipes_stage import tuning_fixed
from nemo_kcpt.planning.stage import model_shape, row
from nemo_kcpt.planning.steps import TOKENS_PER_STEP, TUNING_BATCH, steps_for, windows_per_step


@dataclass(frozen=True, kw_only=True)
class TrainingCost:
    """What a training takes."""

    steps: int
    tokens: int
    """Tokens that it reads, in whole windows."""
    hours: float
    gpu_hours: float
    tokens_per_second: float
    layout: str
    memory_gb: float
    """Memory of the rank that needs most, 10^9 bytes."""
    basis: str


def training_cost(
    model: str | Path,
    seq_length: int,
    tokens: float,
    *,
    epochs: float = 2.0,
    tokens_per_step: int | None = None,
    nodes: int = 1,
    gpus: int = 8,
    gpu: str = "h100-80gb",
    mfu: float = 0.45,
    tuning: bool = False,
    measured: bool = False,
) -> TrainingCost:
    """The planner's best layout for a training (docs/planner.md), as the recipe will take it.

    Hours are steps · tokens of a step / tokens a second. Steps are :func:`nemo_kcpt.planning.steps.steps_for`, by the
    method's rule of as many tokens a step at every length (512 windows of 1,024 to 32 of 16,384).

    Args:
        model: a known model or a Hugging Face folder.
        seq_length: tokens of a window.
        tokens: of the pack, :attr:`PackTokens.step_tokens`.
        epochs: passes over it.
        tokens_per_step: None: the method's, or 64 windows of a tuning.
        nodes: machines.
        gpus: of each.
        gpu: which.
        mfu: share of the peak of one GPU with large matrices.
        tuning: plan as the kcpt_sft recipes do, without context parallelism.
        measured: `tokens` are those of a finished pack.

    Raises:
        BadInput: no layout fits, or a number that cannot be.
    """
    for name, value in (("seq_length", seq_length), ("tokens", tokens), ("tokens_per_step", tokens_per_step)):
        if value is not None and not value > 0:
            raise BadInput(f"{name}: {value} was given; a positive number is needed")
    shape = model_shape(str(model))
    cluster = Cluster(nodes=nodes, gpus_per_node=gpus, gpu=known_gpu(gpu), mfu=mfu)
    wanted = tokens_per_step or (TUNING_BATCH * seq_length if tuning else TOKENS_PER_STEP)
    batch = windows_per_step(seq_length, wanted)
    try:
        plan = best(shape, seq_length, batch, cluster, tuning_fixed() if tuning else None)
    except BadInput as error:
        raise BadInput(f"{model} at {seq_length:,} tokens: {error}") from None
    steps = steps_for(round(tokens), epochs, wanted)
    plan_row = row(plan, steps, batch * seq_length, cluster.gpus)
    return TrainingCost(
        steps=steps,
        tokens=steps * batch * seq_length,
        hours=plan_row["hours"],
        gpu_hours=plan_row["gpu_hours"],
        tokens_per_second=plan.tokens_per_second,
        layout=plan.layout.name,
        memory_gb=plan_row["total_gb"],
        basis=f"steps {'of the pack' if measured else 'estimated'}; speed estimated, mfu {mfu:g} assumed",
    )
