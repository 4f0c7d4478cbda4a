"""The combined score: how likely people would call an answer right, from what the other scores say.

A logistic model (scikit-learn's LogisticRegression) over a few features between 0 and 1, each with a coefficient that
one can read. The shipped coefficients were fitted on answers about the project's own fictional papers, right and wrong
by construction (tools/bench/evaluation.py), without BERTScore and judge, so that they hold whatever encoder is used.
With ratings of one's own (`kcpt score calibrate=ratings.jsonl`) it is fitted anew, with whatever scores are there.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.facts import FactCheck, Source
from nemo_kcpt.files import read_json
from nemo_kcpt.text.notation import as_in
from nemo_kcpt.text.plain import plain

FEATURES: dict[str, str] = {
    "fact_recall": "share of the reference's facts that the answer states; without facts its term recall",
    "contradicted": "share of the answer's facts that the reference contradicts",
    "unknown": "share of the answer's facts that neither reference nor paper has",
    "term_recall": "share of the reference's words and character n-grams that the answer has",
    "term_precision": "share of the answer's words and character n-grams that reference or paper has",
    "negated": "1 if the answer negates what the reference affirms, or the other way round",
}
"""Features that need no model, and what they are. Those of the question are left out of terms and facts."""
OPTIONAL: dict[str, str] = {
    "bertscore_sent": "BERTScore F against the reference",
    "bertscore_doc": "BERTScore F against the paper",
    "judge": "the LLM judge's verdict",
}
"""Scores that join a calibration where they are there."""
LEAST = 20
"""Labelled answers that a calibration needs, and of each label a quarter of them."""
SHIPPED = Path(__file__).with_name("combined.json")

_SENTENCES = re.compile(r"(?<=[。．!?！？\n])|(?<=\.)\s")
_NEGATION = re.compile(
    r"(?:ない|なかった|なく|ません|ませんでした|ぬ|ず)(?:です|でした|と[考思]え.{0,6}|という.{0,6}|。|．|\s|$)"
    r"|\b(?:not|never|neither|nor|cannot|no longer)\b|n['’]t\b"
    r"|(?:誤り|間違い|事実と異なり|事実ではあり)(?:です|ます|ません|である|。|$)",
    re.I,
)


def terms(text: str) -> set[str]:
    """Words, numbers and the 2- and 3-grams of Japanese characters."""
    from nemo_kcpt.packing.passages import terms as passage_terms

    return {term for term in passage_terms(plain(text)[0]) if len(term) > 1 or term.isdigit()}


@lru_cache(maxsize=2048)
def _cached_terms(text: str) -> frozenset[str]:
    return frozenset(terms(text))


def negates(text: str, about: str = "") -> bool:
    """Whether a text negates: the sentence that has most of `about`'s terms, the first of equals."""
    sentences = [sentence.strip() for sentence in _SENTENCES.split(text) if sentence.strip()]
    wanted = _cached_terms(about)
    if wanted and len(sentences) > 1:
        shared = [len(wanted & terms(sentence)) for sentence in sentences]
        sentences = [sentences[shared.index(max(shared))]]
    return any(_NEGATION.search(sentence) for sentence in sentences)


def features(
    question: str, answer: str, reference: str, checked: FactCheck, paper: Source | None = None
) -> dict[str, float]:
    """The features of an answer, by the names of `FEATURES`, each between 0 and 1."""
    asked, wanted = _cached_terms(question), _cached_terms(reference)
    stated = terms(as_in(reference, answer))
    said = stated - asked
    right = (wanted - asked) or wanted
    known = wanted | (_cached_terms(paper.text) if paper is not None else frozenset())
    term_recall = len(right & stated) / len(right) if right else 0.0
    recall = checked.recall
    return {
        "fact_recall": term_recall if recall is None else recall,
        "contradicted": checked.share("contradicted"),
        "unknown": checked.share("unknown"),
        "term_recall": term_recall,
        "term_precision": len(said & known) / len(said) if said else 1.0 if answer.strip() else 0.0,
        "negated": float(negates(answer, reference) != negates(reference)),
    }


