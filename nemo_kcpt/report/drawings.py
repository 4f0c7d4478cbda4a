"""Which plots a report has: SVG by name, made from report.json alone; empty where there is nothing to show."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.report import curves, frontier_plot, plots, views
from nemo_kcpt.report.formats import TRUTH_NAMES, Metrics
from nemo_kcpt.report.retention import complete
from nemo_kcpt.report.sweeps import sweep_plot

LEAST_MODELS = 4
"""Models without which a plot of scores against the truth says nothing."""
SCORES_SHOWN = ("combined", "judge", "bertscore_sent", "bertscore_doc", "fact_precision", "fact_recall")


def draw(report: Mapping[str, Any], metrics: Sequence[str]) -> dict[str, Any]:
    """SVG of every plot, as markup.

    Args:
        report: contents of report.json.
        metrics: those that were run.
    """
    from markupsafe import Markup

    from nemo_kcpt.packing.plots import pack_plots

    report = complete(report)
    names = ("models", "frontier", "fact", "wording", "losses", "times", "length", "cost", "beside", "agreement")
    drawn = dict.fromkeys((*names, "trainings"), "")
    main = views.main_metric(report)
    if main is not None:
        drawn["models"] = _models(report, main)
        if report["cells"]:
            drawn |= _grid(report, main)
    if report["frontier"]:
        known, metric = Metrics(report), report["frontier"]["metric"]
        drawn["frontier"] = frontier_plot.frontier(report["frontier"], known.labels[metric], metric in known.shares)
    few = views.few_names(report)
    for group in ("fact", "wording"):
        rows = [{**row, "value": row["exact_match"]} for row in report[f"by_{group}"] if row["name"] in few]
        if rows:
            labels = {row[group]: str(row[group]).replace("_", " ") for row in rows}
            drawn[group] = plots.whiskers(rows, group, labels, "Exact match, 95 % interval", f"exact match by {group}")
    drawn["agreement"] = _agreement(report)
    if report["trainings"]:
        drawn["trainings"] = curves.training_losses(report)
    if report["losses"]:
        drawn["losses"] = plots.losses(report["losses"])
    if report["stages"]:
        drawn["times"] = plots.times(report["stages"])
    for sweep in report.get("sweeps", ()):
        drawn[f"sweep {sweep['name']}"] = sweep_plot(sweep)
    for pack in report["packs"]:
        drawn[f"pack {pack['name']}"] = "\n".join(pack_plots(pack, pack["seq_length"], pack["name"]))
    # The SVG is matplotlib's own markup, which escapes the texts in it.
    return {name: Markup(svg) for name, svg in drawn.items()}


def _models(report: Mapping[str, Any], main: str) -> str:
    known = Metrics(report)
    rows = [row for row in views.shown_rows(report) if row[main] is not None]
    if views.is_grid(report) or len({row["name"] for row in rows}) > len(plots.COLOURS):
        return curves.ranking(rows, report["base"], main, known.labels[main], main in known.shares)
    labels = {"test": "held-out questions", "train": "train questions"}
    dots = [{**row, "value": row[main], "ci95": row["ci95"][main]} for row in rows]
    title = f"{known.labels[main]}, 95 % interval"
    return plots.whiskers(dots, "split", labels, title, "models compared", main in known.shares)


def _grid(report: Mapping[str, Any], main: str) -> dict[str, str]:
    known = Metrics(report)
    base, label, share = views.base_row(report), f"{known.labels[main]}, held-out", main in known.shares
    drawn = {}
    labels = views.labels(report)
    lengths = views.over_length(report)
    if lengths:
        panel = {f"context length (tokens){f', {name}' if name else ''}": lines for name, lines in lengths.items()}
        drawn["length"] = curves.lines(panel, labels, base, main, label, share, True, "accuracy over context length")
    device = (report["totals"] or {}).get("device", "device")
    titles = {"tokens": "tokens trained on", "device_hours": f"{device}-hours of training"}
    panel = {title: lines for key, title in titles.items() if (lines := views.against(report, key))}
    if panel:
        drawn["cost"] = curves.lines(panel, labels, base, main, label, share, False, "accuracy against cost")
    beside = views.against(report, "co_location")
    if beside:
        panel = {"share of pairs beside their passage": beside}
        drawn["beside"] = curves.lines(panel, labels, base, main, label, share, False, "accuracy against co-location")
    return drawn


def _agreement(report: Mapping[str, Any]) -> str:
    """People's where there are any, else the oracle's."""
    rows = [row for row in report["score_agreement"] if row["models"] >= LEAST_MODELS and row["score"] in SCORES_SHOWN]
    people = [row for row in rows if row["truth"] == "people"]
    return curves.agreement_panels(people or rows, Metrics(report).labels, TRUTH_NAMES) if rows else ""
