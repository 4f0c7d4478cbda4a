"""The data sheet's page and Markdown, from the contents of datasheet.json alone.

Titles and texts are what somebody else wrote: HTML is escaped by Jinja throughout (and the page forbids scripts),
Markdown by `escape_markdown`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.pages import environment, plots
from nemo_kcpt.pages.numbers import count, share

FATE_NAMES = {
    "bad": "bad: could not be used",
    "filtered": "filtered out by the keys below",
    "duplicate": "the same text as an earlier one",
    "near duplicate": "nearly the same as a longer one",
}
QUANTILE_NAMES = {
    "min": "least",
    "p5": "5 %",
    "p25": "25 %",
    "p50": "median",
    "p75": "75 %",
    "p95": "95 %",
    "max": "greatest",
    "mean": "mean",
}
NOT_SHAPING = ("content",)
"""What in the config no key of the command sets."""


def width(part: float, whole: float) -> str:
    """A bar's width in percent, for CSS."""
    return f"{100 * part / whole if whole else 0:.2f}%"


def keys_as_yaml(config: Mapping[str, Any]) -> str:
    """The config as the YAML file that `--config` reads; JSON values are YAML values."""
    keys = {key: value for key, value in config.items() if key not in NOT_SHAPING and value is not None}
    if "+" in str(keys.get("format", "")):
        keys["format"] = "auto"  # several formats in one folder: what auto found
    return "\n".join(f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in keys.items())


def histogram(panels: Sequence[tuple[str, Mapping[str, Any]]]) -> str:
    """Papers by length on a logarithmic scale as SVG, train and held-out stacked; one panel a unit."""
    name = "lengths of papers"
    axes = plots.panels(name, 8.9, 2.6, len(panels))
    for axis, (unit, length) in zip(axes, panels):
        bins = length["histogram"]
        starts = [entry["from"] for entry in bins]
        widths = [entry["to"] - entry["from"] for entry in bins]
        base = [0] * len(bins)
        for side, label, colour in (("train", "train", plots.COLOURS[1]), ("heldout", "held out", plots.COLOURS[2])):
            heights = [entry[side] for entry in bins]
            if any(heights):
                axis.bar(starts, heights, widths, base, align="edge", color=colour, label=label, edgecolor="white")
                base = [low + height for low, height in zip(base, heights)]
        axis.set_xscale("log")
        least, greatest = starts[0], bins[-1]["to"]
        axis.set_xlim(least, greatest)
        axis.set_xticks(*_ticks(least, greatest))
        axis.set_xticks([], minor=True)
        axis.axvline(length["p50"], color=plots.INK, linewidth=1, linestyle=(0, (3, 3)))
        axis.set_xlabel(f"{unit} (dashed: median {count(length['p50'])})")
        axis.yaxis.get_major_locator().set_params(integer=True)
        axis.grid(axis="x", visible=False)
        axis.tick_params(length=0)
    axes[0].set_ylabel("papers")
    axes[0].legend(frameon=False, handlelength=1, loc="lower left", bbox_to_anchor=(0, 1), ncols=2, borderaxespad=0.2)
    return plots.svg(axes[0].figure, name)


def _ticks(least: int, greatest: int) -> tuple[list[int], list[str]]:
    """At most seven round numbers from `least` to `greatest`, and how they are written."""
    ticks: list[int] = []
    for steps in ((1, 2, 5), (1, 3), (1,)):
        ticks = [step * 10**power for power in range(13) for step in steps if least <= step * 10**power <= greatest]
        if len(ticks) <= 7:
            break
    return ticks, [f"{value:,}" for value in ticks]


def _environment(markdown: bool) -> Any:
    env = environment(Path(__file__).parent, markdown=markdown)
    env.filters |= {"count": count}
    env.globals |= {
        "share": share,
        "width": width,
        "fate_names": FATE_NAMES,
        "quantile_names": QUANTILE_NAMES,
        "keys_as_yaml": keys_as_yaml,
    }
    return env


def _lengths(sheet: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(unit, length) for unit, length in sheet["lengths"].items() if length is not None]


def render(sheet: Mapping[str, Any]) -> str:
    """The page: one HTML document that needs nothing else.

    Args:
        sheet: contents of datasheet.json.
    """
    from markupsafe import Markup

    template = _environment(markdown=False).get_template("datasheet.html.j2")
    # The SVG is matplotlib's own markup, which escapes the texts in it.
    return str(template.render(sheet=sheet, lengths=_lengths(sheet), plot=Markup(histogram(_lengths(sheet)))))


def render_markdown(sheet: Mapping[str, Any]) -> str:
    """The same as Markdown, without the plots."""
    template = _environment(markdown=True).get_template("datasheet.md.j2")
    return re.sub(r"\n{3,}", "\n\n", str(template.render(sheet=sheet, lengths=_lengths(sheet))))
