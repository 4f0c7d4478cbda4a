"""How TEI elements become HTML elements."""

from __future__ import annotations

import re
from typing import Any

from nemo_kcpt.markup.xml.elements import Converter, Rule, append_text, below, child, children, element, plain
from nemo_kcpt.markup.xml.jats_rules import clean_tex, definitions
from nemo_kcpt.markup.xml.safe import local

_XML = "{http://www.w3.org/XML/1998/namespace}"
_RAISED = ("sup", "superscript", "super")
_LOWERED = ("sub", "subscript")
_DIVISIONS = ("div", "div1", "div2", "div3", "div4", "div5")


def division(converter: Converter, node: Any, parent: Any) -> None:
    """A part of the text; its head is a heading, as deep as it stands."""
    made = element("div", parent)
    head = child(node, "head")
    if head is not None and plain(head):
        depth = 2 + sum(map(_is_headed, node.iterancestors()))
        number = head.get("n") or ""
        if re.fullmatch(r"\d+(?:\.\d+)+\.?", number):  # GROBID's parts do not stand within each other
            depth = max(depth, 2 + number.strip(".").count("."))
        heading = element(f"h{min(depth, 6)}", made)
        append_text(heading, f"{number} " if number and not plain(head).startswith(number) else "")
        converter.fill(head, heading)
    elif next(below(node, "listBibl"), None) is not None and node.get("type") in ("references", "bibliography"):
        element("h2", made, text="References")
    for part in node:
        if local(part) and part is not head:
            converter.add(part, made)


def _is_headed(node: Any) -> bool:
    return local(node) in _DIVISIONS and node.get("type") != "references" and child(node, "head") is not None


def paragraph(converter: Converter, node: Any, parent: Any) -> None:
    """A paragraph; notes that are in it go behind it."""
    outer, converter.notes = converter.notes, []
    blocks = next(below(node, "list", "table", "figure", "lg", "floatingText"), None) is not None
    converter.fill(node, element("div" if blocks else "p", parent))
    for note_behind in converter.notes:
        parent.append(note_behind)
    converter.notes = outer


def note(converter: Converter, node: Any, parent: Any) -> None:
    """A note: within a line its mark, and itself behind the paragraph; else a paragraph with its mark."""
    if node.get("type") in ("raw_affiliation", "submission"):
        return
    mark = re.sub(r"^[\[(]|[\]).]$", "", node.get("n", ""))
    made = element("p")
    inner = local(node.getparent()) in ("p", "head", "title", "cell", "item", "l", "ab", "hi", "seg", "quote", "s")
    if inner:
        mark = mark or converter.new_mark()
        append_text(parent, f"[^{mark}]")
        converter.notes.append(made)
        if local(node.getparent()) != "p" and not any(local(outer) == "p" for outer in node.iterancestors()):
            holder = parent
            while holder.getparent() is not None and holder.tag not in ("p", "div", "table"):
                holder = holder.getparent()
            converter.notes.pop()
            append_text(parent, f" ({plain(node)})") if holder.tag == "table" else holder.append(made)
    else:
        parent.append(made)
    append_text(made, f"[^{mark}]: " if mark else "")
    for part in [node.text, *node]:
        if isinstance(part, str):
            append_text(made, part)
        elif part is not None:
            if local(part):
                converter.fill(part, made) if local(part) == "p" else converter.add(part, made)
            append_text(made, part.tail)


def reference(converter: Converter, node: Any, parent: Any) -> None:
    """A reference to something: its text; a footnote's is a mark."""
    made = element("a", parent)
    if node.get("type") in ("foot", "note", "noteAnchor"):
        made.set("class", "footnote-ref")
    elif node.get("type") == "bibr":
        made.set("ref-type", "bibr")
    converter.fill(node, made)


