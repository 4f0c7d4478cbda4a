"""Intervals: known values, coverage and symmetry."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.evaluation.statistics import bootstrap_interval, paired_difference, wilson_interval


def test_wilson_against_the_published_formula() -> None:
    n, successes, z = 80, 56, 1.959963984540054
    share = successes / n
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * (share * (1 - share) / n + z * z / (4 * n * n)) ** 0.5
    assert wilson_interval(successes, n) == pytest.approx((centre - half, centre + half), abs=1e-9)


@given(st.integers(0, 200), st.integers(1, 200))
@settings(max_examples=50)
def test_wilson_holds_the_share_and_stays_in_bounds(successes: int, n: int) -> None:
    successes = min(successes, n)
    low, high = wilson_interval(successes, n)
    assert 0 <= low <= successes / n + 1e-12
    assert successes / n - 1e-12 <= high <= 1
    assert high - low > 0


def test_wilson_without_data_says_nothing() -> None:
    assert wilson_interval(0, 0) == (0.0, 1.0)


def test_bootstrap_is_seeded_and_near_the_normal_interval() -> None:
    values = [(index % 10) / 10 for index in range(400)]
    low, high = bootstrap_interval(values, seed=3)
    assert (low, high) == bootstrap_interval(values, seed=3)
    standard_error = (0.0825 / 400) ** 0.5
    assert low == pytest.approx(0.45 - 1.96 * standard_error, abs=0.004)
    assert high == pytest.approx(0.45 + 1.96 * standard_error, abs=0.004)


def test_bootstrap_refuses_nothing_and_takes_one_value() -> None:
    assert bootstrap_interval([0.5]) == (0.5, 0.5)
    with pytest.raises(ValueError, match="no values"):
        bootstrap_interval([])


def test_difference_is_paired() -> None:
    first = [float(index % 2) for index in range(100)]
    second = [value + 0.1 for value in first]
    found = paired_difference(first, second)
    # Unpaired, the spread of 0 and 1 would hide a difference of 0.1.
    assert found.excludes_zero
    assert found.mean == pytest.approx(0.1)
    mirrored = paired_difference(second, first)
    assert mirrored.mean == pytest.approx(-found.mean)


def test_no_difference_is_not_called_one() -> None:
    first = [float(index % 2) for index in range(60)]
    second = [float((index // 2) % 2) for index in range(60)]
    assert not paired_difference(first, second).excludes_zero
    with pytest.raises(ValueError, match="differ in number"):
        paired_difference([1.0], [])
