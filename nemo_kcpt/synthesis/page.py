"""The run's page: what each kind made, kept, lost and cost, as a table and a plot, with samples to read."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.files import atomic_write, write_json
from nemo_kcpt.llm.journal import Row
from nemo_kcpt.llm.request import is_shortened
from nemo_kcpt.pages import environment, plots
from nemo_kcpt.pages.numbers import count, share
from nemo_kcpt.synthesis.filters import FILTERS

KEPT_SAMPLES, REJECTED_SAMPLES = 3, 3
MEASURED = 2000
"""Outputs of a kind whose lengths are kept for the quantiles; the rest are a sample's share of them."""
QUANTILES = (5, 50, 95)
FILES = ("synthesis.json", "synthesis.html", "synthesis.md")


class _Sample:
    """A uniform sample of what passes by (reservoir; Vitter 1985, algorithm R), the same for the same run."""

    def __init__(self, size: int, seed: str) -> None:
        self.items: list[Any] = []
        self._size = size
        self._seen = 0
        self._random = random.Random(seed)

    def add(self, item: Any) -> None:
        self._seen += 1
        if len(self.items) < self._size:
            self.items.append(item)
        elif (index := self._random.randrange(self._seen)) < self._size:
            self.items[index] = item


@dataclass
class _Kind:
    kind: str
    calls: int = 0
    failed: int = 0
    made: int = 0
    kept: int = 0
    rejected: Counter[str] = field(default_factory=Counter)
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0

    def __post_init__(self) -> None:
        self.lengths = _Sample(MEASURED, f"{self.kind} lengths")
        self.good = _Sample(KEPT_SAMPLES, f"{self.kind} kept")
        self.bad = _Sample(REJECTED_SAMPLES, f"{self.kind} rejected")


