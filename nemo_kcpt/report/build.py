"""The numbers of a report: accuracies with intervals, paired differences, loss curves, examples with marked values."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.exact_match import find_values
from nemo_kcpt.evaluation.scoring.fact_values import alternatives
from nemo_kcpt.records.files import STEPS
from nemo_kcpt.records.inputs import Key
from nemo_kcpt.records.metrics import METRICS, Metric
from nemo_kcpt.stats.statistics import bootstrap_interval, holm, least_p, paired_difference, paired_p, share_interval

SPLITS = ("test", "train")
HEADLINES = tuple(name for name, metric in METRICS.items() if metric.headline)
"""What the headline tells: the first that was run."""
ANSWER_LIMIT = 400
"""Characters of an answer that an example shows."""
CURVE_POINTS = 300
SIDE_BY_SIDE = 4
"""Models whose answers stand side by side in the examples; the others are folded."""
TIMES = ("created", "seconds", "device_hours", "median_tokens_per_second", "mfu", "peak_memory_gib")
"""Fields of report.json that hold a time, a speed or a measure of the machine's load, wherever they stand."""
PLACES = ("stages", "command", "commands")
"""Fields at the top of report.json that hold times or paths."""
TIMED_INPUTS = ("metrics", "cells", "commands", "environment", "parity")
"""Inputs whose bytes hold times, paths or the machine; their fingerprints differ between equal runs."""

Records = Mapping[str, Mapping[str, Any]]
Scores = Mapping[Key, Mapping[str, Any]]


def ordered_models(scores: Scores, base: str) -> list[str]:
    """Names of the models, the base first, the others in the file's order.

    Raises:
        BadInput: no model is called `base`.
    """
    names = list(dict.fromkeys(model for _, model in scores))
    if base not in names:
        raise BadInput(f"no answers of a model called '{base}' (found: {', '.join(names)}); name it with base=NAME")
    return [base, *(name for name in names if name != base)]


def paper_of(question: Mapping[str, Any]) -> str:
    """The paper that a question is about; a question that names none stands for itself."""
    return str(question.get("paper_id") or f"question {question['question_id']}")


def mean_interval(metric: Metric, values: Sequence[float], papers: Sequence[str]) -> tuple[float, float]:
    """The 95 % interval of a mean over papers: a proportion's where each value is a verdict."""
    shares = metric.verdict and set(values) <= {0.0, 1.0}
    low, high = share_interval(values, papers) if shares else bootstrap_interval(values, papers)
    return low, high


def summarise(
    records: Sequence[Mapping[str, Any]], papers: Sequence[str], metrics: Mapping[str, Metric]
) -> dict[str, Any]:
    """n, the number of papers, the mean of every metric (None where none was run) and its 95 % interval over papers."""
    means: dict[str, Any] = {"n": len(records), "papers": len(set(papers))}
    intervals: dict[str, list[float]] = {}
    for name, metric in metrics.items():
        known = [(float(record[name]), paper) for record, paper in zip(records, papers) if record.get(name) is not None]
        values, clusters = [value for value, _ in known], [paper for _, paper in known]
        means[name] = sum(values) / len(values) if values else None
        if values:
            intervals[name] = [*mean_interval(metric, values, clusters)]
    return {**means, "ci95": intervals}


def model_rows(
    names: Iterable[str], questions: Records, scores: Scores, metrics: Mapping[str, Metric] = METRICS
) -> list[dict[str, Any]]:
    """One row per model and split that has questions."""
    rows = []
    for name in names:
        for split in SPLITS:
            keys = [key for key in scores if key[1] == name and questions[key[0]]["split"] == split]
            if keys:
                papers = [paper_of(questions[question_id]) for question_id, _ in keys]
                summary = summarise([scores[key] for key in keys], papers, metrics)
                rows.append({"name": name, "split": split, **summary})
    return rows


