"""Numerals as they are written in Japanese and English: digits, magnitudes, powers, fractions.

`figures` goes through a text in the form of `plain.written`. Digits that belong to a name (GPT-4, H100, 3D), a version
of three parts, an address, a telephone number or a citation are passed over. No units, signs and ranges yet.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import replace

from nemo_kcpt.text import moments
from nemo_kcpt.text.figure import Figure
from nemo_kcpt.text.moments import MONTH, number_of
from nemo_kcpt.text.plain import INVISIBLE_PLUS
from nemo_kcpt.text.units import is_year, letter_scale
from nemo_kcpt.text.words import AND_A_PART, CHAIN, EXACT, KANJI, SCALES, START, chain, english, japanese, share_of

MOST_DIGITS = 30
"""Nobody states a number of more: a checksum or the like."""
MOST_POWER = 300
CURRENCIES = {
    "US$": "dollars",
    "$": "dollars",
    "€": "euros",
    "£": "pounds",
    "¥": "yen",
    "A$": "dollars:a",
    "C$": "dollars:c",
    "HK$": "dollars:hk",
    "NT$": "dollars:nt",
    "S$": "dollars:s",
    "R$": "real",
    "₩": "won",
    "₹": "rupees",
    "USD": "dollars",
    "JPY": "yen",
    "EUR": "euros",
    "GBP": "pounds",
}
MONEY = re.compile(r"(?P<sign>[-−–])?(?P<money>(?:US|HK|NT|[ACSR])?\$|[€£¥₩₹]|(?:USD|JPY|EUR|GBP)(?= )) ?$")


_LATIN = "A-Za-zÀ-ÖØ-öø-ÿ"
_CANDIDATE = re.compile(
    r"https?://|www\.|\[[0-9]"
    rf"|(?<![{_LATIN}0-9_])[{_LATIN}_][{_LATIN}_'’]{{0,40}}(?:[-‐‑–/_&]?[0-9])"
    r"|(?:明治|大正|昭和|平成|令和)(?=[元0-9一二三四五六七八九十])|午[前後]|正午|半[分数](?!析|類|布)|(?<![A-Za-z])noon(?![a-z])"
    rf"|(?<![{_LATIN}]){MONTH}(?= [0-9]|, [0-9])"
    rf"|{START}|[0-9]|(?<![A-Za-z0-9.])\.(?=[0-9])|[{KANJI}]"
)
_SKIPPED = re.compile(
    r"(?:https?://|www\.)[^\s、。)）」]+"
    r"|(?<=[^\s\[(（])\[[0-9]{1,3}(?:\s?[,、–-]\s?[0-9]{1,3})*\]"  # a citation
    r"|10\.[0-9]{4,9}/[^\s、。]+"  # a DOI
    r"|[0-9]+(?:\.[0-9]+){2,}(?![0-9])"  # 10.1.2
    r"|0[0-9]{1,4}-[0-9]{1,4}-[0-9]{3,4}(?![0-9])|[0-9]+(?:-[0-9]+){2,}|[0-9]+(?:/[0-9]+){2,}"  # telephone, ISBN, 1/2/3
    # GPT-4, v2.1, C++17
    rf"|[{_LATIN}_][{_LATIN}_'’]{{0,40}}[-‐‑–/_&]?[0-9](?:[{_LATIN}0-9_]|[-‐‑–_./&+](?=[{_LATIN}0-9])|\+(?!\w))*"
)
_THOUSANDS_WITH_DOTS = re.compile(r"[0-9]{1,3}(?:\.[0-9]{3}){2,}(?![.0-9])(?:,(?P<decimals>[0-9]+))?")
_LABEL_WORDS = {
    "版": r"versions?|ver\.?|バージョン",
    "表": r"tables?|tab\.|表",
    "図": r"figures?|figs?\.?|図",
    "節": r"sections?|sec\.?|§",
    "章": r"chapters?|ch\.",
    "式": r"equations?|eqs?\.?|式",
    "頁": r"pages?|pp?\.",
    "巻": r"volumes?|vol\.?",
    "": r"nos?\.|No|appendix|step|line|row|column|question|part",
}
_LABEL = re.compile(
    rf"(?<![{_LATIN}])(?:(?i:{'|'.join(f'({words})' for words in _LABEL_WORDS.values())}) ?[-‐(（]? ?|(?P<order>第) ?)$"
)
_SHARES = re.compile(
    r"(?P<ten>[0-9]+|[一二三四五六七八九十])割(?:(?P<one>[0-9]|[一二三四五六七八九])分(?![のあ間]))?"
    r"(?:(?P<tenth>[0-9]|[一二三四五六七八九])厘)?"
)
_UNDER = rf"[0-9]{{1,3}}(?:,[0-9]{{3}})+|[0-9]+(?:\.[0-9]+)?[十百千万億兆][0-9{KANJI}]*|[0-9]+|[{KANJI}]+"
_PART = re.compile(
    rf"(?:(?P<whole>[0-9]+|[{KANJI}]+)と)?(?P<under>{_UNDER})分の(?P<over>[0-9]+(?:\.[0-9]+)?|[{KANJI}]+)"
)
_FRACTION = re.compile(
    rf"(?:(?P<whole>[0-9]{{1,3}})(?:[ {INVISIBLE_PLUS}]|-(?=[0-9]{{1,2}}/(?:[248]|16|32|64)(?![0-9/]))))?"
    rf"(?P<over>[0-9]{{1,4}})"
    rf"(?:\u2044| ?/ ?(?![0-9]+(?:/[0-9]|\.[0-9])))(?P<under>[0-9]{{1,4}})(?![0-9])"
)
_RATIO = re.compile(r"(?P<first>[0-9]+(?:\.[0-9]+)?) ?(?:対|:) ?(?P<second>[0-9]+(?:\.[0-9]+)?)(?![0-9:.])")
_DIGITS = re.compile(
    r"(?P<dots>[0-9]{1,3}(?:\.[0-9]{3})+),(?P<european>[0-9]+)(?![0-9,.])"
    r"|(?P<grouped>[0-9]{1,3}(?:,[0-9]{3})+(?![0-9])(?!,[0-9])|[0-9]{1,3}(?:['’][0-9]{3})+(?![0-9])"
    r"|[0-9]{1,2}(?:,[0-9]{2})+,[0-9]{3}(?![0-9])"  # 1,50,000, as in India
    r"|[1-9][0-9]{0,2}(?: [0-9]{3})+(?![0-9])(?! ?[0-9]))(?P<rest>\.[0-9]+|(?<= [0-9]{3}),[0-9]{1,2}(?![0-9,]))?"
    r"|(?<![(\[{])(?P<zero>0,[0-9]+)(?![0-9,])|(?P<comma>[0-9]+,[0-9]{1,2})(?= ?(?:%|[kcm]?m\b|[km]?g\b|°|[€]))"
    r"|(?P<plain>[0-9]+(?:\.[0-9]+)?|\.[0-9]+)"
)
_POWER = r"[-−+]?[0-9]+(?:\.[0-9]+)?"
_EXPONENT = rf"(?:\(\s*(?P<{{0}}p>{_POWER})\s*\)|\{{{{\s*(?P<{{0}}b>{_POWER})\s*\}}}}|(?P<{{0}}n>{_POWER}))"
_SAID_POWER = r"の(?P<no>(?:マイナス|[-−+])?[0-9]+)乗"
_TIMES_TEN = re.compile(
    r" *(?:[x×*・·⋅∙]|\\times|\\cdot) *10 *(?:(?:\^|\*\*) *"
    + _EXPONENT.format("a")
    + rf"|{_SAID_POWER}|<sup>(?P<up>[-−+]?[0-9]+)</sup>)"
)
_RAISED = re.compile(r" ?(?:\^|\*\*) ?" + _EXPONENT.format("a") + rf"|{_SAID_POWER}|<sup>(?P<up>[-−+]?[0-9]+)</sup>")
_UNKNOWN_POWER = re.compile(r" ?(?:\^|\*\*) ?(?!(?:st|nd|rd|th)\^)[A-Za-zα-ωΑ-Ω({]")
"""10^n, 2^(2^3): a number that nobody can tell."""
_BEYOND = re.compile(r"[^\s、。]*")
_E = re.compile(r"[eE](?P<n>[-+−]?[0-9]+)(?![0-9A-Za-z])")
_SCALE = re.compile(rf"[ \n-]?(?P<word>(?i:{'|'.join(SCALES)}))s?(?![A-Za-z])")
_TH = re.compile(r"(?:st|nd|rd|th)(?![A-Za-z0-9])")
_KATAKANA_HYPHEN = re.compile("[ァ-ヺー][-‐]$")
_NO_FRACTIONS = {("24", "7"), ("9", "11")}


def figures(text: str) -> Iterator[Figure]:
    """The numerals of a text in the form of `plain.written`, in reading order."""
    position = 0
    while match := _CANDIDATE.search(text, position):
        start = match.start()
        results: list[Figure] | None = None
        skipped = _SKIPPED.match(text, start)
        if skipped and not (_THOUSANDS_WITH_DOTS.match(text, start) or moments.is_date(text, start)):
            position = skipped.end()
            continue
        for reader in _readers(text[start]):
            results = reader(text, start)
            if results is not None:
                break
        if results is None:
            position = _past(text, start)
            continue
        yield from (figure for figure in results if figure.value == figure.value)
        position = max(results[-1].end, start + 1) if results else _past(text, start)


_WORD = re.compile(rf"[{_LATIN}]+|[0-9]+(?:[.,][0-9]+)*[{_LATIN}0-9]*|[{KANJI}]+")


def _past(text: str, start: int) -> int:
    """Behind a word or a number that is none."""
    word = _WORD.match(text, start)
    return word.end() if word else start + 1


Reader = Callable[[str, int], "list[Figure] | None"]
"""Gives None for what it does not read, and no figure for what is none."""


def _readers(first: str) -> tuple[Reader, ...]:
    if first in "0123456789.":
        return (moments.date, moments.time, _share, _parts, _fraction, _ratio, _number)
    if first in KANJI:
        return (_share, _parts, _kanji)
    if first in "明大昭平令":
        return (moments.era,)
    if first in "午正半":
        return (moments.named,)
    return (moments.month, moments.named, _words)


def _share(text: str, start: int) -> list[Figure] | None:
    """3割5分."""
    match = _SHARES.match(text, start)
    if match is None:
        return None
    value = 10 * number_of(match["ten"]) + (number_of(match["one"]) if match["one"] else 0.0)
    value += number_of(match["tenth"]) / 10 if match["tenth"] else 0.0
    step = 0.1 if match["tenth"] else 1.0 if match["one"] else 10.0
    return [Figure(*match.span(), value, step, 10.0, "percent", whole=True)]


def _parts(text: str, start: int) -> list[Figure] | None:
    """3分の1."""
    match = _PART.match(text, start)
    if match is None or not number_of(match["under"]):
        return None
    whole = number_of(match["whole"]) if match["whole"] else 0.0
    return [Figure(*match.span(), whole + number_of(match["over"]) / number_of(match["under"]), EXACT)]


def _fraction(text: str, start: int) -> list[Figure] | None:
    match = _FRACTION.match(text, start)
    if match is None:
        return None
    over, under = float(match["over"]), float(match["under"])
    if not under or (match["over"], match["under"]) in _NO_FRACTIONS or match["over"][0] == "0":
        return [Figure(*match.span(), float("nan"))]
    if not match["whole"] and over > under >= 10:  # 120/80 mmHg, 2024/25
        return [Figure(*match.span("over"), over), Figure(*match.span("under"), under)]
    if match["whole"] and over >= under:
        return None  # 200 3/2 is no mixed number
    return [Figure(*match.span(), float(match["whole"] or 0) + over / under, EXACT)]


def _ratio(text: str, start: int) -> list[Figure] | None:
    match = _RATIO.match(text, start)
    if match is None:
        return None
    return [Figure(*match.span(), float(match["first"]), measure="ratio", whole=True, high=float(match["second"]))]


def _words(text: str, start: int) -> list[Figure] | None:
    number = english(text, start)
    if number is None:
        return None
    behind = text[number.end : number.end + 12]
    if re.match(r"-?(?:shot|hot|way)\b|-sided", behind):
        return []
    if text[start : number.end].lower() == "one" and not _one_counts(text, start, number.end):
        return []
    measure = {"order": "order", "times": "times"}.get(number.kind, "")
    return [Figure(start, number.end, number.value, number.step, number.scale, measure, whole=number.kind == "times")]


_MEASURED = re.compile(
    r" to (?=[a-z0-9])|[ -](?:hours?|minutes?|seconds?|days?|weeks?|months?|years?|percent|per cent|points?"
    r"|km|kilomet|met[re]|gram|dollar|yen|euro)"
)
_SIGNED = re.compile(r"(?:minus|negative|plus) $", re.I)


def _one_counts(text: str, start: int, end: int) -> bool:
    """Whether `one` counts: it is all that is said, or measures something."""
    if not text[:start].strip(" \n-−") and not text[end:].strip(" \n.!"):
        return True
    return bool(_MEASURED.match(text, end) or _SIGNED.search(text, max(0, start - 10), start))


def _kanji(text: str, start: int) -> list[Figure] | None:
    number = japanese(text, start)
    if number is None or number.end - start > MOST_DIGITS:
        return []
    measure = "order" if text[start - 1 : start] == "第" else ""
    return [Figure(start, number.end, number.value, number.step, number.scale, measure)]


def _number(text: str, start: int) -> list[Figure] | None:
    """Digits with what magnifies them."""
    if text[start - 1 : start] in tuple("^_") or _KATAKANA_HYPHEN.search(text, max(0, start - 2), start):
        return []
    match = _DIGITS.match(text, start)
    if match is None or match.end() - start > MOST_DIGITS:
        return []
    figure = _written(match)
    if match["grouped"] and " " in match["grouped"] and _LABEL.search(text, max(0, start - 16), start):
        return [
            replace(figure, end=match.start() + match["grouped"].index(" "), value=float(match["grouped"].split()[0]))
        ]
    money = MONEY.search(text, max(0, start - 6), start) is not None
    magnified = _magnified(text, figure, money)
    if magnified is None:
        return [Figure(start, _beyond(text, match.end()), float("nan"))]
    figure = magnified
    label = _LABEL.search(text, max(0, start - 16), start)
    if th := _TH.match(text, figure.end):
        return [replace(figure, end=th.end(), measure="order")]
    if label:
        kind = "" if label["order"] else list(_LABEL_WORDS)[(label.lastindex or 1) - 1]
        return [replace(figure, measure=f"order:{kind}".rstrip(":"))]
    if figure.end == match.end() and is_year(text, start, match[0]):
        return [replace(figure, measure="year?")]
    return [figure]


def _beyond(text: str, start: int) -> int:
    """The end of what is written there without a blank."""
    match = _BEYOND.match(text, start)
    return match.end() if match else start


def _written(match: re.Match[str]) -> Figure:
    """The figure of digits alone."""
    if match["dots"]:
        whole, decimals = match["dots"].replace(".", ""), match["european"]
    elif match["grouped"]:
        whole, decimals = re.sub(r"[,'’ ]", "", match["grouped"]), (match["rest"] or ".")[1:]
    elif match["zero"] or match["comma"]:
        whole, _, decimals = (match["zero"] or match["comma"]).partition(",")
    else:
        dots = _THOUSANDS_WITH_DOTS.match(match.string, match.start())
        if dots:
            whole, decimals = dots[0].partition(",")[0].replace(".", ""), dots["decimals"] or ""
            value = float(f"{whole}.{decimals}" if decimals else whole)
            return Figure(*dots.span(), value, 10.0 ** -len(decimals))
        whole, _, decimals = match["plain"].partition(".")
    return Figure(*match.span(), float(f"{whole or 0}.{decimals}" if decimals else whole), 10.0 ** -len(decimals))


def _exponent(match: re.Match[str]) -> float:
    power = next(value for value in match.groupdict().values() if value).replace("マイナス", "-").replace("−", "-")
    return float(power) if len(power) < 6 else 1e6


def _magnified(text: str, figure: Figure, money: bool) -> Figure | None:
    """The figure with the power, the magnitude or the word behind it; None if nobody can mean it."""
    value, step, end = figure.value, figure.step, figure.end
    if (match := _TIMES_TEN.match(text, end)) or (match := _E.match(text, end)):
        power = _exponent(match)
        if abs(power) > MOST_POWER:
            return None
        factor = 10.0**power
        magnified = float(f"{value:.17g}e{power:.0f}") if power == int(power) else value * factor
        return replace(figure, value=magnified, step=step * factor, scale=factor, end=match.end())
    if match := _RAISED.match(text, end):
        power = _exponent(match)
        if not -MOST_DIGITS <= power <= MOST_DIGITS or value > 1000 or (not value and power < 0):
            return None
        raised = 10.0**power if value == 10 else value**power
        return replace(figure, value=raised, step=min(1.0, raised) if value == 10 else step, end=match.end())
    if _UNKNOWN_POWER.match(text, end):
        return None
    if match := CHAIN.match(text, end):
        digits = text[figure.start : end].replace(" ", "").replace("'", "").replace("’", "")
        value, step, scale = chain(digits + match[0])
        return replace(figure, value=value, step=step, scale=scale, end=match.end())
    if more := AND_A_PART.match(text, end):
        value, step, end = value + share_of(more), EXACT, more.end()
    scale = 1.0
    while match := _SCALE.match(text, end):
        factor = SCALES[match["word"].lower()]
        value, step, scale, end = value * factor, step * factor, scale * factor, match.end()
        if more := AND_A_PART.match(text, end):
            part = factor * share_of(more)
            value, step, end = value + part, part, more.end()
    if scale == 1.0 and (letter := letter_scale(text, end, money)):
        factor, measure, end = letter
        return replace(figure, value=value * factor, step=step * factor, scale=factor, end=end, measure=measure)
    return replace(figure, value=value, step=step, scale=scale, end=end)
