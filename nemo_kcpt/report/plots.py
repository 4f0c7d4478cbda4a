"""The report's plots, as inline SVG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.pages.plots import COLOURS, panels, svg


def colours_of(names: Sequence[str]) -> dict[str, str]:
    """A colour for each model, the first (the base) grey."""
    return {name: COLOURS[index % len(COLOURS)] for index, name in enumerate(names)}


def whiskers(
    rows: Sequence[Mapping[str, Any]],
    group: str,
    labels: Mapping[str, str],
    axis_label: str,
    name: str,
    shares: bool = True,
) -> str:
    """Dots with 95 % intervals: one line a group, in it one dot a model.

    Args:
        rows: with `name`, the `group` field, `value` and `ci95` (low, high).
        group: field that makes the lines.
        labels: what to write for a group; others are written as they are.
        axis_label: of the values, which lie between 0 and 1.
        name: of the plot, for readers that don't see it.
        shares: whether values are shares, written in percent.
    """
    groups = list(dict.fromkeys(row[group] for row in rows))
    names = list(dict.fromkeys(row["name"] for row in rows))
    colours = colours_of(names)
    (axis,) = panels(name, 8.9, 0.55 + (0.20 * len(names) + 0.22) * len(groups))
    for row in rows:
        y = groups.index(row[group]) + (names.index(row["name"]) - (len(names) - 1) / 2) * 0.7 / max(len(names), 2)
        low, high = row["ci95"]
        axis.plot([low, high], [y, y], color=colours[row["name"]], linewidth=2, solid_capstyle="round")
        axis.plot([row["value"]], [y], "o", color=colours[row["name"]], markersize=6.5)
    for model in names:
        axis.plot([], [], "o-", color=colours[model], label=model, linewidth=2, markersize=6.5)
    axis.set_yticks(range(len(groups)), [labels.get(entry, str(entry)) for entry in groups])
    axis.set_ylim(len(groups) - 0.45, -0.55)
    axis.set_xlim(-0.02, 1.02)
    ticks = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    axis.set_xticks(ticks, [percent(tick, 0) if shares else f"{tick:.1f}" for tick in ticks])
    axis.set_xlabel(axis_label)
    axis.grid(axis="y", visible=False)
    axis.tick_params(length=0)
    axis.spines["left"].set_visible(False)
    axis.legend(
        loc="lower left",
        bbox_to_anchor=(0, 1),
        ncols=min(len(names), 5),
        frameon=False,
        borderaxespad=0.2,
        handlelength=1.4,
    )
    return svg(axis.figure, name)


def losses(curves: Sequence[Mapping[str, Any]]) -> str:
    """Loss over steps, one panel a training."""
    axes = panels("loss curves", 8.9, 2.5, len(curves))
    for axis, curve in zip(axes, curves):
        steps, values = zip(*curve["points"])
        axis.plot(steps, values, color=COLOURS[1], linewidth=1.4)
        axis.set_title(curve["name"], fontsize=10, loc="left")
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)
        axis.tick_params(length=0)
    axes[0].set_ylabel("loss (nats a token)")
    return svg(axes[0].figure, "loss curves")


def times(stages: Sequence[Mapping[str, Any]]) -> str:
    """Seconds of each stage as bars; cached ones pale."""
    (axis,) = panels("seconds per stage", 8.9, 0.5 + 0.27 * len(stages))
    seconds = [stage["seconds"] for stage in stages]
    colours = ["#c8d3e0" if stage["cached"] else COLOURS[1] for stage in stages]
    axis.barh(range(len(stages)), seconds, color=colours, height=0.62)
    for index, stage in enumerate(stages):
        text = f" {stage['seconds']:.1f} s" + (" (was there)" if stage["cached"] else "")
        axis.text(stage["seconds"], index, text, va="center", fontsize=9)
    axis.set_yticks(range(len(stages)), [stage["name"] for stage in stages])
    axis.set_ylim(len(stages) - 0.4, -0.6)
    axis.set_xlim(0, max(max(seconds), 1e-9) * 1.16)
    axis.set_xlabel("seconds")
    axis.grid(axis="y", visible=False)
    axis.tick_params(length=0)
    axis.spines["left"].set_visible(False)
    return svg(axis.figure, "seconds per stage")
