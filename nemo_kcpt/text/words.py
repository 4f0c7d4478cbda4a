"""Numbers in words: twelve, two hundred and five, half a million, two thirds, third; 二十三, 4億5000万, 二〇二四."""

from __future__ import annotations

import re
from dataclasses import dataclass

EXACT = 1e-9
"""Size of the last digit of a number that is exact though no decimal says so: 1/3."""

SMALL = {
    word: value
    for value, word in enumerate(
        re.findall(
            r"\w+",
            "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen "
            "seventeen eighteen nineteen",
        )
    )
}
_ALL_TENS = ("twenty", "thirty", "forty", "fifty", "sixty", "seventy", "eighty", "ninety")
TENS = {word: 10 * value for value, word in enumerate(_ALL_TENS, 2)}
SCALES = {
    "hundred": 1e2,
    "thousand": 1e3,
    "lakh": 1e5,
    "million": 1e6,
    "crore": 1e7,
    "billion": 1e9,
    "trillion": 1e12,
    "mn": 1e6,
    "mio": 1e6,
    "bn": 1e9,
    "tn": 1e12,
}
ORDINALS = {
    word: value
    for value, word in enumerate(
        re.findall(
            r"\w+",
            "third fourth fifth sixth seventh eighth ninth tenth eleventh twelfth thirteenth fourteenth fifteenth "
            "sixteenth seventeenth eighteenth nineteenth twentieth",
        ),
        3,
    )
}
"""`first` and `second` say too much else; they count behind twenty, and before century."""
_ORDINALS_BEHIND_TENS = {"first": 1, "second": 2, **{word: value for word, value in ORDINALS.items() if value < 10}}
PARTS = {"half": 2, "quarter": 4, **{word: value for word, value in ORDINALS.items() if value <= 12}}
MULTIPLES = {"twice": 2.0, "thrice": 3.0, "double": 2.0, "triple": 3.0, "quadruple": 4.0}
"""The last three only where they are said of an amount: double the number."""
_STARTS = "|".join([*SMALL, *TENS, "an?", "half", "quarter", *ORDINALS, *MULTIPLES, "first", "second"])
START = rf"(?<![A-Za-z0-9])(?i:{_STARTS})(?![a-z])|(?<![A-Za-z])(?i:{'|'.join([*SMALL, *TENS])})-?fold(?![a-z])"
"""Where a number in English words may begin."""
_NEXT = re.compile(r"(?P<gap>[ \n]+and[ \n]+|-and-|[ \n]+|-)?(?P<word>[A-Za-z]+)")
AND_A_PART = re.compile(
    r"[ \n]+and[ \n]+(?:an?[ \n]+(?P<one>half|quarter|third)"
    r"|(?P<number>two|three)[ -](?P<several>quarters|thirds))(?![a-z])",
    re.I,
)
"""What follows a number: and a half, and three quarters."""
_OF_A_SCALE = re.compile(rf"(?P<of>[ \n]of[ \n](?:a|one))?[ \n](?P<word>{'|'.join(SCALES)})(?![a-z])", re.I)
_SPAN_AND_A_HALF = re.compile(
    r"[ \n](?:hour|minute|day|week|month|year|mile|kilomet(?:re|er))[ \n]and[ \n]a[ \n]half(?![a-z])"
)
_AN = re.compile(r"[ -]an?[ -](?P<word>[a-z]+)", re.I)
_CENTURY = re.compile(r"[ -]century", re.I)
_AMOUNT = re.compile(r"[ \n](?:the|that|its|their|as)(?![a-z])|[.!]?$")
_HALF_OF = re.compile(r"[ \n](?:of|the|as|its|their|all)(?![A-Za-z])|[ \n]*[.!]?$", re.I)

DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0, "壱": 1, "弐": 2, "参": 3}
_KANJI_TENS = {"十": 10.0, "百": 100.0, "千": 1000.0}
_MYRIADS = {"万": 1e4, "億": 1e8, "兆": 1e12, "京": 1e16}
KANJI = "〇零一二三四五六七八九壱弐参十百千万億兆"
_PEI = r"(?<=[0-9一二三四五六七八九十百千])京(?![都浜阪葉王急成極])"
"""10^16 behind a numeral; 東京 and 2京都 have none."""
_NUMERAL = r"[0-9]{1,3}(?:,[0-9]{3})+(?:\.[0-9]+)?(?![0-9])|[0-9]+(?:\.[0-9]+)?|[〇零一二三四五六七八九壱弐参]+"
CHAIN = re.compile(rf"(?: ?(?=[万億兆])[万億兆]|[百千]|{_PEI})(?:{_NUMERAL}|[十百千万億兆]|{_PEI})*")
"""What follows digits: 億5000万, 百万."""


