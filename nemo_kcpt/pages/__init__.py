"""What every page that we write shares: the look, the plots, and escaping; what it shows is data.

A page is one file: light, printable, without scripts (its head forbids them), made from a JSON file alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

_MARKDOWN = re.compile(r"([\\`*_\[\]|~#])")


def escape_markdown(value: Any) -> str:
    """`value` as text that Markdown shows as it is, in one line, inside a table too."""
    text = " ".join(str(value).split())
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return _MARKDOWN.sub(r"\\\1", text)


def flat(value: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Name and value of every leaf of a nested object, in order."""
    for key, entry in value.items():
        if isinstance(entry, Mapping):
            yield from flat(entry, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", entry


def count(value: float | None) -> str:
    """A number for reading: 12,345; one decimal where it has one; – for none."""
    if value is None:
        return "–"
    return f"{value:,.1f}" if isinstance(value, float) and value % 1 else f"{value:,.0f}"


def share(part: float, whole: float) -> str:
    """`part` of `whole` in percent; small shares are not rounded to nothing."""
    percent = 100 * part / whole if whole else 0.0
    if 0 < percent < 0.1:
        return "< 0.1 %"
    if 99.9 < percent < 100:
        return "> 99.9 %"
    return f"{percent:.1f} %" if percent % 100 else f"{percent:.0f} %"


def environment(folder: Path, *, markdown: bool) -> Any:
    """Jinja for the templates in `folder`, which may include `look.css.j2`; every value is escaped."""
    import jinja2

    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=not markdown,
        finalize=escape_markdown if markdown else None,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
    )
    found.globals["flat"] = flat
    return found
