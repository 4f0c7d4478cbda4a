"""Cells of an .xlsx as they are shown: shared texts, formats, dates, errors, formulas by their stored values."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Any, NamedTuple

from nemo_kcpt.documents.base import Place, too_large
from nemo_kcpt.documents.zipped import BadContainer
from nemo_kcpt.office.numbers.formats import BUILT_IN, LOCAL_CURRENCY, UnknownFormat, general, show, show_text
from nemo_kcpt.office.package import Contents, Package, attribute, child, local
from nemo_kcpt.office.pieces import Piece, written
from nemo_kcpt.office.symbol_fonts import in_font, is_symbol_font

NO_VALUE = "sheets with formulas of which no value is stored"
HIDDEN = "sheets that are hidden, or of which rows, columns or cells are, left out"
NO_CURRENCY = "sheets with amounts whose currency the file does not say"
NO_FORMAT = "sheets with numbers whose format is not known"
WHOLE = 15
"""Digits that Excel knows of a number."""
NAMED = 5
"""Cells that are named of a sheet."""
_CELL = re.compile(r"\$?([A-Za-z]{1,3})\$?(\d{1,7})")


class Font(NamedTuple):
    """What of a font changes what is read."""

    way: str
    """super, sub, or empty."""
    struck: bool
    name: str
    """Name of a symbol font, else empty."""


PLAIN = Font("", False, "")


class Formats:
    """Formats and fonts of cells, by the number of their style.

    Args:
        root: of styles.xml, or None.
    """

    def __init__(self, root: Any) -> None:
        codes: dict[str, str] = {}
        fonts: list[Font] = []
        self._codes: list[str] = []
        self._fonts: list[Font] = []
        self._local: set[int] = set()
        self.conditional: set[int] = set()
        """Numbers of the formats of conditions that have a number format."""
        for node in root if root is not None else ():
            if local(node) == "numFmts":
                codes |= {
                    attribute(element, "numFmtId") or "": attribute(element, "formatCode") or "" for element in node
                }
            elif local(node) == "fonts":
                fonts = [_font(element, "name") for element in node]
            elif local(node) == "dxfs":
                self.conditional = {
                    number for number, element in enumerate(node) if child(element, "numFmt") is not None
                }
            elif local(node) == "cellXfs":
                for element in node:
                    number = attribute(element, "numFmtId") or "0"
                    if number not in codes and int(number) in LOCAL_CURRENCY:
                        self._local.add(len(self._codes))
                    font = int(attribute(element, "fontId") or 0)
                    self._codes.append(codes.get(number) or BUILT_IN.get(int(number), "unknown"))
                    self._fonts.append(fonts[font] if font < len(fonts) else PLAIN)

    def code(self, style: str | None) -> str:
        """The format of a style."""
        number = int(style or 0)
        return self._codes[number] if number < len(self._codes) else "General"

    def is_local_currency(self, style: str | None) -> bool:
        """Whether a style shows a currency sign that only Excel's locale knows."""
        return int(style or 0) in self._local

    def font(self, style: str | None) -> Font:
        """The font of a style."""
        number = int(style or 0)
        return self._fonts[number] if number < len(self._fonts) else PLAIN