@dataclass(frozen=True)
class Worded:
    """A number that was read from words."""

    value: float
    end: int
    step: float = 1.0
    """Size of the last digit; `EXACT` for a fraction."""
    kind: str = ""
    """`order`, `times`, or empty for a plain number."""
    scale: float = 1.0
    """The magnitude that its last word gives, 10^6 of two million."""


def english(text: str, start: int) -> Worded | None:
    """The number in English words that begins at `start`, as long as it makes sense; None if there is none."""
    first = _NEXT.match(text, start)
    if first is None:
        return None
    word = first["word"].lower()
    if word in MULTIPLES:
        amount = word in ("twice", "thrice") or _AMOUNT.match(text, first.end())
        return Worded(MULTIPLES[word], first.end(), kind="times") if amount else None
    if word in ORDINALS:
        return Worded(ORDINALS[word], first.end(), kind="order")
    if word in ("first", "second"):
        behind = _CENTURY.match(text, first.end())
        return Worded(1.0 if word == "first" else 2.0, first.end(), kind="order") if behind else None
    if word.endswith("fold"):
        number = word.removesuffix("fold").removesuffix("-")
        return Worded({**SMALL, **TENS}[number], first.end(), kind="times") if number in {**SMALL, **TENS} else None
    if word == "half":
        return _half(text, first.end())
    if word == "quarter":
        scaled = _scaled(text, first.end(), 1 / 4)
        return scaled if scaled.end > first.end() else None
    if word in ("a", "an"):
        if _SPAN_AND_A_HALF.match(text, first.end()):
            return Worded(1.0, first.end())
        following = _NEXT.match(text, first.end())
        known = following and following["word"].lower() in (*SCALES, "dozen", *PARTS)
        if not following or not known or following["gap"] != " ":
            return None
        return _cardinal(text, first.end(), 1.0)
    return _cardinal(text, start, None)


def _half(text: str, start: int) -> Worded | None:
    """half a million, half of them."""
    following = _AN.match(text, start)
    if following and (scale := {**SCALES, "dozen": 12.0}.get(following["word"].lower())):
        return Worded(scale / 2, following.end(), EXACT, scale=scale)
    if following:
        return Worded(0.5, following.start("word") - 1, EXACT)  # half an hour: the unit follows the article
    return Worded(0.5, start, EXACT) if _HALF_OF.match(text, start) else None


def _cardinal(text: str, start: int, value: float | None) -> Worded | None:
    total, section, last, end, scale = 0.0, value, "article" if value else "", start, 1.0
    while match := _NEXT.match(text, end):
        word, gap = match["word"].lower(), match["gap"] or ""
        if last and not gap:
            break
        if "and" in gap.lower() and last not in ("hundred", "scale"):
            break
        part = _part(word, section, last, gap)
        if part:
            return _scaled(text, match.end(), (section or 1.0) / part)
        if last == "tens" and word in _ORDINALS_BEHIND_TENS and gap == "-":
            return Worded(total + (section or 0) + _ORDINALS_BEHIND_TENS[word], match.end(), kind="order")
        if word in SMALL and (not last or last in ("hundred", "scale") or (last == "tens" and 0 < SMALL[word] < 10)):
            section, last = (section or 0.0) + SMALL[word], "small"
        elif word in TENS and (not last or last in ("hundred", "scale")):
            section, last = (section or 0.0) + TENS[word], "tens"
        elif word == "hundred" and section and last in ("small", "tens", "article"):
            section, last = section * 100, "hundred"
        elif word == "dozen" and section and last in ("small", "article"):
            return Worded(12 * section, match.end(), scale=12.0)
        elif word in SCALES and section and last != "scale" and word not in ("hundred", "mn", "mio", "bn", "tn"):
            scale = SCALES[word]
            total, section, last = total + section * scale, 0.0, "scale"
        else:
            break
        end = match.end()
    if last in ("", "article"):
        return None
    if match := AND_A_PART.match(text, end):
        return _and_a_part(text, match, total, section or 0.0, scale)
    return Worded(total + (section or 0.0), end, scale=scale)


def share_of(match: re.Match[str]) -> float:
    """The part of one that a match of `AND_A_PART` says."""
    if match["one"]:
        return 1 / PARTS[match["one"].lower()]
    return SMALL[match["number"].lower()] / PARTS[match["several"].lower().removesuffix("s")]


def _scaled(text: str, end: int, value: float) -> Worded:
    """A part of one, or of a million that follows."""
    match = _OF_A_SCALE.match(text, end)
    if match and (match["of"] or value == 1 / 4):  # a third million may be the third one
        scale = SCALES[match["word"].lower()]
        return Worded(value * scale, match.end(), EXACT, scale=scale)
    return Worded(value, end, EXACT)


