"""Text of shapes (DrawingML): runs, bullets, numbers that PowerPoint counts, tables, formulas."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any, NamedTuple

from nemo_kcpt.office.formulas import tex
from nemo_kcpt.office.package import Contents, attribute, attributes, child, descendants, first_of_each, local
from nemo_kcpt.office.pieces import Piece, on_one_line, written
from nemo_kcpt.office.symbol_fonts import in_font
from nemo_kcpt.text.counting import counted
from nemo_kcpt.text.markdown_tables import table

COUNTING = "numbers in a form of counting that is not known"
_MOVING = re.compile(r"slidenum|datetime|date|footer|header", re.I)
"""Fields that are page furniture, unless there is other text in their paragraph."""
_FORMS = {
    "alphaLc": "lowerLetter",
    "alphaUc": "upperLetter",
    "arabic": "decimal",
    "romanLc": "lowerRoman",
    "romanUc": "upperRoman",
    "arabicDb": "decimalFullWidth",
    "circleNumDb": "decimalEnclosedCircle",
    "circleNumWdWhite": "decimalEnclosedCircle",
    "ea1JpnKor": "japaneseCounting",
    "ea1Chs": "japaneseCounting",
    "ea1JpnChsDb": "japaneseCounting",
    "ea1Cht": "taiwaneseCounting",
}
"""The beginning of a scheme's name -> the form of counting."""
_SCHEME = re.compile(r"(?P<form>\w+?)(?P<around>ParenBoth|ParenR|Period|Plain|Minus)")
_AROUND = {"ParenBoth": "({})", "ParenR": "{})", "Period": "{}.", "Plain": "{}", "Minus": "{} -"}


class Bullets:
    """How paragraphs of a shape begin, by level, where they do not say it themselves.

    Args:
        styles: elements with lvl1pPr to lvl9pPr, the nearest first: of the shape, its layout, its master.
    """

    def __init__(self, styles: Sequence[Any]) -> None:
        self._styles = [style for style in styles if style is not None]

    def of(self, properties: Any, level: int) -> Any:
        """The element that says how a paragraph begins (buNone, buChar, buAutoNum, buBlip), or None.

        Args:
            properties: the paragraph's a:pPr, or None.
            level: of the paragraph, from 0.
        """
        for style in [properties, *(child(list_style, f"lvl{level + 1}pPr") for list_style in self._styles)]:
            bullet = next(
                (element for element in (style if style is not None else ()) if local(element) in _BULLETS), None
            )
            if bullet is not None:
                return bullet
        return None


_BULLETS = ("buNone", "buChar", "buAutoNum", "buBlip")


class Line(NamedTuple):
    """A paragraph, ready."""

    text: str
    is_item: bool
    level: int


def lines_of(body: Any, bullets: Bullets, contents: Contents) -> list[Line]:
    """The paragraphs of a text body that are not empty."""
    lines: list[Line] = []
    counts: dict[int, tuple[str, int]] = {}
    for paragraph in body if body is not None else ():
        if local(paragraph) != "p":
            continue
        text = paragraph_text(paragraph, contents)
        properties = child(paragraph, "pPr")
        level = int(attribute(properties, "lvl") or 0)
        if not text:
            continue
        begin = bullets.of(properties, level)
        for deeper in [other for other in counts if other > level]:
            del counts[deeper]
        if local(begin) != "buAutoNum":
            counts.pop(level, None)
        if begin is None or local(begin) == "buNone":
            lines.append(Line(text, False, level))
        elif local(begin) == "buAutoNum":
            scheme, start = attribute(begin, "type") or "arabicPeriod", int(attribute(begin, "startAt") or 1)
            last = counts.get(level)
            number = last[1] + 1 if last is not None and last[0] == scheme else start
            counts[level] = (scheme, number)
            label = _label(scheme, number, contents)
            lines.append(Line(f"{label} {text}" if re.fullmatch(r"\d+\.", label) else f"- {label} {text}", True, level))
        else:
            lines.append(Line(f"- {text}", True, level))
    return lines


