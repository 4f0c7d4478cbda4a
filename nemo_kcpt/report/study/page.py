"""A study's page and plots, from its published files alone: the words are in NAME.md.j2, the numbers in report.json."""

from __future__ import annotations

import json
import re
import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.files import atomic_write, read_json
from nemo_kcpt.logs import LOG
from nemo_kcpt.pages import environment, escape_markdown, numbers
from nemo_kcpt.report import formats, render, views
from nemo_kcpt.report.retention import headline_arm
from nemo_kcpt.stats.statistics import least_p

ENDING = ".md.j2"
PLOTS = {"study": ("length", "agreement", "beside"), "keep": ("frontier", "sweep")}
"""Plots of the report that a page shows, by the beginning of their names; that over tokens would show one column, since
all arms took equally many."""


class Code(str):
    """Text that is Markdown already."""


def templates() -> list[str]:
    """Names of the pages that there is a template for."""
    return sorted(path.name.removesuffix(ENDING) for path in Path(__file__).parent.glob(f"*{ENDING}"))


def plots(report: Mapping[str, Any], page: str = "study") -> dict[str, str]:
    """SVG files of a page by name, as the report itself shows them; none for a plot that would show nothing."""
    from nemo_kcpt.report.drawings import draw

    few = {**report, **{key: [] for key in ("packs", "stages", "losses", "trainings", "by_fact", "by_wording")}}
    drawn = draw(few, formats.Metrics(report).run(report))
    files = {}
    for name in (name for prefix in PLOTS[page] for name in drawn if name.split()[0] == prefix):
        parts = [f"{part}</svg>" for part in str(drawn[name]).split("</svg>") if "<svg" in part]
        for number, part in enumerate(parts, start=1):
            stem = "-".join(re.findall(r"[\w.@~]+", name))
            files[f"{stem}-{number}.svg" if len(parts) > 1 else f"{stem}.svg"] = alone(part)
    return files


def holds(training: Mapping[str, Any]) -> Code:
    """What holds the model to what it was in an arm, in words; its keys as code."""
    said = []
    if training.get("distill"):
        alone_ = training["distill"].get("passage") is False
        said.append("its own distributions" + ("" if alone_ else ", with the passage before each pair"))
    if training.get("self_replay"):
        given = training["self_replay"].get("prompts")
        said.append("its own answers to general prompts" if given else "conversations that it has with itself")
    if training.get("lora"):
        said.append(f"adapters of rank {training['lora'].get('rank')} in place of the weights")
    if training.get("mix"):
        said.append("mixed back with the base")
    keys = {key: training[key] for key in ("distill", "self_replay", "lora", "mix", "overrides") if training.get(key)}
    return Code(f"{'; '.join(said)} (`{json.dumps(keys)}`)" if said else "nothing: plain training")


def alone(svg: str) -> str:
    """An SVG of a page as a file of its own: with size and font, and on white, since readers' pages may be dark."""
    svg = svg.replace("var(--font)", "'DejaVu Sans', Verdana, sans-serif").strip()
    width, height = (float(number) * 4 / 3 for number in re.findall(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg)[0])
    svg = re.sub(r' style="width:100%[^"]*"', f' width="{width:.0f}" height="{height:.0f}"', svg, count=1)
    end = svg.index(">") + 1
    return f'{svg[:end]}\n <rect width="100%" height="100%" fill="#ffffff"/>{svg[end:]}\n'


def reading(row: Mapping[str, Any]) -> str:
    """What a comparison shows, in words: only what both its interval and its corrected p bear."""
    clear = formats.clear(row)
    if clear == "no":
        return "no difference could be shown"
    direction = "higher" if row["mean"] > 0 else "lower"
    return direction if clear == "yes" else f"{direction} by the interval; too few papers for p to tell"


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


def page(
    report: Mapping[str, Any], second: Mapping[str, Any] | None, drawn: Sequence[str], template: str = "study"
) -> str:
    """The page in Markdown.

    Args:
        report: contents of the published report.json.
        second: of second.json, None where that is absent.
        drawn: names of the plots' files.
        template: name of the page's template.
    """
    jinja, metrics = environment(Path(__file__).parent, markdown=True), formats.Metrics(report)
    jinja.finalize = lambda value: value if isinstance(value, Code) else escape_markdown(value)
    for function in (
        metrics.number,
        metrics.interval,
        metrics.signed,
        formats.estimate,
        numbers.probability,
        metrics.reached,
        metrics.wanted,
        minutes,
        span,
        listed,
        reading,
        planned,
        formats.clear,
        formats.instructions_kept,
    ):
        jinja.filters[function.__name__] = function
    jinja.filters |= {
        "code_span": code_span,
        "md": Code,
        "thousands": "{:,.0f}".format,
        "decimal": decimal,
        "least_p": least_p,
    }
    jinja.globals |= {"kept": headline_arm}
    jinja.globals |= {
        "metric_names": metrics.labels,
        "truth_names": formats.TRUTH_NAMES,
        "row_of": views.row_of,
        "holds": holds,
    }
    rendered = jinja.get_template(f"{template}{ENDING}").render(report=report, second=second, drawn=list(drawn))
    return _wrapped(rendered)


def render_page(docs: Path, name: str = "study") -> str:
    """DOCS/NAME.md from the files in DOCS/NAME alone."""
    report, path = read_json(docs / name / "report.json"), docs / name / "second.json"
    return page(report, read_json(path) if path.is_file() else None, sorted(plots(report, name)), name)


def write_page(docs: Path, name: str = "study") -> None:
    """Write DOCS/NAME.md, the plots and report.html from the JSON files in DOCS/NAME."""
    folder = docs / name
    report = read_json(folder / "report.json")
    drawn = plots(report, name)
    for old in folder.glob("*.svg"):
        if old.name not in drawn:
            old.unlink()
    written = {folder / svg: text for svg, text in drawn.items()}
    written |= {folder / "report.html": render.render(report), docs / f"{name}.md": render_page(docs, name)}
    for path, text in written.items():
        with atomic_write(path) as stream:
            stream.write(text)
    LOG.info("study: %s and %d files in %s: written", docs / f"{name}.md", len(written) - 1, folder)
