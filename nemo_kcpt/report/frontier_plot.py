"""The frontier: what every arm gained on held-out questions against what it kept, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.pages.plots import COLOURS, INK, panels, svg
from nemo_kcpt.report.curves import MARKERS, WIDTH
from nemo_kcpt.report.retention import plottable

HEIGHT = 4.4
APART = 0.052
"""Least distance of two labels, as a share of the plot's height."""
TICKS = (0.0, 0.2, 0.4, 0.6, 0.8, 1.0)


def frontier(section: Mapping[str, Any], label: str, share: bool) -> str:
    """Retention across, gain upwards, a dot an arm with both intervals; the base is at 100 % and 0.

    Args:
        section: `frontier` of report.json.
        label: of the gain's metric.
        share: whether that is a share, told in points.

    Returns:
        SVG; empty where no arm has a retention that says something.
    """
    arms = [arm for arm in section["arms"] if plottable(arm)]
    if not arms:
        return ""
    (axis,) = panels("gain against retention", WIDTH, HEIGHT)
    ends = [0.0, *(end for arm in arms for end in arm["gain_ci95"])]
    low, high = min(ends), max(ends)
    room = 0.08 * (high - low or 1.0)
    axis.set_xlim(-0.03, 1.06)
    axis.set_ylim(low - room, high + room)
    axis.axhline(0, color=COLOURS[0], linestyle=":", linewidth=1.2)
    axis.axvline(1, color=COLOURS[0], linestyle=":", linewidth=1.2)
    best = sorted((arm for arm in arms if arm["best"]), key=lambda arm: arm["retention"])
    axis.plot(
        [arm["retention"] for arm in best], [arm["gain"] for arm in best], color="#c8d3e0", linewidth=5, zorder=1.5
    )
    for index, arm in enumerate(arms):
        _dot(axis, arm, index)
    axis.plot([1], [0], "o", color=COLOURS[0], markersize=8, zorder=3)
    _labels(axis, [*((arm["name"], arm["retention"], arm["gain"]) for arm in arms), (str(section["base"]), 1.0, 0.0)])
    axis.set_xticks(TICKS, [percent(tick, 0) for tick in TICKS])
    if share:
        axis.yaxis.set_major_formatter(lambda value, _: f"{100 * value:+.0f}".replace("-", "−") if value else "0")
    unit = ", points" if share else ""
    axis.set_xlabel(
        f"retention: general questions that {section['base']} answers right and that are still answered right"
    )
    axis.set_ylabel(f"gain on held-out questions, {label}{unit}")
    axis.tick_params(length=0)
    return svg(axis.figure, "gain against retention")


def _dot(axis: Any, arm: Mapping[str, Any], index: int) -> None:
    colour = COLOURS[1 + index % (len(COLOURS) - 1)]
    x, y = arm["retention"], arm["gain"]
    axis.plot(arm["retention_ci95"], [y, y], color=colour, linewidth=1.3, alpha=0.6)
    axis.plot([x, x], arm["gain_ci95"], color=colour, linewidth=1.3, alpha=0.6)
    face = colour if arm["best"] else "white"
    axis.plot([x], [y], MARKERS[index % len(MARKERS)], color=colour, markerfacecolor=face, markersize=7.5, zorder=3)


def _labels(axis: Any, named: Sequence[tuple[str, float, float]]) -> None:
    """A name beside each dot, left of those at the right end, moved apart upwards where two would overlap."""
    bottom, top = axis.get_ylim()
    least = APART * (top - bottom)
    for left in (True, False):
        level = float("-inf")
        for name, x, y in sorted((entry for entry in named if (entry[1] > 0.6) == left), key=lambda entry: entry[2]):
            level = max(y + 0.55 * least, level + least)
            axis.annotate(
                name,
                (x, y),
                (x + (-0.012 if left else 0.012), level),
                ha="right" if left else "left",
                va="center",
                fontsize=9,
                color=INK,
                bbox={"boxstyle": "square,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
                arrowprops={"arrowstyle": "-", "color": "#b9c0c8", "linewidth": 0.6, "shrinkA": 0, "shrinkB": 4},
            )
