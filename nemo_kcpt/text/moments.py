"""Dates and times of day: 2021-03-05, March 5, 2021, 令和3年, 午後3時, 3 p.m., 15:30, 1:30 h.

Each reader gets a text in the form of `plain.written` and a place, and gives the numerals that begin there, or None. A
date is its year, month and day as three; a time of day is in hours, 15.5 for 15:30; a span is in seconds.
"""

from __future__ import annotations

import re

from nemo_kcpt.text.figure import Figure
from nemo_kcpt.text.words import EXACT, KANJI, chain

_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
MONTH = (
    r"(?:Jan(?:uary)?|Feb(?:ruary)?|Mar(?:ch)?|Apr(?:il)?|May|June?|July?|Aug(?:ust)?|Sept?(?:ember)?|Oct(?:ober)?"
    r"|Nov(?:ember)?|Dec(?:ember)?)\.?"
)
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_DAY = r"(?P<day>[12][0-9]|3[01]|0?[1-9])"
_YEAR = r"(?P<year>[12][0-9]{3})"
_DATE = re.compile(rf"{_YEAR}(?P<sign>[-/.])(?P<month>0?[1-9]|1[0-2])(?P=sign){_DAY}(?![0-9./-])")
_MONTH_FIRST = re.compile(rf"(?P<name>{MONTH})(?: {_DAY}(?:st|nd|rd|th)?(?![0-9:%.]))?(?:,? {_YEAR}(?![0-9,]))?")
_DAY_FIRST = re.compile(rf"{_DAY}(?:st|nd|rd|th)?(?: of)? (?P<name>{MONTH})(?![a-z])(?:,? {_YEAR}(?![0-9,]))?")
_ERA = re.compile(r"(?P<era>..)(?P<year>元|[0-9]+|[一二三四五六七八九十]+)年")
_TWO = rf"[0-9]{{1,2}}|[{KANJI}]+"
_HALF_DAY = re.compile(
    rf"午(?P<half>[前後]) ?(?P<hour>{_TWO})"
    rf"(?:時(?P<with>半|(?P<minute>{_TWO})分)?|:(?P<colon>[0-5][0-9]))(?!間)"
)
_AM = re.compile(r"(?P<hour>1[0-2]|0?[1-9])(?::(?P<minute>[0-5][0-9]))? ?(?P<half>[ap])\.?m\b\.?", re.I)
_CLOCK = re.compile(
    r"(?P<hour>[01]?[0-9]|2[0-4]):(?P<minute>[0-5][0-9])(?::(?P<second>[0-5][0-9]))?(?![0-9:]|\.[0-9])"
    r"(?P<span> ?(?:h\b|hours?\b|時間))?"
)
_HOUR = re.compile(r"(?P<hour>[0-9]{1,2})時(?:半|(?P<minute>[0-9]{1,2})分)(?!間)")
_SPAN = re.compile(r"(?P<hours>[0-9]{1,3}) ?h ?(?P<minutes>[0-5]?[0-9])(?: ?m(?:in)?)?(?![A-Za-z0-9])")


def is_date(text: str, start: int) -> bool:
    """Whether 2021-03-05 or the like begins there."""
    return _DATE.match(text, start) is not None


def date(text: str, start: int) -> list[Figure] | None:
    """2021-03-05, 2021/3/5, 5 March 2021."""
    if match := _DATE.match(text, start):
        return [
            Figure(*match.span(part), float(match[part]), measure=part, whole=True) for part in ("year", "month", "day")
        ]
    return month(text, start, _DAY_FIRST)


def month(text: str, start: int, pattern: re.Pattern[str] = _MONTH_FIRST) -> list[Figure] | None:
    """March 5, 2021."""
    match = pattern.match(text, start)
    if match is None or not (match["day"] or match["year"]):
        return None
    month = Figure(*match.span("name"), _MONTHS.index(match["name"][:3].lower()) + 1.0, measure="month", whole=True)
    others = [
        Figure(*match.span(part), float(match[part]), measure=part, whole=True)
        for part in ("day", "year")
        if match[part]
    ]
    return sorted([month, *others], key=lambda figure: figure.start)


def era(text: str, start: int) -> list[Figure] | None:
    """令和3年."""
    match = _ERA.match(text, start)
    if match is None:
        return None
    year = 1.0 if match["year"] == "元" else number_of(match["year"])
    return [Figure(start, match.end(), _ERAS[match["era"]] + year, measure="year", whole=True)]


def named(text: str, start: int) -> list[Figure] | None:
    """正午, 半分, 午後3時."""
    if text.startswith(("正午", "noon"), start):
        return [Figure(start, start + (2 if text[start] == "正" else 4), 12.0, measure="hour", whole=True)]
    if text.startswith(("半分", "半数"), start):
        return [Figure(start, start + 2, 0.5, EXACT, whole=True)]
    match = _HALF_DAY.match(text, start)
    if match is None:
        return None
    minute = 30.0 if match["with"] == "半" else number_of(match["minute"] or match["colon"] or "0")
    return [_clock(match, number_of(match["hour"]), minute, match["half"] == "後")]


def _clock(match: re.Match[str], hour: float, minute: float, later: bool | None) -> Figure:
    if later is not None:
        hour = hour % 12 + 12 * later
    return Figure(*match.span(), hour + minute / 60, 1 / 60, measure="hour", whole=True)


def time(text: str, start: int) -> list[Figure] | None:
    """3 p.m., 15時30分, 15:30, 1h30, 1:30 h."""
    if match := _AM.match(text, start):
        return [_clock(match, float(match["hour"]), float(match["minute"] or 0), match["half"].lower() == "p")]
    if match := _HOUR.match(text, start):
        return [_clock(match, float(match["hour"]), float(match["minute"] or 30), None)]
    if match := _SPAN.match(text, start):
        seconds = 3600 * float(match["hours"]) + 60 * float(match["minutes"])
        return [Figure(*match.span(), seconds, 60.0, measure="time", whole=True)]
    match = _CLOCK.match(text, start)
    if match is None:
        return None
    hour = float(match["hour"]) + float(match["minute"]) / 60 + float(match["second"] or 0) / 3600
    if match["span"]:
        return [Figure(*match.span(), 3600 * hour, 60.0, measure="time", whole=True)]
    return [Figure(*match.span(), hour, 1 / 60, measure="hour", whole=True)]


def number_of(text: str) -> float:
    """The value of digits, of kanji, or of both: 25,000, 二万五千, 2万5千."""
    return float(text.replace(",", "")) if text.isascii() else chain(text)[0]