def grouped_rows(names: Iterable[str], questions: Records, scores: Scores, field: str) -> list[dict[str, Any]]:
    """Exact match by a question's `field` (fact, wording) on the test split; empty where questions don't have it."""
    groups = dict.fromkeys(record[field] for record in questions.values() if record.get(field) is not None)
    rows = []
    for group in groups:
        for name in names:
            known = [
                (float(score["exact_match"]), paper_of(questions[question_id]))
                for (question_id, model), score in scores.items()
                if model == name
                and questions[question_id].get(field) == group
                and questions[question_id]["split"] == "test"
                and score.get("exact_match") is not None
            ]
            if known:
                values = [value for value, _ in known]
                low, high = share_interval(values, [paper for _, paper in known])
                mean = sum(values) / len(values)
                rows.append({field: group, "name": name, "n": len(values), "exact_match": mean, "ci95": [low, high]})
    return rows


def difference_rows(
    names: Sequence[str], questions: Records, scores: Scores, metrics: Iterable[str] = METRICS
) -> list[dict[str, Any]]:
    """Every other model minus the base on the questions that both answered, per split and metric.

    `p` is of a paired permutation test over papers; corrected for the models compared as in `add_corrected`.
    """
    base, *others = names
    rows: list[dict[str, Any]] = []
    for name in others:
        for split in SPLITS:
            for metric in metrics:
                pairs = [
                    (scores[question_id, base].get(metric), scores[question_id, name].get(metric), paper_of(record))
                    for question_id, record in questions.items()
                    if record["split"] == split and (question_id, base) in scores and (question_id, name) in scores
                ]
                both = [(float(a), float(b), paper) for a, b, paper in pairs if a is not None and b is not None]
                if both:
                    first, second, papers = zip(*both)
                    difference = paired_difference(first, second, papers)
                    rows.append(
                        {
                            "name": name,
                            "base": base,
                            "split": split,
                            "metric": metric,
                            "n": difference.n,
                            "mean": difference.mean,
                        }
                        | {"papers": len(set(papers)), "p": paired_p(first, second, papers)}
                        | {"ci95": [difference.low, difference.high], "excludes_zero": difference.excludes_zero}
                    )
    add_corrected(rows)
    return rows


def add_corrected(rows: Sequence[dict[str, Any]]) -> None:
    """Add Holm's correction to comparisons, over those of one split and metric.

    Each row gets `p_holm`, and `p_holm_least`: what that would be if every comparison had the least p that so few
    papers can give.
    """
    for split, metric in dict.fromkeys((row["split"], row["metric"]) for row in rows):
        family = [row for row in rows if (row["split"], row["metric"]) == (split, metric)]
        corrected = holm([row["p"] for row in family]), holm([least_p(row["papers"]) for row in family])
        for row, p, least in zip(family, *corrected):
            row |= {"p_holm": p, "p_holm_least": least}


def trained_seconds(lines: Sequence[Mapping[str, Any]]) -> float | None:
    """Seconds of a training from its metrics: each process that continued it counts from 0, so theirs are added."""
    known = [float(line["seconds"]) for line in lines if line.get("seconds") is not None]
    ends = [now for now, then in zip(known, [*known[1:], -1.0]) if then < now]
    return sum(ends) if known else None


