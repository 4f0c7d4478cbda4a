"""HTML's raised and lowered text as characters: <sup>, <sub>, spans with such a style, links to notes."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from nemo_kcpt.cleaning.marks import NEAR, is_marked, is_note, mark, write_lowered, write_raised

SHORT = 20
"""Characters that a class or a shift raises at most."""
LONGEST = 200
"""Characters of raised text at most; more is a paragraph in small print."""
INLINE = frozenset(
    re.findall(
        r"\S+",
        "a abbr acronym b bdi bdo big cite code data del dfn em font i ins kbd label mark meter nobr output progress q "
        "rb ruby s samp small span strike strong sub sup time tt u var wbr",
    )
)
"""Elements within a line."""
_STYLE = re.compile(r"(?:vertical-align|font-variant-position)\s*:\s*(super|sub)\b", re.I)
_SHIFTED = re.compile(
    r"vertical-align\s*:\s*(?:(?P<text>text-top|top)|(?P<down>-)?(?P<up>[\d.]+)(?:em|ex|px|pt|%))"
    r"|(?=.*position\s*:\s*relative).*?(?<![\w-])(?:(?P<top>top)|bottom)\s*:\s*(?P<minus>-)?[\d.]+(?:em|ex|px|pt|%)",
    re.I,
)
_SMALLER = re.compile(
    r"font-size\s*:\s*(?:smaller|x+-small|small|[1-8]?\d(?:\.\d+)?%|0?\.\d+r?em|[1-8](?:\.\d+)?p[tx])", re.I
)
_CLASS = re.compile(r"(?:^|\s)(?:(?P<up>sup|super|superscript)|(?P<down>sub|subscript))(?:$|\s)", re.I)
_RULE = re.compile(r"([^{}]+)\{([^{}]*)\}")
_AT_TOP = re.compile(r"vertical-align\s*:\s*(?:text-)?top", re.I)
"""What styles of cells say."""
_CSS_COMMENT = re.compile(r"/\*.*?\*/", re.S)
_LAST_CLASS = re.compile(r"\.([\w-]+)\s*$")


def write_raised_text(tree: Any) -> int:
    """Replace what a page raises or lowers by characters, in place; returns how many pieces there were."""
    rules = {name: tag for style in tree.xpath("//style") for name, tag in _rules(style.text_content() or "")}
    for node in tree.xpath("//*[@style or @class]"):
        if node.tag in INLINE - {"sup", "sub"} and (tag := _position(node, rules)):
            node.tag = tag
    nodes = _children_first(tree)
    noted = {node.text_content().strip() for node in nodes if node.tag == "sup" and _begins(node)}
    return sum(_written(node, noted) for node in nodes)


def _rules(sheet: str) -> Iterator[tuple[str, str]]:
    """The classes that a style sheet raises or lowers, with sup or sub."""
    for selectors, style in _RULE.findall(" ".join(_CSS_COMMENT.sub("", sheet).split())):
        is_small = _SMALLER.search(style) and not _AT_TOP.search(style)
        if tag := _of_style(style) or (_shifted(style) if is_small else ""):
            yield from ((match[1], tag) for selector in selectors.split(",") if (match := _LAST_CLASS.search(selector)))


def _of_style(style: str) -> str:
    match = _STYLE.search(style)
    return "" if match is None else "sup" if match[1].lower() == "super" else "sub"


def _shifted(style: str) -> str:
    """sup or sub, if a style shifts text; else an empty text."""
    match = _SHIFTED.search(style)
    if match is None:
        return ""
    if match["up"] or match["text"]:
        return "sub" if match["down"] else "sup"
    return "sup" if bool(match["top"]) == bool(match["minus"]) else "sub"


def _position(node: Any, rules: Mapping[str, str]) -> str:
    """sup or sub, if style or class set an element so; else an empty text."""
    style, classes = node.get("style", ""), node.get("class", "")
    if tag := _of_style(style):
        return tag
    if len(node.text_content()) > SHORT or node.xpath(".//sup | .//sub"):
        return ""
    if match := _CLASS.search(classes):
        return "sup" if match["up"] else "sub"
    if tag := next((rules[name] for name in classes.split() if name in rules), ""):
        return tag
    return _shifted(style) if node.tag in ("small", "font") or _SMALLER.search(style) else ""


def _children_first(tree: Any) -> list[Any]:
    """Elements that may be raised, or a note's mark, in the order of the text, inner ones before outer ones."""
    import lxml.etree

    return [
        node
        for _, node in lxml.etree.iterwalk(tree, events=("end",))
        if node.tag in ("sup", "sub", "a") or (node.tag == "span" and node.attrib)
    ]


def _written(node: Any, noted: Collection[str]) -> int:
    """1 if the element was replaced by its characters."""
    content = node.text_content()
    if (
        len(content) > LONGEST
        or not content.strip()
        or any(child.tag not in INLINE for child in node.iterdescendants())
    ):
        return 0
    before, after = _before(node), _after(node)
    if node.tag == "sup":
        marked = any(is_marked(holder.attrib, content) for holder in _holders(node, content))
        text = write_raised(content, before, after, marked, noted)
    elif node.tag == "sub":
        text = write_lowered(content)
    elif (
        not _is_raised_already(node)
        and is_note(node.attrib, content)
        and not (before.endswith(("[", "［")) and after.startswith(("]", "］")))
    ):
        text = mark(content)
    else:
        return 0
    for child in list(node):
        node.remove(child)
    node.text = f"{text} " if content[-1].isspace() and after[:1].isalnum() else text
    node.drop_tag()
    return 1


def _is_raised_already(node: Any) -> bool:
    return any(outer.tag in ("sup", "sub") for outer in node.iterancestors())


def _holders(node: Any, content: str) -> Iterator[Any]:
    """The element with those around it and in it that hold the same text and nothing else."""
    yield node
    for inner in node.iterdescendants():
        if _same(inner.text_content(), content):
            yield inner
    outer = node.getparent()
    while outer is not None and outer.tag in INLINE and _same(outer.text_content(), content):
        yield outer
        outer = outer.getparent()


def _same(text: str, content: str) -> bool:
    return text.strip(" []()\n\t") == content.strip(" []()\n\t")


def _before(node: Any) -> str:
    """The end of the text before an element, in its block."""
    text = ""
    while len(text) < NEAR:
        for sibling in node.itersiblings(preceding=True):
            text = _inline_text(sibling) + (sibling.tail or "") + text
            if len(text) >= NEAR:
                return text[-NEAR:]
        node = node.getparent()
        if node is None:
            break
        text = (node.text or "") + text
        if node.tag not in INLINE:
            break
    return text[-NEAR:]


def _after(node: Any) -> str:
    """The beginning of the text after an element, in its block."""
    text = ""
    while node is not None and len(text) < NEAR:
        text += node.tail or ""
        for sibling in node.itersiblings():
            text += _inline_text(sibling) + (sibling.tail or "")
            if len(text) >= NEAR:
                break
        node = node.getparent()
        if node is None or node.tag not in INLINE:
            break
    return text[:NEAR]


def _begins(node: Any) -> bool:
    """Whether an element begins a block, or a line after <br>, as the mark at the head of a note does."""
    return not _before(node).rsplit("\n", 1)[-1].strip()


def _inline_text(node: Any) -> str:
    """What an element shows within a line; another block or a line's end parts the text like a space."""
    if not isinstance(node.tag, str):
        return ""
    return str(node.text_content()) if node.tag in INLINE else "\n"
