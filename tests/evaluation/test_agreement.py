"""Scores against ratings: measures against scipy and scikit-learn, intervals, undefined cases, bad input."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.stats.agreement import FEW, agreement, kappa, kendall, read_ratings, spearman, table


def _made(
    models: int = 6, questions: int = 40, noise: float = 0.3
) -> tuple[dict[Any, Any], dict[Any, float], dict[str, str]]:
    rng = random.Random(3)
    scores, ratings = {}, {}
    for model in range(models):
        for question in range(questions):
            key = (f"q{question}", f"m{model}")
            right = rng.random() < (model + 1) / (models + 1)
            ratings[key] = float(right)
            scores[key] = {
                "combined": 0.6 * right + noise * rng.random(),
                "judge": int(right),
                "bertscore_sent": rng.random(),
            }
    return scores, ratings, {f"q{question}": f"p{question // 4}" for question in range(questions)}


@pytest.mark.parametrize("size", [2, 3, 7, FEW, FEW + 1])
def test_rank_correlations_of_few_and_many_values_are_scipys(size: int) -> None:
    """To the bit, with ties, and where one has no spread."""
    import numpy as np
    from scipy.stats import kendalltau, rankdata

    rng = np.random.default_rng(size)
    for kinds in (1, 2, size, 10**9):
        first, second = rng.integers(kinds, size=size) / 7, rng.integers(kinds + 1, size=size) / 3
        np.testing.assert_equal(kendall(first, second), float(kendalltau(first, second).statistic))
        one, two = rankdata(first), rankdata(second)
        with np.errstate(invalid="ignore"):
            expected = np.mean((one - one.mean()) * (two - two.mean())) / (one.std() * two.std())
        np.testing.assert_equal(spearman(first, second), expected)


def test_measures_are_those_of_the_libraries() -> None:
    from scipy.stats import kendalltau, spearmanr
    from sklearn.metrics import cohen_kappa_score, roc_auc_score

    scores, ratings, papers = _made()
    found = {row["score"]: row for row in agreement(scores, ratings, papers)["scores"]}
    assert set(found) == {"combined", "judge", "bertscore_sent"}, "scores that were not run are left out"
    values = [scores[key]["bertscore_sent"] for key in ratings]
    people = list(ratings.values())
    row = found["bertscore_sent"]["per_answer"]
    assert row["spearman"]["value"] == pytest.approx(spearmanr(values, people).statistic)
    assert row["kendall"]["value"] == pytest.approx(kendalltau(values, people).statistic)
    assert row["auroc"]["value"] == pytest.approx(roc_auc_score(people, values))
    cut = found["bertscore_sent"]["cut"]
    assert row["kappa"]["value"] == pytest.approx(
        cohen_kappa_score([value >= cut for value in values], [one >= 0.5 for one in people])
    )
    assert sum(value >= cut for value in values) == sum(people), "as many right as people say"
    assert found["judge"]["per_answer"]["kappa"]["value"] == 1.0
    assert found["combined"]["per_model"]["spearman"]["value"] == pytest.approx(1.0)
    for entry in row.values():
        assert entry["low"] < entry["value"] < entry["high"]


def test_the_interval_knows_how_little_a_few_papers_say() -> None:
    scores, ratings, papers = _made()
    wide = agreement(scores, ratings, {name: f"p{int(name[1:]) % 4}" for name in papers})
    narrow = agreement(scores, ratings, {name: name for name in papers})
    widths = [
        next(row for row in found["scores"] if row["score"] == "bertscore_sent")["per_answer"]["auroc"]
        for found in (narrow, wide)
    ]
    assert all(entry["high"] - entry["low"] > 0.05 for entry in widths)
    one = agreement(scores, ratings, dict.fromkeys(papers, "the only one"))
    assert one["scores"][0]["per_answer"]["auroc"]["low"] is None


def test_what_is_not_defined_is_none() -> None:
    scores, ratings, papers = _made(models=2)
    found = agreement(scores, dict.fromkeys(ratings, 1.0), papers)
    row = next(row for row in found["scores"] if row["score"] == "bertscore_sent")
    assert row["per_answer"]["auroc"]["value"] is None and row["per_answer"]["spearman"]["value"] is None
    assert row["per_model"]["spearman"]["value"] is None, "two models have no rank correlation to speak of"
    assert "–" in "\n".join(table(found))


def test_kappa_of_a_published_example() -> None:
    # Cohen's kappa in Sim and Wright 2005, table 1: 22 + 11 agreements of 39, kappa 0.67.
    first = [1] * 22 + [1] * 2 + [0] * 4 + [0] * 11
    second = [1] * 22 + [0] * 2 + [1] * 4 + [0] * 11
    assert kappa(first, second) == pytest.approx(0.67, abs=0.01)


def test_ratings_are_averaged_over_raters_and_checked(tmp_path: Path) -> None:
    path = tmp_path / "ratings.jsonl"
    answered = {("q1", "m"): 1, ("q2", "m"): 1}
    rows = [("q1", 1), ("q1", 0), ("q1", 1), ("q2", None)]
    write_jsonl(
        path, [{"question_id": q, "model": "m", "rating": value, "rater": n} for n, (q, value) in enumerate(rows)]
    )
    assert read_ratings(path, answered) == {("q1", "m"): pytest.approx(2 / 3)}
    for wrong, said in (
        ({"question_id": "q1", "model": "m", "rating": 2}, "line 1: rating is 2"),
        ({"question_id": "q1", "model": "m", "rating": "1"}, "line 1: rating is '1'"),
        ({"question_id": "q9", "model": "m", "rating": 1}, "an answer of 'm' to question 'q9'"),
        ({"question_id": "q1", "model": "m"}, "field rating is missing"),
        ({"question_id": "q1", "model": "m", "rating": None}, "no rating in it"),
    ):
        write_jsonl(path, [wrong])
        with pytest.raises(BadInput, match=said):
            read_ratings(path, answered)
