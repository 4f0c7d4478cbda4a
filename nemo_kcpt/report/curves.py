"""The plots of a grid, as inline SVG: lines differ by marker and dash, too, so that a grey print will do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.pages.numbers import percent
from nemo_kcpt.pages.plots import COLOURS, INK, panels, svg
from nemo_kcpt.report.formats import estimate
from nemo_kcpt.report.views import Report, Row, Series, family

MARKERS = ("o", "s", "^", "D", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", "--", "-.", (0, (6, 1.5, 1, 1.5, 1, 1.5)))
"""The dotted line is the base's."""
WIDTH = 8.9
PERCENT = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
IN_A_ROW = 3


def _style(index: int) -> dict[str, Any]:
    return {
        "color": COLOURS[1 + index % (len(COLOURS) - 1)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": DASHES[index % len(DASHES)],
    }


def _shares(axis: Any, share: bool, which: str = "y") -> None:
    if share:
        getattr(axis, f"set_{which}lim")(-0.03, 1.03)
        getattr(axis, f"set_{which}ticks")(PERCENT, [percent(tick, 0) for tick in PERCENT])


def _legend(axis: Any, columns: int = 4) -> None:
    axis.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=columns, frameon=False, borderaxespad=0.2)


def _errors(axis: Any, x: float, row: Row, metric: str, style: Mapping[str, Any]) -> None:
    low, high = row["ci95"][metric]
    axis.plot([x, x], [low, high], color=style["color"], linewidth=1.2, alpha=0.7)


def ranking(rows: Sequence[Row], base: str, metric: str, label: str, share: bool) -> str:
    """A line a group: held-out (full) and train (hollow) with intervals; each seed as a tick."""
    names = list(dict.fromkeys(row["name"] for row in rows))
    (axis,) = panels("groups ranked", WIDTH, 0.9 + 0.34 * len(names))
    for row in rows:
        if row[metric] is None:
            continue
        held_out = row["split"] == "test"
        y = names.index(row["name"]) + (-0.12 if held_out else 0.2)
        colour = COLOURS[0] if row["name"] == base else COLOURS[1] if held_out else COLOURS[2]
        axis.plot(row["ci95"][metric], [y, y], color=colour, linewidth=2.2 if held_out else 1.2)
        face = colour if held_out else "white"
        axis.plot([row[metric]], [y], "o" if held_out else "D", color=colour, markerfacecolor=face, markersize=6)
        each = row.get("each", {}).get(metric, ())
        if held_out and len(each) > 1:
            axis.plot(each, [y] * len(each), "|", color=INK, markersize=9, markeredgewidth=1.2)
    axis.plot([], [], "o-", color=COLOURS[1], label="held-out questions", linewidth=2.2)
    axis.plot([], [], "D-", color=COLOURS[2], markerfacecolor="white", label="train questions", linewidth=1.2)
    if any(len(row.get("models", ())) > 1 for row in rows):
        axis.plot([], [], "|", color=INK, label="each seed", markersize=9, markeredgewidth=1.2)
    axis.set_yticks(range(len(names)), names)
    axis.set_ylim(len(names) - 0.4, -0.6)
    _shares(axis, share, "x")
    axis.set_xlabel(f"{label}, 95 % interval")
    axis.grid(axis="y", visible=False)
    axis.tick_params(length=0)
    axis.spines["left"].set_visible(False)
    _legend(axis)
    return svg(axis.figure, "groups ranked")


