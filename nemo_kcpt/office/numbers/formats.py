"""Numbers as Excel shows them: format codes by ECMA-376 part 1, 18.8.30 and 18.8.31, without the machine's locale.

What depends on where Excel runs is written so that it can mean one thing only: dates with the year first, negative
numbers with a minus. A whole number without a format is written with all its digits, however wide the column is.
"""

from __future__ import annotations

from decimal import ROUND_HALF_UP, Context, Decimal, localcontext
from functools import lru_cache

from nemo_kcpt.office.numbers.codes import DATE, Section, Token, parse
from nemo_kcpt.office.numbers.dates import write_date
from nemo_kcpt.office.numbers.digits import in_numerals, write_number

_EXACT = Context(prec=400)
"""Digits enough for every number that a file can hold."""
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
            return _formatted(Decimal(f"{value:.15g}"), code, since_1904)
    except UnknownFormat:
        raise
    except ValueError as error:
        raise UnknownFormat(str(error)) from None


def _formatted(number: Decimal, code: str, since_1904: bool) -> str:
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
        text = "".join(map(_literal, section.tokens))
        return text if len(sections) > 1 or text else general(number)
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
    for index, section in enumerate(sections):
        if section.condition is None:
            if index == len(sections) - 1 or (number > 0 if index == 0 else number < 0):
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
