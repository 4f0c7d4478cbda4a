"""Numbers that the output has and the paper has not: what a language model makes up most readily.

A number is supported if the paper has the same value in any notation (1,200, 1200, １２００, 千二百, 0.12万; 12 % for
0.12), or one that rounds to it. Counts up to ten are taken for counted things, numbers at the head of a list's items
for the list's.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from nemo_kcpt.synthesis.filters.base import Candidate, Source

COUNTED = 10
"""Whole numbers up to this may be counts of what the paper names one by one."""

_NUMBER = re.compile(
    r"(?<![\d.])(\d{1,3}(?:,\d{3})+(?!\d)|\d+)(\.\d+)?\s*(百|千|万|億|兆|%|パーセント|thousand|million|billion|percent)?",
    re.I,
)
_KANJI = re.compile(
    "[〇零一二三四五六七八九十百千万億]{2,}|[二三四五六七八九十百千](?=[年月日人件個回語文名枚本点割分秒時])"
)
_ITEM = re.compile(
    r"^[ \t]*(?:[(（\[]?\d{1,2}[)）.\]、:]|[-*・]?\s*(?:第|step|ステップ)?\s*\d{1,2}[.:、])(?!\d)\s*", re.M | re.I
)
_UNITS = {
    "百": 1e2, "千": 1e3, "万": 1e4, "億": 1e8, "兆": 1e12, "%": 1e-2, "パーセント": 1e-2, "percent": 1e-2,
    "thousand": 1e3, "million": 1e6, "billion": 1e9,
}  # fmt: skip
_DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0}
_TENS = {"十": 10, "百": 100, "千": 1000}


def values(text: str) -> Iterator[tuple[float, ...]]:
    """The numbers of a text, each with the values that it may stand for: 45 % is 45 and 0.45."""
    for match in _NUMBER.finditer(text):
        value = float(match[1].replace(",", "") + (match[2] or ""))
        unit = _UNITS.get((match[3] or "").lower())
        if unit and unit > 1:
            yield (_clean(value * unit),)
        else:
            yield (value, _clean(value * unit)) if unit else (value,)
    for match in _KANJI.finditer(text):
        value = _kanji(match[0])
        yield (value,)


def _clean(value: float) -> float:
    return float(f"{value:.10g}")


def _kanji(text: str) -> float:
    """三十 → 30, 二〇二四 → 2024, 千二百 → 1200, 三万五千 → 35000."""
    if not any(sign in _TENS or sign in "万億" for sign in text):
        return float("".join(str(_DIGITS[sign]) for sign in text))
    total = section = digit = 0
    for sign in text:
        if sign in _DIGITS:
            digit = 10 * digit + _DIGITS[sign]
        elif sign in _TENS:
            section += (digit or 1) * _TENS[sign]
            digit = 0
        else:
            total += ((section + digit) or 1) * (10_000 if sign == "万" else 100_000_000)
            section = digit = 0
    return float(total + section + digit)


def numbers(candidate: Candidate, source: Source) -> bool:
    """The output has a number that neither the paper nor the instruction supports."""
    text = _ITEM.sub("", candidate.plain)
    asked = {value for reading in values(unicodedata.normalize("NFKC", candidate.instruction)) for value in reading}
    known = source.numbers | asked
    return any(not _supported(reading, known) for reading in values(text))


def _supported(reading: tuple[float, ...], known: set[float] | frozenset[float]) -> bool:
    value = reading[0]
    if any(one in known for one in reading) or (len(reading) == 1 and value <= COUNTED and value == int(value)):
        return True
    decimals = len(f"{value:.10g}".partition(".")[2])
    step = 10.0**-decimals / 2
    # 85.23 becomes 85.2; 1,987 does not become 2,000: a rounded whole number is a different claim.
    return any(abs(one - value) <= step * 1.000001 and one != int(one) for one in known)
