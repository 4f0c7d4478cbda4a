"""Intervals: known values, coverage and symmetry."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import ttest_rel

from nemo_kcpt.stats.statistics import (
    ALPHA,
    bootstrap_interval,
    holm,
    least_p,
    paired_difference,
    paired_p,
    share_interval,
    wilson_interval,
)


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


def papers(count: int, questions: int) -> list[str]:
    return [f"p{paper}" for paper in range(count) for _ in range(questions)]


def test_questions_that_only_repeat_their_paper_add_nothing() -> None:
    answers = [float(paper % 3 == 0) for paper in range(30)]
    repeated = [value for value in answers for _ in range(8)]
    one_each = bootstrap_interval(answers)
    assert bootstrap_interval(repeated, papers(30, 8)) == pytest.approx(one_each)
    naive = bootstrap_interval(repeated)
    # Eight copies of each answer look like eight times the data to a bootstrap over questions.
    assert (one_each[1] - one_each[0]) / (naive[1] - naive[0]) == pytest.approx(8**0.5, rel=0.15)


def test_independent_questions_lose_little_by_clustering() -> None:
    generator = random.Random(1)
    values = [float(generator.random() < 0.6) for _ in range(400)]
    plain, clustered = bootstrap_interval(values), bootstrap_interval(values, papers(50, 8))
    assert clustered[1] - clustered[0] == pytest.approx(plain[1] - plain[0], rel=0.2)


def test_papers_of_unequal_size_are_weighted_by_their_questions() -> None:
    values, clusters = [1.0] * 90 + [0.0] * 10, ["large"] * 90 + ["small"] * 10
    low, high = bootstrap_interval(values, clusters)
    assert (low, high) == (0.0, 1.0)  # the resamples of two papers: both large, both small, or one of each
    many = [f"{cluster}{index % 5}" for index, cluster in enumerate(clusters)]
    low, high = bootstrap_interval(values, many)
    assert low < 0.9 < high


def test_order_of_values_and_names_of_papers_do_not_matter() -> None:
    values = [float(index % 3 == 0 or index < 20) for index in range(80)]
    named = bootstrap_interval(values, papers(10, 8))
    assert named == bootstrap_interval(values, [(name, 7) for name in papers(10, 8)])
    mixed = sorted(range(80), key=lambda index: index % 8)  # each paper's first question, then each paper's second
    assert bootstrap_interval([values[i] for i in mixed], [papers(10, 8)[i] for i in mixed]) == pytest.approx(named)


def test_coverage_with_few_papers() -> None:
    """15 papers whose accuracy is uniform on [0, 1], 8 questions each: intervals hold the true 0.5 as often as said."""
    generator = random.Random(7)
    held = {"papers": 0, "questions": 0}
    trials = 120
    for _ in range(trials):
        values = [
            float(generator.random() < accuracy)
            for accuracy in [generator.random() for _ in range(15)]
            for _ in range(8)
        ]
        for name, clusters in (("papers", papers(15, 8)), ("questions", None)):
            low, high = bootstrap_interval(values, clusters)
            held[name] += low <= 0.5 <= high
    assert held["papers"] / trials >= 0.9  # three standard errors below 0.95 is 0.89
    assert held["questions"] / trials <= 0.85


def test_one_paper_alone_is_resampled_by_questions() -> None:
    values = [float(index % 2) for index in range(40)]
    assert bootstrap_interval(values, ["p"] * 40) == bootstrap_interval(values)


def test_shares() -> None:
    values = [1.0, 0.0] * 20
    assert share_interval(values) == wilson_interval(20, 40)
    assert share_interval(values, list(range(40))) == wilson_interval(20, 40)  # one question a paper
    mixed = [float((paper * question) % 3 == 0) for paper in range(10) for question in range(4)]
    assert share_interval(mixed, papers(10, 4)) == bootstrap_interval(mixed, papers(10, 4))
    # Resamples of equal values are equal; one trial a paper is what the data are worth at least.
    assert share_interval([0.0] * 80, papers(10, 8)) == wilson_interval(0, 10)
    assert share_interval([1.0] * 80, papers(10, 8)) == wilson_interval(10, 10)


@pytest.mark.parametrize("function", [share_interval, bootstrap_interval])
def test_values_and_papers_belong_together(function: Callable[..., Any]) -> None:
    with pytest.raises(ValueError, match="no values"):
        function([], [])
    with pytest.raises(ValueError, match="2 values, but 1 clusters"):
        function([1.0, 1.0], ["p"])


def test_a_difference_carried_by_one_paper_is_not_clear() -> None:
    first = [0.0] * 80
    second = [1.0] * 24 + [0.0] * 56  # three of ten papers learnt
    assert paired_difference(first, second).excludes_zero
    assert not paired_difference(first, second, papers(10, 8)).excludes_zero
    everywhere = [float(index % 8 < 3) for index in range(80)]  # as many answers, three in every paper
    assert paired_difference(first, everywhere, papers(10, 8)).excludes_zero


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


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_paired_p_is_the_permutation_test_over_clusters() -> None:
    assert paired_p([0] * 8, [1] * 8) == pytest.approx(2 / 2**8)
    assert paired_p([0] * 8, [1] * 8, list("aabbccdd")) == pytest.approx(2 / 2**4), "clusters are flipped whole"
    assert paired_p([1, 0], [1, 0]) == 1.0 and paired_p([0, 0], [1, 1], ["a", "a"]) == 1.0
    rng = random.Random(0)
    first = [rng.random() for _ in range(60)]
    second = [value + rng.gauss(0.1, 0.3) for value in first]
    assert paired_p(first, second) == pytest.approx(float(ttest_rel(first, second).pvalue), abs=0.02)
    assert paired_p(second, first) == pytest.approx(paired_p(first, second), abs=0.01)
    with pytest.raises(ValueError, match="differ in number"):
        paired_p([1], [1, 2])


@pytest.mark.parametrize("clusters", [1, 2, 5, 6, 13, 14, 40])
def test_no_values_give_a_p_below_the_least(clusters: int) -> None:
    assert paired_p([0] * clusters, [1] * clusters) == pytest.approx(least_p(clusters))


def test_five_clusters_cannot_show_a_difference() -> None:
    assert least_p(6) < ALPHA < least_p(5)
