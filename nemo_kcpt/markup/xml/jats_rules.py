"""How JATS elements become HTML elements."""

from __future__ import annotations

import re
from typing import Any

from nemo_kcpt.markup.xml.elements import Converter, Rule, append_text, below, child, children, element, plain
from nemo_kcpt.markup.xml.jats_fields import name_of
from nemo_kcpt.markup.xml.safe import local

_TEX_DOCUMENT = re.compile(r"\\begin\{document\}(.*)\\end\{document\}", re.S)
_SECTIONS = (
    "sec",
    "app",
    "ack",
    "ref-list",
    "glossary",
    "notes",
    "app-group",
    "fn-group",
    "boxed-text",
    "statement",
    "bio",
)
_BLOCKS = (
    "disp-formula",
    "disp-formula-group",
    "list",
    "def-list",
    "table-wrap",
    "fig",
    "array",
    "disp-quote",
    "verse-group",
    "boxed-text",
    "preformat",
    "code",
    "p",
)
_CITATIONS = ("mixed-citation", "element-citation", "citation", "nlm-citation", "note", "citation-alternatives")
_SAME = ("sup", "sub", "thead", "tbody", "tfoot", "tr", "td", "th", "code", "ruby", "rb", "rt", "rp")
"""Elements that HTML has under the same names."""
_PARTS = frozenset(
    re.findall(
        r"\S+",
        "name string-name collab person-group article-title chapter-title source year volume issue fpage lpage "
        "page-range elocation-id pub-id publisher-name publisher-loc",
    )
)
"""Parts of a reference that have their place in it."""
_AROUND_NOTES = ("fn-group", "table-wrap-foot", "author-notes", "back", "notes", "body", *_SECTIONS)
"""Elements in which a note is a paragraph."""
_FN = ("fn", "table-fn", "author-notes", "corresp", "aff")


def section(converter: Converter, node: Any, parent: Any) -> None:
    """A section: its label and title as a heading, as deep as it stands."""
    made = element("div", parent)
    label, title = child(node, "label"), child(node, "title")
    if title is None and local(node) == "ack":
        append_text(element("h2", made), "Acknowledgements")
    if title is not None and plain(title):
        depth = 2 + sum(local(outer) in _SECTIONS for outer in node.iterancestors())
        heading = element(f"h{min(depth, 6)}", made)
        if label is not None:
            converter.fill(label, heading)
            append_text(heading, " ")
        converter.fill(title, heading)
        converter.put_notes(made)
    elif label is not None and plain(label):
        converter.fill(label, element("p", made))
    for part in node:
        if local(part) and part is not title and part is not label:
            converter.add(part, made)
            converter.put_notes(made)


def captioned(converter: Converter, node: Any, parent: Any) -> None:
    """A table, figure or the like: label and caption first, then what there is, notes last."""
    made = element("div", parent)
    label, caption = child(node, "label"), child(node, "caption")
    line = element("p", made)
    if label is not None:
        converter.fill(label, line)
    inner = [part for part in caption if local(part)] if caption is not None else []
    for number, part in enumerate(inner):
        target = line if number == 0 or local(part) == "title" else element("p", made)
        if target is line and (line.text or len(line)):
            append_text(line, " ")
        converter.fill(part, target)
    if caption is not None and not inner:
        append_text(line, f" {plain(caption)}")
    if local(node) == "table-wrap" and next(below(node, "table", "array", "preformat", "list"), None) is None:
        converter.pictures["tables"] += 1
    for part in node:
        if local(part) and part is not label and part is not caption:
            converter.add(part, made)
    converter.put_notes(made)


def paragraph(converter: Converter, node: Any, parent: Any) -> None:
    """A paragraph; notes that are in it go behind it."""
    outer, converter.notes = converter.notes, []
    converter.fill(node, element("div" if _has_blocks(node) else "p", parent))
    converter.put_notes(parent)
    converter.notes = outer


def _has_blocks(node: Any) -> bool:
    return any(block is not node for block in below(node, *_BLOCKS))


def note(converter: Converter, node: Any, parent: Any) -> None:
    """A footnote: in a group with its label before it; within a line a mark, and the note behind the paragraph."""
    label = child(node, "label")
    inner = local(node.getparent()) not in _AROUND_NOTES
    made = element("p")
    mark = re.sub(r"^[\[(（]|[\])）.]$", "", plain(label)) if label is not None else ""
    if inner:
        mark = mark or converter.new_mark()
        append_text(parent, f"[^{mark}]")
        converter.notes.append(made)
    else:
        parent.append(made)
    append_text(made, f"[^{mark}]: " if mark else "")
    for number, part in enumerate(part for part in node if local(part) and part is not label):
        append_text(made, " " if number else "")
        converter.fill(part, made)


