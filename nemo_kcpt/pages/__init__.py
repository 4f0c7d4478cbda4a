"""What every page that we write shares: the look, the plots, and escaping; what it shows is data.

A page is one file: light, printable, without scripts (its head forbids them), made from a JSON file alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
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


@cache
def _compiled(markdown: bool) -> Any:
    """The templates that this process has compiled, which takes longer than to render them."""
    import jinja2

    class Compiled(jinja2.BytecodeCache):
        def __init__(self) -> None:
            self._codes: dict[str, bytes] = {}

        def load_bytecode(self, bucket: Any) -> None:
            if bucket.key in self._codes:
                bucket.bytecode_from_string(self._codes[bucket.key])

        def dump_bytecode(self, bucket: Any) -> None:
            self._codes[bucket.key] = bucket.bytecode_to_string()

    return Compiled()


def environment(folder: Path, *, markdown: bool) -> Any:
    """Jinja for the templates in `folder`, which may include `look.css.j2`; every value is escaped."""
    import jinja2

    templates = jinja2.Environment(
        loader=jinja2.FileSystemLoader([folder, Path(__file__).parent]),
        autoescape=not markdown,
        finalize=escape_markdown if markdown else None,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
        keep_trailing_newline=True,
        bytecode_cache=_compiled(markdown),
    )
    templates.globals["flat"] = flat
    return templates
