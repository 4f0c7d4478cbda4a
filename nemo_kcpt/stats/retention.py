"""Retention: of what a model could do before its training, the share that it still can.

The questions that count are those that the starting model answers right; of them, the share that the trained model
answers right, too. Unlike a difference of accuracies, this does not let what was newly learnt make up for what was
lost. The interval is Wilson's over the questions that count, given which ones they are: the starting model answers
greedily, so they are fixed. For means over seeds it is the bootstrap's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from nemo_kcpt.stats.statistics import bootstrap_interval, share_interval

LEAST = 30
"""Questions that the starting model has to answer right before a share of them says anything: with fewer, the interval
of a retention of 0.9 is wider than 0.2."""


@dataclass(frozen=True, kw_only=True)
class Retention:
    """What one model kept of what another one knew."""

    n: int
    """Questions that both answered."""
    of: int
    """Questions that the starting model answered right."""
    kept: float
    """Those of them still answered right; a mean over seeds need not be whole."""
    gained: float
    """Questions that the starting model answered wrong and this one right."""
    share: float | None
    """kept / of; None where the starting model answered nothing right."""
    ci95: tuple[float, float] | None

    @property
    def enough(self) -> bool:
        """Whether the starting model answered enough questions right for the share to say something."""
        return self.of >= LEAST

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready, with `enough`."""
        return asdict(self) | {"ci95": [*self.ci95] if self.ci95 else None, "enough": self.enough}


def retained(before: Mapping[str, float], after: Mapping[str, float]) -> Retention:
    """What of `before` is still in `after`, over the questions that are in both.

    Args:
        before: question_id -> 1 where the starting model was right, else 0.
        after: question_id -> the same of a trained model, or its mean over seeds, 0 to 1.

    Raises:
        ValueError: a value of `before` is neither 0 nor 1.
    """
    both = [key for key in before if key in after]
    if odd := [key for key in both if before[key] not in (0, 1)]:
        raise ValueError(f"'{odd[0]}' has {before[odd[0]]}; of the starting model 0 or 1 was expected")
    values = [after[key] for key in both if before[key] == 1]
    gained = sum(after[key] for key in both if before[key] == 0)
    if not values:
        return Retention(n=len(both), of=0, kept=0.0, gained=gained, share=None, ci95=None)
    interval = share_interval if set(values) <= {0, 1} else bootstrap_interval
    return Retention(
        n=len(both),
        of=len(values),
        kept=sum(values),
        gained=gained,
        share=sum(values) / len(values),
        ci95=interval(values),
    )
