"""Knowledge beside retention: what each arm gained on held-out questions, and what it kept of the starting model.

No headline shows one without the other. Where retention was not measured, it says so and how to measure it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.retention import retention_row
from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.records.files import DIVERGENCE, Key
from nemo_kcpt.records.inputs import read_questions
from nemo_kcpt.report import inputs as read
from nemo_kcpt.report.groups import Groups, groups_of, split_name
from nemo_kcpt.stats.retention import LEAST

Report = Mapping[str, Any]

SOURCES = ("retention", "general")
"""Keys of kcpt report with the questions that retention is measured on; the first that is given counts."""
LATER_FIELDS = ("retention", "divergence", "frontier")
"""Fields of report.json that reports of an earlier version do not have."""


def complete(report: Report) -> dict[str, Any]:
    """A report.json of an earlier version with the fields that it lacks, empty."""
    return dict.fromkeys(LATER_FIELDS) | dict(report)


def section(given: Mapping[str, tuple[Path | None, Any, Any]], base: str) -> dict[str, Any] | None:
    """What each model, and the seeds of each training together, kept of what the base could.

    Args:
        given: for each of `SOURCES` the questions' folder and the keys of answers and scores.
        base: name of the starting model.

    Returns:
        None where nothing is given, else `source`, `base`, `least`, numbers of `questions` and `instructions`, and rows
        of `retention_row` for `models` and `groups`.

    Raises:
        BadInput: some of the three keys are given, and not all; or the base has not answered.
    """
    for source in SOURCES:
        folder, answers, scores = given[source]
        keys = [folder, answers, scores]
        if not any(keys):
            continue
        if folder is None or not all(keys):
            raise BadInput(f"{source}=, {source}_answers= and {source}_scores= belong together; give all three")
        questions = read_questions(folder)
        joined = read.join_scores(scores, read.join_answers(answers, questions))
        names = list(dict.fromkeys(model for _, model in joined))
        if base not in names:
            raise BadInput(f"{source}_scores: no answers of '{base}' (found: {', '.join(names)}); name it with base=")
        instructions = sum(bool(question.get("checks")) for question in questions.values())
        return {
            "source": source,
            "base": base,
            "least": LEAST,
            "questions": sum(bool(question.get("accepted")) for question in questions.values()),
            "instructions": instructions,
            "models": [retention_row(name, [name], base, questions, joined) for name in names],
            "groups": [
                retention_row(name, members, base, questions, joined) for name, members in groups_of(names).items()
            ],
        }
    return None


def join_divergence(given: Any) -> dict[str, Any] | None:
    """Contents of divergence.json of one folder or of several, each with other models; None for none.

    Raises:
        BadInput: a model is in two folders, or their bases have different names.
    """
    from nemo_kcpt.evaluation.scoring.divergence_stage import measure

    joined: dict[Key, dict[str, Any]] = {}
    bases: dict[str, Path] = {}
    for folder in read.paths(given):
        path = DIVERGENCE.path(folder)
        bases[str((read.read_object(path.with_suffix(".json")) or {}).get("base"))] = path
        for _, key, record in DIVERGENCE.keyed(path):
            if key in joined:
                raise BadInput(f"{path}: '{key[1]}' and answer '{key[0]}' are in another folder, too; give each once")
            joined[key] = record
    if len(bases) > 1:
        raise BadInput(f"divergence: two starting models, {' and '.join(bases)}; compare all with one")
    return {"base": next(iter(bases)), "models": measure([*joined.values()])} if joined else None


def _mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None


def _perplexity_ratio(report: Report, members: Sequence[str], base: str) -> float | None:
    """Perplexity over the base's; of several seeds the geometric mean."""
    perplexities = {row["model"]: row["perplexity"] for row in (report["perplexity"] or {"models": ()})["models"]}
    known = [math.log(perplexities[name]) for name in members if name in perplexities]
    if base not in perplexities or len(known) < len(members):
        return None
    mean = _mean(known)
    return None if mean is None else math.exp(mean - math.log(perplexities[base]))


