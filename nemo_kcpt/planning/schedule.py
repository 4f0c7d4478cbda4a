"""The learning rate's schedule of a run that resumes: it must be the one that the run began with."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import isclose
from pathlib import Path

from nemo_kcpt.errors import BadInput


@dataclass(frozen=True, kw_only=True)
class Schedule:
    """Warm-up, then a cosine from the learning rate down to the least one."""

    steps: int
    """Steps of the whole run."""
    warmup_steps: int
    learning_rate: float
    least_learning_rate: float


def check_schedule(
    checkpoint: Path | str, theirs: Schedule, mine: Schedule, names: Mapping[str, str], way_out: str = ""
) -> None:
    """Hold the schedule of a checkpoint against that of the training that resumes it.

    NeMo takes the checkpoint's without a word, so that a run of 20 steps that is resumed for 1,000 does 980 of them at
    the least learning rate; Megatron-Bridge ends with an assertion.

    Args:
        checkpoint: for the message.
        theirs: of the checkpoint.
        mine: of the training.
        names: of the fields, as the backend's overrides name them.
        way_out: of the backend, for those who mean it.

    Raises:
        BadInput: they differ; not in their steps alone if the learning rate stays the same after the warm-up.
    """
    before, now = asdict(theirs), asdict(mine)
    differing = [name for name in before if not isclose(before[name], now[name], rel_tol=1e-9)]
    if differing == ["steps"] and isclose(mine.learning_rate, mine.least_learning_rate, rel_tol=1e-9):
        return
    if differing:
        raise BadInput(
            f"{checkpoint}: its learning rate follows another schedule: "
            f"{', '.join(f'{names[name]} was {before[name]}, is {now[name]}' for name in differing)}. Resume with the "
            f"keys that the run began with, or start a new run (another dir) from its weights (restore){way_out}"
        )
