"""How a report writes numbers, intervals and the names of metrics."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from nemo_kcpt.pages import count
from nemo_kcpt.stats.statistics import ALPHA

METRIC_NAMES = {
    "exact_match": "Exact match",
    "combined": "Combined",
    "judge": "Judge",
    "bertscore_sent": "BERTScore Sent",
    "bertscore_doc": "BERTScore Doc",
    "fact_precision": "Fact precision",
    "fact_recall": "Fact recall",
}
SPLIT_NAMES = {"test": "held-out", "train": "train"}
TRUTH_NAMES = {"exact_match": "exact match (oracle)", "people": "people"}
GOAL_MARKS = {"met": "✓", "missed": "✗", "not measured": "–"}
DIFFERENCE_NOTE = (
    "Question by question, the same bootstrap over papers. p is of a paired permutation test over papers, with Holm’s "
    f"correction for the comparisons by one metric. Clear: the interval excludes 0 and that p is below {ALPHA}. "
    "Interval only: the interval excludes 0, and so few papers can give no p below that, whatever the answers."
)
SHARES = ("exact_match", "combined", "judge", "fact_precision", "fact_recall")
INTERVAL_NOTE = (
    "95 % intervals from a bootstrap over papers: all questions on a paper are drawn together, since they are answered "
    "right or wrong together. For shares of one question a paper, and where all answers are right or none is, Wilson's "
    "interval with one trial for each paper."
)


def number(value: float | None, metric: str = "") -> str:
    """A metric's value for reading: shares in percent, others with three decimals, – for none."""
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" if metric in SHARES else f"{value:.3f}"


def interval(bounds: list[float] | None, metric: str = "") -> str:
    """An interval for reading, such as 61.0 to 75.2."""
    if not bounds:
        return ""
    scale, digits = (100, 1) if metric in SHARES else (1, 3)
    return " to ".join(f"{scale * bound:.{digits}f}".replace("-", "−") for bound in bounds)


def signed(value: float, metric: str = "") -> str:
    """A difference with its sign, shares in points."""
    text = f"{100 * value:+.1f} points" if metric in SHARES else f"{value:+.3f}"
    return text.replace("-", "−") if value else text[1:]


def estimate(entry: Mapping[str, float | None]) -> str:
    """A measure with its interval, such as 0.85 (0.81 to 0.92); – where it is not defined."""
    if entry["value"] is None:
        return "–"
    bounds = f" ({entry['low']:.2f} to {entry['high']:.2f})" if entry["low"] is not None else ""
    return f"{entry['value']:.2f}{bounds}".replace("-0.00", "0.00").replace("-", "−")


def probability(value: float) -> str:
    """A p value for reading."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def clear(row: Mapping[str, Any]) -> str:
    """Whether a comparison shows a difference: yes, no, or interval only, where its test could not show any."""
    if not row["excludes_zero"]:
        return "no"
    if row["p_holm"] < ALPHA:
        return "yes"
    return "interval only" if row["p_holm_least"] >= ALPHA else "no"


def duration(seconds: float | None) -> str:
    """Seconds for reading: 12 s, 3 min 05 s."""
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest:02d} s" if minutes else f"{seconds:.0f} s"


def compact(value: float | None) -> str:
    """A large number for reading: 812 k, 3.60 M, 1.05 G."""
    for size, unit in ((1e9, " G"), (1e6, " M"), (1e4, " k")):
        if value is not None and value >= size:
            return f"{value / size * (10 if unit == ' k' else 1):.{0 if unit == ' k' else 2}f}{unit}"
    return count(value)


def hours(value: float | None) -> str:
    """Device-hours for reading."""
    return (
        "–" if value is None else f"{value:,.1f}" if value >= 10 else f"{value:.3f}" if value < 0.1 else f"{value:.2f}"
    )


def reached(goal: Mapping[str, Any]) -> str:
    """What a goal's measurement says: value and interval, or why there is none."""
    if goal["value"] is None:
        return str(goal["why"])
    if goal["kind"] == "spearman":
        low, high = goal["ci95"] or (None, None)
        return "ρ = " + estimate({"value": goal["value"], "low": low, "high": high})
    return f"{signed(goal['value'], goal['metric'])} ({interval(goal['ci95'], goal['metric'])})"


def wanted(goal: Mapping[str, Any]) -> str:
    """The least that a goal asks for."""
    return f"{goal['at_least']:.2f}" if goal["kind"] == "spearman" else signed(goal["at_least"], goal["metric"])


def pieces(answer: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """An answer cut at its marks: (text, "right" | "wrong" | "")."""
    text, place = answer["answer"], 0
    for start, end, right in answer["marks"]:
        if start > place:
            yield text[place:start], ""
        yield text[start:end], "right" if right else "wrong"
        place = end
    if place < len(text):
        yield text[place:], ""
