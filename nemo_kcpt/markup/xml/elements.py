"""XML of articles turned into HTML elements by a table of rules, so that one writer makes Markdown of all of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import count
from typing import Any

from nemo_kcpt.documents.base import Flaw
from nemo_kcpt.markup.xml.safe import local
from nemo_kcpt.text.raised import lowered, raised

PICTURES = "formulas and tables that are only pictures"
"""Kind of a flaw."""

Rule = Callable[["Converter", Any, Any], None]
"""(converter, element, HTML parent): appends what the element becomes to the parent."""
_KEPT = (
    "colspan",
    "rowspan",
    "class",
    "id",
    "ref-type",
    "style",
    "encoding",
    "alttext",
    "open",
    "close",
    "linethickness",
)
"""Attributes that say how an element is to be read."""


class Converter:
    """Turns elements into HTML elements.

    Args:
        rules: name of an element -> name of the HTML element, "" to leave it out, or a function. An element without a
            rule is one within a line.
    """

    def __init__(self, rules: Mapping[str, str | Rule]) -> None:
        self.rules = rules
        self.notes: list[Any] = []
        """Notes that stand within a text, to be put behind its paragraph: HTML elements."""
        self.marks: set[str] = set()
        """Marks of notes that are taken."""
        self.pictures: Counter[str] = Counter()
        """What is only a picture, formulas or tables: how many."""

    def new_mark(self) -> str:
        """The lowest number that marks no note yet."""
        mark = next(str(number) for number in count(1) if str(number) not in self.marks)
        self.marks.add(mark)
        return mark

    def put_notes(self, parent: Any) -> None:
        """Append the notes that wait for the end of what they stand in."""
        for note in self.notes:
            parent.append(note)
        self.notes = []

    def add(self, node: Any, parent: Any) -> None:
        """Append what an element becomes, without what follows it."""
        rule = self.rules.get(local(node), "span")
        if callable(rule):
            rule(self, node, parent)
        elif rule:
            self.fill(node, element(rule, parent, node))

    def fill(self, node: Any, parent: Any) -> None:
        """Append the text and the elements in `node`."""
        append_text(parent, node.text)
        for child in node:
            if local(child):
                self.add(child, parent)
            append_text(parent, child.tail)

    def copy(self, node: Any, parent: Any) -> None:
        """Append an element as it is (MathML), names without prefixes."""
        made = element(local(node), parent, node)
        append_text(made, node.text)
        for child in node:
            if local(child):
                self.copy(child, made)
            append_text(made, child.tail)


def element(name: str, parent: Any = None, node: Any = None, text: str = "") -> Any:
    """A new HTML element, appended to `parent`, with the attributes of `node` that say how it is to be read."""
    import lxml.html

    made = lxml.html.html_parser.makeelement(name)  # without the wrapper around it, of which documents need thousands
    if node is not None:
        for attribute, value in node.attrib.items():
            key = attribute.rpartition("}")[2]
            if key in _KEPT:
                made.set(key, value)
    made.text = text or None
    if parent is not None:
        parent.append(made)
    return made


def append_text(parent: Any, text: str | None) -> None:
    """Append text to what is in an element."""
    if not text:
        return
    if len(parent):
        parent[-1].tail = f"{parent[-1].tail or ''}{text}"
    else:
        parent.text = f"{parent.text or ''}{text}"


def children(node: Any, *names: str) -> list[Any]:
    """The elements directly in `node` with one of these names."""
    return [child for child in node if local(child) in names]


def child(node: Any, name: str) -> Any:
    """The first element with this name directly in `node`, or None."""
    return next(iter(children(node, name)), None) if node is not None else None


def below(node: Any, *names: str) -> Iterator[Any]:
    """The elements with one of these names anywhere in `node`."""
    return iter(()) if node is None else iter(node.iter(*(f"{{*}}{name}" for name in names)))


def plain(node: Any) -> str:
    """The text of an element on one line, raised and lowered characters as such; empty for None."""
    return " ".join(_plain(node).split()) if node is not None else ""


def _plain(node: Any) -> str:
    text = (node.text or "") + "".join((_plain(part) if local(part) else "") + (part.tail or "") for part in node)
    way = local(node) if local(node) in ("sup", "sub") else node.get("rend", "")
    return raised(text) if way in ("sup", "superscript") else lowered(text) if way in ("sub", "subscript") else text


def flaws_of(converter: Converter, where: str) -> Sequence[Flaw]:
    """What an article is kept without."""
    return [
        Flaw(PICTURES, where, f"{number} of its {what} can only be seen, not read")
        for what, number in converter.pictures.items()
    ]
