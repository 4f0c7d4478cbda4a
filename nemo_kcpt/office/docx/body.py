"""The body of a Word document: its paragraphs, lists and tables as blocks of Markdown, and its notes."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from nemo_kcpt.documents.base import Place
from nemo_kcpt.office.docx.lines import Lines, Notes
from nemo_kcpt.office.docx.numbers import Label, Numbers
from nemo_kcpt.office.docx.styles import Styles
from nemo_kcpt.office.drawings import drawing_lines
from nemo_kcpt.office.package import LEFT_OUT, Contents, Package, alternative, attribute, child, descendants, local
from nemo_kcpt.office.pieces import Piece as Stretch
from nemo_kcpt.office.pieces import on_one_line, written
from nemo_kcpt.text.markdown_tables import table

HIDDEN = "files with text that is hidden and left out"
COUNTING = "numbers in a form of counting that is not known"
_ARTICLE = re.compile(r"第.*[章節款項条編部]|[\d.]*\d\.\d+\.?|(?:Article|Section|Chapter)\b.*", re.I)
"""A number that belongs to a paragraph rather than to a list's item."""
_WRAPPERS = ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag")
_DEEPEST = 6


class Block(NamedTuple):
    """A paragraph, heading, list item or table, ready to be joined."""

    text: str
    kind: str = "text"
    level: int = 0