def frontier(report: Report, grouped: Groups, metric: str | None) -> dict[str, Any] | None:
    """Gain against retention of every arm, the seeds of a training together.

    Args:
        report: contents of report.json so far, with perplexity, retention and divergence.
        grouped: the groups.
        metric: in which the gain is given; None: there is none to give.

    Returns:
        `metric`, `base`, and for each arm `name`, `models`, `gain` and `gain_ci95` (held-out, paired over the base),
        `retention`, `retention_ci95`, `kept`, `of`, `enough` (None each where it was not measured),
        `instructions` (retention of those, where enough), `instructions_kept` of `instructions_of`, `perplexity_ratio`,
        `kl`, and `best`, whether no other arm is better in one of gain and retention and at least as good in the other.
    """
    if metric is None:
        return None
    base = report["base"]
    kept = {row["name"]: row for row in (report["retention"] or {"groups": ()})["groups"]}
    moved = {row["model"]: row["kl"] for row in (report["divergence"] or {"models": ()})["models"]}
    arms = []
    for name, members in grouped.members.items():
        comparison = grouped.compare(name, base, "test", metric) if name != base else None
        if comparison is None:
            continue
        row = kept.get(name) or {"knowledge": None, "instructions": None}
        part, other = row["knowledge"] or {}, row["instructions"] or {}
        arm: dict[str, Any] = {
            "name": name,
            "models": list(members),
            "gain": comparison["mean"],
            "gain_ci95": comparison["ci95"],
        }
        arm |= {"retention": part.get("retention"), "retention_ci95": part.get("ci95")}
        arm |= {key: part.get(key) for key in ("kept", "of", "enough")}
        arm["instructions"] = other.get("retention") if other.get("enough") else None
        arm |= {"instructions_kept": other.get("kept"), "instructions_of": other.get("of")}
        arm["perplexity_ratio"] = _perplexity_ratio(report, members, base)
        known = [moved[member] for member in members if member in moved]
        arm["kl"] = _mean(known) if len(known) == len(members) else None
        arms.append(arm)
    for arm in arms:
        arm["best"] = plottable(arm) and not any(_dominates(other, arm) for other in arms if plottable(other))
    return {"metric": metric, "base": base, "arms": arms} if arms else None


def plottable(arm: Mapping[str, Any]) -> bool:
    """Whether an arm has a retention that says something."""
    return bool(arm["enough"])


def _dominates(candidate: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    first, second = ((arm["gain"], arm["retention"]) for arm in (candidate, other))
    return all(a >= b for a, b in zip(first, second)) and first != second


def headline_arm(report: Report) -> Mapping[str, Any] | None:
    """The arm of the headline, where its retention says something."""
    name = (report["headline"] or {"name": ""})["name"]
    arms = (report.get("frontier") or {"arms": ()})["arms"]
    return next((arm for arm in arms if plottable(arm) and (name == arm["name"] or name in arm["models"])), None)


def _general_share(report: Report, name: str) -> str | None:
    """The share of general questions that an arm answers right, the mean over its seeds; None where none was asked."""
    rows = (report["general"] or {"models": ()})["models"]
    share = _mean([row["exact_match"] for row in rows if name in (row["name"], split_name(row["name"])[0])])
    return None if share is None else percent(share)


def beside(report: Report, name: str) -> tuple[str, str]:
    """What is beside a headline's gain: the retention of this arm, and of what it is; or that it was not measured.

    Returns:
        The number, or words in its place; and a line of explanation.
    """
    arms = (report.get("frontier") or {"arms": ()})["arms"]
    arm = next((arm for arm in arms if name == arm["name"] or name in arm["models"]), None)
    base = report["base"]
    if arm is None or arm["of"] is None:
        before, after = (_general_share(report, model) for model in (base, name))
        shares = (
            ""
            if before is None or after is None
            else f"; of the general questions {before} right before, {after} after"
        )
        return "not measured", f"retention: docs/retention.md says how{shares}"
    kept = f"{arm['kept']:.1f}".removesuffix(".0")
    if not arm["enough"]:
        reason = f"{kept} of {arm['of']} kept, too few for a share" if arm["of"] else "so there is nothing to keep"
        return "not measured", f"retention: {base} answers {arm['of'] or 'no'} general questions right; {reason}"
    low, high = (f"{100 * end:.1f}" for end in arm["retention_ci95"])
    return (
        percent(arm["retention"]),
        f"retention: of {arm['of']} general questions that {base} answers right; 95 % interval {low} to {high}",
    )
