"""How a report writes numbers, intervals and the names of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nemo_kcpt.pages import numbers
from nemo_kcpt.records.metrics import METRICS, Metric
from nemo_kcpt.stats.statistics import ALPHA

SPLIT_NAMES = {"test": "held-out", "train": "train"}
TRUTH_NAMES = {"exact_match": "exact match (oracle)", "people": "people"}
GOAL_MARKS = {"met": "✓", "missed": "✗", "not measured": "–"}
DIFFERENCE_NOTE = (
    "Question by question, the same bootstrap over papers. p is of a paired permutation test over papers, with Holm’s "
    f"correction for the comparisons by one metric. Clear: the interval excludes 0 and that p is below {ALPHA}. "
    "Interval only: the interval excludes 0, and so few papers can give no p below that, whatever the answers."
)
INTERVAL_NOTE = (
    "95 % intervals from a bootstrap over papers: all questions on a paper are drawn together, since they are answered "
    "right or wrong together. For shares of one question a paper, and where all answers are right or none is, Wilson's "
    "interval with one trial for each paper."
)


class Labels(dict[str, str]):
    """Name of a metric -> its label; a metric that nobody described is called by its name."""

    def __missing__(self, name: str) -> str:
        return name


class Metrics:
    """The metrics of a report, ours and its scorers', and how their values are written."""

    def __init__(self, report: Mapping[str, Any] | None = None) -> None:
        """
        Args:
            report: contents of report.json; without it only our metrics are known.
        """
        self.all = all_metrics((report or {}).get("scorers") or {})
        self.labels = Labels({name: metric.label for name, metric in self.all.items()})
        """What a metric is called, in the order in which metrics are shown."""
        self.shares = tuple(name for name, metric in self.all.items() if metric.share)

    def run(self, report: Mapping[str, Any]) -> list[str]:
        """Those that some model of the report has."""
        return [name for name in self.all if any(row.get(name) is not None for row in report["models"])]

    def number(self, value: float | None, metric: str = "") -> str:
        """A metric's value for reading: shares in percent, others with three decimals, – for none."""
        if value is None:
            return "–"
        return numbers.percent(value) if metric in self.shares else f"{value:.3f}"

    def interval(self, bounds: list[float] | None, metric: str = "") -> str:
        """An interval for reading, such as 61.0 to 75.2."""
        if not bounds:
            return ""
        scale, digits = (100, 1) if metric in self.shares else (1, 3)
        return " to ".join(f"{scale * bound:.{digits}f}".replace("-", "−") for bound in bounds)

    def signed(self, value: float, metric: str = "") -> str:
        """A difference with its sign, shares in points."""
        text = f"{100 * value:+.1f} points" if metric in self.shares else f"{value:+.3f}"
        return text.replace("-", "−") if value else text[1:]

    def reached(self, goal: Mapping[str, Any]) -> str:
        """What a goal's measurement says: value and interval, or why there is none."""
        if goal["value"] is None:
            return str(goal["why"])
        if goal["kind"] == "spearman":
            low, high = goal["ci95"] or (None, None)
            return "ρ = " + estimate({"value": goal["value"], "low": low, "high": high})
        if goal["kind"] == "retention":
            return f"{self.number(goal['value'], 'exact_match')} ({self.interval(goal['ci95'], 'exact_match')})"
        if goal["kind"] == "perplexity":
            return f"{goal['value']:.2f} times"
        return f"{self.signed(goal['value'], goal['metric'])} ({self.interval(goal['ci95'], goal['metric'])})"

    def wanted(self, goal: Mapping[str, Any]) -> str:
        """The least that a goal asks for."""
        if goal["kind"] == "spearman":
            return f"{goal['at_least']:.2f}"
        if goal["kind"] == "retention":
            return self.number(goal["at_least"], "exact_match")
        if goal["kind"] == "perplexity":
            return f"at most {goal['at_most']:.2f}"
        return self.signed(goal["at_least"], goal["metric"])


def all_metrics(scorers: Mapping[str, Mapping[str, Any]]) -> dict[str, Metric]:
    """Our metrics, then those of scorers.json, by name."""
    added = {
        name: Metric(name, str(entry["label"]), share=bool(entry["share"]), verdict=bool(entry["share"]))
        for name, entry in scorers.items()
    }
    return METRICS | added


def estimate(entry: Mapping[str, float | None]) -> str:
    """A measure with its interval, with the signs of a printed page."""
    return numbers.estimate(entry).replace("-0.00", "0.00").replace("-", "−")


def instructions_kept(arm: Mapping[str, Any]) -> str:
    """The share of the base's instructions that an arm still follows; the counts where they are too few for a share."""
    if arm["instructions"] is not None:
        return numbers.percent(arm["instructions"])
    return (
        f"{numbers.count(arm['instructions_kept'])} of {arm['instructions_of']}" if arm.get("instructions_of") else "–"
    )


def clear(row: Mapping[str, Any]) -> str:
    """Whether a comparison shows a difference: yes, no, or interval only, where its test could not show any."""
    if not row["excludes_zero"]:
        return "no"
    if row["p_holm"] < ALPHA:
        return "yes"
    return "interval only" if row["p_holm_least"] >= ALPHA else "no"


def pieces(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An answer cut at its marks: (text, "right" | "wrong" | "")."""
    text, position = answer["answer"], 0
    for start, end, right in answer["marks"]:
        if start > position:
            yield text[position:start], ""
        yield text[start:end], "right" if right else "wrong"
        position = end
    if position < len(text):
        yield text[position:], ""