def xref(converter: Converter, node: Any, parent: Any) -> None:
    """A reference to something: its text; a footnote's is a mark."""
    made = element("a", parent, node)
    if node.get("ref-type") in _FN:
        made.set("class", "footnote-ref")
    converter.fill(node, made)


def formula(converter: Converter, node: Any, parent: Any) -> None:
    """A formula: TeX if there is any, else MathML, else what text it has; displayed ones are blocks."""
    displayed = local(node) == "disp-formula"
    made = element("p" if displayed else "span", parent)
    label = plain(child(node, "label"))
    tex = next((clean_tex("".join(source.itertext())) for source in below(node, "tex-math")), "")
    math = next(below(node, "math"), None)
    sign = "$$" if displayed else "$"
    number = f" {label if label.startswith('(') else f'({label})'}" if label else ""
    if tex:
        append_text(made, f"{sign}{tex}{sign}{number}")
    elif math is not None:
        converter.copy(math, made)
        append_text(made, number)
    else:
        rest = [part for part in node if local(part) not in ("label", "graphic", "inline-graphic", "alternatives")]
        append_text(made, node.text)
        for part in rest:
            converter.add(part, made)
            append_text(made, part.tail)
        pictured = not "".join(made.itertext()).strip()
        converter.pictures["formulas"] += pictured
        append_text(made, number.strip() if pictured else number)


def clean_tex(text: str) -> str:
    """The formula of a piece of TeX, which publishers wrap into a whole document."""
    match = _TEX_DOCUMENT.search(text)
    text = (match[1] if match else text).strip()
    for left, right in (("$$", "$$"), (r"\[", r"\]"), (r"\(", r"\)"), ("$", "$")):
        if text.startswith(left) and text.endswith(right) and len(text) > len(left) + len(right):
            return " ".join(text[len(left) : -len(right)].split())
    return " ".join(text.split())


def alternatives(converter: Converter, node: Any, parent: Any) -> None:
    """Several forms of one thing: the one that holds most."""
    order = ("tex-math", "math", "table", "tgroup", "oasis:table", "textual-form", "preformat", "code")
    forms = sorted((form for form in node if local(form) in order), key=lambda form: order.index(local(form)))
    for form in forms[:1]:
        converter.add(form, parent)


def tex(converter: Converter, node: Any, parent: Any) -> None:
    """TeX outside a formula's element."""
    append_text(parent, f"${clean_tex(''.join(node.itertext()))}$")


def listing(converter: Converter, node: Any, parent: Any) -> None:
    """A list; items with labels of their own keep them."""
    labels = any(child(entry, "label") is not None for entry in children(node, "list-item"))
    kind = node.get("list-type", "")
    made = element("ul" if labels or kind in ("bullet", "simple", "") else "ol", parent)
    types = {"alpha-lower": "a", "alpha-upper": "A", "roman-lower": "i", "roman-upper": "I"}
    if made.tag == "ol" and kind in types:
        made.set("type", types[kind])
    for entry in node:
        if local(entry) == "title":
            made.addprevious(title := element("p"))
            converter.fill(entry, title)
        elif local(entry):
            item = element("li", made)
            label = child(entry, "label")
            if label is not None:
                append_text(item, f"{plain(label)} ")
                entry.remove(label)
            inner = [paragraph for paragraph in entry if local(paragraph)]
            if label is not None and inner and local(inner[0]) == "p" and not _has_blocks(inner[0]):
                converter.fill(inner[0], item)
                inner = inner[1:]
            for part in inner:
                converter.add(part, item)


def reference(converter: Converter, node: Any, parent: Any) -> None:
    """An entry of the list of references, with the label by which the text cites it."""
    made = element("p", parent)
    label = plain(child(node, "label"))
    if label:
        append_text(made, f"{label if label.startswith('[') else '[' + label.rstrip('.') + ']'} ")
    cited = children(node, *_CITATIONS)
    for number, citation in enumerate(cited):
        append_text(made, " " if number else "")
        if local(citation) == "citation-alternatives":
            citation = next((inner for inner in citation if local(inner) == "mixed-citation"), citation[0])
        if local(citation) in ("element-citation", "nlm-citation") or not _has_words_between(citation):
            append_text(made, structured(citation))
        else:
            converter.fill(citation, made)


