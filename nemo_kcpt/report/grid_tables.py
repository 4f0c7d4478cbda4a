"""The further tables as LaTeX and CSV: groups, matrix, comparisons, goals, cells, agreement of scores, forgetting."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from nemo_kcpt.pages.numbers import compact, duration, hours, probability
from nemo_kcpt.report import views
from nemo_kcpt.report.cells import FIELDS, PACKED
from nemo_kcpt.report.formats import SPLIT_NAMES, TRUTH_NAMES, Metrics, estimate
from nemo_kcpt.report.retention import complete
from nemo_kcpt.report.typeset import csv_text, latex_table, with_interval

Table = tuple[Sequence[str], list[list[Any]]]
COMPARED = ("name", "than", "split", "metric", "n", "papers", "mean")
MEASURES = ("spearman", "kendall")
KEPT = ("kept", "of", "enough", "instructions", "perplexity_ratio", "kl", "best")
"""Fields of an arm of the frontier, beside gain and retention."""


def csv_tables(report: Mapping[str, Any]) -> dict[str, str]:
    """Every table that has rows as CSV, by name, with every number."""
    report = complete(report)
    tables: dict[str, Table] = {
        "groups": (["group", "split", "metric", "seeds", "n", "papers", "value", "low", "high", "sd", "each"], []),
        "comparisons": (["name", "than", *COMPARED[2:-1], "difference", "low", "high", "p", "p_holm"], []),
        "goals": (["goal", "at_least", "value", "low", "high", "n", "state", "why"], []),
        "cells": ([*FIELDS, "tokens", "seconds", "device_hours", "device", *PACKED], []),
        "score_agreement": (
            [
                "score",
                "truth",
                "models",
                "n",
                *(f"{measure}{end}" for measure in MEASURES for end in ("", "_low", "_high")),
            ],
            [],
        ),
        "general": (["model", "n", "right", "value", "low", "high", "difference", "d_low", "d_high", "p_holm"], []),
        "frontier": (["model", "metric", "gain", "low", "high", "retention", "r_low", "r_high", *KEPT], []),
        "perplexity": (["model", "texts", "tokens", "perplexity", "bits_per_byte", "difference", "low", "high"], []),
    }
    if views.is_grid(report):
        tables["groups"][1].extend(_groups(report["groups"], Metrics(report).run(report)))
    for row in report["comparisons"]:
        tables["comparisons"][1].append([*(row[name] for name in COMPARED), *row["ci95"], row["p"], row["p_holm"]])
    for goal in report["goals"]:
        bounds = goal["ci95"] or [None, None]
        line = [goal["text"], goal["at_least"], goal["value"], *bounds, goal["n"], goal["state"], goal["why"]]
        tables["goals"][1].append(line)
    tables["cells"][1].extend([cell[name] for name in tables["cells"][0]] for cell in report["cells"])
    for row in report["score_agreement"]:
        ends = [row[measure][end] for measure in MEASURES for end in ("value", "low", "high")]
        tables["score_agreement"][1].append([row["score"], row["truth"], row["models"], row["n"], *ends])
    for row in (report["general"] or {"models": ()})["models"]:
        apart = [row["difference"], *(row["difference_ci95"] or [None, None]), row.get("p_holm")]
        values = [row["name"], row["n"], row["right"], row["exact_match"], *row["wilson95"]]
        tables["general"][1].append([*values, *apart])
    for arm in (report["frontier"] or {"arms": ()})["arms"] if report["retention"] else ():
        bounds = arm["retention_ci95"] or [None, None]
        values = [arm["name"], report["frontier"]["metric"], arm["gain"], *arm["gain_ci95"], arm["retention"], *bounds]
        tables["frontier"][1].append([*values, *(arm[name] for name in KEPT)])
    for row in (report["perplexity"] or {"models": ()})["models"]:
        values = [row[name] for name in tables["perplexity"][0][:-2]]
        tables["perplexity"][1].append([*values, *(row["difference_ci95"] or [None, None])])
    return {name: csv_text(head, rows) for name, (head, rows) in tables.items() if rows}


def _groups(groups: Iterable[Mapping[str, Any]], metrics: Sequence[str]) -> Iterable[list[Any]]:
    for row in groups:
        for metric in metrics:
            if row[metric] is not None:
                each = " ".join(str(value) for value in row["each"][metric])
                numbers = [len(row["models"]), row["n"], row["papers"], row[metric], *row["ci95"][metric]]
                yield [row["name"], row["split"], metric, *numbers, row["spread"][metric], each]


def _frontier(report: Mapping[str, Any]) -> list[str]:
    """Gain and retention of every arm, where retention was measured."""
    edge = complete(report)["frontier"] if complete(report)["retention"] else None
    if not edge:
        return []
    known, metric = Metrics(report), edge["metric"]
    rows = []
    for arm in edge["arms"]:
        gain = with_interval(known.signed(arm["gain"], metric), known.interval(arm["gain_ci95"], metric))
        ends = known.interval(arm["retention_ci95"], "exact_match")
        kept = with_interval(known.number(arm["retention"], "exact_match"), ends) if arm["enough"] else "–"
        rows.append([arm["name"], gain, kept, f"{arm['kept']:.1f} of {arm['of']}" if arm["of"] is not None else "–"])
    head = ["Model", f"Gain, {known.labels[metric]}", "Retention", "Kept"]
    caption = (
        f"Gain on held-out questions over {edge['base']}, and what was kept of the general questions it answers right."
    )
    return [latex_table(head, rows, caption, "frontier", 1)]


def latex_tables(report: Mapping[str, Any]) -> list[str]:
    """Every table that has rows as a LaTeX `table`."""
    known = Metrics(report)
    metrics = known.run(report)
    tables = [
        _matrix(report, matrix, metric, f"matrix-{number}-{metric.replace('_', '-')}")
        for number, matrix in enumerate(views.matrices(report), start=1)
        for metric in metrics
    ]
    if views.is_grid(report):
        head = ["Group", "Questions", "Seeds", "n", *(known.labels[metric] for metric in metrics)]
        rows = [
            [row["name"], SPLIT_NAMES[row["split"]], str(len(row["models"])), str(row["n"])]
            + [_value(row, metric, known) for metric in metrics]
            for row in report["groups"]
        ]
        caption = "Means over seeds with 95 % intervals (bootstrap over papers); ± the seeds' standard deviation."
        tables.append(latex_table(head, rows, caption, "groups", 2))
    tables += _frontier(report)
    if report["comparisons"]:
        head = ["Model", "Against", "Questions", "Metric", "Difference", "p", "p (Holm)"]
        rows = [
            [
                row["name"],
                row["than"],
                SPLIT_NAMES[row["split"]],
                known.labels[row["metric"]],
                with_interval(known.signed(row["mean"], row["metric"]), known.interval(row["ci95"], row["metric"])),
                probability(row["p"]),
                probability(row["p_holm"]),
            ]
            for row in report["comparisons"]
        ]
        caption = "Paired differences; permutation test over papers, Holm's correction for the comparisons of a metric."
        tables.append(latex_table(head, rows, caption, "comparisons", 4))
    if report["goals"]:
        rows = [
            [goal["text"], goal["state"], known.wanted(goal), known.reached(goal), str(goal["n"] or "–")]
            for goal in report["goals"]
        ]
        tables.append(latex_table(["Goal", "Outcome", "At least", "Measured", "n"], rows, "Goals.", "goals", 2))
    if report["cells"]:
        device = (report["totals"] or {"device": "Device"})["device"]
        rows = [
            [cell["name"], cell["state"], str(cell["seq_length"] or "–"), compact(cell["tokens"])]
            + [duration(cell["seconds"]), hours(cell["device_hours"])]
            + [known.number(cell[name], "exact_match") for name in ("fill_rate", "co_location")]
            for cell in report["cells"]
        ]
        head = ["Cell", "State", "Context", "Tokens", "Time", f"{device}-hours", "Fill", "Beside passage"]
        tables.append(latex_table(head, rows, "What each cell was trained on and what it took.", "cells", 2))
    ranked = [row for row in report["score_agreement"] if row["spearman"]["value"] is not None]
    if ranked:
        rows = [
            [known.labels[row["score"]], TRUTH_NAMES[row["truth"]], str(row["models"]), str(row["n"])]
            + [estimate(row[measure]) for measure in MEASURES]
            for row in ranked
        ]
        caption = "Rank correlation of scores with the truth over models, 95 % intervals (bootstrap over papers)."
        head = ["Score", "Truth", "Models", "Answers", "Spearman", "Kendall"]
        tables.append(latex_table(head, rows, caption, "score-agreement", 2))
    return tables


def _value(row: Mapping[str, Any], metric: str, known: Metrics) -> str:
    value = with_interval(known.number(row[metric], metric), known.interval(row["ci95"].get(metric), metric))
    spread = row["spread"].get(metric)
    return value if spread is None else f"{value} ± {known.number(spread, metric)}"


def _matrix(report: Mapping[str, Any], matrix: views.Matrix, metric: str, label: str) -> str:
    known = Metrics(report)

    def cell(name: str | None, split: str) -> str:
        row = views.row_of(report, name, split) if name is not None else None
        if row is None:
            return "–"
        return with_interval(known.number(row[metric], metric), known.interval(row["ci95"].get(metric), metric))

    splits = [split for split in SPLIT_NAMES if views.row_of(report, report["base"], split) is not None]
    rows = [
        [str(length)] + [cell(matrix.names.get((length, name)), split) for split in splits for name in matrix.sets]
        for length in matrix.lengths
    ]
    base = [cell(report["base"], split) if not index else "" for split in splits for index in range(len(matrix.sets))]
    counted = ", ".join(f"{views.row_of(report, report['base'], split)['n']} {SPLIT_NAMES[split]}" for split in splits)  # type: ignore[index]
    head = ["Context", *(f"{SPLIT_NAMES[split]}: {name}" for split in splits for name in matrix.sets)]
    caption = f"{known.labels[metric]}, {matrix.family}, with 95 % intervals; questions: {counted}."
    return latex_table(head, [[report["base"], *base], *rows], caption, label, 1)
