"""Wikitext as Markdown: mwparserfromhell's nodes become HTML elements, which are written as those of every other
format.

What only MediaWiki itself could expand stays out or stays to be seen (templates.py), and is counted.
"""

from __future__ import annotations

import html
import re
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nemo_kcpt.markup.html.markdown import document_markdown
from nemo_kcpt.markup.wiki.templates import expanded
from nemo_kcpt.markup.xml.elements import append_text, element

_DROPPED = frozenset(
    re.findall(
        r"\S+",
        "templatestyles templatedata timeline score imagemap graph maplink mapframe inputbox categorytree "
        "indicator section hr rt rp references pre source syntaxhighlight",
    )
)
_SAME = frozenset(
    re.findall(r"\S+", "sub sup ruby rb s del strike code blockquote div p center dl ul ol br table tr td th caption")
)
_CODE = frozenset(["pre", "source", "syntaxhighlight"])
_LISTS = {"*": "ul", "#": "ol", ":": "dl", ";": "dl"}
_LANGUAGE_LINK = re.compile(r"[a-z]{2,3}(?:-[a-z-]+)?$")
_MAGIC = re.compile(
    r"__(?:NOTOC|TOC|FORCETOC|NOEDITSECTION|NEWSECTIONLINK|INDEX|NOINDEX|HIDDENCAT|目次強制|目次非表示|目次)__", re.I
)
_PICTURE_OPTIONS = re.compile(
    r"(?:thumb|thumbnail|frame|frameless|border|left|right|center|none|upright|サムネイル|右|左|中央|なし|\d*x?\d+\s*px"
    r"|(?:upright|alt|link|lang|page|class|代替文|リンク)\s*=.*)$",
    re.I | re.S,
)
_BLANK = re.compile(r"\n[ \t]*\n\s*")
DEEPEST = 40
"""Nodes within each other."""


@dataclass(frozen=True)
class Site:
    """A wiki."""

    name: str = ""
    base: str = ""
    language: str = ""
    special: Collection[str] = ("File", "Category")
    namespaces: Mapping[str, str] = field(default_factory=dict)

    def kind(self, title: str) -> str:
        """What a link is for, by the namespace it names: file, category, or nothing."""
        prefix = title.partition(":")[0].strip().casefold() if ":" in title else ""
        if prefix in ("file", "image", "media", "ファイル", "画像", self.namespaces.get("6", "").casefold() or "file"):
            return "file"
        return (
            "category"
            if prefix in ("category", self.namespaces.get("14", "").casefold() or "category", "カテゴリ")
            else ""
        )


def wiki_markdown(text: str, title: str, site: Site) -> tuple[str, dict[str, int], list[str]]:
    """A page's text as Markdown, what was changed in it (counts by name), and its categories."""
    import mwparserfromhell

    builder = _Builder(title, site)
    builder.add(mwparserfromhell.parse(_MAGIC.sub("", text)).nodes)
    builder.end()
    written = 0
    while written < len(builder.notes):  # notes may hold notes
        for mark in list(builder.notes)[written:]:
            builder.write_note(mark)
            written += 1
    markdown, raised = document_markdown(builder.root)
    return markdown, {**builder.counts, "raised": raised}, builder.categories