@dataclass(frozen=True, kw_only=True)
class Combined:
    """A fitted model."""

    intercept: float
    coefficients: dict[str, float]
    """By feature."""
    means: dict[str, float]
    """What stands for a feature that is missing."""
    origin: str
    """What it was fitted on."""
    n: int
    """Labelled answers."""

    def score(self, values: Mapping[str, float | None]) -> float:
        """Probability, 0 to 1, that the answer is right."""
        total = self.intercept
        for name, coefficient in self.coefficients.items():
            value = values.get(name)
            total += coefficient * (self.means[name] if value is None else value)
        return 1 / (1 + math.exp(-max(-60.0, min(60.0, total))))

    def to_dict(self) -> dict[str, Any]:
        """JSON-ready."""
        return {
            "origin": self.origin,
            "n": self.n,
            "intercept": self.intercept,
            "coefficients": self.coefficients,
            "means": self.means,
        }

    def table(self) -> list[str]:
        """Lines that show the coefficients."""
        explained = {**FEATURES, **OPTIONAL}
        lines = [f"combined score, fitted on {self.n} answers ({self.origin}):"]
        lines += [
            f"  {value:+7.2f}  {name:15s} {explained[name]}"
            for name, value in [("intercept", self.intercept), *self.coefficients.items()]
            if name != "intercept"
        ]
        return [*lines, f"  {self.intercept:+7.2f}  intercept"]


def fit(rows: Sequence[Mapping[str, float | None]], labels: Sequence[int], origin: str) -> Combined:
    """Fit the model to labelled answers.

    Args:
        rows: features of each answer; those of `OPTIONAL` are used where at least half of the answers have them.
        labels: 1 right, 0 wrong.
        origin: what the answers are, for the record.

    Raises:
        BadInput: too few answers, or too few of one label.
    """
    import numpy as np
    from sklearn.linear_model import LogisticRegression

    right = sum(labels)
    if len(labels) < LEAST or min(right, len(labels) - right) < LEAST // 4:
        raise BadInput(
            f"{origin}: {len(labels)} rated answers, {right} right; a calibration needs at least {LEAST}, and "
            f"{LEAST // 4} each of right and wrong ones"
        )
    names = list(FEATURES)
    names += [name for name in OPTIONAL if 2 * sum(row.get(name) is not None for row in rows) >= len(rows)]
    means = {
        name: float(np.mean([value for row in rows if (value := row.get(name)) is not None] or [0.0])) for name in names
    }
    table = np.array(
        [[means[name] if row.get(name) is None else row[name] for name in names] for row in rows], dtype=float
    )
    model = LogisticRegression(C=1.0, max_iter=2000).fit(table, np.array(labels))
    coefficients = {name: round(float(value), 4) for name, value in zip(names, model.coef_[0])}
    return Combined(
        intercept=round(float(model.intercept_[0]), 4),
        coefficients=coefficients,
        means={name: round(value, 4) for name, value in means.items()},
        origin=origin,
        n=len(labels),
    )


def fold_scores(
    rows: Sequence[Mapping[str, float | None]], labels: Sequence[int], groups: Sequence[str], folds: int = 5
) -> list[float] | None:
    """Each answer's score by a model that was fitted without any answer of its group (its paper).

    So that labelled answers can be used for fitting and still for finding out what the score is worth. None where there
    are too few answers or groups for that.
    """
    from sklearn.model_selection import GroupKFold

    if len(set(groups)) < folds:
        return None
    scores = [0.0] * len(rows)
    for fitted, left_out in GroupKFold(folds).split(rows, labels, groups):
        try:
            model = fit([rows[index] for index in fitted], [labels[index] for index in fitted], "a fold")
        except BadInput:
            return None
        for index in left_out:
            scores[index] = model.score(rows[index])
    return scores


def read_combined(path: Path = SHIPPED) -> Combined:
    """The model in a file.

    Raises:
        BadInput: it is none.
    """
    content = read_json(path)
    try:
        model = Combined(**content)
        known = {**FEATURES, **OPTIONAL}
        if not all(name in known and name in model.means for name in model.coefficients):
            raise ValueError("it has features that this version does not know")
        model.score(dict.fromkeys(model.coefficients, 0.5))
    except (TypeError, ValueError, AttributeError) as error:
        raise BadInput(f"{path}: not a combined score's model ({error}); kcpt score calibrate=… writes one") from None
    return model
