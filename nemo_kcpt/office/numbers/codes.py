"""Format codes taken apart: sections between semicolons, each of tokens (ECMA-376 part 1, 18.8.31)."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache
from typing import NamedTuple

DATE = "yyyy/m/d"
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
_OF_DATES = ("date", "elapsed", "half", "fraction")
"""Kinds of tokens that make their section one of dates."""


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
    return Section(tuple(tokens), condition, locale, numerals, kinds, not kinds.isdisjoint(_OF_DATES), places, grouped)