class _Builder:
    """Makes HTML elements of nodes: paragraphs, lists and tables as MediaWiki lays them out."""

    def __init__(
        self,
        title: str,
        site: Site,
        notes: dict[str, Sequence[Any]] | None = None,
        counts: Counter[str] | None = None,
        depth: int = 0,
    ) -> None:
        self.title, self.site = title, site
        self.root = element("div")
        self.line: Any = None
        """The paragraph or item that is being filled."""
        self.prefix = ""
        """The list signs at the beginning of a line."""
        self.lists: list[tuple[str, Any]] = []
        self.notes: dict[str, Sequence[Any]] = {} if notes is None else notes
        self.named: dict[str, str] = {}
        self.counts: Counter[str] = Counter() if counts is None else counts
        self.categories: list[str] = []
        self.depth = depth

    def end(self) -> None:
        """End the line and all lists."""
        self.line, self.prefix = None, ""
        self.lists.clear()

    def add(self, nodes: Sequence[Any]) -> None:
        """Append nodes."""
        if self.depth > DEEPEST:
            return
        self.depth += 1
        for node in nodes:
            getattr(self, f"_{type(node).__name__.lower()}", self._other)(node)
        self.depth -= 1

    def text(self, text: str) -> None:
        """Append text; a line's end ends an item, a blank line a paragraph."""
        if self.prefix:
            self._open_item()
        if self.lists:
            first, ended, rest = text.partition("\n")
            self._put(first)
            if not ended:
                return
            self.line = None
            if not rest:
                return
            self.end()
            text = rest
        for number, part in enumerate(_BLANK.split(text)):
            if number:
                self.line = None
            if part.strip() or (self.line is not None and part):
                self._put(part)

    def _put(self, text: str) -> None:
        if self.line is None:
            self.line = element("p", self.root)
        append_text(self.line, text)

    def inline(self, made: Any) -> None:
        """Append an element within the line."""
        self.text("")
        if self.line is None:
            self.line = element("p", self.root)
        self.line.append(made)

    def block(self, made: Any) -> None:
        """Append an element of its own."""
        self.end()
        self.root.append(made)

    def _open_item(self) -> None:
        signs, self.prefix = self.prefix, ""
        kept = 0
        while kept < min(len(signs), len(self.lists)) and _LISTS[signs[kept]] == self.lists[kept][1].tag:
            kept += 1
        kept = min(kept, len(signs))
        del self.lists[kept:]
        for sign in signs[kept:]:
            holder = (
                self.lists[-1][1][-1]
                if self.lists and len(self.lists[-1][1])
                else (self.lists[-1][1] if self.lists else self.root)
            )
            self.lists.append((sign, element(_LISTS[sign], holder)))
        name = {"*": "li", "#": "li", ";": "dt", ":": "dd"}[signs[-1]]
        if set(signs) == {":"}:  # only indented: a paragraph
            self.end()
            self.line = element("p", self.root)
            return
        self.line = element(name, self.lists[-1][1])

    def write_note(self, mark: str) -> None:
        """Append a note as a paragraph of its own."""
        made = element("p", self.root, text=f"[^{mark}]: ")
        inner = _Builder(self.title, self.site, self.notes, self.counts, self.depth + 1)
        inner.named = self.named
        inner.add(self.notes[mark])
        for paragraph in inner.root.iter("p"):
            append_text(made, paragraph.text)
            for piece in list(paragraph):
                made.append(piece)

    # nodes of mwparserfromhell

    def _text(self, node: Any) -> None:
        self.text(str(node.value))

    def _other(self, node: Any) -> None:
        """Comments are no text."""

    def _htmlentity(self, node: Any) -> None:
        self.text(html.unescape(str(node)))

    def _heading(self, node: Any) -> None:
        made = element(f"h{min(max(node.level, 2), 6)}")
        self._into(made, node.title.nodes)
        self.block(made)

    def _into(self, made: Any, nodes: Sequence[Any]) -> None:
        """Fill an element with nodes, as one line or as blocks."""
        inner = _Builder(self.title, self.site, self.notes, self.counts, self.depth)
        inner.named, inner.categories = self.named, self.categories
        inner.add(nodes)
        parts = list(inner.root)
        if len(parts) == 1 and parts[0].tag == "p":
            append_text(made, parts[0].text)
            parts = list(parts[0])
        for part in parts:
            made.append(part)

    def _wikilink(self, node: Any) -> None:
        title = str(node.title).strip()
        kind = self.site.kind(title)
        if kind == "category":
            name = title.partition(":")[2].strip()
            self.categories.append(name) if name not in self.categories else None
        elif kind == "file":
            self._caption(node)
        elif node.text is not None:
            made = element("span")
            self._into(made, node.text.nodes)
            self.inline(made)
        elif not (":" in title and _LANGUAGE_LINK.match(title.partition(":")[0]) and not title.startswith(":")):
            self.text(title.lstrip(":"))

    def _caption(self, node: Any) -> None:
        """What stands below a picture."""
        import mwparserfromhell

        if node.text is None:
            return
        parts = _split(str(node.text))
        captions = [part for part in parts if part.strip() and not _PICTURE_OPTIONS.match(part.strip())]
        if captions:
            made = element("p")
            self._into(made, mwparserfromhell.parse(captions[-1]).nodes)
            line, lists = self.line, list(self.lists)
            self.root.append(made)
            self.line, self.lists = (None if not lists else line), lists

    def _externallink(self, node: Any) -> None:
        if node.title is not None:
            made = element("span")
            self._into(made, node.title.nodes)
            self.inline(made)
        elif not node.brackets:
            self.text(str(node.url))

    def _argument(self, node: Any) -> None:
        if node.default is not None:
            self.add(node.default.nodes)

    def _template(self, node: Any) -> None:
        expansion = expanded(node, self.title)
        for name, number in expansion.counts.items():
            self.counts[name] += number
        if expansion.nodes is not None:
            if expansion.block:
                self.end()
            self.add(expansion.nodes)
        elif expansion.text:
            self.text(expansion.text) if not expansion.block else self.block(element("p", text=expansion.text))

    def _tag(self, node: Any) -> None:
        name = str(node.tag).strip().lower()
        sign = node.wiki_markup
        if sign is not None and name in ("li", "dt", "dd") and str(sign) in _LISTS:
            if str(sign) == ":" and self.lists and self.line is not None and self.line.tag == "dt":
                self.line = element("dd", self.lists[-1][1])
            else:
                self.prefix += str(sign)
        elif name == "ref":
            self._reference(node)
        elif name in ("math", "chem", "ce"):
            tex = html.unescape(str(node.contents)).strip() if node.contents is not None else ""
            self.text(f"${' '.join(tex.split())}$" if tex else "")
        elif name in _CODE:
            self.block(element("p", text=""))
            self.root[-1].tag, self.root[-1].text = "pre", html.unescape(str(node.contents or ""))
        elif name == "nowiki":
            self.text(html.unescape(str(node.contents or "")))
        elif name == "gallery":
            self._gallery(str(node.contents or ""))
        elif name == "table":
            self.block(self._table(node))
        elif name == "br":
            self.inline(element("br"))
        elif name in ("blockquote", "poem", "center", "div", "p", "ul", "ol", "dl", "li", "dt", "dd", "section"):
            made = element(name if name in _SAME or name in ("li", "dt", "dd") else "div")
            self._into(made, node.contents.nodes if node.contents is not None else ())
            self.block(made)
        elif name not in _DROPPED and node.contents is not None:
            made = element(name if name in _SAME else "span")
            self._into(made, node.contents.nodes)
            self.inline(made)

    def _reference(self, node: Any) -> None:
        name = next(
            (
                str(attribute.value).strip("\"' ")
                for attribute in node.attributes
                if str(attribute.name).strip() == "name"
            ),
            "",
        )
        mark = self.named.get(name, "") if name else ""
        if not mark:
            if not name and not str(node.contents or "").strip():
                return
            mark = str(len(self.notes) + 1)
            self.notes[mark] = ()
            if name:
                self.named[name] = mark
        if node.contents is not None and str(node.contents).strip() and not self.notes[mark]:
            self.notes[mark] = node.contents.nodes
        self.text(f"[^{mark}]")

    def _gallery(self, content: str) -> None:
        import mwparserfromhell

        for line in content.strip().split("\n"):
            _, _, caption = line.partition("|")
            if caption.strip():
                made = element("p")
                self._into(made, mwparserfromhell.parse(_split(caption)[-1]).nodes)
                self.block(made)

    def _table(self, node: Any) -> Any:
        """A table as elements; cells before the first row mark are a row."""
        table = element("table")
        row = None
        for child in node.contents.nodes if node.contents is not None else ():
            name = str(child.tag).strip().lower() if type(child).__name__ == "Tag" else ""
            if name == "tr":
                row = element("tr", table)
                for cell in child.contents.nodes if child.contents is not None else ():
                    if type(cell).__name__ == "Tag" and str(cell.tag).strip().lower() in ("td", "th"):
                        self._cell(cell, row)
            elif name == "td" and str(child.wiki_markup) == "|" and str(child).lstrip().startswith("|+"):
                caption = element("caption", table)
                self._into(caption, child.contents.nodes)
                text = caption.text or ""
                caption.text = text.lstrip().removeprefix("+").strip() if text.lstrip().startswith("+") else text
            elif name in ("td", "th"):
                row = element("tr", table) if row is None else row
                self._cell(child, row)
            elif name == "caption":
                self._into(element("caption", table), child.contents.nodes)
        return table

    def _cell(self, node: Any, row: Any) -> None:
        made = element(str(node.tag).strip().lower(), row)
        for attribute in node.attributes:
            name = str(attribute.name).strip().lower()
            if name in ("colspan", "rowspan") and attribute.value is not None:
                made.set(name, str(attribute.value).strip())
        self._into(made, node.contents.nodes if node.contents is not None else ())


def _split(text: str) -> list[str]:
    """Parts between bars, outside of links and templates."""
    parts, depth, start = [], 0, 0
    for match in re.finditer(r"\[\[|\]\]|\{\{|\}\}|\|", text):
        if match[0] in ("[[", "{{"):
            depth += 1
        elif match[0] in ("]]", "}}"):
            depth -= 1
        elif depth <= 0:
            parts.append(text[start : match.start()])
            start = match.end()
    return [*parts, text[start:]]