def loss_curve(name: str, path: Path, most: int = CURVE_POINTS) -> dict[str, Any]:
    """A training's loss curve, thinned out to `most` points, with its last loss, speed and time.

    Raises:
        BadInput: no step in the file.
    """
    lines = list(STEPS.read(path))
    if not lines:
        raise BadInput(f"{path}: no step in it; the training has not begun")
    every = max(1, -(-len(lines) // most))
    points = [
        [line["step"], line["loss"]]
        for index, line in enumerate(lines)
        if index % every == 0 or index == len(lines) - 1
    ]
    speeds = sorted(line["tokens_per_second"] for line in lines if line.get("tokens_per_second"))
    return {
        "name": name,
        "points": points,
        "steps": lines[-1]["step"],
        "first_loss": lines[0]["loss"],
        "last_loss": lines[-1]["loss"],
        "median_tokens_per_second": speeds[len(speeds) // 2] if speeds else None,
        "seconds": trained_seconds(lines),
    }


def draw_examples(questions: Records, count: int, seed: int) -> list[str]:
    """Ids of test questions (train ones where there are none), drawn by seed, in turn over facts and kinds."""
    split = "test" if any(record["split"] == "test" for record in questions.values()) else "train"
    groups: dict[str, list[str]] = {}
    for question_id, record in questions.items():
        if record["split"] == split:
            groups.setdefault(str(record.get("fact") or record["kind"]), []).append(question_id)
    generator = random.Random(seed)
    for ids in groups.values():
        generator.shuffle(ids)
    drawn: list[str] = []
    while len(drawn) < count and any(groups.values()):
        for ids in groups.values():
            if ids and len(drawn) < count:
                drawn.append(ids.pop())
    return drawn


def example(
    question: Mapping[str, Any],
    names: Iterable[str],
    answers: Mapping[Key, Mapping[str, Any]],
    scores: Scores,
    values: Mapping[str, tuple[str, ...]],
) -> dict[str, Any]:
    """A question with every model's answer.

    `marks` are [start, end, right] of the values that an answer states; of a question without accepted values those of
    its numbers and names that are supported or contradicted.
    """
    accepted = question.get("accepted") or ()
    answered = []
    for name in names:
        key = (str(question["question_id"]), name)
        if key not in answers:
            continue
        text = str(answers[key]["answer"])
        if accepted:
            stated = find_values(text, accepted, alternatives(question, values))
            marks = [[mark.start, mark.end, mark.right] for mark in stated]
        else:
            facts = [fact for fact in scores[key].get("facts") or () if fact["status"] != "unknown"]
            marks = [[fact["start"], fact["end"], fact["status"] == "supported"] for fact in facts]
        kept = text[:ANSWER_LIMIT]
        answered.append(
            {
                "name": name,
                "answer": kept + ("…" if len(text) > ANSWER_LIMIT else ""),
                "marks": [mark for mark in marks if mark[1] <= len(kept)],
                "exact_match": scores[key].get("exact_match"),
                "combined": scores[key].get("combined"),
                "bertscore_sent": scores[key].get("bertscore_sent"),
            }
        )
    fields = ("question_id", "split", "paper_id", "kind", "question", "answer", "fact", "wording")
    return {**{field: question.get(field) for field in fields}, "answers": answered}


def headline(rows: Sequence[Mapping[str, Any]], differences: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """The one number: on held-out questions, the last model against the base, by the first of `HEADLINES`."""
    for metric in HEADLINES:
        held_out = [row for row in differences if row["metric"] == metric and row["split"] == "test"]
        if held_out:
            row = held_out[-1]
            mean = {entry["name"]: entry[metric] for entry in rows if entry["split"] == "test"}
            return {**row, "base_value": mean[row["base"]], "value": mean[row["name"]]}
    return None


def chosen_models(names: Sequence[str], wanted: Iterable[str]) -> list[str]:
    """The few models that are shown side by side: those wanted (a model of each), then others in their order."""
    if len(names) <= SIDE_BY_SIDE:
        return list(names)
    return list(dict.fromkeys([*(name for name in wanted if name in names), *names]))[:SIDE_BY_SIDE]


def without_times(report: Mapping[str, Any]) -> dict[str, Any]:
    """report.json without times, speeds and places: equal for runs of the same inputs, however long they took.

    Left out are, wherever they stand, `TIMES`, at the top `PLACES`, and of the fingerprints those of files that hold
    times (metrics), and of cells.json, commands.json and the environment, which may hold paths or the machine.
    """

    def stripped(value: Any) -> Any:
        if isinstance(value, Mapping):
            return {key: stripped(entry) for key, entry in value.items() if key not in TIMES}
        return [stripped(entry) for entry in value] if isinstance(value, list) else value

    kept: dict[str, Any] = stripped({key: value for key, value in report.items() if key not in PLACES})
    prints = report.get("fingerprints", {})
    kept["fingerprints"] = {name: value for name, value in prints.items() if name.partition("/")[0] not in TIMED_INPUTS}
    return kept
