"""Several seeds of one training as one: means over seeds, paired differences between trainings, goals.

A model called NAME@SEED belongs to the group NAME. Of a group the mean over its seeds is taken question by question,
and what is resampled are papers, as everywhere (evaluation/statistics.py): the interval is about these seeds and other
papers. How far seeds are apart is beside it (`each`, and `spread`, their standard deviation with n - 1).
"""

from __future__ import annotations

import re
import statistics as plain
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.records.metrics import METRICS, Metric
from nemo_kcpt.report.build import HEADLINES, SPLITS, Records, Scores, add_corrected, mean_interval, paper_of
from nemo_kcpt.stats.statistics import paired_difference, paired_p

Values = dict[str, float]
"""A value for each question_id."""


def split_name(name: str) -> tuple[str, int | None]:
    """Group and seed of a model's name: ("anchored-256", 1) of anchored-256@1."""
    match = re.fullmatch(r"(.+)@(\d+)", name)
    return (match[1], int(match[2])) if match else (name, None)


def groups_of(names: Iterable[str]) -> dict[str, list[str]]:
    """The models of each group, in the order of their first ones."""
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(split_name(name)[0], []).append(name)
    return groups


class Groups:
    """The groups of a report's models, with what comparisons need.

    Args:
        names: of the models, the base first.
        questions: by question_id.
        scores: by (question_id, model).
        cells: of cells.json, so that a training's name stands for all of its cells.
        metrics: by name.
    """

    def __init__(
        self,
        names: Sequence[str],
        questions: Records,
        scores: Scores,
        cells: Sequence[Mapping[str, Any]] = (),
        metrics: Mapping[str, Metric] = METRICS,
    ) -> None:
        self.metrics = metrics
        self.names, self._questions, self._scores = names, questions, scores
        self.members = groups_of(names)
        self._trainings: dict[str, list[str]] = {}
        for cell in cells:
            if cell.get("training") and cell["name"] in names:
                self._trainings.setdefault(str(cell["training"]), []).append(cell["name"])

    def find(self, name: str) -> list[str]:
        """The models of a group, model or training; none where there is none of that name."""
        return self.members.get(name) or ([name] if name in self.names else self._trainings.get(name, []))

    def values(self, members: Sequence[str], split: str, metric: str) -> Values:
        """Per question of a split the mean of a metric over members; of the questions that all of them have."""
        means: Values = {}
        for question_id, record in self._questions.items():
            if record["split"] == split:
                values = [self._scores.get((question_id, member), {}).get(metric) for member in members]
                known = [float(value) for value in values if value is not None]
                if known and len(known) == len(values):
                    means[question_id] = sum(known) / len(known)
        return means

    def _papers(self, question_ids: Iterable[str]) -> list[str]:
        return [paper_of(self._questions[question_id]) for question_id in question_ids]

    def rows(self) -> list[dict[str, Any]]:
        """A row for each group and split: as a model's, with `models`, `seeds`, and `each` and `spread` by metric."""
        rows = []
        for name, members in self.members.items():
            for split in SPLITS:
                row = self._row(name, members, split)
                if row["n"]:
                    rows.append(row)
        return rows

    def _row(self, name: str, members: Sequence[str], split: str) -> dict[str, Any]:
        asked = [
            question_id
            for question_id, record in self._questions.items()
            if record["split"] == split and all((question_id, member) in self._scores for member in members)
        ]
        row: dict[str, Any] = {"name": name, "split": split, "models": list(members)}
        row |= {"seeds": [split_name(member)[1] for member in members], "n": len(asked)}
        row |= {"papers": len(set(self._papers(asked))), "ci95": {}, "each": {}, "spread": {}}
        for metric in self.metrics:
            means = self.values(members, split, metric)
            row[metric] = sum(means.values()) / len(means) if means else None
            if means:
                row["ci95"][metric] = [*mean_interval(self.metrics[metric], [*means.values()], self._papers(means))]
                each = [self.values([member], split, metric) for member in members]
                row["each"][metric] = [sum(values.values()) / len(values) for values in each]
                row["spread"][metric] = plain.stdev(row["each"][metric]) if len(members) > 1 else None
        return row

    def compare(self, first: str, second: str, split: str, metric: str) -> dict[str, Any] | None:
        """`first` minus `second` on the questions that both have; None where there are none."""
        first_values, second_values = (self.values(self.find(name), split, metric) for name in (first, second))
        both = [question_id for question_id in first_values if question_id in second_values]
        if not both:
            return None
        a, b, papers = [first_values[key] for key in both], [second_values[key] for key in both], self._papers(both)
        difference = paired_difference(b, a, papers)
        return {
            "name": first,
            "than": second,
            "split": split,
            "metric": metric,
            "n": difference.n,
            "papers": len(set(papers)),
            "models": [len(self.find(first)), len(self.find(second))],
            "value": sum(a) / len(a),
            "than_value": sum(b) / len(b),
            "mean": difference.mean,
            "ci95": [difference.low, difference.high],
            "excludes_zero": difference.excludes_zero,
            "p": paired_p(b, a, papers),
        }

    def comparisons(self, pairs: Iterable[Sequence[str]]) -> list[dict[str, Any]]:
        """Every pair on both splits by every metric that both have; Holm over the pairs of one metric and split."""
        rows = [
            row
            for first, second in pairs
            for split in SPLITS
            for metric in self.metrics
            if (row := self.compare(first, second, split, metric)) is not None
        ]
        add_corrected(rows)
        return rows


