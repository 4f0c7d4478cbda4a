"""Confluence's storage format, the XML that its pages are kept in, as HTML elements: macros by what they show."""

from __future__ import annotations

import re
from typing import Any

from nemo_kcpt.markup.html.markdown import document_markdown
from nemo_kcpt.markup.xml.elements import Converter, Rule, append_text, below, child, children, element, plain
from nemo_kcpt.markup.xml.safe import local, parse

_HEAD = '<!DOCTYPE page SYSTEM "page"><page xmlns:ac="ac" xmlns:ri="ri" xmlns:at="at">'
_CODE = frozenset(["code", "noformat", "paste-code-macro"])
_FORMULAS = frozenset(
    ["mathblock", "mathinline", "math", "latex", "latex-formatting", "mathjax-block-macro", "mathjax-inline-macro"]
)
_LISTS = frozenset(
    "toc children pagetree recently-updated contentbylabel attachments gallery anchor livesearch".split()  # noqa: SIM905
)
"""Macros that list other pages or files, which is no text of the page."""
_SHOWN = {"status": "title", "jira": "key", "jiraissues": "key"}
"""Macro -> the parameter that it shows."""


def storage_markdown(body: str) -> tuple[str, dict[str, int]]:
    """A page's body as Markdown, and what was changed in it (counts by name).

    Raises:
        BadXml: it is damaged.
    """
    converter = _Storage()
    tree = element("div")
    converter.fill(parse(f"{_HEAD}{body}</page>"), tree)
    text, raised = document_markdown(tree)
    return text, {"raised": raised, "confluence_macros": converter.left_out}


class _Storage(Converter):
    """A converter that counts the macros whose content only Confluence knows."""

    def __init__(self) -> None:
        super().__init__(RULES)
        self.left_out = 0


def _parameter(node: Any, name: str) -> str:
    parameters = (parameter for parameter in children(node, "parameter") if name in (parameter.get("{ac}name"), ""))
    return next((plain(parameter) for parameter in parameters), "")


def _macro(converter: Converter, node: Any, parent: Any) -> None:
    name = node.get("{ac}name", "")
    body, text = child(node, "rich-text-body"), child(node, "plain-text-body")
    if name in _CODE:
        element("pre", parent, text="".join(text.itertext()) if text is not None else "")
    elif name in _FORMULAS:
        tex = " ".join(
            ("".join(text.itertext()) if text is not None else _parameter(node, "body") or plain(body)).split()
        )
        displayed = "block" in name
        append_text(
            element("p" if displayed else "span", parent),
            f"{'$$' if displayed else '$'}{tex}{'$$' if displayed else '$'}" if tex else "",
        )
    elif name in _SHOWN:
        append_text(parent, _parameter(node, _SHOWN[name]))
    elif body is not None:
        made = element("div", parent)
        if title := _parameter(node, "title"):
            element("p", made, text=title)
        converter.fill(body, made)
    elif text is not None:
        element("p", parent, text="".join(text.itertext()))
    elif name not in _LISTS and isinstance(converter, _Storage):
        converter.left_out += 1


def _link(converter: Converter, node: Any, parent: Any) -> None:
    body = next(below(node, "link-body", "plain-text-link-body"), None)
    if body is not None:
        converter.fill(body, element("span", parent))
        return
    target = next((part for part in node if local(part)), None)
    if target is not None:
        append_text(
            parent, target.get("{ri}content-title") or target.get("{ri}filename") or target.get("{ri}value") or ""
        )


def _task(converter: Converter, node: Any, parent: Any) -> None:
    made = element("li", parent)
    append_text(made, "[x] " if plain(child(node, "task-status")) == "complete" else "[ ] ")
    for body in children(node, "task-body"):
        converter.fill(body, made)


def _time(converter: Converter, node: Any, parent: Any) -> None:
    """A date, which the element holds as an attribute."""
    append_text(parent, plain(node) or node.get("datetime", ""))


def _image(converter: Converter, node: Any, parent: Any) -> None:
    for caption in children(node, "caption"):
        converter.fill(caption, element("p", parent))


def _emoticon(converter: Converter, node: Any, parent: Any) -> None:
    if re.fullmatch(r"[^\w\s]+", sign := node.get("{ac}emoji-fallback", "")):
        append_text(parent, sign)


_SAME = re.findall(
    r"\S+",
    "p div h1 h2 h3 h4 h5 h6 ul ol li table thead tbody tfoot tr th td caption pre blockquote sup sub "
    "code br hr s del strike dl dt dd ruby rb rt rp a strong em u b i section",
)
RULES: dict[str, str | Rule] = {
    **{name: name for name in _SAME},
    "structured-macro": _macro,
    "macro": _macro,
    "link": _link,
    "task-list": "ul",
    "task": _task,
    "time": _time,
    "image": _image,
    "emoticon": _emoticon,
    **dict.fromkeys(("layout", "layout-section", "layout-cell", "rich-text-body", "adf-content"), "div"),
    **dict.fromkeys(("placeholder", "parameter", "default-parameter", "colgroup", "col", "adf-attribute"), ""),
}
"""Element of the storage format -> HTML element, nothing, or a function."""
