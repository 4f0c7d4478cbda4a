"""Intervals for accuracies, means and differences.

Proportions: Wilson's score interval (E. B. Wilson, JASA 22, 1927), which stays inside [0, 1] and is right at 0 and 1.
Means and paired differences: percentile bootstrap (Efron and Tibshirani, An Introduction to the Bootstrap, 1993,
ch. 13), seeded, 9,999 resamples of the questions. Both from scipy.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RESAMPLES = 9_999
Interval = tuple[float, float]


@dataclass(frozen=True)
class Difference:
    """Mean of the paired differences with its interval; `excludes_zero` is what one calls a clear difference."""

    mean: float
    low: float
    high: float
    n: int

    @property
    def excludes_zero(self) -> bool:
        """Whether the interval lies wholly above or wholly below 0."""
        return self.low > 0 or self.high < 0


def wilson_interval(successes: int, n: int, confidence: float = 0.95) -> Interval:
    """Wilson's score interval of a proportion; (0, 1) when n is 0.

    Raises:
        ValueError: successes is not between 0 and n.
    """
    from scipy.stats import binomtest

    if n == 0 and successes == 0:
        return 0.0, 1.0
    interval = binomtest(successes, n).proportion_ci(confidence_level=confidence, method="wilson")
    return float(interval.low), float(interval.high)


def bootstrap_interval(values: Sequence[float], seed: int = 0, confidence: float = 0.95) -> Interval:
    """Percentile bootstrap interval of the mean.

    Raises:
        ValueError: no values.
    """
    import numpy as np
    from scipy.stats import bootstrap

    if not values:
        raise ValueError("no values to bootstrap")
    sample = np.asarray(values, dtype=float)
    if len(sample) == 1 or np.ptp(sample) == 0:
        return float(sample[0]), float(sample[0])
    result = bootstrap(
        (sample,),
        np.mean,
        n_resamples=RESAMPLES,
        batch=max(1, 2_000_000 // len(sample)),
        method="percentile",
        confidence_level=confidence,
        random_state=np.random.default_rng(seed),
    )
    return float(result.confidence_interval.low), float(result.confidence_interval.high)


def paired_difference(
    first: Sequence[float], second: Sequence[float], seed: int = 0, confidence: float = 0.95
) -> Difference:
    """`second` minus `first`, question by question: resampling pairs is resampling their differences.

    Raises:
        ValueError: the two are of different length or empty.
    """
    if len(first) != len(second):
        raise ValueError(f"paired values differ in number: {len(first)} and {len(second)}")
    differences = [b - a for a, b in zip(first, second)]
    low, high = bootstrap_interval(differences, seed, confidence)
    return Difference(sum(differences) / len(differences), low, high, len(differences))