class Body:
    """Reads the blocks of a document.

    Args:
        package: the file.
        contents: takes what is to be said of it.
        part: the part that holds the document.
        root: of that part.
    """

    def __init__(self, package: Package, contents: Contents, part: str, root: Any) -> None:
        self.package, self.contents, self.part = package, contents, part
        self.styles = Styles(self._root("styles"))
        self.numbers = Numbers(self._root("numbering"))
        self.notes = Notes([self._root("settings"), root])
        self.lines = Lines(self.styles, contents, self.notes.mark)
        self.noted = frozenset(_own_marks(root))
        self._waiting: list[Stretch] = []
        """What a paragraph without a mark of its own gives to the next one."""

    def _root(self, kind: str) -> Any:
        part = self.package.related(self.part, kind)
        return self.package.xml(part) if part else None

    def blocks(self, node: Any) -> Iterator[Block]:
        """The blocks that an element holds."""
        for element in node:
            name = local(element)
            if name == "p":
                yield from self._paragraph(element)
            elif name == "tbl":
                yield from self._table(element)
            elif name == "sdt":
                if not _is_contents(element) and child(element, "sdtPr", "showingPlcHdr") is None:
                    content = child(element, "sdtContent")
                    yield from self.blocks(content if content is not None else ())
            elif name in _WRAPPERS:
                yield from self.blocks(element)
            elif name == "AlternateContent":
                chosen = alternative(element)
                yield from self.blocks(chosen if chosen is not None else ())
            elif name == "oMathPara":
                yield from self._loose(element)
            elif name in ("altChunk", "subDoc"):
                detail = "a document in it is not read; open it in Word and save it, or give it as a file of its own"
                self.contents.flaw(LEFT_OUT, f"part {attribute(element, 'id') or name}", detail)

    def _loose(self, node: Any) -> Iterator[Block]:
        """A formula between paragraphs."""
        pieces: list[Stretch] = []
        self.lines.formula(node, pieces)
        yield from (Block(piece.text) for piece in pieces)

    def _paragraph(self, node: Any) -> Iterator[Block]:
        properties = child(node, "pPr")
        outer, self.lines.anchored = self.lines.anchored, []
        in_field = self.lines.silent
        pieces = self._waiting + self.lines.pieces(node)
        anchored, self.lines.anchored = self.lines.anchored, outer
        if _joins_next(properties):
            self._waiting = pieces
        else:
            self._waiting = []
            empty = in_field and not any(piece.text.strip() for piece in pieces)
            if not empty and not self.styles.is_contents(properties):
                yield from self._block(pieces, properties)
        for drawing in anchored:
            yield from self._anchored(drawing)

    def _block(self, pieces: list[Stretch], properties: Any) -> Iterator[Block]:
        line = written(pieces, self.noted)
        self.contents.changes["raised"] += line.raised
        text = _tidy(line.text)
        label = self._label(properties, is_hidden=not text and _mark_is_hidden(properties))
        if not text:
            return
        level = self.styles.level(properties)
        if label is not None and label.unknown:
            self.contents.flaw(
                COUNTING, f"number {label.text}", f"the form {label.unknown} was written as plain numbers"
            )
        if level or self.styles.is_title(properties):
            number = f"{label.text} " if label is not None and label.text else ""
            heading = on_one_line(f"{number}{text}")
            if not level and not self.contents.title:
                self.contents.title = heading
            yield Block(f"{'#' * max(1, min(level, _DEEPEST))} {heading}", "heading")
        elif label is not None:
            yield _item(label, text)
        else:
            yield Block(text)

    def _label(self, properties: Any, *, is_hidden: bool) -> Label | None:
        """The number before a paragraph, its own or its style's."""
        own = child(properties, "numPr") if properties is not None else None
        numbering = (
            own if own is not None and child(own, "numId") is not None else self.styles.property(properties, "numPr")
        )
        number = attribute(child(numbering, "numId")) if numbering is not None else None
        if not number or number == "0" or is_hidden:
            return None
        level = attribute(child(own, "ilvl"))
        if level is None:
            styles = (attribute(style, "styleId") or "" for style in self.styles.of_paragraph(properties))
            tied = (self.numbers.level_of_style(number, style) for style in styles)
            tied_level = next((candidate for candidate in tied if candidate is not None), None)
            level = str(tied_level) if tied_level is not None else attribute(child(numbering, "ilvl"))
        return self.numbers.label(number, max(0, min(int(level or 0), 8)))

    def _anchored(self, node: Any) -> Iterator[Block]:
        """The text boxes, charts and diagrams of a drawing."""
        for element in [node, *descendants(node, ("txbxContent",))]:
            if local(element) == "txbxContent":
                waiting, self._waiting = self._waiting, []
                yield from self.blocks(element)
                self._waiting = waiting
            elif local(element) == "textpath" and (text := " ".join((attribute(element, "string") or "").split())):
                yield Block(text)
        lines = drawing_lines(node, self.package, self.part, self.contents)
        if lines:
            yield Block("\n".join(lines))

    def _table(self, node: Any) -> Iterator[Block]:
        rows = [self._row(row) for row in _below(node, "tr") if child(row, "trPr", "del") is None]
        width = max(map(len, rows), default=0)
        if width == 1:  # a frame around text
            yield from (block for row in rows for cell in row for block in cell)
        elif text := table([[_flat(cell) for cell in row] for row in rows]):
            yield Block(text, "table")

    def _row(self, row: Any) -> list[list[Block]]:
        """The cells of a row with their blocks, an empty one for every further column and for each that goes on."""
        properties = child(row, "trPr")
        cells: list[list[Block]] = [[] for _ in range(_count(properties, "gridBefore"))]
        for cell in _below(row, "tc"):
            about = child(cell, "tcPr")
            merge, deleted = child(about, "vMerge"), child(about, "cellDel")
            continues = merge is not None and attribute(merge) in (None, "continue")
            blocks = [] if deleted is not None else list(self.blocks(cell))
            cells.append([] if continues else blocks)
            cells += [[] for _ in range(_count(about, "gridSpan") - 1)]
        return cells

    def note_blocks(self) -> Iterator[Block]:
        """The notes that the text refers to, in order; also those that notes refer to."""
        roots = {kind: self._root(f"{kind}s") for kind in ("footnote", "endnote")}
        done, read = 0, set()
        while done < len(self.notes.order):
            kind, number, mark = self.notes.order[done]
            done += 1
            if (kind, number) in read:
                continue  # a reference to the same note
            read.add((kind, number))
            nodes = (
                node for node in (roots[kind] if roots[kind] is not None else ()) if attribute(node, "id") == number
            )
            text = _flat(list(self.blocks(next(nodes, ()))))
            if text:
                yield Block(f"[^{mark}]: {text}" if mark else text, "note")


