"""A pack's plots, from its manifest's counts: for its own page and for the run's report."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.pages import plots


def pack_plots(counts: Mapping[str, Any], seq_length: int | None, name: str) -> list[str]:
    """How full windows are and how long pairs; which share of pairs is beside its passage, by kind. As inline SVG.

    Args:
        counts: of the pack's manifest; a plot whose figures are missing is left out.
        seq_length: tokens of a window.
        name: of the pack, to tell its plots apart.
    """
    made = []
    fills, lengths = counts.get("fill_histogram"), counts.get("pair_length_histogram")
    if fills:
        axes = plots.panels(f"fill {name}", 8.9, 2.6, 2 if lengths else 1)
        axes[0].bar(
            [(i + 0.5) / len(fills) for i in range(len(fills))], fills, 0.94 / len(fills), color=plots.COLOURS[1]
        )
        axes[0].set(xlim=(0, 1), xlabel="tokens of a window that are not padding (share)", ylabel="windows")
        if lengths:
            axes[1].bar(range(len(lengths)), [count for _, count in lengths], 0.94, color=plots.COLOURS[3])
            ticks = range(0, len(lengths), 2)
            axes[1].set_xticks(ticks, [f"{lengths[tick][0]:,}" for tick in ticks])
            axes[1].set(xlabel=f"tokens of a pair, from … on (a window has {seq_length or 0:,})", ylabel="pairs")
        made.append(plots.svg(axes[0].figure, "fill and lengths"))
    kinds = counts.get("kinds")
    if kinds and counts.get("co_location") is not None:
        (axis,) = plots.panels(f"co-location {name}", 8.9, 0.6 + 0.26 * len(kinds))
        beside = [100 * kind["beside"] / max(1, kind["pairs"]) for kind in kinds.values()]
        axis.barh(list(kinds), beside, color=plots.COLOURS[1], height=0.7)
        axis.set(xlim=(0, 100), xlabel="pairs in one window with the passage that they are about, %")
        axis.invert_yaxis()
        axis.grid(axis="y", visible=False)
        axis.tick_params(length=0)
        made.append(plots.svg(axis.figure, "pairs beside their passage"))
    return made