def _has_words_between(node: Any) -> bool:
    return not len(node) or bool(re.search(r"\S", (node.text or "") + "".join(part.tail or "" for part in node)))


def structured(node: Any) -> str:
    """A reference that is given in parts only, written as most journals write it."""

    def part(*names: str) -> str:
        return next((text for name in names for inner in below(node, name) if (text := plain(inner))), "")

    people = [name_of(person) for person in below(node, "name", "string-name", "collab")]
    volume = part("volume") + (f"({part('issue')})" if part("issue") else "")
    pages = "–".join(filter(None, (part("fpage"), part("lpage")))) or part("page-range", "elocation-id")
    numbers = ":".join(filter(None, (volume, pages)))
    rest = [plain(inner) for inner in node if local(inner) and local(inner) not in _PARTS and plain(inner)]
    ids = [
        f"{identifier.get('pub-id-type', '')}:{plain(identifier)}".lstrip(":") for identifier in below(node, "pub-id")
    ]
    publisher = ": ".join(filter(None, (part("publisher-loc"), part("publisher-name"))))
    year = f"({part('year')})" if part("year") else ""
    pieces = [", ".join(filter(None, people)), part("article-title", "chapter-title"), part("source"), publisher]
    return ". ".join(filter(None, [*pieces, " ".join(filter(None, (numbers, year))), *rest, *ids])).replace("..", ".")


def cals(converter: Converter, node: Any, parent: Any) -> None:
    """A table of the CALS model: spans by the names and places of columns."""
    made = element("table", parent)
    columns: dict[str, int] = {}
    for number, column in enumerate(below(node, "colspec"), 1):
        columns.setdefault(column.get("colname", ""), int(column.get("colnum") or number))
    spans = {span.get("spanname", ""): span for span in below(node, "spanspec")}
    for row in below(node, "row"):
        line = element("tr", made)
        for entry in children(row, "entry"):
            cell = element("th" if local(row.getparent()) == "thead" else "td", line)
            named = spans.get(entry.get("spanname", ""), entry)
            first, last = columns.get(named.get("namest", "")), columns.get(named.get("nameend", ""))
            if first and last and last > first:
                cell.set("colspan", str(last - first + 1))
            if (more := entry.get("morerows", "0")).isdigit() and more != "0":
                cell.set("rowspan", str(int(more) + 1))
            converter.fill(entry, cell)


def table(converter: Converter, node: Any, parent: Any) -> None:
    """A table of HTML's model or, with <tgroup>, of CALS."""
    if child(node, "tgroup") is not None:
        cals(converter, node, parent)
    else:
        converter.fill(node, element("table", parent))


def definitions(converter: Converter, node: Any, parent: Any) -> None:
    """A list of terms and what they mean."""
    made = element("dl", parent)
    for item in below(node, "def-item"):
        for part in item:
            if local(part) in ("term", "def"):
                converter.fill(part, element("dt" if local(part) == "term" else "dd", made))


def _each(names: str, rule: str | Rule) -> dict[str, str | Rule]:
    return dict.fromkeys(names.split(), rule)


RULES: dict[str, str | Rule] = {
    **dict.fromkeys(_SECTIONS, section),
    **_each("table-wrap fig supplementary-material chem-struct-wrap", captioned),
    **_each("disp-formula inline-formula", formula),
    **_each(
        "table-wrap-foot table-wrap-group fig-group disp-formula-group sig-block attrib speech author-notes", "div"
    ),
    **_each("title subtitle subject verse-line", "p"),
    **_each("italic sc underline overline roman sans-serif monospace", "span"),
    **_each("graphic inline-graphic media object-id sec-meta permissions x-ref index-term target", ""),
    **_each("processing-meta alt-text long-desc custom-meta-group colgroup col kwd-group", ""),
    **{
        name: name
        for name in ["sup", "sub", "thead", "tbody", "tfoot", "tr", "td", "th", "code", "ruby", "rb", "rt", "rp"]
    },
    **_each("table array", table),
    **_each("disp-quote verse-group", "blockquote"),
    "p": paragraph,
    "fn": note,
    "xref": xref,
    "alternatives": alternatives,
    "tex-math": tex,
    "math": Converter.copy,
    "list": listing,
    "ref": reference,
    "tgroup": cals,
    "def-list": definitions,
    "bold": "b",
    "strike": "s",
    "break": "br",
    "preformat": "pre",
}
"""JATS element -> HTML element, nothing, or a function; all others are text within a line."""
