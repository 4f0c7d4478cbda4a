"""The lines of a .docx: runs, fields, notes' marks, signs, formulas, and what is anchored in them.

Of a tracked change the accepted state is read, of a field its result, of ruby the base text, of alternatives one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any

from nemo_kcpt.office.docx.styles import Look, Styles
from nemo_kcpt.office.formulas import tex
from nemo_kcpt.office.package import LEFT_OUT, Contents, alternative, attribute, child, descendants, local
from nemo_kcpt.office.pieces import Piece
from nemo_kcpt.office.symbol_fonts import in_font, is_symbol_font, sign
from nemo_kcpt.text.counting import counted

SMALL = 20
"""Characters that a shift raises at most."""
FORMULA_PICTURES = "formulas that are only pictures"
SIGNS = "signs of symbol fonts that are not known"
FIELDS = "fields left out"
_CONTAINERS = frozenset(re.findall(r"\S+", "ins moveTo hyperlink smartTag customXml dir bdo rubyBase"))
_GONE = frozenset(
    re.findall(r"\S+", "del moveFrom delText instrText delInstrText rPr pPr annotationRef footnoteRef endnoteRef rt")
)
_LISTS = re.compile(r"\s*(?:TOC|INDEX|TOA)\b", re.I)
"""Fields whose results are lists of what the text says elsewhere."""
_CIRCLE = re.compile(r"\\o\s*\\ac\s*\(\s*([^,;()]*?)\s*[,;]\s*([^()]*?)\s*\)", re.I)
_RUBY = re.compile(r"\\o\s*(?:\\a[dclr])?\s*\(\s*\\s\s*\\up\s*[\d.]+\s*\([^()]*\)\s*[,;]\s*([^()]*?)\s*\)", re.I)
_OVER = re.compile(r"\\f\s*\(\s*([^,;()]*?)\s*[,;]\s*([^,;()]*?)\s*\)", re.I)
_EQ_START = re.compile(r"\s*EQ\b(?:\s*\\\*\s*(?:jc\d+|hps\d+|\"[^\"]*\"))*", re.I)
_SYMBOL = re.compile(r"\s*SYMBOL\s+(?P<number>0x[0-9A-F]{1,4}|\d{1,5})\b(?P<switches>.*)", re.I | re.S)
_SYMBOL_FONT = re.compile(r"\\f\s*\"?([^\"\\]+?)\"?\s*(?:\\|$)", re.I)
_COUNTED = re.compile(r"\s*(?:LISTNUM|AUTONUM(?:LGL|OUT)?)\b", re.I)
"""Fields that show a number which no file stores."""
_EQUATION = re.compile(r"Equation|MathType|DSMT", re.I)


class _Field:
    """A field that has begun."""

    def __init__(self) -> None:
        self.code = ""
        self.in_result = False

    @property
    def silent(self) -> bool:
        """Whether nothing of it is text now."""
        return not self.in_result or bool(_LISTS.match(self.code))


class Lines:
    """Reads lines, in the order of the document.

    Args:
        styles: of the document.
        contents: takes what is to be said of it.
        note: the mark of a note as it is shown, by kind (footnote, endnote), id, and whether it has a mark of its own.
    """

    def __init__(self, styles: Styles, contents: Contents, note: Callable[[str, str, bool], str]) -> None:
        self.styles = styles
        self.contents = contents
        self.note = note
        self.anchored: list[Any] = []
        """Drawings found since this was emptied, to be read behind the paragraph."""
        self.hidden: Counter[str] = Counter()
        """How many characters, notes and drawings are hidden and left out."""
        self._fields: list[_Field] = []

    @property
    def silent(self) -> bool:
        """Whether a field is open of which nothing is text."""
        return any(field.silent for field in self._fields)

    def pieces(self, paragraph: Any) -> list[Piece]:
        """The pieces of a paragraph."""
        pieces: list[Piece] = []
        properties = child(paragraph, "pPr")
        size = self.styles.look(None, properties).size
        self._walk(paragraph, properties, pieces, size, linked=False)
        return pieces

    def _walk(self, node: Any, paragraph: Any, pieces: list[Piece], size: float, *, linked: bool) -> None:
        for element in node:
            name = local(element)
            if name == "r":
                self._run(element, paragraph, pieces, size, linked)
            elif name in _GONE or not name:
                continue
            elif name == "sdt":
                self._control(element, paragraph, pieces, size, linked)
            elif name == "fldSimple":
                if not _LISTS.match(attribute(element, "instr") or ""):
                    self._walk(element, paragraph, pieces, size, linked=linked)
            elif name in ("oMath", "oMathPara"):
                self.formula(element, pieces)
            elif name == "AlternateContent":
                chosen = alternative(element)
                if chosen is not None:
                    self._walk(chosen, paragraph, pieces, size, linked=linked)
            elif name in _CONTAINERS:
                anchored = name == "hyperlink" and bool(attribute(element, "anchor"))
                self._walk(element, paragraph, pieces, size, linked=linked or anchored)

    def _control(self, node: Any, paragraph: Any, pieces: list[Piece], size: float, linked: bool) -> None:
        """A content control: not the text that only says what to write there."""
        content = child(node, "sdtContent")
        if content is not None and child(node, "sdtPr", "showingPlcHdr") is None:
            self._walk(content, paragraph, pieces, size, linked=linked)

    def formula(self, node: Any, pieces: list[Piece]) -> None:
        """Add a formula (m:oMath, m:oMathPara) as TeX between dollar signs."""
        if self.silent:
            return
        formulas = [element for element in node if local(element) == "oMath"] if local(node) == "oMathPara" else [node]
        mark = "$$" if local(node) == "oMathPara" else "$"
        for formula in formulas:
            if all(any(map(_is_hidden, run.iterchildren("{*}rPr"))) for run in formula.iter("{*}r")):
                self._hide(formula, "oMath")
            elif text := tex(formula):
                last = pieces[-1].text if pieces and pieces[-1].way == "done" else ""
                if mark == "$" and last.endswith("$") and not last.endswith("$$"):
                    pieces[-1] = Piece(f"{last[:-1]} {text}$", "done")
                else:
                    pieces.append(Piece(f"{mark}{text}{mark}", "done"))

    def _run(self, run: Any, paragraph: Any, pieces: list[Piece], size: float, linked: bool) -> None:
        look = self.styles.look(child(run, "rPr"), paragraph)
        for node in run:
            name = local(node)
            if name == "fldChar":
                self._field(node, pieces)
            elif name == "instrText":
                if self._fields and not self._fields[-1].in_result:
                    self._fields[-1].code += node.text or ""
            elif self.silent or name in _GONE:
                continue
            elif look.hidden:
                self._hide(node, name)
            elif name == "t":
                pieces.append(_piece(node.text or "", look, size, linked))
            elif name in ("tab", "ptab"):
                pieces.append(Piece("\t"))
            elif name in ("br", "cr"):
                pieces.append(Piece("\n"))
            elif name == "noBreakHyphen":
                pieces.append(_piece("-", look, size, linked))
            elif name == "sym":
                pieces.append(_piece(self._sign(node), look, size, linked))
            elif name in ("footnoteReference", "endnoteReference"):
                self._note(node, name, pieces)
            elif name == "ruby":
                base = child(node, "rubyBase")
                self._walk(base if base is not None else (), paragraph, pieces, size, linked=linked)
            elif name == "AlternateContent":
                chosen = alternative(node)
                self._drawn(chosen if chosen is not None else ())
            elif name in ("drawing", "pict", "object"):
                self._drawn([node])

    def _hide(self, node: Any, name: str) -> None:
        """Count what is hidden."""
        if name in ("footnoteReference", "endnoteReference"):
            self.hidden["note"] += 1
        elif name in ("drawing", "pict", "object", "AlternateContent"):
            self.hidden["drawing"] += 1
        elif name == "ruby":
            self._hide(child(node, "rubyBase"), "oMath")
        elif name in ("t", "sym", "oMath"):
            text = "".join(element.text or "" for element in node.iter("{*}t"))
            self.hidden["character"] += len("".join(text.split())) + (name == "sym")

    def _note(self, node: Any, name: str, pieces: list[Piece]) -> None:
        own = attribute(node, "customMarkFollows") in ("1", "true", "on")
        mark = self.note(name.removesuffix("Reference"), attribute(node, "id") or "", own)
        if mark:
            pieces.append(Piece(mark, "note"))

    def _sign(self, node: Any) -> str:
        font, code = attribute(node, "font") or "", attribute(node, "char") or "0"
        known = sign(int(code, 16), font)
        if known is None and not 0xF000 <= int(code, 16) <= 0xF0FF and not font.casefold().startswith("wingding"):
            known = chr(int(code, 16))  # a letter of an ordinary font
        if known is None:
            self.contents.flaw(SIGNS, f"font {font}", f"sign {code} is written as U+FFFD")
        return known or "\ufffd"

    def _field(self, node: Any, pieces: list[Piece]) -> None:
        kind = attribute(node, "fldCharType")
        if kind == "begin":
            self._fields.append(_Field())
            if not self.silent or not any(field.silent for field in self._fields[:-1]):
                pieces += _of_form(node)
        elif kind == "separate" and self._fields:
            self._fields[-1].in_result = True
        elif kind == "end" and self._fields:
            field = self._fields.pop()
            if not field.in_result and not self.silent:
                self._drawn_field(field.code, pieces)

    def _drawn_field(self, code: str, pieces: list[Piece]) -> None:
        """A field without a result, which Word draws: enclosed characters, fractions and ruby of old files."""
        if symbol := _SYMBOL.match(code):
            pieces.append(Piece(self._symbol(symbol)))
            return
        if _EQ_START.match(code) is None and not _COUNTED.match(code):
            return
        if (match := _RUBY.search(code)) or (match := _CIRCLE.search(code)):
            pieces.append(Piece(match[match.lastindex or 1]))
        elif match := _OVER.search(code):
            pieces.append(Piece(f"{match[1]}/{match[2]}"))
        else:
            what = "Word draws it from its code and stores no result; write it as text or as a formula"
            self.contents.flaw(FIELDS, f"field {' '.join(code.split())[:60]}", what)

    def _symbol(self, match: re.Match[str]) -> str:
        """The sign of a SYMBOL field: by its number in a symbol font, in Unicode (\\u) or in Windows' Latin set."""
        number, switches = int(match["number"], 0), match["switches"]
        font = _SYMBOL_FONT.search(switches)
        known = sign(number, font[1]) if font and is_symbol_font(font[1]) else None
        if known is None and not (font and is_symbol_font(font[1])) and r"\j" not in switches:
            known = chr(number) if r"\u" in switches else bytes([number & 255]).decode("cp1252", "ignore")
        if not known:
            detail = f"sign {match['number']} is written as U+FFFD"
            self.contents.flaw(SIGNS, f"field {' '.join(match[0].split())}", detail)
        return known or "\ufffd"

    def _drawn(self, nodes: Any) -> None:
        """What is drawn in a line: read behind its paragraph, or counted."""
        for node in nodes:
            everything = [node, *descendants(node, ("txbxContent",))]
            if any(
                local(element) == "docPr" and attribute(element, "hidden") in ("1", "true") for element in everything
            ):
                self.hidden["drawing"] += 1
                continue
            names = [local(element) for element in everything]
            if "txbxContent" in names or "textpath" in names or "chart" in names or "relIds" in names:
                self.anchored.append(node)
            objects = [element for element in everything if local(element) == "OLEObject"]
            for embedded in objects:
                what = attribute(embedded, "ProgID") or "object"
                if _EQUATION.search(what):
                    self.contents.flaw(
                        FORMULA_PICTURES, f"object {attribute(embedded, 'ObjectID') or what}", "convert it in Word"
                    )
                else:
                    detail = "what is embedded is not read; save it as a file of its own"
                    self.contents.flaw(LEFT_OUT, f"object {what}", detail)
            self.contents.pictures += bool({"pic", "imagedata", "blip"} & set(names)) and not objects


