"""Does a score agree with people? Rank correlations, kappa and AUROC of every score against ratings.

Per answer: Spearman's rho, Kendall's tau-b, AUROC (ratings above 1/2 against those below), and Cohen's kappa of the
score cut in two. A score that is a verdict or a probability is cut at 1/2; BERTScore, which is neither, where it calls
as many answers right as people do. Per model: rho and tau of the models' mean scores against their mean ratings, which
is what the method's paper reports (0.08, -0.09, 0.12; §5).

Intervals are percentile bootstrap intervals over papers (statistics.py says why papers), drawn with all their answers
by all models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.pages.numbers import estimate, percent
from nemo_kcpt.records.files import RATINGS
from nemo_kcpt.records.inputs import Key

SCORES = ("combined", "judge", "exact_match", "fact_recall", "fact_precision", "bertscore_sent", "bertscore_doc")
CUT_AT_HALF = ("combined", "judge", "exact_match", "fact_recall", "fact_precision")
RESAMPLES = 500
LEAST_MODELS = 3
"""Models without which a rank correlation over models means nothing."""
FEW = 64
"""Up to so many values, as the models of a grid, pairs are compared at once: scipy's checks take 25 times as long."""
ORACLE = "oracle"


def read_ratings(path: Path, answered: Mapping[Key, Any]) -> dict[Key, float]:
    """Mean rating (0 to 1) of each answer that somebody rated.

    Args:
        path: ratings.jsonl of `kcpt human collect`, or any file with question_id, model and rating (0 to 1, or null for
            a question that was passed over), one line for each rater.
        answered: the answers that there are.

    Raises:
        BadInput: a rating of something else than 0 to 1, or of no answer; or no rating at all.
    """
    path = RATINGS.path(path)
    ratings: dict[Key, list[float]] = {}
    for number, record in RATINGS.lines(path):
        key = (str(record["question_id"]), str(record["model"]))
        rating = record["rating"]
        if rating is None:
            continue
        if not isinstance(rating, (int, float)) or not 0 <= rating <= 1:
            raise BadInput(
                f"{path}, line {number}: rating is {rating!r}; expected 0 to 1, or null where none was given"
            )
        if key not in answered:
            raise BadInput(
                f"{path}, line {number}: rates an answer of '{key[1]}' to question '{key[0]}', and there is none; "
                "give the answers that were rated"
            )
        ratings.setdefault(key, []).append(float(rating))
    if not ratings:
        raise BadInput(f"{path}: no rating in it; make ratings with `kcpt human sheet` and `kcpt human collect`")
    return {key: sum(values) / len(values) for key, values in ratings.items()}


def agreement(
    scores: Mapping[Key, Mapping[str, Any]],
    ratings: Mapping[Key, float],
    papers: Mapping[str, str],
    seed: int = 0,
    others: Iterable[str] = (),
) -> dict[str, Any]:
    """Every score against the ratings.

    Args:
        scores: records of scores.jsonl.
        ratings: 0 to 1, of some of the answers.
        papers: question_id -> paper_id, for the intervals.
        seed: of the bootstrap.
        others: names of scores that scorers of other packages gave.

    Returns:
        JSON-ready: `n` answers, `models`, `papers`, and for each score that was run `n`, `per_answer` {spearman,
        kendall, auroc, kappa} and `per_model` {spearman, kendall}, each {value, low, high}; value is None where it is
        not defined (all ratings alike, fewer than three models).
    """
    rows = []
    for name in (*SCORES, *others):
        keys = [key for key in ratings if key in scores and scores[key].get(name) is not None]
        if not keys:
            continue
        values = [float(scores[key][name]) for key in keys]
        people = [ratings[key] for key in keys]
        clusters = [papers[key[0]] for key in keys]
        models = [key[1] for key in keys]
        rows.append({"score": name, "n": len(keys), **_compare(name, values, people, clusters, models, seed)})
    return {
        "n": len(ratings),
        "models": len({model for _, model in ratings}),
        "papers": len({papers[question_id] for question_id, _ in ratings}),
        "right": sum(ratings.values()) / len(ratings),
        "scores": rows,
    }


def _compare(
    name: str, values: Sequence[float], people: Sequence[float], papers: Sequence[str], models: Sequence[str], seed: int
) -> dict[str, Any]:
    import numpy as np

    score, rated = np.asarray(values), np.asarray(people)
    _, model = np.unique(np.asarray(models), return_inverse=True)
    cut = 0.5 if name in CUT_AT_HALF else _matching_cut(score, rated)
    measures: dict[tuple[str, str], Callable[[Any], float]] = {
        ("per_answer", "spearman"): lambda chosen: spearman(score[chosen], rated[chosen]),
        ("per_answer", "kendall"): lambda chosen: kendall(score[chosen], rated[chosen]),
        ("per_answer", "auroc"): lambda chosen: _auroc(score[chosen], rated[chosen]),
        ("per_answer", "kappa"): lambda chosen: kappa(score[chosen] >= cut, rated[chosen] >= 0.5),
        ("per_model", "spearman"): lambda chosen: spearman(*_means(score[chosen], rated[chosen], model[chosen])),
        ("per_model", "kendall"): lambda chosen: kendall(*_means(score[chosen], rated[chosen], model[chosen])),
    }
    samples = resampled(papers, seed)
    comparison: dict[str, Any] = {"cut": float(cut)}
    everything = np.arange(len(score))
    for (group, measure), compute in measures.items():
        value = compute(everything)
        entry: dict[str, float | None] = {"value": None, "low": None, "high": None}
        if not math.isnan(value):
            drawn = [statistic for statistic in (compute(sample) for sample in samples) if not math.isnan(statistic)]
            entry["value"] = value
            if len(samples) and len(drawn) >= 0.9 * len(samples):
                entry["low"], entry["high"] = (float(end) for end in np.percentile(drawn, [2.5, 97.5]))
        comparison.setdefault(group, {})[measure] = entry
    return comparison


