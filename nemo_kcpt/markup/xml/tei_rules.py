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
    for one in node:
        if local(one) and one is not head:
            converter.add(one, made)


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
    for one in [node.text, *node]:
        if isinstance(one, str):
            append_text(made, one)
        elif one is not None:
            if local(one):
                converter.fill(one, made) if local(one) == "p" else converter.add(one, made)
            append_text(made, one.tail)


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
    taken = next((one for name in ("corr", "reg", "expan", "lem", "ex") for one in children(node, name)), None)
    if taken is None:
        taken = next((one for one in node if local(one)), None)
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
    for one in node:
        if local(one) and one not in (head, label, description):
            converter.add(one, made)


def table(converter: Converter, node: Any, parent: Any) -> None:
    """A table of rows and cells."""
    if (head := child(node, "head")) is not None:
        converter.fill(head, element("p", parent))
    made = element("table", parent)
    for row in below(node, "row"):
        line = element("tr", made)
        for cell in children(row, "cell"):
            label = "label" in (row.get("role"), cell.get("role"))
            one = element("th" if label else "td", line)
            for ours, theirs in (("colspan", "cols"), ("rowspan", "rows")):
                if cell.get(theirs, "1") != "1":
                    one.set(ours, cell.get(theirs))
            converter.fill(cell, one)


def formula(converter: Converter, node: Any, parent: Any) -> None:
    """A formula: TeX where the notation says so, MathML, else its text as it is."""
    shown = (
        local(node.getparent()) not in ("p", "head", "cell", "item", "hi", "seg", "s") or node.get("rend") == "display"
    )
    made = element("p" if shown else "span", parent)
    label = plain(child(node, "label"))
    math = next(below(node, "math"), None)
    text = (node.text or "") + "".join(one.tail or "" for one in node) if math is None else ""
    sign = "$$" if shown else "$"
    if math is not None:
        converter.copy(math, made)
    elif node.get("notation", "").lower() in ("tex", "latex") or "\\" in text:
        append_text(made, f"{sign}{clean_tex(text)}{sign}")
    elif child(node, "graphic") is not None and not text.strip():
        converter.pictures["formulas"] += 1
    else:
        append_text(made, text)
        for one in node:
            if local(one) not in ("label", "graphic", ""):
                converter.add(one, made)
    append_text(made, f" {label if label.startswith('(') else f'({label})'}" if label else "")


def listing(converter: Converter, node: Any, parent: Any) -> None:
    """A list; with <label>, of terms."""
    if (head := child(node, "head")) is not None:
        converter.fill(head, element("p", parent))
    labels = children(node, "label")
    ordered = "ordered" in f"{node.get('rend', '')} {node.get('type', '')}"
    made = element("ol" if ordered and not labels else "ul", parent)
    before = ""
    for one in node:
        if local(one) == "label":
            before = f"{plain(one)} "
        elif local(one) == "item":
            number = one.get("n")
            item = element("li", made)
            append_text(item, before or (f"{number} " if number and not ordered else ""))
            if number and ordered and number.isdigit():
                item.set("value", number)
            converter.fill(one, item)
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
    siblings = [one for one in node.getparent() if local(one) == local(node)]
    number = node.get("n") or ""
    found = re.fullmatch(r"b(\d+)", node.get(f"{_XML}id", ""))
    if not number and found and int(found[1]) == siblings.index(node):
        number = str(int(found[1]) + 1)  # GROBID numbers from b0, in the order of the page
    append_text(made, f"[{number}] " if number else "")
    raw = next((one for one in below(node, "note") if one.get("type") == "raw_reference"), None)
    if raw is not None:
        made.text = re.sub(r"^\[\d+\] (?=\[)", "", f"{made.text or ''}{plain(raw)}")
    elif local(node) == "bibl":
        converter.fill(node, made)
    else:
        append_text(made, _written(node))


def _written(node: Any) -> str:
    def part(unit: str) -> str:
        one = next((one for one in below(node, "biblScope") if one.get("unit") == unit), None)
        if one is None:
            return ""
        return "–".join(filter(None, (one.get("from"), one.get("to")))) or plain(one)

    people = ", ".join(filter(None, map(person, below(node, "author"))))
    titles = [plain(one) for one in below(node, "title") if plain(one)]
    volume = part("volume") + (f"({part('issue')})" if part("issue") else "")
    place = ":".join(filter(None, (volume, part("page"))))
    year = next((one.get("when", "")[:4] or plain(one) for one in below(node, "date")), "")
    rest = [plain(one) for one in below(node, "publisher")]
    rest += [f"{one.get('type', '').lower()}:{plain(one)}".lstrip(":") for one in below(node, "idno")]
    pieces = [people, *dict.fromkeys(titles), " ".join(filter(None, (place, f"({year})" if year else ""))), *rest]
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
