"""What an HTML page shows otherwise than its text says: put into the text, or taken out of it, before anything is read.

A browser counts the items of a list, strikes text through, hides sort keys, and draws formulas and rare kanji as
images. Read without that, "5. Notice" becomes "1. Notice", ~~12~~13 becomes 1213, and a formula that KaTeX or MathJax
has drawn appears twice, as TeX and as 106.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from nemo_kcpt.markup.html.raised import INLINE
from nemo_kcpt.text.counting import roman

_HIDDEN = re.compile(r"(?:^|;)\s*(?:display\s*:\s*none|visibility\s*:\s*hidden)", re.I)
_STRUCK = re.compile(r"(?:^|;)\s*text-decoration(?:-line)?\s*:[^;]*\bline-through\b", re.I)
_DRAWN = (
    "//*[contains(concat(' ', @class, ' '), ' katex-html ')]"
    "|//*[contains(concat(' ', @class, ' '), ' MathJax_Preview ')]"
    "|//*[contains(concat(' ', @class, ' '), ' MJX_Assistive_MathML ')]"
    "|//*[self::span or self::div][contains(@class, 'MathJax')][following-sibling::script[contains(@type, 'math/')]]"
    "|//mjx-math"
)
"""Formulas as KaTeX and MathJax draw them, beside the formula itself."""
_TEX_SCRIPT = "//script[starts-with(@type, 'math/tex')]"
_FORMULA_CLASS = re.compile(r"(?:^|[\s_-])(?:math|tex|latex|equation|formula|mwe-math)", re.I)
_FORMULA_SOURCE = re.compile(r"latex|codecogs|mathtex|mimetex|/math/|tex\.cgi", re.I)
_TEX = re.compile(r"\\[A-Za-z]+|[\^_]\{")
_GAIJI = re.compile(r"gaiji|外字", re.I)
LONGEST_SIGN = 2
"""Characters of an image's text with which it stands for a sign among words: −, °, 鷗."""
MOSTLY = 0.7
"""Share of a paragraph's letters that are links, from which on it is a list of links."""
_STYLED_LIST = re.compile(
    r"list-style(?:-type)?\s*:[^;]*?\b(?P<type>lower-alpha|upper-alpha|lower-latin|upper-latin"
    r"|lower-roman|upper-roman)",
    re.I,
)
_TYPES = {
    "lower-alpha": "a",
    "lower-latin": "a",
    "upper-alpha": "A",
    "upper-latin": "A",
    "lower-roman": "i",
    "upper-roman": "I",
}
_SECTIONS = "//section//header//*[self::h2 or self::h3 or self::h4 or self::h5 or self::h6]"
"""Headings that trafilatura drops with the <header> they stand in."""
_NOTES = "|".join(
    f"//span[contains(concat(' ', @class, ' '), ' {name} ')]" for name in ("ltx_note_outer", "sidenote", "marginnote")
)
_CONTROL = re.compile("[\x01-\x08\x0b\x0e-\x1f\ufffe\uffff]")
_REFERENCE = re.compile(r"&#(x[0-9a-f]{1,8}|[0-9]{1,9});?", re.I)
_CHARGE = re.compile(r"\s*\d*[-+−–]\s*")


def without_controls(page: str) -> str:
    """A page without the characters that XML cannot hold, written or by their numbers: the parser takes them, but no
    element can be given such a text. A form feed is a space, as HTML has it."""

    def kept(match: re.Match[str]) -> str:
        digits = match[1].lower()
        code = int(digits[1:], 16) if digits.startswith("x") else int(digits)
        return " " if code == 0xC else "" if _CONTROL.match(chr(min(code, 0x10FFFF))) else match[0]

    return _REFERENCE.sub(kept, _CONTROL.sub("", page.replace("\f", " ")))


def write_what_is_shown(tree: Any) -> None:
    """Change a page in place so that its text says what a reader sees."""
    import lxml.etree

    lxml.etree.strip_elements(tree, lxml.etree.Comment, lxml.etree.ProcessingInstruction, with_tail=False)
    _drop_hidden(tree)
    _write_images(tree)
    _unstack(tree)
    _strike(tree)
    _number_lists(tree)
    _move_notes(tree)
    for heading in tree.xpath(_SECTIONS):
        heading.tail = None
        next(heading.iterancestors("header")).addprevious(heading)
    for node in tree.xpath("//details/summary"):
        node.tag = "p"
    for caption in tree.xpath("//table/caption"):
        caption.tag, caption.tail = "p", None
        caption.getparent().addprevious(caption)  # within the table trafilatura drops it


