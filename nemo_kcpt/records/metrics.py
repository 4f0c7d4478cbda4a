"""The metrics of an answer, ours and those that other packages add: name, label, and how their values are shown."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Record = Mapping[str, Any]
Score = Callable[[Record, Record, Record | None], float | None]
"""(record of questions.jsonl, record of answers.jsonl, record of papers.jsonl or None) -> value, None where it has
none."""


@dataclass(frozen=True)
class Metric:
    """A number that an answer gets, a field of scores.jsonl."""

    name: str
    label: str
    """In tables and plots."""
    share: bool = False
    """From 0 to 1, shown in percent."""
    verdict: bool = False
    """0 or 1: intervals are those of a proportion."""
    headline: bool = False
    """The headline tells the first of these that was run."""


METRICS = {
    metric.name: metric
    for metric in (
        Metric("exact_match", "Exact match", share=True, verdict=True, headline=True),
        Metric("combined", "Combined", share=True, headline=True),
        Metric("judge", "Judge", share=True, verdict=True, headline=True),
        Metric("bertscore_sent", "BERTScore Sent", headline=True),
        Metric("bertscore_doc", "BERTScore Doc"),
        Metric("fact_precision", "Fact precision", share=True),
        Metric("fact_recall", "Fact recall", share=True),
    )
}
"""Ours, in the order in which a report shows them."""
TAKEN = (
    *METRICS, "question_id", "model", "judge_reason", "instruction", "facts", "facts_wanted", "encoder", "name",
    "split", "n", "papers", "ci95", "models", "each", "seeds", "spread",
    *(f"bertscore_{side}_{part}" for side in ("sent", "doc") for part in ("precision", "recall")),
)  # fmt: skip
"""Names that a scorer cannot have: fields of scores.jsonl, and of a report's rows."""


@dataclass(frozen=True)
class Scorer:
    """A metric that another package adds, with the function that computes it."""

    metric: Metric
    score: Score

    def __call__(self, question: Record, answer: Record, paper: Record | None = None) -> float | None:
        """The value of one answer."""
        return self.score(question, answer, paper)


def scorer(label: str, *, share: bool = False) -> Callable[[Score], Scorer]:
    """Make a function a scorer of that name, for an entry point of the group `nemo_kcpt.scorers`.

    Args:
        label: of the metric, in tables and plots.
        share: its values are from 0 to 1 and shown in percent.
    """
    return lambda score: Scorer(Metric(score.__name__, label, share=share), score)