def resampled(papers: Sequence[str], seed: int) -> list[Any]:
    """Places of the answers in each bootstrap sample; none where there is one paper only."""
    import numpy as np

    places: dict[str, list[int]] = {}
    for index, paper in enumerate(papers):
        places.setdefault(paper, []).append(index)
    groups = [np.array(indices) for indices in places.values()]
    if len(groups) < 2:
        return []
    rng = np.random.default_rng(seed)
    return [
        np.concatenate([groups[number] for number in rng.integers(len(groups), size=len(groups))])
        for _ in range(RESAMPLES)
    ]


def _matching_cut(score: Any, rated: Any) -> float:
    """The cut at which as many answers are called right as people call right."""
    import numpy as np

    right = int((rated >= 0.5).sum())
    return float(np.sort(score)[::-1][right - 1]) if right else math.inf


def _means(score: Any, rated: Any, model: Any) -> tuple[Any, Any]:
    """Mean score and mean rating of each model that is there."""
    import numpy as np

    counts = np.bincount(model)
    there = counts > 0
    if there.sum() < LEAST_MODELS:
        return np.zeros(0), np.zeros(0)
    return (np.bincount(model, score)[there] / counts[there], np.bincount(model, rated)[there] / counts[there])


def spearman(first: Any, second: Any) -> float:
    """Spearman's rank correlation of two lists; not a number where one has no spread."""
    import numpy as np

    if len(first) < 2:
        return math.nan
    x, y = _ranks(first), _ranks(second)
    spread = x.std() * y.std()
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread else math.nan


def _ranks(values: Any) -> Any:
    """The rank of each value from 1; equal ones share the mean of theirs."""
    import numpy as np
    from scipy.stats import rankdata

    if len(values) > FEW:
        return rankdata(values)
    each = np.asarray(values)
    return (each[:, None] > each).sum(1) + ((each[:, None] == each).sum(1) + 1) / 2


def kendall(first: Any, second: Any) -> float:
    """Kendall's tau-b of two lists; not a number for fewer than two."""
    import numpy as np
    from scipy.stats import kendalltau

    if len(first) < 2:
        return math.nan
    if len(first) > FEW:
        return float(kendalltau(first, second).statistic)
    x, y = (np.sign(np.subtract.outer(values, values)) for values in (np.asarray(first), np.asarray(second)))
    untied, other = (x * x).sum() / 2, (y * y).sum() / 2
    if not untied or not other:
        return math.nan
    return float(np.clip((x * y).sum() / 2 / np.sqrt(untied) / np.sqrt(other), -1, 1))


def _auroc(score: Any, rated: Any) -> float:
    """Mann and Whitney's U by ranks, ties half; nan without both right and wrong answers."""
    from scipy.stats import rankdata

    decided = rated != 0.5
    score, right = score[decided], rated[decided] > 0.5
    positives = int(right.sum())
    negatives = len(right) - positives
    if not positives or not negatives:
        return math.nan
    return float((rankdata(score)[right].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def kappa(first: Any, second: Any) -> float:
    """Cohen's kappa of two series of yes and no (Educational and Psychological Measurement 20, 1960).

    nan where chance alone agrees always: both say the same of every answer.
    """
    import numpy as np

    x, y = np.asarray(first, dtype=float), np.asarray(second, dtype=float)
    chance = x.mean() * y.mean() + (1 - x.mean()) * (1 - y.mean())
    return float(((x == y).mean() - chance) / (1 - chance)) if chance < 1 else math.nan


def table(summary: Mapping[str, Any]) -> list[str]:
    """Lines for reading: each score, with 95 % intervals."""
    heads = ["spearman", "kendall", "auroc", "kappa", "models: spearman", "kendall"]
    lines = [
        f"{summary['n']} rated answers of {summary['models']} models about {summary['papers']} papers, "
        f"{percent(summary['right'])} right",
        "| score | n | " + " | ".join(heads) + " |",
        "| --- " * (len(heads) + 2) + "|",
    ]
    for row in summary["scores"]:
        cells = [row["per_answer"][name] for name in ("spearman", "kendall", "auroc", "kappa")]
        cells += [row["per_model"][name] for name in ("spearman", "kendall")]
        lines.append(f"| {row['score']} | {row['n']} | " + " | ".join(map(estimate, cells)) + " |")
    return lines