GOALS: dict[str, tuple[str, ...]] = {
    "difference": ("better", "than", "metric", "at_least"),
    "spearman": ("spearman", "at_least"),
    "retention": ("retention", "at_least"),
    "perplexity": ("perplexity", "at_most"),
}
"""Kinds of goals and the fields that each must have: a gain, a score's rank correlation with the truth, what an arm has
to keep of the starting model, and how many times the starting model's perplexity it may have."""


def goal_rows(
    goals: Iterable[Mapping[str, Any]],
    grouped: Groups,
    agreement: Sequence[Mapping[str, Any]],
    frontier: Mapping[str, Any] | None = None,
) -> list[dict[str, Any]]:
    """Each goal with what was measured: `value`, `ci95`, `n`, `state` (met, missed, not measured) and why it was not.

    A goal is met or missed by its value; `certain` says whether the whole interval lies on that side.

    Args:
        goals: as in cells.json.
        grouped: the groups.
        agreement: of scores with the truth.
        frontier: of report.json, with what every arm kept.

    Raises:
        BadInput: a goal of another form, or about an unknown metric.
    """
    rows = []
    for goal in goals:
        kind = next((name for name, fields in GOALS.items() if set(fields) <= set(goal)), None)
        if kind is None:
            forms = ", or ".join(f"text, {', '.join(fields)}" for fields in GOALS.values())
            raise BadInput(f"goals: {dict(goal)}: expected {forms}")
        measured = goal.get("metric", goal.get("spearman")) if kind in ("difference", "spearman") else None
        if measured is not None and measured not in grouped.metrics:
            raise BadInput(f"goals: {measured!r} is not one of {', '.join(grouped.metrics)}")
        row: dict[str, Any] = {
            "text": str(goal.get("text") or _words(goal, kind)),
            "kind": kind,
            **{key: goal.get(key) for key in ("better", "than", "metric", "spearman")},
            "at_least": float(goal["at_least"]) if "at_least" in goal else None,
            **{key: goal[key] for key in ("retention", "perplexity", "at_most") if key in goal},
            "value": None,
            "ci95": None,
            "n": None,
            "truth": None,
            "why": None,
        }
        if kind == "difference":
            row |= _difference(goal, grouped)
        else:
            row |= _spearman(goal, agreement) if kind == "spearman" else _kept(goal, kind, frontier)
        rows.append(row | _verdict(row))
    return rows


