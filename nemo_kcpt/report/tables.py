"""The report's tables for papers and spreadsheets: LaTeX (booktabs), and CSV with every number; from report.json alone.

Table 1 is the method's: BERTScore Sent and Doc and the judge on train and held-out questions, with what else was run;
table 2 people's ratings, where there are any; table 3 the differences to the base model with Holm's correction.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Mapping, Sequence
from typing import Any

from nemo_kcpt.report.build import METRICS
from nemo_kcpt.report.render import METRIC_NAMES, SPLIT_NAMES, interval, number, signed

DIFFERENCE = ("name", "base", "split", "metric", "n", "papers", "mean")
"""Fields of a difference, in the columns' order."""

_SPECIAL = {
    "\\": r"\textbackslash{}", "&": r"\&", "%": r"\%", "$": r"\$", "#": r"\#", "_": r"\_", "{": r"\{", "}": r"\}",
    "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "−": "$-$", "–": "--",
}  # fmt: skip


def escape_latex(value: Any) -> str:
    """`value` as text that LaTeX shows as it is, in one line."""
    text = " ".join(str(value).split())
    return re.sub(r"[\\&%$#_{}~^−–]", lambda match: _SPECIAL[match[0]], text)


def csv_tables(report: Mapping[str, Any]) -> dict[str, str]:
    """Every table as CSV, by name: models, differences and, where people rated, people."""
    models = [
        [row["name"], row["split"], metric, row["n"], row["papers"], row[metric], *row["ci95"][metric]]
        for row in report["models"]
        for metric in METRICS
        if row[metric] is not None
    ]
    differences = [
        [*(row[name] for name in DIFFERENCE), *row["ci95"], row["p"], row["p_holm"]] for row in report["differences"]
    ]
    tables = {
        "models": _csv(["model", "split", "metric", "n", "papers", "value", "low", "high"], models),
        "differences": _csv(["model", *DIFFERENCE[1:-1], "difference", "low", "high", "p", "p_holm"], differences),
    }
    if report["people"]:
        rows = [
            [row["model"], row["n"], row["right"], row["accuracy"], *(row["wilson95"] or ["", ""]), row["unresolved"]]
            for row in report["people"]["models"]
        ]
        tables["people"] = _csv(["model", "n", "right", "accuracy", "low", "high", "unresolved"], rows)
    return tables


def _csv(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(head)
    # A spreadsheet would run a text that begins so.
    writer.writerows(
        [f"'{cell}" if str(cell)[:1] in "=+@" and isinstance(cell, str) else cell for cell in row] for row in rows
    )
    return stream.getvalue()


def latex_tables(report: Mapping[str, Any]) -> str:
    """The tables as LaTeX, each a `table` environment with a caption; needs the package booktabs."""
    metrics = [metric for metric in METRIC_NAMES if any(row[metric] is not None for row in report["models"])]
    first = [
        [row["name"], SPLIT_NAMES[row["split"]], str(row["n"])]
        + [_with_interval(number(row[metric], metric), interval(row["ci95"].get(metric), metric)) for metric in metrics]
        for row in report["models"]
    ]
    tables = [
        _latex(
            ["Model", "Questions", "n", *(METRIC_NAMES[metric] for metric in metrics)],
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
                _with_interval(number(row["accuracy"], "judge"), interval(row["wilson95"], "judge")),
            ]
            for row in report["people"]["models"]
        ]
        raters = len(report["people"]["raters"])
        caption = f"Answers that people call right, {raters} raters, with Wilson's 95 % intervals."
        tables.append(_latex(["Model", "n", "Accuracy"], rows, caption, "people", 1))
    if report["differences"]:
        rows = [
            [
                row["name"],
                SPLIT_NAMES[row["split"]],
                METRIC_NAMES[row["metric"]],
                _with_interval(signed(row["mean"], row["metric"]), interval(row["ci95"], row["metric"])),
                f"{row['p']:.3f}",
                f"{row['p_holm']:.3f}",
            ]
            for row in report["differences"]
        ]
        caption = f"Differences to {report['base']}; paired permutation test over papers, Holm's correction."
        head = ["Model", "Questions", "Metric", "Difference", "p", "p (Holm)"]
        tables.append(_latex(head, rows, caption, "differences", 3))
    return "% needs \\usepackage{booktabs}\n" + "\n".join(tables)


def _with_interval(value: str, bounds: str) -> str:
    return f"{value} ({bounds})" if bounds else value


def _latex(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str, label: str, texts: int) -> str:
    """One table; the first `texts` columns are set left, the others right."""
    lines = [" & ".join(map(escape_latex, row)) + r" \\" for row in rows]
    return "\n".join(
        [
            r"\begin{table}",
            r"\centering",
            rf"\caption{{{escape_latex(caption)}}}",
            rf"\label{{tab:{label}}}",
            rf"\begin{{tabular}}{{{'l' * texts}{'r' * (len(head) - texts)}}}",
            r"\toprule",
            " & ".join(map(escape_latex, head)) + r" \\",
            r"\midrule",
            *lines,
            r"\bottomrule",
            r"\end{tabular}",
            r"\end{table}",
            "",
        ]
    )
