"""Mixtures of the base and a trained model: what each knew of validation papers and kept, and which was chosen."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.evaluation.scoring.choice_stage import read_choice
from nemo_kcpt.pages.plots import COLOURS, panels, svg
from nemo_kcpt.records.metrics import METRICS

WIDTH, HEIGHT = 8.9, 2.9


def read_sweeps(folders: Sequence[Path]) -> list[dict[str, Any]]:
    """The choices, with the name of the trained model as `name`.

    Raises:
        BadInput: see :func:`read_choice`.
    """
    sweeps = []
    for folder in folders:
        choice = read_choice(folder)
        trained = max(choice["rows"], key=lambda row: row["alpha"])["model"]
        sweeps.append({"name": trained, **choice})
    return sweeps


def sweep_plot(sweep: Mapping[str, Any]) -> str:
    """Lines over alpha: validation questions answered, with intervals, and retention; the chosen one has a ring."""
    rows, name = sweep["rows"], f"mixtures of {sweep['name']}"
    (axis,) = panels(name, WIDTH, HEIGHT)
    alphas = [row["alpha"] for row in rows]
    for row in rows:
        axis.plot([row["alpha"]] * 2, row["ci95"], color=COLOURS[1], linewidth=1.2, alpha=0.7)
    label = METRICS[sweep["metric"]].label if sweep["metric"] in METRICS else sweep["metric"]
    axis.plot(
        alphas, [row["knowledge"] for row in rows], "o-", color=COLOURS[1], label=f"{label}, validation questions"
    )
    kept = [(row["alpha"], row["retention"]) for row in rows if row["retention"] is not None]
    if kept:
        axis.plot(*zip(*kept), "s--", color=COLOURS[2], label="retention of general questions")
        axis.axhline(sweep["least_retention"], color=COLOURS[2], linestyle=":", linewidth=1.2, label="least retention")
    chosen = next(row for row in rows if row["model"] == sweep["chosen"])
    ring = {"markersize": 13, "markerfacecolor": "none", "markeredgewidth": 1.6, "linestyle": ""}
    axis.plot([chosen["alpha"]], [chosen["knowledge"]], "o", color=COLOURS[5], label="chosen", **ring)
    axis.set_xlim(-0.03, 1.03)
    axis.set_ylim(-0.03, 1.03)
    axis.set_xlabel("share of the trained model (alpha); 0 is the base")
    axis.tick_params(length=0)
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=4, frameon=False, borderaxespad=0.2)
    return svg(axis.figure, name)
