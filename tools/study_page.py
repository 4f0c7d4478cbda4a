"""docs/study.md and its plots, from the files in docs/study alone: the words are in study.md.j2, the numbers in
report.json."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.files import atomic_write, read_json
from nemo_kcpt.report import formats, render, views
from nemo_kcpt.stats.statistics import least_p

ROOT = Path(__file__).resolve().parent.parent
PLOTS = ("length", "agreement", "beside")
"""Plots of the report that the page shows; that over tokens would show one column, since all arms took equally many."""


class Code(str):
    """Text that is Markdown already."""


def say(text: str) -> None:
    """A line about what is being done."""
    print(f"study: {text}", flush=True)


def short(path: Path) -> str:
    """A path as one types it in the repository."""
    return str(path.relative_to(ROOT)) if path.is_relative_to(ROOT) else str(path)


def plots(report: Mapping[str, Any]) -> dict[str, str]:
    """SVG files of docs/study by name, those of the report's own page; none for a plot that would show nothing."""
    from nemo_kcpt.report.drawings import draw

    few = {**report, **{key: [] for key in ("packs", "stages", "losses", "trainings", "by_fact", "by_wording")}}
    drawn = draw(few, formats.Metrics(report).run(report))
    found = {}
    for name in PLOTS:
        parts = [f"{part}</svg>" for part in str(drawn[name]).split("</svg>") if "<svg" in part]
        for number, part in enumerate(parts, start=1):
            found[f"{name}-{number}.svg" if len(parts) > 1 else f"{name}.svg"] = alone(part)
    return found


def alone(svg: str) -> str:
    """An SVG of a page as a file of its own: with size and font, and on white, since readers' pages may be dark."""
    svg = svg.replace("var(--font)", "'DejaVu Sans', Verdana, sans-serif").strip()
    width, height = (float(one) * 4 / 3 for one in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
    svg = re.sub(r' style="width:100%[^"]*"', f' width="{width:.0f}" height="{height:.0f}"', svg, count=1)
    end = svg.index(">") + 1
    return f'{svg[:end]}\n <rect width="100%" height="100%" fill="#ffffff"/>{svg[end:]}\n'


def reading(row: Mapping[str, Any]) -> str:
    """What a comparison shows, in words: only what both its interval and its corrected p bear."""
    shown = formats.clear(row)
    if shown == "no":
        return "no difference could be shown"
    told = "higher" if row["mean"] > 0 else "lower"
    return told if shown == "yes" else f"{told} by the interval; too few papers for p to tell"


def planned(report: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The comparisons that the experiment names, of exact match on held-out questions."""
    return [row for row in report["comparisons"] if (row["split"], row["metric"]) == ("test", "exact_match")]


def minutes(seconds: float | None) -> str:
    """Seconds as minutes with one decimal."""
    return decimal(None if seconds is None else seconds / 60)


def decimal(value: float | None) -> str:
    """A number with one decimal and thousands marked."""
    return "–" if value is None else f"{value:,.1f}"


def span(values: Sequence[float]) -> str:
    """One number, or the least and the most of several."""
    if not values:
        return "–"
    return " to ".join(f"{value:,.0f}" for value in dict.fromkeys((min(values), max(values))))


def listed(names: Sequence[str]) -> str:
    """Names in a sentence: a, b and c."""
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def code_span(value: object) -> Code:
    """A text between backticks."""
    return Code(f"`{str(value).replace('`', '')}`")


def _wrapped(text: str) -> str:
    """Paragraphs and list items in lines of 120 characters; tables, headings, blocks and code stay in one piece."""

    def filled(block: str) -> str:
        if block.startswith(("|", "#", "!", "```", "<!--")):
            return block
        words = re.sub(r"`[^`]+`", lambda match: match[0].replace(" ", "\0"), " ".join(block.split()))
        indent = "  " if block.startswith("- ") else ""
        lines = textwrap.wrap(words, 120, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False)
        return "\n".join(lines).replace("\0", " ")

    blocks = re.split(r"\n{2,}", text.strip())
    out = []
    for block in blocks:
        items = re.split(r"\n(?=- )", block) if block.startswith("- ") else [block]
        out.append("\n".join(filled(item) for item in items))
    return "\n\n".join(out) + "\n"


def page(report: Mapping[str, Any], second: Mapping[str, Any] | None, drawn: Sequence[str]) -> str:
    """docs/study.md.

    Args:
        report: contents of docs/study/report.json.
        second: of docs/study/jaquad.json, None where that is absent.
        drawn: names of the plots' files.
    """
    from nemo_kcpt.pages import environment, escape_markdown

    found, metrics = environment(ROOT / "tools", markdown=True), formats.Metrics(report)
    found.finalize = lambda value: value if isinstance(value, Code) else escape_markdown(value)
    for one in (
        metrics.number, metrics.interval, metrics.signed, formats.estimate, formats.probability, metrics.reached,
        metrics.wanted, minutes, span, listed, reading, planned, formats.clear,
    ):  # fmt: skip
        found.filters[one.__name__] = one
    found.filters |= {
        "code_span": code_span,
        "md": Code,
        "thousands": "{:,.0f}".format,
        "decimal": decimal,
        "least_p": least_p,
    }
    found.globals |= {"metric_names": metrics.labels, "truth_names": formats.TRUTH_NAMES, "row_of": views.row_of}
    template = found.get_template("study.md.j2")
    return _wrapped(template.render(report=report, second=second, drawn=list(drawn)))


def render_page(docs: Path) -> str:
    """docs/study.md from the files in docs/study alone."""
    report, path = read_json(docs / "study/report.json"), docs / "study/jaquad.json"
    return page(report, read_json(path) if path.is_file() else None, sorted(plots(report)))


def write_page(docs: Path) -> None:
    """Write docs/study.md, the plots and report.html from the files in docs/study."""
    report = read_json(docs / "study/report.json")
    drawn = plots(report)
    for old in (docs / "study").glob("*.svg"):
        if old.name not in drawn:
            old.unlink()
    written = {docs / "study" / name: svg for name, svg in drawn.items()}
    written |= {docs / "study/report.html": render.render(report), docs / "study.md": render_page(docs)}
    for path, text in written.items():
        with atomic_write(path) as stream:
            stream.write(text)
    say(f"{short(docs / 'study.md')} and {len(written) - 1} files in {short(docs / 'study')}: written")
