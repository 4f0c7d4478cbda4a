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