def fill(package: Package, contents: Contents, place: Place) -> None:
    """Read a document."""
    part = package.related("", "officeDocument")
    root = package.xml(part)
    body = Body(package, contents, part, root)
    blocks = list(body.blocks(child(root, "body") if child(root, "body") is not None else ()))
    contents.text = joined([*blocks, *body.note_blocks()])
    if hidden := [f"{count:,} {what}{'s' * (count > 1)}" for what, count in body.lines.hidden.items() if count]:
        contents.flaw(HIDDEN, "", f"{' and '.join(hidden)} of hidden text; show it in Word to have it read")


def joined(blocks: list[Block]) -> str:
    """Blocks as one text: a line between them, but none between items, which are set in by their depth."""
    pieces: list[str] = []
    last = ""
    levels: list[int] = []
    for block in blocks:
        if block.kind == "item":
            while levels and levels[-1] >= block.level:
                levels.pop()
            line = f"{'  ' * len(levels)}{block.text}"
            levels.append(block.level)
        else:
            levels, line = [], block.text
        between = "\n" if last == block.kind and last in ("item", "note") else "\n\n"
        pieces += [between if pieces else "", line]
        last = block.kind
    return "".join(pieces)


def _item(label: Label, text: str) -> Block:
    if not label.text:
        return Block(f"- {text}", "item", label.level)
    if re.fullmatch(r"\d{1,9}\.", label.text):
        return Block(f"{label.text} {text}", "item", label.level)
    if _ARTICLE.fullmatch(label.text):
        return Block(f"{label.text} {text}")
    return Block(f"- {label.text} {text}", "item", label.level)


def _flat(blocks: list[Block]) -> str:
    """Blocks on one line; the rows of a table in a cell are parted by semicolons, its cells by commas."""
    parts = []
    for block in blocks:
        text = block.text
        if block.kind == "heading":
            text = text.lstrip("#").strip()
        elif block.kind == "table":
            rows = [line for number, line in enumerate(text.split("\n")) if number != 1]
            text = "; ".join(", ".join(filter(None, map(str.strip, re.split(r"(?<!\\)\|", row)))) for row in rows)
        parts.append(text)
    return on_one_line("\n".join(parts))


def _tidy(text: str) -> str:
    """A paragraph without white space at the ends of its lines."""
    return "\n".join(line.strip() for line in text.strip().split("\n"))


def _below(node: Any, name: str) -> Iterator[Any]:
    """The rows of a table, or the cells of a row, also those in content controls and the like."""
    for element in node:
        if local(element) == name:
            yield element
        elif local(element) in _WRAPPERS:
            yield from _below(element, name)


def _count(properties: Any, name: str) -> int:
    value = attribute(child(properties, name))
    return min(int(value or (name == "gridSpan")), 1000)


def _joins_next(properties: Any) -> bool:
    """Whether a paragraph's end is deleted, or it is a letter that is set as large as several lines of the next one."""
    gone = child(properties, "rPr", "del") is not None or child(properties, "rPr", "moveFrom") is not None
    return gone or attribute(child(properties, "framePr"), "dropCap") in ("drop", "margin")


def _mark_is_hidden(properties: Any) -> bool:
    return child(properties, "rPr", "vanish") is not None


def _is_contents(control: Any) -> bool:
    gallery = child(control, "sdtPr", "docPartObj", "docPartGallery")
    return (attribute(gallery) or "").casefold() in ("table of contents", "table of figures")


def _own_marks(root: Any) -> Iterator[str]:
    """The marks with which notes begin that are plain paragraphs."""
    for paragraph in root.iter("{*}p"):
        run = child(paragraph, "r")
        if run is not None and attribute(child(run, "rPr", "vertAlign")) == "superscript":
            yield "".join(element.text or "" for element in run if local(element) == "t").strip()
