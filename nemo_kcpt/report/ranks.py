"""Does an automatic score rank models as the truth does? Spearman's rho and Kendall's tau-b over the models' means.

The truth is exact match, where right answers are known (the oracle), or people. Means are over the held-out answers
that have both; intervals are percentile bootstrap intervals over papers, drawn with all their answers by all models,
whose means and ranks are computed anew: the measures and the resampling are evaluation/agreement.py's.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nemo_kcpt.records.inputs import Key
from nemo_kcpt.report.build import Records, Scores, paper_of
from nemo_kcpt.stats import agreement

ORACLE, PEOPLE = "exact_match", "people"


def score_agreement(
    questions: Records,
    scores: Scores,
    ratings: Mapping[Key, float] | None = None,
    seed: int = 0,
    others: Sequence[str] = (),
) -> list[dict[str, Any]]:
    """A row for each score and truth that are in the same answers.

    Args:
        questions: by question_id.
        scores: by (question_id, model).
        ratings: people's, 0 to 1, by (question_id, model).
        seed: of the bootstrap.
        others: names of scores that scorers of other packages gave.

    Returns:
        JSON-ready: `score, truth, models, n` (answers), `papers, spearman, kendall` (each value, low, high; value is
        None for fewer than three models or means that are all alike) and `points` (name, value, truth) of the plot.
    """
    split = "test" if any(record["split"] == "test" for record in questions.values()) else "train"
    oracle = {
        key: float(score[ORACLE])
        for key, score in scores.items()
        if score.get(ORACLE) is not None and questions[key[0]]["split"] == split
    }
    truths = {ORACLE: oracle, PEOPLE: dict(ratings or {})}
    rows = []
    for truth, known in truths.items():
        for name in (*agreement.SCORES, *others):
            keys = [key for key in known if key in scores and scores[key].get(name) is not None]
            if keys and name != truth:
                pairs = {key: (float(scores[key][name]), known[key]) for key in keys}
                rows.append({"score": name, "truth": truth, **_row(pairs, questions, seed)})
    return rows


def _row(pairs: Mapping[Key, tuple[float, float]], questions: Records, seed: int) -> dict[str, Any]:
    import numpy as np

    models = list(dict.fromkeys(model for _, model in pairs))
    papers = list(dict.fromkeys(paper_of(questions[question_id]) for question_id, _ in pairs))
    positions = {name: index for index, name in enumerate(papers)}, {name: index for index, name in enumerate(models)}
    first, second, count = (np.zeros((len(papers), len(models))) for _ in range(3))
    for (question_id, model), (value, truth) in pairs.items():
        cell = positions[0][paper_of(questions[question_id])], positions[1][model]
        first[cell] += value
        second[cell] += truth
        count[cell] += 1

    def over(chosen: Any, measure: Callable[[Any, Any], float]) -> float:
        total = count[chosen].sum(0)
        there = total > 0
        if there.sum() < agreement.LEAST_MODELS:
            return math.nan
        means = (table[chosen].sum(0)[there] / total[there] for table in (first, second))
        return measure(*means)

    samples = agreement.resampled(papers, seed)
    everything = np.arange(len(papers))
    result: dict[str, Any] = {"models": len(models), "n": len(pairs), "papers": len(papers)}
    for name, measure in (("spearman", agreement.spearman), ("kendall", agreement.kendall)):
        value = over(everything, measure)
        entry: dict[str, float | None] = {"value": None, "low": None, "high": None}
        if not math.isnan(value):
            drawn = [sampled for sampled in (over(sample, measure) for sample in samples) if not math.isnan(sampled)]
            entry["value"] = value
            if samples and len(drawn) >= 0.9 * len(samples):
                entry["low"], entry["high"] = (float(end) for end in np.percentile(drawn, [2.5, 97.5]))
        result[name] = entry
    means = first.sum(0) / count.sum(0), second.sum(0) / count.sum(0)
    points = [
        {"name": model, "value": float(means[0][index]), "truth": float(means[1][index])}
        for index, model in enumerate(models)
    ]
    return {**result, "points": points}