def highlighted(converter: Converter, node: Any, parent: Any) -> None:
    """Text set otherwise: raised and lowered text alone means something."""
    said = f"{node.get('rend', '')} {node.get('rendition', '')} {node.get('style', '')}".replace("#", " ")
    words = re.findall(r"[a-z]+", said.lower())
    name = (
        "sup"
        if any(word in _RAISED for word in words)
        else "sub"
        if any(word in _LOWERED for word in words)
        else "span"
    )
    converter.fill(node, element(name, parent))


def choice(converter: Converter, node: Any, parent: Any) -> None:
    """Two readings of one place: the corrected, regularised or expanded one."""
    taken = next((reading for name in ("corr", "reg", "expan", "lem", "ex") for reading in children(node, name)), None)
    if taken is None:
        taken = next((reading for reading in node if local(reading)), None)
    if taken is not None:
        converter.fill(taken, parent)


def figure(converter: Converter, node: Any, parent: Any) -> None:
    """A figure, or a table as GROBID has it: head, label and description, then the table."""
    made = element("div", parent)
    line = element("p", made)
    head, label, description = child(node, "head"), child(node, "label"), child(node, "figDesc")
    written = " ".join(filter(None, (plain(head), plain(description))))
    if label is not None and plain(label) and plain(label) not in plain(head)[: len(plain(label)) + 12]:
        append_text(line, plain(label) + " ")
    for part in (head, description):
        if part is not None and not (part is head and plain(description).startswith(plain(head)) and plain(head)):
            converter.fill(part, line)
            append_text(line, " ")
    if node.get("type") == "table" and written and next(below(node, "row"), None) is None:
        converter.pictures["tables"] += 1
    for inner in node:
        if local(inner) and inner not in (head, label, description):
            converter.add(inner, made)


def table(converter: Converter, node: Any, parent: Any) -> None:
    """A table of rows and cells."""
    if (head := child(node, "head")) is not None:
        converter.fill(head, element("p", parent))
    made = element("table", parent)
    for row in below(node, "row"):
        line = element("tr", made)
        for cell in children(row, "cell"):
            label = "label" in (row.get("role"), cell.get("role"))
            html_cell = element("th" if label else "td", line)
            for ours, theirs in (("colspan", "cols"), ("rowspan", "rows")):
                if cell.get(theirs, "1") != "1":
                    html_cell.set(ours, cell.get(theirs))
            converter.fill(cell, html_cell)


def formula(converter: Converter, node: Any, parent: Any) -> None:
    """A formula: TeX where the notation says so, MathML, else its text as it is."""
    displayed = (
        local(node.getparent()) not in ("p", "head", "cell", "item", "hi", "seg", "s") or node.get("rend") == "display"
    )
    made = element("p" if displayed else "span", parent)
    label = plain(child(node, "label"))
    math = next(below(node, "math"), None)
    text = (node.text or "") + "".join(part.tail or "" for part in node) if math is None else ""
    sign = "$$" if displayed else "$"
    if math is not None:
        converter.copy(math, made)
    elif node.get("notation", "").lower() in ("tex", "latex") or "\\" in text:
        append_text(made, f"{sign}{clean_tex(text)}{sign}")
    elif child(node, "graphic") is not None and not text.strip():
        converter.pictures["formulas"] += 1
    else:
        append_text(made, text)
        for part in node:
            if local(part) not in ("label", "graphic", ""):
                converter.add(part, made)
    append_text(made, f" {label if label.startswith('(') else f'({label})'}" if label else "")


def listing(converter: Converter, node: Any, parent: Any) -> None:
    """A list; with <label>, of terms."""
    if (head := child(node, "head")) is not None:
        converter.fill(head, element("p", parent))
    labels = children(node, "label")
    ordered = "ordered" in f"{node.get('rend', '')} {node.get('type', '')}"
    made = element("ol" if ordered and not labels else "ul", parent)
    before = ""
    for part in node:
        if local(part) == "label":
            before = f"{plain(part)} "
        elif local(part) == "item":
            number = part.get("n")
            item = element("li", made)
            append_text(item, before or (f"{number} " if number and not ordered else ""))
            if number and ordered and number.isdigit():
                item.set("value", number)
            converter.fill(part, item)
            before = ""


