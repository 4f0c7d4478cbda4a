"""A training of adapters in an experiment: `lora: {rank: 64}` as arguments of its recipe."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.experiment import Training

KEYS = ("rank", "alpha", "targets", "dropout", "embeddings")


def lora_arguments(training: Training) -> dict[str, Any]:
    """Arguments of the recipe for a training's adapters; none where it trains the weights."""
    given = dict(training.lora)
    if not given:
        return {}
    if isinstance(given.get("targets"), list):
        given["targets"] = "+".join(given["targets"])  # NeMo's command line divides arguments at commas
    return {"lora": given.pop("rank"), **{f"lora_{key}": value for key, value in given.items()}}


def check_lora(training: Training, sets: Sequence[str]) -> None:
    """
    Raises:
        BadInput: unknown keys, no rank, or adapters that an instruction tuning would have to start from.
    """
    where = f"trainings: {training.name}: lora"
    for key in training.lora:
        if key not in KEYS:
            raise BadInput(f"{where}: unknown key '{key}'; {nearest(str(key), KEYS)}")
    if not training.lora:
        return
    rank = training.lora.get("rank")
    if not isinstance(rank, int) or rank < 1:
        raise BadInput(f"{where}: rank is {rank!r}; a whole number above 0 is needed")
    if sets:
        raise BadInput(
            f"{where}: works with sets: [] only: an instruction tuning cannot start from adapters alone; train in an "
            "experiment without sets, export, and tune the merged model in another"
        )
