"""Numbers as Excel shows them: format codes by ECMA-376 part 1, 18.8.30 and 18.8.31, without the machine's locale.

What depends on where Excel runs is written so that it can mean one thing only: dates with the year first, negative
numbers with a minus. A whole number without a format is written with all its digits, however wide the column is.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

from nemo_kcpt.office.numbers.dates import is_date_token, write_date
from nemo_kcpt.office.numbers.digits import in_numerals, write_number

_EXACT = Context(prec=400)
"""Digits enough for every number that a file can hold."""
DATE = "yyyy/m/d"
BUILT_IN = {
    0: "General", 1: "0", 2: "0.00", 3: "#,##0", 4: "#,##0.00", 5: "#,##0;-#,##0", 6: "#,##0;-#,##0",
    7: "#,##0.00;-#,##0.00", 8: "#,##0.00;-#,##0.00", 9: "0%", 10: "0.00%", 11: "0.00E+00", 12: "# ?/?",
    13: "# ??/??", 14: DATE, 15: "d-mmm-yy", 16: "d-mmm", 17: "mmm-yy", 18: "h:mm AM/PM", 19: "h:mm:ss AM/PM",
    20: "h:mm", 21: "h:mm:ss", 22: f"{DATE} h:mm", 37: "#,##0;-#,##0", 38: "#,##0;-#,##0",
    39: "#,##0.00;-#,##0.00", 40: "#,##0.00;-#,##0.00", 41: "#,##0;-#,##0;\"-\";@", 42: "#,##0;-#,##0;\"-\";@",
    43: "#,##0.00;-#,##0.00;\"-\";@", 44: "#,##0.00;-#,##0.00;\"-\";@", 45: "mm:ss", 46: "[h]:mm:ss", 47: "mm:ss.0",
    48: "##0.0E+0", 49: "@",
    27: "[$-411]ge.m.d", 28: '[$-411]ggge"年"m"月"d"日"', 29: '[$-411]ggge"年"m"月"d"日"', 30: "m/d/yy",
    31: 'yyyy"年"m"月"d"日"', 32: 'h"時"mm"分"', 33: 'h"時"mm"分"ss"秒"', 34: 'yyyy"年"m"月"', 35: 'm"月"d"日"',
    36: "[$-411]ge.m.d", 50: "[$-411]ge.m.d", 51: '[$-411]ggge"年"m"月"d"日"', 52: 'yyyy"年"m"月"', 53: 'm"月"d"日"',
    54: '[$-411]ggge"年"m"月"d"日"', 55: 'yyyy"年"m"月"', 56: 'm"月"d"日"', 57: "[$-411]ge.m.d",
    58: '[$-411]ggge"年"m"月"d"日"',
}  # fmt: skip
"""Id -> code, where a file gives none; 27 to 36 and 50 to 58 as a Japanese Excel has them."""
LOCAL_CURRENCY = (5, 6, 7, 8, 42, 44)
"""Ids whose codes have the currency sign of the country where Excel runs; a file may give none."""
_TOKEN = re.compile(
    r'"(?P<quoted>[^"]*)"?|\\(?P<escaped>.)|_(?P<gap>.)|\*(?P<fill>.)|\[(?P<bracket>[^\]]*)\]'
    r"|(?P<general>General|G/標準|G/通用格式)|(?P<half>AM/PM|A/P|am/pm|a/p|上午/下午|午前/午後)"
    r"|(?P<fraction>(?<=[sS\]])\.0+)|(?P<date>[yY]+|[mM]+|[dD]+|[hH]+|[sS]+|[gG]+|[eE](?![-+])[eE]*|[bB]{2,4}|[aA]{3,4}|r+)"
    r"|(?P<exponent>[eE][-+])|(?P<digit>[0#?])|(?P<point>\.)|(?P<comma>,)|(?P<percent>[%％])|(?P<text>@)|(?P<other>.)",
    re.S,
)
_PLAIN = re.compile(r"(?P<grouped>#,##)?0(?:\.(?P<places>0+))?")
_CONDITION = re.compile(r"\s*(<=|>=|<>|=|<|>)\s*(-?[\d.]+(?:[eE][-+]?\d+)?)\s*")
_CURRENCY = re.compile(r"\$(?P<sign>[^-\]]*)(?:-(?P<locale>[^\]]*))?")
_ELAPSED = re.compile(r"h+|m+|s+", re.I)
_NUMERALS = re.compile(r"DBNum([1-4])", re.I)
_COLOUR = re.compile(r"black|blue|cyan|green|magenta|red|white|yellow|color\s*\d+|[黒青水緑紫赤白黄]|色\s*\d+", re.I)
_LOCAL_DATE, _LOCAL_TIME = "F800", "F400"


class Token(NamedTuple):
    """A piece of a format."""

    kind: str
    text: str


class Section(NamedTuple):
    """What is between semicolons."""

    tokens: tuple[Token, ...]
    condition: tuple[str, Decimal] | None
    locale: str
    """What follows the minus of [$-…], in upper case."""
    numerals: int
    """1 to 4 for [DBNum1] to [DBNum4], else 0."""
    kinds: frozenset[str]
    """Kinds of its tokens."""
    is_date: bool
    """Whether it shows a date or a time."""
    places: int
    """Digits after the point of a format as plain as #,##0.00 or 0, else -1."""
    grouped: bool
    """Whether such a format has commas."""


