"""The report's tables for papers and spreadsheets: LaTeX (booktabs), and CSV with every number; from report.json alone.

Table 1 is the method's: BERTScore Sent and Doc and the judge on train and held-out questions, with what else was run;
table 2 people's ratings, where there are any; table 3 the differences to the base model with Holm's correction. What a
grid has beside these is in grid_tables.py.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from nemo_kcpt.report import grid_tables
from nemo_kcpt.report.formats import SPLIT_NAMES, Metrics
from nemo_kcpt.report.typeset import csv_text, escape_latex, latex_table, with_interval

__all__ = ["csv_tables", "escape_latex", "latex_tables"]

DIFFERENCE = ("name", "base", "split", "metric", "n", "papers", "mean")
"""Fields of a difference, in the columns' order."""


def csv_tables(report: Mapping[str, Any]) -> dict[str, str]:
    """Every table as CSV, by name: models, differences and, where people rated, people."""
    metrics = Metrics(report).run(report)
    models = [
        [row["name"], row["split"], metric, row["n"], row["papers"], row[metric], *row["ci95"][metric]]
        for row in report["models"]
        for metric in metrics
        if row[metric] is not None
    ]
    differences = [
        [*(row[name] for name in DIFFERENCE), *row["ci95"], row["p"], row["p_holm"]] for row in report["differences"]
    ]
    tables = {
        "models": csv_text(["model", "split", "metric", "n", "papers", "value", "low", "high"], models),
        "differences": csv_text(["model", *DIFFERENCE[1:-1], "difference", "low", "high", "p", "p_holm"], differences),
    }
    if report["people"]:
        rows = [
            [row["model"], row["n"], row["right"], row["accuracy"], *(row["wilson95"] or ["", ""]), row["unresolved"]]
            for row in report["people"]["models"]
        ]
        tables["people"] = csv_text(["model", "n", "right", "accuracy", "low", "high", "unresolved"], rows)
    return tables | grid_tables.csv_tables(report)


def latex_tables(report: Mapping[str, Any]) -> str:
    """The tables as LaTeX, each a `table` environment with a caption; needs the package booktabs."""
    known = Metrics(report)
    metrics = known.run(report)
    first = [
        [row["name"], SPLIT_NAMES[row["split"]], str(row["n"])]
        + [
            with_interval(known.number(row[metric], metric), known.interval(row["ci95"].get(metric), metric))
            for metric in metrics
        ]
        for row in report["models"]
    ]
    tables = [
        latex_table(
            ["Model", "Questions", "n", *(known.labels[metric] for metric in metrics)],
            first,
            "Scores with 95 % intervals (bootstrap over papers).",
            "scores",
            3,
        )
    ]
    if report["people"]:
        rows = [
            [
                row["model"],
                str(row["n"]),
                with_interval(known.number(row["accuracy"], "judge"), known.interval(row["wilson95"], "judge")),
            ]
            for row in report["people"]["models"]
        ]
        raters = len(report["people"]["raters"])
        caption = f"Answers that people call right, {raters} raters, with Wilson's 95 % intervals."
        tables.append(latex_table(["Model", "n", "Accuracy"], rows, caption, "people", 1))
    if report["differences"]:
        rows = [
            [
                row["name"],
                SPLIT_NAMES[row["split"]],
                known.labels[row["metric"]],
                with_interval(known.signed(row["mean"], row["metric"]), known.interval(row["ci95"], row["metric"])),
                f"{row['p']:.3f}",
                f"{row['p_holm']:.3f}",
            ]
            for row in report["differences"]
        ]
        caption = f"Differences to {report['base']}; paired permutation test over papers, Holm's correction."
        head = ["Model", "Questions", "Metric", "Difference", "p", "p (Holm)"]
        tables.append(latex_table(head, rows, caption, "differences", 3))
    tables += grid_tables.latex_tables(report)
    return "% needs \\usepackage{booktabs}\n" + "\n".join(tables)