class Cells:
    """Reads cells.

    Args:
        package: the file.
        contents: takes what is to be said of it.
        place: limits how much text is read.
        part: the workbook's part.
        since_1904: whether dates count from 1904.
    """

    def __init__(self, package: Package, contents: Contents, place: Place, part: str, since_1904: bool) -> None:
        styles, strings = package.related(part, "styles"), package.related(part, "sharedStrings")
        self.formats = Formats(package.xml(styles) if styles else None)
        self.contents = contents
        self.since_1904 = since_1904
        self.without_value: list[str] = []
        """Cells of the present sheet."""
        self.shows_nothing: list[str] = []
        self.without_currency: list[str] = []
        self.without_format: list[str] = []
        self._shared: list[list[Piece]] = []
        self._place, self._left = place, place.max_bytes
        size = 0
        for node in package.container.stream_xml(strings, "{*}si") if strings else ():
            pieces = text_pieces(node)
            size += sum(len(piece.text) for piece in pieces)
            if size > place.max_bytes:
                raise BadContainer(too_large(size, place))
            self._shared.append(pieces)

    def text(self, cell: Any, name: str) -> str:
        """A cell as it is shown; empty for one that shows nothing.

        Args:
            cell: its element.
            name: B3, for messages.

        Raises:
            BadContainer: the cells so far hold more text than a document may; many may refer to one long text.
        """
        text = self._display_text(cell, name)
        self._left -= len(text)
        if self._left < 0:
            raise BadContainer(too_large(self._place.max_bytes - self._left, self._place))
        return text

    def _display_text(self, cell: Any, name: str) -> str:
        kind, style = cell.get("t") or "n", cell.get("s")
        value = child(cell, "v")
        inline = child(cell, "is") if value is None else None
        if kind == "inlineStr" or (value is None and inline is not None):
            return self._written(text_pieces(inline) if inline is not None else [], style, name)
        if value is None or (not value.text and kind != "str"):
            if child(cell, "f") is not None:
                self.without_value.append(name)
            return ""
        text = value.text or ""
        if kind == "s":
            return self._written(self._shared[int(text)], style, name)
        if kind == "str":
            return self._written([Piece(_unescaped(text))], style, name)
        if kind == "b":
            return "TRUE" if text.strip() in ("1", "true") else "FALSE"
        if kind in ("e", "d"):
            return text.strip()
        code = self.formats.code(style)
        if self.formats.is_local_currency(style):
            self.without_currency.append(name)
        if code == "General" and text.isascii() and text.isdigit() and len(text) <= WHOLE and text[0] != "0":
            return self._marked([Piece(text)], style)
        return self._marked([Piece(self._number(float(text), code, name))], style)

    def _number(self, value: float, code: str, name: str) -> str:
        try:
            text = show(value, code, since_1904=self.since_1904)
            if value and not text:
                self.shows_nothing.append(name)
            return text
        except UnknownFormat:
            self.without_format.append(name)
            return general(Decimal(f"{value:.15g}"))

    def _written(self, pieces: list[Piece], style: str | None, name: str) -> str:
        code = self.formats.code(style)
        if code != "General" and len(pieces) == 1:
            text = show_text(pieces[0].text, code)
            if not text and pieces[0].text.strip():
                self.shows_nothing.append(name)
            pieces = [pieces[0]._replace(text=text)]
        return self._marked(pieces, style)

    def _marked(self, pieces: list[Piece], style: str | None) -> str:
        font = self.formats.font(style)
        if font != PLAIN:
            pieces = [_set_in(piece, font) for piece in pieces]
        if len(pieces) == 1 and not (pieces[0].way or pieces[0].struck):
            return pieces[0].text
        line = written(pieces)
        self.contents.changes["raised"] += line.raised
        return line.text

    def end_sheet(self, name: str) -> None:
        """Say what was wrong with the cells of a sheet."""
        what = "Excel stores no value until it has calculated; open the file in Excel and save it"
        for kind, cells, detail in (
            (NO_VALUE, self.without_value, what),
            (NO_FORMAT, self.without_format, "these are written without a format"),
            (
                NO_CURRENCY,
                self.without_currency,
                "Excel shows them with the sign of the country where it runs; these are written without one",
            ),
            (HIDDEN, self.shows_nothing, "their format shows nothing; change it in Excel to have them read"),
        ):
            if cells:
                more = f" and {len(cells) - NAMED:,} more" if len(cells) > NAMED else ""
                self.contents.flaw(kind, f"sheet {name}", f"{', '.join(cells[:NAMED])}{more}: {detail}")
                cells.clear()


def text_pieces(node: Any) -> list[Piece]:
    """The runs of a text, without readings of kanji (rPh)."""
    pieces: list[Piece] = []
    for element in node:
        if local(element) == "t":
            pieces.append(Piece(_unescaped(element.text or "")))
        elif local(element) == "r":
            text = child(element, "t")
            content = _unescaped(text.text or "") if text is not None else ""
            pieces.append(_set_in(Piece(content), _font(child(element, "rPr"), "rFont")))
    return pieces


def place_of(name: str | None) -> tuple[int, int] | None:
    """Row and column of a cell's name, from 1; None if it is none."""
    match = _CELL.fullmatch(name or "")
    if match is None:
        return None
    column = 0
    for letter in match[1].upper():
        column = 26 * column + ord(letter) - 64
    return int(match[2]), column


def column_name(column: int) -> str:
    """The letters of a column, counted from 1."""
    name = ""
    while column:
        column, rest = divmod(column - 1, 26)
        name = chr(65 + rest) + name
    return name


_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")


def _unescaped(text: str) -> str:
    """Text without the escapes that Excel stores control characters by."""
    return _ESCAPED.sub(lambda match: chr(int(match[1], 16)), text) if "_x" in text else text


def _font(node: Any, name: str) -> Font:
    """A font by its element, or by that of a run's properties, in which `name` names it."""
    way = {"superscript": "super", "subscript": "sub"}.get(attribute(child(node, "vertAlign")) or "", "")
    struck, named = child(node, "strike"), attribute(child(node, name)) or ""
    return Font(way, struck is not None and _is_on(struck), named if is_symbol_font(named) else "")


def _set_in(piece: Piece, font: Font) -> Piece:
    """A piece as a font shows it; what it says itself counts."""
    text = in_font(piece.text, font.name) if font.name else piece.text
    return Piece(text, piece.way or font.way, piece.struck or font.struck)


def _is_on(node: Any) -> bool:
    return attribute(node) not in ("0", "false")
