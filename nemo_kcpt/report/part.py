"""Parts of the report that other packages add (parts=[NAME]), at the end of the page and of the Markdown."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.plugins import Plugin


@dataclass(frozen=True, kw_only=True)
class Part:
    """A section of the report, for an entry point of the group `nemo_kcpt.report_parts`.

    The templates are Jinja's; what `contents` gives is data and is escaped in both. Beside it they know `report` and
    the report's own filters, such as `number`, `interval`, `signed` and `count`.
    """

    title: str
    """Heading of the section."""
    contents: Callable[[Mapping[str, Any]], Mapping[str, Any]]
    """Contents of report.json -> what the templates show by name."""
    html: str
    """Template of the page's section, without its heading."""
    markdown: str
    """Template of the same in Markdown."""


def chosen(names: Sequence[str]) -> list[Plugin]:
    """The packages' entry points of these names, in order.

    Raises:
        BadInput: no installed package adds one.
    """
    known = plugins.find(plugins.REPORT_PARTS)
    for name in names:
        if name not in known:
            there = nearest(name, list(known)) if known else "none does; see CONTRIBUTING.md"
            raise BadInput(f"parts: no installed package adds a report part '{name}'; {there}")
    return [known[name] for name in dict.fromkeys(names)]


def sections(names: Iterable[str], report: Mapping[str, Any], environment: Any, form: str) -> Iterator[tuple[str, str]]:
    """Heading and text of each part.

    Args:
        names: of the parts.
        report: contents of report.json.
        environment: Jinja as the report's own templates have it; it escapes.
        form: html or markdown.

    Raises:
        KcptError: a part cannot be imported, is none, or fails; names its package.
    """
    for plugin in chosen(list(names)):
        part: Part = plugin.load(lambda value: isinstance(value, Part), "a nemo_kcpt.report.part.Part")
        try:
            text = environment.from_string(getattr(part, form)).render(report=report, **part.contents(report))
        except Exception as error:  # whatever a function or a template of others raises
            raise plugin.fault(f"{type(error).__name__}: {error}") from error
        yield part.title, text
