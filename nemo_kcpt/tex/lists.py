"""LaTeX's lists: items with the numbers and letters that the page shows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from nemo_kcpt.tex.labels import Label
from nemo_kcpt.tex.lexer import written
from nemo_kcpt.tex.primitives import numeral
from nemo_kcpt.tex.write import Handler, Writer

_ITEM = "\x07"
_TEMPLATES = (("arabic", "{}."), ("alph", "({})"), ("roman", "{}."), ("Alph", "{}."))
"""How LaTeX numbers lists within each other."""
_COUNTERS = ("enumi", "enumii", "enumiii", "enumiv")
_STARRED = re.compile(r"\\(arabic|roman|Roman|alph|Alph)(?:\s*\*|\{\w+\})")
_SHORT = {"1": "arabic", "i": "roman", "I": "Roman", "a": "alph", "A": "Alph"}


@dataclass
class Items:
    """A list that is being read."""

    kind: str
    form: str = "arabic"
    template: str = "{}."
    counter: str = ""
    usual: bool = True
    """Numbered 1., 2., 3., as Markdown numbers lists."""


def _list(writer: Writer, name: str) -> None:
    kind = name.rstrip("*")
    options = written(writer.program.option() or ())
    items = _items_of(writer, {"inparaenum": "enumerate", "inparaitem": "itemize"}.get(kind, kind), options)
    writer.lists.append(items)
    text = writer.body(name)
    writer.lists.pop()
    if items.counter:
        writer.state.resumed[len([outer for outer in writer.lists if outer.counter])] = writer.program.counters[
            items.counter
        ]
    writer.paragraph() if writer.depth == 0 and not text.strip() else None
    writer.block("\n".join(_lines(writer, items, text)))
    if writer.depth == 0:
        writer.paragraph()


def _items_of(writer: Writer, kind: str, options: str) -> Items:
    if kind not in ("enumerate", "compactenum"):
        return Items("description" if kind in ("description", "labeling") else "itemize")
    depth = min(len([outer for outer in writer.lists if outer.counter]), 3)
    form, template = _TEMPLATES[depth]
    label = re.search(r"label\s*=\s*(\{.*\}|[^,]*)", options)
    text = (
        label[1].strip("{} ")
        if label
        else ("" if "=" in options or re.fullmatch(r"\s*resume\s*", options) else options)
    )
    if match := _STARRED.search(text):
        form, template = (
            match[1],
            text[: match.start()].replace("{", "{{").replace("}", "}}") + "{}" + text[match.end() :],
        )
    elif text and (short := re.search(r"(?<![A-Za-z\\])[1iIaA](?![A-Za-z])", text)):
        form, template = _SHORT[short[0]], f"{text[: short.start()]}{{}}{text[short.end() :]}"
    template = re.sub(r"\\[A-Za-z]+\s*|\{(?!\})|(?<!\{)\}", "", template)
    counter = _COUNTERS[depth]
    start = re.search(r"start\s*=\s*\{?(\d+)", options)
    writer.program.counters[counter] = int(start[1]) - 1 if start else 0
    if "resume" in options:
        writer.program.counters[counter] = writer.state.resumed.get(depth, 0)
    usual = (form, template) == _TEMPLATES[0] and not writer.program.counters[counter]
    return Items("enumerate", form, template, counter, usual)


def _item(writer: Writer, name: str) -> None:
    if not writer.lists:
        writer.put("- ")
        return
    items = writer.lists[-1]
    given = writer.program.option()
    if given is None and (given_overlay := writer.program.option("<", ">")) is not None and given_overlay:
        given = writer.program.option()
    label = ""
    if given is not None:
        label = writer.text(given)
        items.usual = False
    elif items.counter:
        writer.program.step(items.counter)
        number = writer.program.counters[items.counter]
        label = items.template.format(numeral(number, items.form))
        writer.label = Label(label.strip("().") if items.form == "arabic" else label.rstrip("."), "item")
    writer.put(f"{_ITEM}{label}{_ITEM}")


def _lines(writer: Writer, items: Items, text: str) -> Iterator[str]:
    before, *rest = text.split(_ITEM)
    yield from writer.paragraphs(before)
    numbers = iter(range(1, len(rest)))
    usual = items.usual and list(rest[::2]) == [f"{number}." for number in range(1, len(rest) // 2 + 1)]
    for label, content in zip(rest[::2], rest[1::2]):
        blocks = writer.paragraphs(content)
        sign = f"{next(numbers)}." if usual else "-"
        first, *others = blocks or [""]
        if not usual and label:
            between = "" if items.kind != "description" or re.search(r"[:：.?!。]$", label) else ":"
            first = f"{label}{between} {first}"
        lines = "\n".join([first, *others]).split("\n")
        indent = " " * (len(sign) + 1)
        yield "\n".join([f"{sign} {lines[0]}".rstrip(), *(f"{indent}{line}" if line else "" for line in lines[1:])])


def _quote(writer: Writer, name: str) -> None:
    writer.program.option()
    text = "\n\n".join(writer.paragraphs(writer.body(name)))
    writer.paragraph()
    writer.block("\n".join(f"> {line}".rstrip() for line in text.split("\n")) if text else "")


COMMANDS: dict[str, Handler] = {"item": _item}
ENVIRONMENTS: dict[str, Handler] = {
    **dict.fromkeys(
        (
            "itemize",
            "enumerate",
            "description",
            "compactitem",
            "compactenum",
            "inparaenum",
            "inparaitem",
            "itemize*",
            "enumerate*",
            "description*",
            "labeling",
            "list",
            "trivlist",
        ),
        _list,
    ),
    **dict.fromkeys(("quote", "quotation", "verse", "displayquote"), _quote),
}