def person(node: Any) -> str:
    """The name of an author: given names first, but family first in Japanese and Chinese writing."""
    name = next(below(node, "persName"), node)
    family = " ".join(map(plain, below(name, "surname")))
    given = " ".join(map(plain, below(name, "forename")))
    if not family:
        return (
            plain(name) if name is not node or not len(node) else " ".join(map(plain, below(node, "orgName", "name")))
        )
    eastern = bool(re.match("[\u3040-\u30ff\u4e00-\u9fff]", family))
    return " ".join(filter(None, (family, given) if eastern else (given, family)))


def entry(converter: Converter, node: Any, parent: Any) -> None:
    """An entry of the list of references, by its parts (biblStruct) or as it is written (bibl)."""
    made = element("p", parent)
    siblings = [sibling for sibling in node.getparent() if local(sibling) == local(node)]
    number = node.get("n") or ""
    match = re.fullmatch(r"b(\d+)", node.get(f"{_XML}id", ""))
    if not number and match and int(match[1]) == siblings.index(node):
        number = str(int(match[1]) + 1)  # GROBID numbers from b0, in the order of the page
    append_text(made, f"[{number}] " if number else "")
    raw = next((candidate for candidate in below(node, "note") if candidate.get("type") == "raw_reference"), None)
    if raw is not None:
        made.text = re.sub(r"^\[\d+\] (?=\[)", "", f"{made.text or ''}{plain(raw)}")
    elif local(node) == "bibl":
        converter.fill(node, made)
    else:
        append_text(made, _written(node))


def _written(node: Any) -> str:
    def part(unit: str) -> str:
        scope = next((scope for scope in below(node, "biblScope") if scope.get("unit") == unit), None)
        if scope is None:
            return ""
        return "–".join(filter(None, (scope.get("from"), scope.get("to")))) or plain(scope)

    people = ", ".join(filter(None, map(person, below(node, "author"))))
    titles = [plain(title) for title in below(node, "title") if plain(title)]
    volume = part("volume") + (f"({part('issue')})" if part("issue") else "")
    numbers = ":".join(filter(None, (volume, part("page"))))
    year = next((date.get("when", "")[:4] or plain(date) for date in below(node, "date")), "")
    rest = [plain(publisher) for publisher in below(node, "publisher")]
    rest += [
        f"{identifier.get('type', '').lower()}:{plain(identifier)}".lstrip(":") for identifier in below(node, "idno")
    ]
    pieces = [people, *dict.fromkeys(titles), " ".join(filter(None, (numbers, f"({year})" if year else ""))), *rest]
    return ". ".join(filter(None, pieces))


def _each(names: str, rule: str | Rule) -> dict[str, str | Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, str | Rule] = {
    **_each("div div1 div2 div3 div4 div5", division),
    **_each("p ab", paragraph),
    **_each("front body back group floatingText lg sp listBibl titlePage titlePart docTitle opener closer", "div"),
    **_each("l head salute signed dateline byline speaker stage epigraph trailer label", "p"),
    **_each("fw pb cb gb milestone graphic figDesc respStmt interpGrp metamark rt rp rdg wit", ""),
    **_each("choice app subst", choice),
    **_each("sup sub ruby", "span"),
    "note": note, "ref": reference, "hi": highlighted, "figure": figure, "table": table, "formula": formula,
    "list": listing, "lb": "br", "quote": "span", "cit": "span", "del": "s", "code": "code", "eg": "pre",
    "biblStruct": entry, "bibl": entry, "math": Converter.copy, "rb": "span", "deflist": definitions,
}  # fmt: skip
"""TEI element -> HTML element, nothing, or a function; all others are text within a line."""