def _drop_hidden(tree: Any) -> None:
    """Formulas that are there twice, and pieces of a line that no browser shows."""
    for node in tree.xpath(_DRAWN):
        if _is_in(tree, node):
            node.drop_tree()
    for node in tree.xpath(_TEX_SCRIPT):
        tex = (node.text or "").strip()
        node.tag, node.text = "span", f"${tex}$" if tex else ""
        node.attrib.clear()
    for node in tree.xpath("//template"):
        if _is_in(tree, node):
            node.drop_tree()
    for node in tree.xpath("//mjx-container | //mjx-assistive-mml"):
        node.tag = "span"
    for node in tree.xpath("//*[@hidden or @style]"):
        hidden = "hidden" in node.attrib or _HIDDEN.search(node.get("style", ""))
        if hidden and node.tag in INLINE and _is_in(tree, node) and not node.xpath(".//*[local-name()='math']"):
            node.drop_tree()


def _is_in(tree: Any, node: Any) -> bool:
    """Whether a node was not dropped with one around it."""
    return node is tree or any(outer is tree for outer in node.iterancestors())


def _write_images(tree: Any) -> None:
    """Images that stand for text: formulas with their TeX, kanji and signs that no font had."""
    for node in tree.xpath("//img[@alt]"):
        alt, parent = node.get("alt").strip(), node.getparent()
        if not alt or (parent.xpath("./span/math | ./span/span/math | ./math") and _is_formula(node, alt)):
            continue  # the formula itself is there, too
        if _is_formula(node, alt):
            text = f"${alt.strip('$').strip()}$" if _TEX.search(alt) else alt
        elif _is_letter(node, alt):
            text = alt
        else:
            continue
        node.tag, node.text = "span", text
        node.attrib.clear()


def _is_formula(node: Any, alt: str) -> bool:
    said = bool(_FORMULA_CLASS.search(node.get("class", "")) or _FORMULA_SOURCE.search(node.get("src", "")))
    return said or bool(_TEX.search(alt))


def _is_letter(node: Any, alt: str) -> bool:
    """Whether an image stands for a kanji that no font had, or for a sign among words."""
    if _GAIJI.search(f"{node.get('class', '')} {node.get('src', '')}"):
        return True
    if len(alt) > LONGEST_SIGN:
        return False
    before = node.getprevious()
    text = before.tail if before is not None else node.getparent().text
    return bool((text or "")[-1:].strip() or (node.tail or "")[:1].strip())


def _unstack(tree: Any) -> None:
    """What stands above and below each other, as in Wikipedia's PO₄³⁻: on one line, a charge last."""
    for line_end in tree.xpath("//br[preceding-sibling::*[1][self::sup or self::sub]]"):
        above, below = line_end.getprevious(), line_end.getnext()
        if below is None or {above.tag, below.tag} != {"sup", "sub"}:
            continue
        if (above.tail or "").strip() or (line_end.tail or "").strip():
            continue
        above.tail = line_end.tail = None
        line_end.drop_tree()
        if above.tag == "sup" and _CHARGE.fullmatch(above.text_content()):
            rest, below.tail = below.tail, None
            below.addnext(above)
            above.tail = rest


def _strike(tree: Any) -> None:
    """Text that is struck through, as Markdown writes it; else it would join the text that replaces it."""
    for node in tree.xpath("//*[contains(@style, 'line-through')]"):
        node.tag = "s" if node.tag in INLINE and _STRUCK.search(node.get("style")) else node.tag
    for node in tree.xpath("//del | //s | //strike"):
        plain = all(child.tag in INLINE for child in node.iterdescendants() if isinstance(child.tag, str))
        nested = any(outer.tag in ("del", "s", "strike") for outer in node.iterancestors())
        if not plain or nested or not node.text_content().strip():
            continue
        for child in node.xpath(".//del | .//s | .//strike"):
            child.drop_tag()
        node.text = f"~~{(node.text or '').lstrip()}"
        if len(node):
            node[-1].tail = f"{(node[-1].tail or '').rstrip()}~~"
        else:
            node.text = f"{node.text.rstrip()}~~"
        node.drop_tag()


