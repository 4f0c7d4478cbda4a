"""The page, the Markdown and the terminal table of a report, from the contents of report.json alone.

What models wrote is data: HTML is escaped by Jinja throughout (and the page forbids scripts), Markdown by
`escape_markdown`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.pages import environment as jinja
from nemo_kcpt.pages import escape_markdown
from nemo_kcpt.pages.numbers import compact, count, duration, hours, probability, share
from nemo_kcpt.report import views
from nemo_kcpt.report.drawings import draw
from nemo_kcpt.report.formats import (
    DIFFERENCE_NOTE,
    GOAL_MARKS,
    INTERVAL_NOTE,
    SPLIT_NAMES,
    TRUTH_NAMES,
    Metrics,
    clear,
    estimate,
    instructions_kept,
    pieces,
)
from nemo_kcpt.report.part import sections
from nemo_kcpt.report.retention import beside, complete, plottable

if TYPE_CHECKING:
    from rich.table import Table


def _environment(report: Mapping[str, Any], markdown: bool) -> Any:
    environment = jinja(Path(__file__).parent, markdown=markdown)
    metrics = Metrics(report)
    environment.filters |= {"number": metrics.number, "interval": metrics.interval, "signed": metrics.signed}
    environment.filters |= {"reached": metrics.reached, "wanted": metrics.wanted, "clear": clear, "count": count}
    environment.filters |= {
        "probability": probability,
        "estimate": estimate,
        "instructions_kept": instructions_kept,
        "compact": compact,
        "hours": hours,
    }
    environment.filters |= {"duration": duration, "shell": views.shell_line}
    environment.globals |= {
        "pieces": pieces,
        "metric_names": metrics.labels,
        "split_names": SPLIT_NAMES,
        "share": share,
    }
    environment.globals |= {"interval_note": INTERVAL_NOTE, "truth_names": TRUTH_NAMES, "goal_marks": GOAL_MARKS}
    environment.globals |= {"beside": beside, "plottable": plottable}
    environment.globals |= {"difference_note": DIFFERENCE_NOTE, "row_of": views.row_of, "shares": metrics.shares}
    return environment


def _contents(report: Mapping[str, Any]) -> dict[str, Any]:
    """What the templates show."""
    metrics = Metrics(report).run(report)
    return {
        "report": report,
        "metrics": metrics,
        "grid": views.is_grid(report),
        "rows": views.shown_rows(report),
        "matrices": views.matrices(report),
        "costs": views.costs(report),
        "extra": [metric for metric in ("fact_precision", "fact_recall") if metric in metrics],
    }


def render(report: Mapping[str, Any]) -> str:
    """The page: one HTML document that needs nothing else.

    Args:
        report: contents of report.json.
    """
    from markupsafe import Markup

    report = complete(report)
    environment = _environment(report, markdown=False)
    added = sections(report.get("parts", ()), report, environment, "html")
    template = environment.get_template("report.html.j2")
    return str(
        template.render(
            **_contents(report),
            plots=draw(report, Metrics(report).run(report)),
            added=[(title, Markup(text)) for title, text in added],  # its values were escaped when it was rendered
        )
    )


def render_markdown(report: Mapping[str, Any]) -> str:
    """The same as Markdown, without the plots."""
    report = complete(report)
    environment = _environment(report, markdown=True)
    text = str(environment.get_template("report.md.j2").render(**_contents(report)))
    for title, added in sections(report.get("parts", ()), report, environment, "markdown"):
        text += f"\n## {escape_markdown(title)}\n\n{added.strip()}\n"
    return re.sub(r"\n{3,}", "\n\n", text)


def summary_table(report: Mapping[str, Any]) -> Table:
    """The main table for a terminal."""
    from rich.table import Table
    from rich.text import Text

    known = Metrics(report)
    metrics = [metric for metric in known.run(report) if metric not in ("fact_precision", "fact_recall")]
    table = Table(title=Text(report["title"]), caption=_caption(report))
    table.add_column("model")
    table.add_column("questions")
    table.add_column("n", justify="right")
    for metric in metrics:
        table.add_column(known.labels[metric], justify="right")
    for split in SPLIT_NAMES:
        for row in report["models"]:
            if row["split"] != split:
                continue
            cells = []
            for index, metric in enumerate(metrics):
                cell = known.number(row[metric], metric)
                if index == 0 and row[metric] is not None:
                    cell += f"  ({known.interval(row['ci95'][metric], metric)})"
                cells.append(cell)
            table.add_row(Text(row["name"]), SPLIT_NAMES[split], str(row["n"]), *cells)
        table.add_section()
    return table


def _retained(report: Mapping[str, Any], name: str) -> tuple[str, str]:
    """The number of an arm's retention, and what is said before it."""
    value, note = beside(complete(report), name)
    kind, _, rest = note.partition(": ")
    return value + f" ({rest})", f"{name}, {kind}"


def _caption(report: Mapping[str, Any]) -> Any:
    from rich.text import Text

    lines = []
    head = report["headline"]
    if head is not None:
        known = Metrics(report)
        change = f"{known.signed(head['mean'], head['metric'])} "
        change += f"(95 % interval {known.interval(head['ci95'], head['metric'])})"
        lines.append(f"{head['name']} against {head['base']}, held-out: {change}")
        lines.append(": ".join(reversed(_retained(report, head["name"]))))
    if report["encoder"] and "placeholder" in report["encoder"]:
        lines.append(f"BERTScore by {report['encoder']}: random weights, no meaning")
    return Text("\n".join(lines))
