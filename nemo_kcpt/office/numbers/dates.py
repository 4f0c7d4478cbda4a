"""Dates and times by a format's letters, Japanese eras and weekdays among them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import NamedTuple

from nemo_kcpt.office.numbers.codes import Token
from nemo_kcpt.office.numbers.digits import in_numerals
from nemo_kcpt.text.counting import counted

_ERAS = (
    ((2019, 5, 1), "R", "令和"),
    ((1989, 1, 8), "H", "平成"),
    ((1926, 12, 25), "S", "昭和"),
    ((1912, 7, 30), "T", "大正"),
    ((1868, 1, 1), "M", "明治"),
)
_MONTHS = (
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
)
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_JAPANESE_DAYS = "月火水木金土日"
_ENGLISH = ("", "409", "0409", "809", "EN-US", "EN-GB", "1009", "C09", "1409", "4009")
_JAPANESE = ("411", "0411", "JA")
_LAST = 2_958_465
"""31 December 9999."""
_LEAP = 60
"""29 February 1900, which never was, but Excel counts it."""


class Moment(NamedTuple):
    """A date and a time."""

    year: int
    month: int
    day: int
    weekday: int
    """0 is Monday."""
    seconds: int
    """Seconds of the day."""
    fraction: Decimal
    """Fraction of a second."""
    total: Decimal
    """Seconds since day 0."""


def moment(number: Decimal, places: int, since_1904: bool) -> Moment:
    """The moment of a serial number, rounded to so many places of a second.

    Raises:
        ValueError: there is none.
    """
    if number < 0 or number >= _LAST + 1:
        raise ValueError(f"{number}, which is no date")
    total = (number * 86_400).quantize(Decimal(1).scaleb(-places), ROUND_HALF_UP)
    day, seconds = divmod(total, 86_400)
    serial = int(day) + (1462 if since_1904 else 0)
    if serial > _LAST:
        raise ValueError(f"{number}, which is no date")
    weekday = (serial + 5) % 7
    if serial in (0, _LEAP):
        year, month, dated = (1900, 1, 0) if serial == 0 else (1900, 2, 29)
    else:
        real = date(1899, 12, 31 if serial < _LEAP else 30) + timedelta(days=serial)
        year, month, dated = real.year, real.month, real.day
    whole = int(seconds)
    return Moment(year, month, dated, weekday, whole, seconds - whole, total)


def write_date(tokens: Sequence[Token], number: Decimal, locale: str, numerals: int, since_1904: bool) -> str:
    """A serial number as a date or time by the tokens of a section.

    Raises:
        ValueError: the number is no date, or the format needs names in a language that is not known, or has the unit
            of an elapsed time once more ([s] and ss).
    """
    if number < 0 and since_1904:
        return f"-{write_date(tokens, -number, locale, numerals, since_1904)}"
    _refuse_repeated_units(tokens)
    places = max((len(token.text) - 1 for token in tokens if token.kind == "fraction"), default=0)
    at = moment(number, places, since_1904)
    half = any(token.kind == "half" for token in tokens)
    era = locale.startswith(_JAPANESE) or any(token.text[0] == "g" for token in tokens if token.kind == "date")
    text = ""
    for index, token in enumerate(tokens):
        if token.kind == "date":
            piece = _dated(tokens, index, at, half, era, locale)
            text += _counted(piece, token.text, numerals) if piece.isdecimal() else piece
        elif token.kind == "elapsed":
            unit = {"h": 3600, "m": 60, "s": 1}[token.text[0]]
            text += str(int(at.total // unit)).zfill(len(token.text))
        elif token.kind == "fraction":
            text += f"{at.fraction:.{places}f}"[1:]
        elif token.kind == "half":
            first, second = token.text.replace("am/pm", "AM/PM").split("/")
            text += first if at.seconds < 43_200 else second
        elif token.kind in ("literal", "slash", "point", "comma", "digit", "percent"):
            text += token.text
    return text


def _refuse_repeated_units(tokens: Sequence[Token]) -> None:
    """Of `[s] ss` the second is what programs show differently; it is not guessed."""
    elapsed = [token.text[0] for token in tokens if token.kind == "elapsed"]
    dated = [
        token.text[0]
        for index, token in enumerate(tokens)
        if token.kind == "date" and (token.text[0] != "m" or _is_minute(tokens, index))
    ]
    for unit in elapsed:
        if (dated + elapsed).count(unit) > 1:
            raise ValueError(f"a time that has its {unit} twice")


def _counted(text: str, letters: str, numerals: int) -> str:
    """A part of a date in other numerals: years digit by digit."""
    if numerals in (1, 2) and letters.startswith("yyy"):
        return counted(int(text), "ideographDigital") or text
    return in_numerals(text, numerals)


def _dated(tokens: Sequence[Token], index: int, at: Moment, half: bool, era: bool, locale: str) -> str:
    letters = tokens[index].text
    kind, count = letters[0], len(letters)
    if kind == "y":
        return f"{at.year % 100:02d}" if count <= 2 else f"{at.year:04d}"
    if kind == "m":
        return _minutes(at, count) if _is_minute(tokens, index) else _month(at, count, locale)
    if kind == "d":
        return str(at.day).zfill(count) if count <= 2 else _day(at, count, locale)
    if kind == "h":
        hours = at.seconds // 3600
        return str((hours % 12 or 12) if half else hours).zfill(min(count, 2))
    if kind == "s":
        return str(at.seconds % 60).zfill(min(count, 2))
    if kind == "a":
        return _JAPANESE_DAYS[at.weekday] + ("曜日" if count > 3 else "")
    if not era:
        return f"{at.year:04d}"
    return _era(at, kind, count, "GANNEN" in locale)


def _minutes(at: Moment, count: int) -> str:
    return str(at.seconds // 60 % 60).zfill(min(count, 2))


def _is_minute(tokens: Sequence[Token], index: int) -> bool:
    """Whether an m is a minute: the nearest date letter before it is an hour, or the one after it a second."""
    if len(tokens[index].text) > 2:
        return False
    before = next((token for token in reversed(tokens[:index]) if token.kind in ("date", "elapsed")), None)
    after = next((token for token in tokens[index + 1 :] if token.kind in ("date", "elapsed")), None)
    return (before is not None and before.text[0] in "hs") or (after is not None and after.text[0] == "s")


def _month(at: Moment, count: int, locale: str) -> str:
    if count <= 2:
        return str(at.month).zfill(count)
    if not (locale in _ENGLISH or locale.startswith(_JAPANESE)):
        raise ValueError(f"the name of a month in the language {locale}")
    name = _MONTHS[at.month - 1]
    return {3: name[:3], 5: name[0]}.get(count, name)


def _day(at: Moment, count: int, locale: str) -> str:
    if locale.startswith(_JAPANESE):
        return _JAPANESE_DAYS[at.weekday] + ("曜日" if count > 3 else "")
    if locale not in _ENGLISH:
        raise ValueError(f"the name of a weekday in the language {locale}")
    name = _DAYS[at.weekday]
    return name[:3] if count == 3 else name


def _era(at: Moment, kind: str, count: int, first_year: bool) -> str:
    start, letter, name = next(era for era in _ERAS if (at.year, at.month, at.day) >= era[0])
    if kind == "g":
        return {1: letter, 2: name[0]}.get(count, name)
    year = at.year - start[0] + 1
    return "元" if first_year and year == 1 else str(year).zfill(count)