class Report:
    """Gathers the page's numbers in one pass, in memory that does not grow with the run."""

    def __init__(self, kinds: Sequence[str], tokens: Callable[[str], int], max_tokens: Any = None) -> None:
        """
        Args:
            kinds: in the order of the page.
            tokens: how many tokens a text has.
            max_tokens: that a reply was allowed, if that is known.
        """
        self._kinds = {kind: _Kind(kind) for kind in kinds}
        self._faults: Counter[str] = Counter()
        self._repaired: Counter[str] = Counter()
        self._served: Counter[str] = Counter()
        self._max_tokens = max_tokens
        self._shortened = 0
        self._tokens = tokens

    def pair(self, kind: str, pair: Mapping[str, str], reason: str) -> None:
        """A pair that was made; `reason` is the filter that rejected it, "" if none did."""
        entry = self._kinds[kind]
        entry.made += 1
        sample = {name: _cut(pair[name]) for name in ("instruction", "output")}
        if reason:
            entry.rejected[reason] += 1
            entry.bad.add({**sample, "filter": reason})
        else:
            entry.kept += 1
            entry.lengths.add(pair["output"])
            entry.good.add(sample)

    def call(self, row: Row) -> None:
        """An answered or failed call with its tokens and cost."""
        entry = self._kinds[row.kind]
        entry.calls += 1
        entry.prompt_tokens += row.prompt_tokens
        entry.cached_tokens += row.cached_tokens
        entry.completion_tokens += row.completion_tokens
        entry.cost += row.cost
        self._served[row.served] += bool(row.served)
        self._shortened += is_shortened(row.finish_reason, row.completion_tokens, self._max_tokens)

    def repaired(self, how: Sequence[str]) -> None:
        """What a reply was repaired by."""
        self._repaired.update(how)

    def failure(self, kind: str, name: str) -> None:
        """A call without a readable answer."""
        self._kinds[kind].failed += 1
        self._faults[name] += 1

    def content(self, model: str, length_unit: str) -> dict[str, Any]:
        """What is in synthesis.json."""
        rows = []
        for entry in self._kinds.values():
            lengths = sorted(self._tokens(text) for text in entry.lengths.items)
            numbers = ("kind", "calls", "failed", "made", "kept", "prompt_tokens", "cached_tokens", "completion_tokens")
            row = {key: getattr(entry, key) for key in numbers}
            row["rejected"] = {key: entry.rejected[key] for key in FILTERS if entry.rejected[key]}
            row["cost"] = round(entry.cost, 6)
            row["length"] = {
                f"p{q}": lengths[min(len(lengths) * q // 100, len(lengths) - 1)] for q in QUANTILES if lengths
            }
            row["samples"], row["rejected_samples"] = entry.good.items, entry.bad.items
            rows.append(row)
        summed = ("calls", "failed", "made", "kept", "prompt_tokens", "cached_tokens", "completion_tokens", "cost")
        totals = {key: round(sum(row[key] for row in rows), 6) for key in summed}
        rejected = Counter({key: sum(row["rejected"].get(key, 0) for row in rows) for key in FILTERS})
        return {
            "model": model,
            "length_unit": length_unit,
            "totals": totals,
            "kinds": rows,
            "rejected": {key: rejected[key] for key in FILTERS if rejected[key]},
            "faults": dict(sorted(self._faults.items())),
            "repaired": dict(sorted(self._repaired.items())),
            "served_models": {name: number for name, number in sorted(self._served.items()) if number},
            "shortened": self._shortened,
            "filters": FILTERS,
        }


def _cut(text: str, most: int = 400) -> str:
    return text if len(text) <= most else f"{text[: most - 1]}…"


def write_page(out: Path, content: Mapping[str, Any]) -> list[Path]:
    """Write synthesis.json, and from it synthesis.html and synthesis.md; returns the three."""
    paths = [out / name for name in FILES]
    write_json(paths[0], content)
    for path, text in zip(paths[1:], (render(content), render_markdown(content))):
        with atomic_write(path) as stream:
            stream.write(text)
    return paths


def render(content: Mapping[str, Any]) -> str:
    """The page: one HTML document that needs nothing else."""
    from markupsafe import Markup

    page = _environment(markdown=False).get_template("page.html.j2")
    return str(page.render(content=json.loads(json.dumps(content)), plot=Markup(_plot(content["kinds"]))))


def render_markdown(content: Mapping[str, Any]) -> str:
    """The same as Markdown, without the plot and the samples."""
    return str(_environment(markdown=True).get_template("page.md.j2").render(content=content))


def _environment(*, markdown: bool) -> Any:
    env = environment(Path(__file__).parent, markdown=markdown)
    env.filters |= {"count": count}
    env.globals |= {"share": share}
    return env


def _plot(rows: Sequence[Mapping[str, Any]]) -> str:
    """Pairs kept and rejected by kind, as bars."""
    name = "pairs by kind"
    (axis,) = plots.panels(name, 8.9, 0.6 + 0.26 * len(rows))
    kinds = [row["kind"] for row in rows]
    base = [0] * len(rows)
    reasons = [reason for reason in FILTERS if any(row["rejected"].get(reason) for row in rows)]
    series = [("kept", [row["kept"] for row in rows], plots.COLOURS[1])]
    warm = (*plots.COLOURS[2:], *plots.COLOURS[2:])
    series += [(reason, [row["rejected"].get(reason, 0) for row in rows], warm[i]) for i, reason in enumerate(reasons)]
    for label, lengths, colour in series:
        axis.barh(kinds, lengths, left=base, color=colour, label=label, height=0.7)
        base = [start + length for start, length in zip(base, lengths)]
    axis.invert_yaxis()
    axis.grid(axis="y", visible=False)
    axis.tick_params(length=0)
    axis.set_xlabel("pairs")
    axis.legend(frameon=False, handlelength=1, loc="lower left", bbox_to_anchor=(0, 1), ncols=6, borderaxespad=0.2)
    return plots.svg(axis.figure, name)