class UnknownFormat(ValueError):
    """A value cannot be shown by its format."""


@lru_cache(maxsize=1 << 14)
def show(value: float, code: str, *, since_1904: bool = False) -> str:
    """A number as its cell shows it.

    Args:
        value: as it is stored.
        code: the format.
        since_1904: whether dates count from 1904.

    Raises:
        UnknownFormat: the format is not known, or the value is no date that it could show.
    """
    try:
        with localcontext(_EXACT):
            return _shown(Decimal(f"{value:.15g}"), code, since_1904)
    except UnknownFormat:
        raise
    except ValueError as error:
        raise UnknownFormat(str(error)) from None


def _shown(number: Decimal, code: str, since_1904: bool) -> str:
    sections = parse(code)
    section, sign = _chosen(sections, number)
    if section.places >= 0:
        rounded = _rounded(abs(number), section.places)
        return sign + (f"{rounded:,f}" if section.grouped else f"{rounded:f}")
    if "unknown" in section.kinds:
        raise UnknownFormat(f"the format {code}")
    if section.is_date:
        return write_date(section.tokens, number, section.locale, section.numerals, since_1904)
    magnitude = abs(number)
    if "general" in section.kinds:
        return sign + "".join(
            in_numerals(general(magnitude), section.numerals) if token.kind == "general" else _literal(token)
            for token in section.tokens
        )
    if not section.kinds & {"digit", "text"}:
        shown = "".join(map(_literal, section.tokens))
        return shown if len(sections) > 1 or shown else general(number)
    if "text" in section.kinds:
        return "".join(
            sign + general(magnitude) if token.kind == "text" else _literal(token) for token in section.tokens
        )
    return sign + write_number(section.tokens, magnitude, section.numerals)


def show_text(text: str, code: str) -> str:
    """A text as its cell shows it: a format may have a section for texts."""
    sections = parse(code)
    texts = [section for section in sections if "text" in section.kinds]
    if len(sections) > 3:
        texts = [sections[3]]
    elif not texts:
        return text
    return "".join(text if token.kind == "text" else _literal(token) for token in texts[-1].tokens)


def is_date(code: str) -> bool:
    """Whether a format shows dates or times."""
    return parse(code)[0].is_date


def general(number: Decimal) -> str:
    """A number without a format: whole numbers with all their digits, others in eleven characters, as Excel has it."""
    if not number:
        return "0"
    sign, size = "-" if number < 0 else "", abs(number)
    if size == size.to_integral_value() and size < Decimal(10) ** 15:
        return f"{sign}{int(size)}"
    if Decimal("1e-4") <= size < Decimal(10) ** 11:
        whole = len(str(int(size)))
        text = f"{_rounded(size, max(0, 10 - whole)):f}"
        return sign + (text.rstrip("0").rstrip(".") if "." in text else text)
    digits, exponent = f"{size:.5e}".split("e")
    return f"{sign}{digits.rstrip('0').rstrip('.')}E{int(exponent):+03d}"


def _rounded(number: Decimal, places: int) -> Decimal:
    return number.quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)