def lines(
    panel: Mapping[str, Sequence[Series]],
    labels: Sequence[str],
    base: Row | None,
    metric: str,
    label: str,
    share: bool,
    log: bool,
    name: str,
) -> str:
    """Series with intervals over an x axis, one panel a key (its x label), the base as a dotted line.

    Args:
        panel: series by x label.
        labels: of all series there are, so that one has the same colour and marker in every plot.
        base: the untrained model's row.
        metric: whose value is shown.
        label: of the y axis.
        share: whether it is a share.
        log: whether x is a context length: equal steps for doublings.
        name: of the plot, for readers that don't see it.
    """
    axes = panels(name, WIDTH, 3.3, len(panel))
    for axis, (title, series) in zip(axes, panel.items()):
        for line in series:
            style = _style(labels.index(line.label))
            known = [(x, row) for x, row in line.points if row[metric] is not None]
            shift = 1 + 0.018 * (labels.index(line.label) - (len(labels) - 1) / 2) if log else 1
            for x, row in known:
                _errors(axis, x * shift, row, metric, style)
            joined = style if log else style | {"linestyle": ""}
            axis.plot(
                [x * shift for x, _ in known],
                [row[metric] for _, row in known],
                **joined,
                markersize=6.5,
                linewidth=1.7,
                label=line.label,
            )
        if base is not None and base[metric] is not None:
            axis.axhline(base[metric], color=COLOURS[0], linestyle=":", linewidth=1.6, label=base["name"])
        if log:
            places = sorted({x for line in series for x, _ in line.points})
            axis.set_xscale("log", base=2)
            axis.set_xticks(places, [f"{x:,.0f}" for x in places])
            axis.minorticks_off()
        elif all(0 <= x <= 1 for line in series for x, _ in line.points) and "share" in title:
            _shares(axis, True, "x")
        _shares(axis, share)
        axis.set_xlabel(title)
        axis.tick_params(length=0)
    axes[0].set_ylabel(label)
    _legend(axes[0], 6 if len(panel) == 1 else 3)
    return svg(axes[0].figure, name)


def agreement_panels(rows: Sequence[Row], labels: Mapping[str, str], truths: Mapping[str, str]) -> str:
    """One panel a score: the models' means against the truth's, with rho; three side by side."""
    figures = []
    for start in range(0, len(rows), IN_A_ROW):
        part = rows[start : start + IN_A_ROW]
        name = f"scores against truth {start // IN_A_ROW + 1}"
        axes = panels(name, WIDTH, 2.6, IN_A_ROW)
        for axis in axes[len(part) :]:
            axis.set_visible(False)
        for axis, row in zip(axes, part):
            rho = estimate({"value": row["spearman"]["value"], "low": None})
            axis.plot(
                [point["truth"] for point in row["points"]],
                [point["value"] for point in row["points"]],
                "o",
                color=COLOURS[1],
                markersize=5.5,
                markerfacecolor="white",
                markeredgewidth=1.5,
            )
            axis.set_title(f"{labels[row['score']]}: ρ = {rho}", fontsize=10, loc="left")
            axis.set_xlabel(truths[row["truth"]])
            axis.tick_params(length=0)
        axes[0].set_ylabel("mean of the score")
        figures.append(svg(axes[0].figure, name))
    return "\n".join(figures)


def training_losses(report: Report) -> str:
    """Loss over steps of every training, one panel a stage; colour by family, dash by seed or set."""
    stages = list(dict.fromkeys(training["stage"] for training in report["trainings"]))
    cells = {cell["name"]: cell for cell in report["cells"]}
    families = list(dict.fromkeys(family(cells[training["cells"][0]]) for training in report["trainings"]))
    lengths = sorted({cell["seq_length"] or 0 for cell in report["cells"]})
    by_length = len(families) == 1 and len(lengths) > 1
    axes = panels("loss of every training", WIDTH, 2.9, len(stages))
    for axis, stage in zip(axes, stages):
        repeats: dict[str, int] = {}
        for training in (entry for entry in report["trainings"] if entry["stage"] == stage):
            cell = cells[training["cells"][0]]
            length = cell["seq_length"] or 0
            index = lengths.index(length) if by_length else families.index(family(cell))
            label = f"{length:,}" if by_length else families[index]
            repeats[label] = repeats.get(label, -1) + 1
            steps, values = zip(*training["points"])
            style = _style(index) | {"marker": "", "linestyle": DASHES[index % len(DASHES)]}
            axis.plot(steps, values, **style, linewidth=1.1, alpha=0.85, label=None if repeats[label] else label)
        axis.set_title(stage, fontsize=10, loc="left")
        axis.set_xlabel("step")
        axis.set_ylim(bottom=0)
        axis.tick_params(length=0)
        axis.legend(loc="upper right", frameon=False, fontsize=8, ncols=2)
    axes[0].set_ylabel("loss (nats a token)")
    return svg(axes[0].figure, "loss of every training")