def _words(goal: Mapping[str, Any], kind: str) -> str:
    return {
        "spearman": "Spearman of {spearman} at least {at_least}",
        "retention": "{retention} keeps at least {at_least} of what the base knows",
        "perplexity": "{perplexity} has at most {at_most} times the base's perplexity",
        "difference": "{better} at least {at_least} above {than} by {metric}",
    }[kind].format(**goal)


def _kept(goal: Mapping[str, Any], kind: str, frontier: Mapping[str, Any] | None) -> dict[str, Any]:
    name = goal[kind]
    arm = next((arm for arm in (frontier or {"arms": ()})["arms"] if name in (arm["name"], *arm["models"])), None)
    if arm is None:
        return {"why": f"no gain and retention of {name}"}
    if kind == "perplexity":
        known = arm["perplexity_ratio"] is not None
        return {"value": arm["perplexity_ratio"]} if known else {"why": f"no perplexity of {name} and the base"}
    if not arm["enough"]:
        right = (
            "no answers to general questions" if arm["of"] is None else f"only {arm['of']} right answers of the base"
        )
        return {"why": f"{right} to measure it on"}
    return {"value": arm["retention"], "ci95": arm["retention_ci95"], "n": arm["of"]}


def _difference(goal: Mapping[str, Any], grouped: Groups) -> dict[str, Any]:
    for name in (goal["better"], goal["than"]):
        if not grouped.find(name):
            return {"why": f"no answers of {name}"}
    row = grouped.compare(goal["better"], goal["than"], goal.get("split", "test"), goal["metric"])
    if row is None:
        return {"why": f"no {goal['metric']} of both on the same questions"}
    return {"value": row["mean"], "ci95": row["ci95"], "n": row["n"]}


def _spearman(goal: Mapping[str, Any], agreement: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    rows = [row for row in agreement if row["score"] == goal["spearman"]]
    row = next((row for truth in ("exact_match", "people") for row in rows if row["truth"] == truth), None)
    if row is None or row["spearman"]["value"] is None:
        return {"why": "fewer than three models with this score and the truth" if row else "no such score or no truth"}
    entry = row["spearman"]
    bounds = [entry["low"], entry["high"]] if entry["low"] is not None else None
    return {"value": entry["value"], "ci95": bounds, "n": row["models"], "truth": row["truth"]}


def _verdict(row: Mapping[str, Any]) -> dict[str, Any]:
    if row["value"] is None:
        return {"state": "not measured", "certain": None}
    sign, goal = (-1, row["at_most"]) if row["kind"] == "perplexity" else (1, row["at_least"])
    value, goal, bounds = sign * row["value"], sign * goal, row["ci95"]
    met = value >= goal - 1e-12
    certain = None if bounds is None else bounds[0] >= goal - 1e-12 if met else bounds[1] < goal
    return {"state": "met" if met else "missed", "certain": certain}


def chosen_pair(
    goals: Iterable[Mapping[str, Any]], compare: Sequence[Sequence[str]], grouped: Groups, base: str
) -> tuple[str, str]:
    """What the headline compares, by what was fixed before the run: the first goal over the base that names a group,
    else the first comparison's first, else the last group."""
    for goal in goals:
        if goal.get("than") == base and grouped.find(str(goal.get("better"))):
            return str(goal["better"]), base
    for first, _ in compare:
        if first != base and grouped.find(first):
            return first, base
    return [*grouped.members][-1], base


def headline(pair: Sequence[str], grouped: Groups) -> dict[str, Any] | None:
    """The one number, on held-out questions by the first of `HEADLINES` that was run; as build.headline has it."""
    for metric in HEADLINES:
        row = grouped.compare(pair[0], pair[1], "test", metric) if pair[0] != pair[1] else None
        if row is not None:
            return {**row, "base": row["than"], "base_value": row["than_value"]}
    return None