def _literal(token: Token) -> str:
    return token.text if token.kind in ("literal", "slash", "percent", "comma", "point", "digit", "exponent") else ""


@lru_cache(maxsize=1024)
def parse(code: str) -> tuple[Section, ...]:
    """The sections of a format."""
    sections: list[list[Token]] = [[]]
    abouts: list[list[str]] = [[]]
    for match in _TOKEN.finditer(code):
        kind = match.lastgroup or "other"
        text = match[kind]
        if kind == "other" and text == ";":
            sections.append([])
            abouts.append([])
        elif kind == "bracket" and not _ELAPSED.fullmatch(text):
            abouts[-1].append(text)
            if (money := _CURRENCY.fullmatch(text)) and money["sign"]:
                sections[-1].append(Token("literal", money["sign"]))
        else:
            sections[-1].append(_token(kind, text))
    return tuple(_section(tokens, about) for tokens, about in zip(sections, abouts))


def _token(kind: str, text: str) -> Token:
    if kind == "other" and text == "/":
        return Token("slash", text)
    if kind in ("quoted", "escaped", "other"):
        return Token("literal", "¥" if text == "\\" else text)
    if kind in ("gap", "fill"):
        return Token("space", "")
    if kind == "bracket":
        return Token("elapsed", text.lower())
    if kind == "date":
        return Token("date", text.lower()) if text[0] not in "bBr" else Token("unknown", text)
    return Token(kind, text)


def _section(tokens: list[Token], about: list[str]) -> Section:
    condition, locale, numerals = None, "", 0
    for text in about:
        if match := _CONDITION.fullmatch(text):
            condition = (match[1], Decimal(match[2]))
        elif match := _CURRENCY.fullmatch(text):
            locale = (match["locale"] or "").upper()
        elif match := _NUMERALS.fullmatch(text):
            numerals = int(match[1])
        elif not _COLOUR.fullmatch(text):
            tokens = [*tokens, Token("unknown", text)]
    if locale in (_LOCAL_DATE, _LOCAL_TIME):
        return parse(DATE if locale == _LOCAL_DATE else "h:mm:ss")[0]
    kinds = frozenset(token.kind for token in tokens)
    plain = None if numerals else _PLAIN.fullmatch("".join(token.text for token in tokens if token.kind != "space"))
    if plain is None or not kinds <= {"digit", "comma", "point", "space"}:
        places, grouped = -1, False
    else:
        places, grouped = len(plain["places"] or ""), plain["grouped"] is not None
    return Section(tuple(tokens), condition, locale, numerals, kinds, any(map(is_date_token, kinds)), places, grouped)


def _chosen(sections: tuple[Section, ...], number: Decimal) -> tuple[Section, str]:
    """The section for a number, and the sign that is to be written before it."""
    minus = "-" if number < 0 else ""
    numeric = sections[:3] if len(sections) > 3 else sections
    if len(sections) < 4 and len(numeric) > 1 and "text" in numeric[-1].kinds:
        numeric = numeric[:-1]
    if any(section.condition for section in numeric):
        return _by_condition(numeric, number, minus)
    if len(numeric) == 1:
        return numeric[0], minus
    if len(numeric) == 2:
        return numeric[number < 0], ""
    return numeric[0 if number > 0 else 1 if number < 0 else 2], ""


def _by_condition(sections: tuple[Section, ...], number: Decimal, minus: str) -> tuple[Section, str]:
    """The first section whose condition is met; one without is for the rest, unless its place says which."""
    for place, section in enumerate(sections):
        if section.condition is None:
            if place == len(sections) - 1 or (number > 0 if place == 0 else number < 0):
                return section, minus
        elif _meets(number, *section.condition):
            sign, limit = section.condition
            own = len(sections) > 1 and sign in ("<", "<=") and limit <= 0
            return section, "" if own else minus
    if len(sections) == 1:
        return parse("General")[0], minus
    raise UnknownFormat("a value for which its format has no section")


def _meets(number: Decimal, sign: str, limit: Decimal) -> bool:
    return {
        "<": number < limit,
        ">": number > limit,
        "=": number == limit,
        "<=": number <= limit,
        ">=": number >= limit,
        "<>": number != limit,
    }[sign]
