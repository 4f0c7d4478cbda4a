"""How far raters agree, and whether two models differ: kappa, alpha, McNemar's exact test.

Where a figure is not defined it is None, with a sentence that says why.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from nemo_kcpt.stats.agreement import kappa

ONE_VALUE = "all of these ratings are the same, so agreement by chance is certain and the coefficient is not defined"


@dataclass(frozen=True)
class Coefficient:
    """A figure of agreement over `n` values or units; None with the reason where it is not defined."""

    value: float | None
    n: int
    reason: str = ""


def cohen_kappa(first: Sequence[int], second: Sequence[int]) -> Coefficient:
    """Agreement of two raters beyond chance, over what both rated (Cohen 1960, Educ. Psychol. Meas. 20, 37-46).

    Raises:
        ValueError: not as many ratings of the one as of the other.
    """
    if len(first) != len(second):
        raise ValueError(f"paired ratings differ in number: {len(first)} and {len(second)}")
    if not first:
        return Coefficient(None, 0, "they rated nothing in common")
    if len({*first, *second}) == 1:
        return Coefficient(None, len(first), ONE_VALUE)
    return Coefficient(kappa(first, second), len(first))


def krippendorff_alpha(units: Iterable[Sequence[object]]) -> Coefficient:
    """Agreement of any number of raters on nominal values, ratings missing or not.

    alpha = 1 - D_o / D_e over the coincidences of values within units of at least two ratings (Krippendorff 2011,
    Computing Krippendorff's Alpha-Reliability, section C; its data are in the tests). Written here because the library
    for it is under the GPL and needs a newer Python than this project.

    Args:
        units: for each unit its ratings, missing ones left out.

    Returns:
        alpha, and the number of units with at least two ratings.
    """
    totals: dict[object, int] = {}
    disagreement, units_used = 0.0, 0
    for ratings in units:
        if len(ratings) < 2:
            continue
        units_used += 1
        counts: dict[object, int] = {}
        for rating in ratings:
            counts[rating] = counts.get(rating, 0) + 1
            totals[rating] = totals.get(rating, 0) + 1
        equal = sum(count * (count - 1) for count in counts.values())
        disagreement += (len(ratings) * (len(ratings) - 1) - equal) / (len(ratings) - 1)
    if not units_used:
        return Coefficient(None, 0, "no item has ratings of two raters")
    if len(totals) == 1:
        return Coefficient(None, units_used, ONE_VALUE)
    n = sum(totals.values())
    expected = n * n - sum(count * count for count in totals.values())
    return Coefficient(1 - (n - 1) * disagreement / expected, units_used)


def mcnemar_exact(only_first: int, only_second: int) -> float:
    """Two-sided p of McNemar's test in its exact form, the binomial test of the discordant pairs.

    McNemar 1947 (Psychometrika 12, 153-157); exact form: Fagerland, Lydersen and Laake 2013 (BMC Med. Res. Methodol.
    13, 91). 1 where no pair is discordant.

    Args:
        only_first: pairs in which the first is right and the second wrong.
        only_second: the other way round.
    """
    from scipy.stats import binomtest

    if only_first + only_second == 0:
        return 1.0
    return float(binomtest(only_first, only_first + only_second, 0.5).pvalue)