def _and_a_part(text: str, match: re.Match[str], total: float, section: float, scale: float) -> Worded:
    """Two and a half million, a billion and a half, one and three quarters."""
    end, share = match.end(), share_of(match)
    if total:
        return Worded(total + section + scale * share, end, scale * share, scale=scale)
    following = _NEXT.match(text, end)
    if following and (scale := SCALES.get(following["word"].lower(), 0.0)):
        return Worded((section + share) * scale, following.end(), scale * share, scale=scale)
    return Worded(section + share, end, EXACT)


def _part(word: str, section: float | None, last: str, gap: str) -> int:
    """The denominator that a word is: thirds of two thirds."""
    if last not in ("small", "article") or not section or gap not in (" ", "-", "\n") or section >= 100:
        return 0
    singular = "half" if word == "halves" else word.removesuffix("s")
    if singular not in PARTS or (section == 1) != (word == singular):
        return 0
    return PARTS[singular]


def chain(text: str) -> tuple[float, float, float]:
    """Digits and kanji as one number: 4億5000万, 3万5千, 四千四百万, 二〇二四.

    Returns:
        Its value, the size of its last digit, and its last magnitude (1 without).
    """
    total = section = 0.0
    current: float | None = None
    step = scale = 1.0
    for part in re.findall(rf"{_NUMERAL}|[十百千万億兆京]", text):
        if part in _KANJI_TENS:
            section += (1.0 if current is None else current) * _KANJI_TENS[part]
            current, step = None, _KANJI_TENS[part] * (step if step < 1 else 1.0)
            scale = _KANJI_TENS[part]
        elif part in _MYRIADS:
            here = section + (current or 0.0)
            total += (here or 1.0) * _MYRIADS[part]
            section, current, step = 0.0, None, _MYRIADS[part] * step
            scale = _MYRIADS[part]
        elif part[0] in DIGITS:
            current, step, scale = float("".join(str(DIGITS[sign]) for sign in part)), 1.0, 1.0
        else:
            digits = part.replace(",", "")
            current, step, scale = float(digits), 10.0 ** -len(digits.partition(".")[2]), 1.0
    return total + section + (current or 0.0), step, scale


_SINGLE = (
    r"[一二三四五六七八九十百千](?=年|月(?!曜)|日(?!月|曜|本)|人(?!工|間|気|類|々)|件|個|回|名(?!前)|枚|点|割|分(?!野|け|析|類|散|布|割|子|か)"
    r"|秒|時間|台|社|倍|位|世紀|世代|冊|匹|頭|羽|階|歳|才|語|文(?!字|明|化|学)|文字|章|節|校|県|円|度目|か月|ヶ月|カ月|か国|カ国|ヶ国"
    r"|週間|番目|つ目|種類|層|行|列|段|巻|話|曲|票|句|km|メートル|キロ|パーセント)"
)
_IDIOMS = re.compile(
    "五十嵐|万一(?![0-9一二三四五六七八九十百千])|五分五分|八百屋|八百万の神|十二分に|十分(?!間|後|前|の[一二三四五六七八九1-9])|三日月|一[時部般番方種](?!間|目)|六本木"
    "|千万人といえ|二三(?:の|日)|四六時中|十中八九|一二を|三三五五|百人一首|二[人一]三[人脚]|九十九里|三十三間堂"
)
_WHOLE = re.compile(rf"\s*(?:約|およそ)?[{KANJI}]+[。.]?\s*")
_SO_MANY = re.compile(r"[二三四五六七八九]つ(?!の間|子)")
_RUN = re.compile(rf"[{KANJI}]+")
_POINT = re.compile(
    r"(?P<whole>[〇零一二三四五六七八九十百千]+)[・．.](?P<decimals>[〇零一二三四五六七八九]{1,3})"
    r"(?=%|パーセント|ポイント|倍|割|度|キロ|メートル|ミリ|センチ|トン|グラム|リットル|秒|時間|ヘクタール|[万億兆]|[。.]?$)"
)
"""三・五%, as newspapers in vertical writing have it."""
_ONE = re.compile(_SINGLE)


def japanese(text: str, start: int) -> Worded | None:
    """The number in kanji that begins at `start`; None for idioms, vague numbers (数百) and parts of words."""
    run = _RUN.match(text, start)
    if run is None or _IDIOMS.match(text, start):
        return None
    if text[start - 1 : start] in tuple("数何幾") or text[run.end() : run.end() + 1] in tuple("数何"):
        return None
    if len(run[0]) == 1 and not _POINT.match(text, start):
        alone = (_WHOLE.fullmatch(text) and run[0] not in "〇零") or text[start - 1 : start] == "第"
        if not (alone or _ONE.match(text, start) or _SO_MANY.match(text, start)):
            return None
    if point := _POINT.match(text, start):
        decimals = "".join(str(DIGITS[sign]) for sign in point["decimals"])
        value = chain(point["whole"])[0] + float(f"0.{decimals}")
        return Worded(value, point.end(), 10.0 ** -len(decimals))
    value, step, scale = chain(run[0])
    return Worded(value, run.end(), step, scale=scale)