def _is_hidden(properties: Any) -> bool:
    """Whether the properties of a run in a formula hide it."""
    hidden = child(properties, "vanish")
    return hidden is not None and attribute(hidden) not in ("0", "false", "off")


def _piece(text: str, look: Look, size: float, linked: bool) -> Piece:
    way = look.way
    if not way and look.shift and len(text) <= SMALL and 0 < look.size < (size or 21):
        way = "super" if look.shift > 0 else "sub"
    text = in_font(text, look.font)
    return Piece(text.upper() if look.capitals else text, way, look.struck, bool(way == "super" and linked))


def _of_form(node: Any) -> list[Piece]:
    """What a form's field shows: the box that is ticked, the entry that is chosen."""
    box, choice = child(node, "ffData", "checkBox"), child(node, "ffData", "ddList")
    if box is not None:
        state = child(box, "checked")
        state = child(box, "default") if state is None else state
        on = state is not None and attribute(state) not in ("0", "false", "off")
        return [Piece("☒" if on else "☐")]
    if choice is not None:
        entries = [attribute(entry) or "" for entry in choice if local(entry) == "listEntry"]
        result = child(choice, "result")
        number = int(attribute(result if result is not None else child(choice, "default")) or 0)
        return [Piece(entries[number])] if 0 <= number < len(entries) else []
    return []


