"""HTML elements as Markdown, every one of them, in their order: for what is all document and no page around it.

A web page needs trafilatura (page.py), which finds the main text and leaves menus out. A chapter of a book, a mail or
an article in XML that was turned into HTML elements has nothing to leave out, and nothing of it may be lost.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nemo_kcpt.markup.html.formulas import write_formulas
from nemo_kcpt.markup.html.raised import write_raised_text
from nemo_kcpt.markup.html.shown import flatten_tables, without_controls, write_what_is_shown
from nemo_kcpt.text.markdown_tables import table
from nemo_kcpt.text.raised import fractions
from nemo_kcpt.text.spaces import close_up

_DROPPED = frozenset(
    re.findall(
        r"\S+",
        "head script style template noscript input select option button textarea "
        "iframe object embed audio video canvas svg map area link meta title",
    )
)
"""Elements that hold no text of the document; readings of kanji (ruby) go as in the HTML reader."""
_BLOCKS = frozenset(
    re.findall(
        r"\S+",
        "html body address article aside blockquote caption center dd details dialog div dl dt fieldset figcaption "
        "figure footer form h1 h2 h3 h4 h5 h6 header hgroup hr legend li main menu nav ol p pre section summary table "
        "tbody td tfoot th thead tr ul",
    )
)
"""Elements that end a line; all others, own ones of programs too, are within it."""
_APART = _BLOCKS | _DROPPED
_HEADING = re.compile(r"h([1-6])")
_LINE_END = "\x00"
"""Stands for <br> until white space is closed up."""


def document_markdown(tree: Any) -> tuple[str, int]:
    """The Markdown of an HTML tree of lxml, which is changed on the way, and how many pieces of it were raised."""
    write_what_is_shown(tree)
    for reading in tree.xpath("//rt | //rp | //rtc"):
        reading.drop_tree()
    count = write_formulas(tree) + write_raised_text(tree)
    flatten_tables(tree)
    text = "\n\n".join(block for block in _blocks(tree) if block.strip())
    return (fractions(text) if count else text).strip(), count


def page_markdown(page: str) -> tuple[str, int]:
    """The Markdown of a piece of HTML, as `document_markdown`; empty if it cannot be read."""
    import lxml.etree
    import lxml.html

    try:
        tree = lxml.html.document_fromstring(re.sub(r"^\s*<\?xml[^>]*\?>", "", without_controls(page)))
    except (lxml.etree.ParserError, ValueError):  # nothing but comments; characters that XML cannot hold
        return "", 0
    return document_markdown(tree)


def _blocks(node: Any) -> Iterator[str]:
    """The blocks of an element; text beside blocks is one of its own."""
    line = [node.text or ""]
    for child in node:
        name = child.tag if isinstance(child.tag, str) else ""
        if name and name not in _APART and not _holds_blocks(child):
            line.append(_inline(child))
        elif name and name not in _DROPPED:
            yield _line(line)
            line = []
            yield from _block(child, name)
        line.append(child.tail or "")
    yield _line(line)


def _holds_blocks(node: Any) -> bool:
    return len(node) > 0 and any(descendant.tag in _BLOCKS for descendant in node.iterdescendants())


def _line(pieces: list[str]) -> str:
    text = "".join(pieces)
    if not text.strip():  # as between two blocks
        return ""
    text = close_up(text)
    return "\n".join(part.strip(" ") for part in text.split(_LINE_END)).strip()


def _inline(node: Any) -> str:
    """The text of an element within a line."""
    name = node.tag if isinstance(node.tag, str) else ""
    if name == "br":
        return _LINE_END
    if not name or name in _DROPPED or name == "img":
        return ""
    text = (node.text or "") + "".join(_inline(child) + (child.tail or "") for child in node)
    return f"`{text}`" if name == "code" and text.strip() and "`" not in text else text


def _block(node: Any, name: str) -> Iterator[str]:
    if heading := _HEADING.fullmatch(name):
        text = _line([_inline(node)]).replace("\n", " ")
        yield f"{'#' * int(heading[1])} {text}" if text else ""
    elif name in ("ul", "ol"):
        yield "\n".join(_items(node, name))
    elif name == "table":
        yield table(list(_rows(node)))
    elif name == "pre":
        yield _code(node)
    elif name == "blockquote":
        inner = "\n\n".join(block for block in _blocks(node) if block)
        yield "\n".join(f"> {line}".rstrip() for line in inner.split("\n"))
    elif name == "dl":
        yield "\n".join(_definitions(node))
    elif name != "hr":
        yield from _blocks(node)


def _code(node: Any) -> str:
    text = node.text_content().strip("\n")
    fence = "`" * max(3, *(len(run) + 1 for run in re.findall("`+", text)), 0) if "`" in text else "```"
    return f"{fence}\n{text}\n{fence}" if text.strip() else ""


def _items(node: Any, name: str) -> Iterator[str]:
    number = 0
    for child in node:
        if not isinstance(child.tag, str):
            continue
        inner = [block for block in _blocks(child) if block] if child.tag != "ul" and child.tag != "ol" else []
        if child.tag in ("ul", "ol"):  # a list in a list, without an item of its own
            yield from (f"  {line}" for line in _items(child, child.tag))
            continue
        number += 1
        sign = f"{number}." if name == "ol" else "-"
        if not inner:
            if name == "ol":
                yield sign
            continue
        lines = "\n".join(inner).split("\n")
        indent = " " * (len(sign) + 1)
        yield "\n".join([f"{sign} {lines[0]}", *(f"{indent}{line}" if line else "" for line in lines[1:])])


def _definitions(node: Any) -> Iterator[str]:
    for child in node:
        name = child.tag if isinstance(child.tag, str) else ""
        if name == "div":
            yield from _definitions(child)
        elif name == "dt":
            yield "\n".join(block for block in _blocks(child) if block)
        elif name:
            lines = "\n".join(block for block in _blocks(child) if block).split("\n")
            yield "\n".join([f": {lines[0]}", *(f"  {line}" if line else "" for line in lines[1:])])


def _rows(holder: Any) -> Iterator[list[str]]:
    """The rows of a table, each cell where it stands: one that spans has its text in its first place."""
    taken: dict[int, int] = {}  # column -> rows that a cell above still takes of it
    for row in holder.iter("tr"):
        if next(row.iterancestors("table")) is not holder:
            continue
        cells: list[str] = []
        for cell in (child for child in row if child.tag in ("td", "th")):
            _skip(cells, taken)
            width, height = _span(cell, "colspan"), _span(cell, "rowspan")
            taken.update((column, height - 1) for column in range(len(cells), len(cells) + width))
            cells += [" ".join(block for block in _blocks(cell) if block), *[""] * (width - 1)]
        _skip(cells, taken)
        if cells:
            yield cells


def _skip(cells: list[str], taken: dict[int, int]) -> None:
    """Leave those places empty that cells of the rows above take."""
    while taken.get(len(cells), 0):
        taken[len(cells)] -= 1
        cells.append("")


def _span(cell: Any, name: str) -> int:
    match = re.match(r"\s*(\d{1,3})", cell.get(name, ""))
    return min(max(int(match[1]), 1), 200) if match else 1