def flatten_tables(tree: Any) -> None:
    """Tables in the cells of a table with headings, as text: else their rows would become rows of that table."""
    for inner in reversed(tree.xpath("//table[.//th]//td//table | //table[.//th]//th//table")):
        rows = [
            ", ".join(" ".join(cell.text_content().split()) for cell in row.xpath("./td | ./th"))
            for row in inner.xpath(".//tr")
        ]
        tail = inner.tail
        inner.clear()
        inner.tag, inner.text, inner.tail = "span", f" {'; '.join(filter(None, rows))} ", tail


def unlink(tree: Any) -> None:
    """Links in a paragraph that is no mere list of them: trafilatura drops what has too many."""
    for block in tree.xpath("//p[.//a] | //dd[.//a] | //figcaption[.//a]"):
        links = block.xpath(".//a[not(.//a)]")
        linked = sum(_letters(link.text_content()) for link in links)
        if linked < MOSTLY * _letters(block.text_content()):
            for link in links:
                link.drop_tag()


def _letters(text: str) -> int:
    return sum(map(str.isalnum, text))


def _move_notes(tree: Any) -> None:
    """Notes that stand within a sentence, as LaTeXML (arXiv) and Tufte's style write them, go behind its block."""
    for note in reversed(tree.xpath(_NOTES)):
        block = note.getparent()
        while block is not None and block.tag in INLINE:
            block = block.getparent()
        if block is None or block.tag in ("html", "body") or not note.text_content().strip():
            continue
        tables = block.xpath("ancestor-or-self::table[1] | ancestor::ul[1] | ancestor::ol[1]")
        marks = note.xpath(".//*[contains(@class, 'ltx_note_mark') or contains(@class, 'ltx_tag_note')]")
        number = marks[0].text_content().strip() if marks else ""
        for mark in marks:
            mark.drop_tree()
        rest, note.tail = note.tail, None
        previous, parent = note.getprevious(), note.getparent()
        if previous is not None:
            previous.tail = (previous.tail or "") + (rest or "")
        else:
            parent.text = (parent.text or "") + (rest or "")
        (tables[0] if tables else block).addnext(note)
        note.tag, note.tail = "p", None
        note.attrib.clear()
        note.text = f"{f'[^{number}]: ' if number else ''}{(note.text or '').lstrip()}"


def _number_lists(tree: Any) -> None:
    """Lists whose numbers are others than 1, 2, 3: each item with the number or letter that it shows."""
    for items in tree.xpath("//ol"):
        numbered = list(_numbers(items))
        kind = _kind(items)
        if kind == "1" and [number for _, number in numbered] == list(range(1, len(numbered) + 1)):
            continue
        items.tag = "ul"
        for item, number in numbered:
            target = _first_text(item)
            target.text = f"{_numeral(number, kind)}. {(target.text or '').lstrip()}"


def _numbers(items: Any) -> Iterator[tuple[Any, int]]:
    """The items of a list, each with its number."""
    there = items.xpath("./li")
    step = -1 if "reversed" in items.attrib else 1
    number = _whole(items.get("start"), len(there) if step < 0 else 1)
    for item in there:
        number = _whole(item.get("value"), number)
        yield item, number
        number += step


def _whole(text: str | None, otherwise: int) -> int:
    match = re.fullmatch(r"\s*([-+]?\d{1,9})\s*", text or "")
    return int(match[1]) if match else otherwise


def _kind(items: Any) -> str:
    styled = _STYLED_LIST.search(items.get("style", ""))
    kind = _TYPES[styled["type"].lower()] if styled else items.get("type", "1").strip()
    return kind if kind in ("a", "A", "i", "I") else "1"


def _numeral(number: int, kind: str) -> str:
    """A number as the list writes it: 3, c, C, iii, III."""
    if number < 1 or kind == "1":
        return str(number)
    if kind in "aA":
        letters = ""
        while number:
            number, last = divmod(number - 1, 26)
            letters = chr(ord(kind) + last) + letters
        return letters
    return roman(number).upper() if kind == "I" else roman(number)


def _first_text(item: Any) -> Any:
    """The element in which an item's text begins."""
    while not (item.text or "").strip() and len(item) and item[0].tag in {"p", "div", *INLINE} - {"br"}:
        item = item[0]
    return item