class Notes:
    """The marks of notes, in the order in which the text refers to them.

    Args:
        settings: the roots in which the numbering of notes may be set: settings.xml, the document.
    """

    def __init__(self, settings: list[Any]) -> None:
        self.order: list[tuple[str, str, str]] = []
        """Kind, id, mark."""
        self._used: dict[str, str] = {}
        self._forms = {"footnote": "decimal", "endnote": "lowerRoman"}
        self._last = {"footnote": 0, "endnote": 0}
        for root in settings:
            for node in root.iter() if root is not None else ():
                kind = local(node).removesuffix("Pr")
                if kind in self._forms and local(node).endswith("Pr"):
                    self._forms[kind] = attribute(child(node, "numFmt")) or self._forms[kind]
                    start = attribute(child(node, "numStart"))
                    self._last[kind] = int(start) - 1 if start else self._last[kind]

    def mark(self, kind: str, number: str, own: bool) -> str:
        """The mark of the next note that the text refers to; empty for one whose mark is in the text."""
        if own:
            self.order.append((kind, number, ""))
            return ""
        self._last[kind] += 1
        text = counted(self._last[kind], self._forms[kind]) or str(self._last[kind])
        while self._used.setdefault(text, kind) != kind:
            text = f"{text}*"  # footnotes and endnotes that are counted alike
        self.order.append((kind, number, text))
        return text
