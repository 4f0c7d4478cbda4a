"""Scores by the scorers of other packages (scorers=[NAME]): each a field of scores.jsonl, told in scorers.json."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.plugins import Plugin
from nemo_kcpt.records.inputs import Key
from nemo_kcpt.records.metrics import TAKEN, Record, Scorer

FILE = "scorers.json"
"""Beside scores.jsonl: label, share and package of each scorer, so that a report needs none of the packages."""


def chosen(names: Sequence[str]) -> list[Plugin]:
    """The packages' entry points of these names, in order.

    Raises:
        BadInput: no installed package adds one.
        KcptError: one has the name of a field of ours.
    """
    known = plugins.find(plugins.SCORERS, TAKEN)
    for name in names:
        if name not in known:
            there = nearest(name, list(known)) if known else "none does; see CONTRIBUTING.md"
            raise BadInput(f"scorers: no installed package adds a scorer '{name}'; {there}")
    return [known[name] for name in dict.fromkeys(names)]


def load(plugin: Plugin) -> Scorer:
    """The scorer that an entry point names.

    Raises:
        KcptError: it cannot be imported, is none, or its function has another name.
    """
    scorer: Scorer = plugin.load(lambda value: isinstance(value, Scorer), "a function under @scorer(label)")
    if scorer.metric.name != plugin.name:
        raise plugin.fault(f"its function is called {scorer.metric.name}; the entry point needs the same name")
    return scorer


def described(used: Sequence[Plugin]) -> dict[str, dict[str, Any]]:
    """The content of scorers.json."""
    metrics = [(load(plugin).metric, plugin.origin) for plugin in used]
    return {
        metric.name: {"label": metric.label, "share": metric.share, "package": origin} for metric, origin in metrics
    }


def scored(
    used: Sequence[Plugin],
    questions: Mapping[str, Record],
    answers: Mapping[Key, Record],
    papers: Mapping[str, Record] | None,
) -> list[dict[str, float | None]]:
    """The fields of each answer, in the order of `answers`.

    Raises:
        KcptError: a scorer fails, or gives something else than a finite number or None, or of a share one outside 0 to
            1; names package, question and model.
    """
    rows: list[dict[str, float | None]] = [{} for _ in answers]
    for plugin in used:
        scorer = load(plugin)
        for row, ((question_id, model), answer) in zip(rows, answers.items()):
            question = questions[question_id]
            paper = papers.get(question["paper_id"]) if papers is not None else None
            where = f"question '{question_id}' by {model}"
            try:
                value = scorer(question, answer, paper)
            except Exception as error:  # whatever a function of others raises
                raise plugin.fault(f"{where}: {type(error).__name__}: {error}") from error
            if value is not None and (not isinstance(value, int | float) or not math.isfinite(value)):
                raise plugin.fault(f"{where}: gave {value!r}; a finite number or None was expected")
            if value is not None and scorer.metric.share and not 0 <= value <= 1:
                raise plugin.fault(f"{where}: gave {value!r}; a share is from 0 to 1")
            row[plugin.name] = None if value is None else float(value)
    return rows