def _label(scheme: str, number: int, contents: Contents) -> str:
    match = _SCHEME.fullmatch(scheme)
    form = _FORMS.get(match["form"], "") if match else ""
    text = counted(number, form) if form else None
    if text is None or match is None:
        contents.flaw(COUNTING, f"number {number}", f"the form {scheme} was written as plain numbers")
        return f"{number}."
    return _AROUND[match["around"]].format(text)


def joined(lines: Sequence[Line]) -> str:
    """Lines as Markdown: items set in by their level, other paragraphs apart."""
    text, last, levels = "", None, list[int]()
    for line in lines:
        if line.is_item:
            while levels and levels[-1] >= line.level:
                levels.pop()
            shown_line = f"{'  ' * len(levels)}{line.text}"
            levels.append(line.level)
        else:
            levels, shown_line = [], line.text
        text += ("" if last is None else "\n" if last.is_item and line.is_item else "\n\n") + shown_line
        last = line
    return text


def paragraph_text(paragraph: Any, contents: Contents) -> str:
    """A paragraph (a:p) as a line of text; line ends within it stay."""
    pieces: list[Piece] = []
    left_out = _walk(paragraph, pieces, moving=False)
    if left_out and any(piece.text.strip() for piece in pieces):
        pieces.clear()
        _walk(paragraph, pieces, moving=True)
    line = written(pieces)
    contents.changes["raised"] += line.raised
    return "\n".join(part.strip() for part in line.text.strip().split("\n"))


def _walk(node: Any, pieces: list[Piece], *, moving: bool) -> bool:
    """Add the pieces of a paragraph, those of fields that are page furniture elsewhere only if `moving`; returns
    whether any were left out."""
    left_out = False
    for element in descendants(node, ("r", "fld", "oMath", "oMathPara", "pPr", "endParaRPr")):
        name = local(element)
        if name == "r" or (name == "fld" and (moving or not _MOVING.match(attribute(element, "type") or ""))):
            pieces.append(_run(element))
        elif name == "fld":
            left_out = True
        elif name == "br":
            pieces.append(Piece("\n"))
        elif name == "oMath" and (text := tex(element)):
            pieces.append(Piece(f"${text}$", "done"))
        elif name == "oMathPara":
            formulas = [text for formula in element if local(formula) == "oMath" and (text := tex(formula))]
            pieces += [Piece(f"$${text}$$", "done") for text in formulas]
    return left_out


def _run(run: Any) -> Piece:
    parts = first_of_each(run)
    text, properties = parts.get("t"), parts.get("rPr")
    letters = (text.text or "") if text is not None else ""
    if properties is None:
        return Piece(letters)
    said, within = attributes(properties), first_of_each(properties)
    height = float((said.get("baseline") or "0").rstrip("%"))
    way = "super" if height > 0 else "sub" if height < 0 else ""
    font = attribute(within.get("sym"), "typeface") or attribute(within.get("latin"), "typeface") or ""
    letters = in_font(letters, font)
    struck = (said.get("strike") or "noStrike") != "noStrike"
    letters = letters.upper() if said.get("cap") == "all" else letters
    return Piece(letters, way, struck, "hlinkClick" in within and bool(way))


def table_text(node: Any, contents: Contents) -> str:
    """A table (a:tbl) as Markdown; of merged cells the first has the text."""
    rows: list[list[str]] = []
    for row in node:
        if local(row) != "tr":
            continue
        cells: list[str] = []
        for cell in row:
            if local(cell) != "tc":
                continue
            covered = "1" in (attribute(cell, "hMerge"), attribute(cell, "vMerge"))
            lines = [] if covered else lines_of(child(cell, "txBody"), Bullets([]), contents)
            cells.append(on_one_line("\n".join(line.text for line in lines)))
        rows.append(cells)
    return table(rows)
