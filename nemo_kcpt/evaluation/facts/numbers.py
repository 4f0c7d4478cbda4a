"""Numbers of a text as quantities: value, unit, and how exact they are meant.

4400万, 44,000,000, ４４００万, 四千四百万, 4.4×10⁷, 4.4e7 and 44 million are one value; 85 % and 0.85 too, 令和3年 and
2021年, 3 km and 3000 m. 約, 程度, about and the like make a value approximate, 以上, 未満, at least and the like a
bound. Digits inside names (GPT-4, H100) are no numbers.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from nemo_kcpt.evaluation.exact_match import normalise

_RAISED = str.maketrans("⁰¹²³⁴⁵⁶⁷⁸⁹⁻⁺", "0123456789-+")
_ERAS = {"明治": 1867, "大正": 1911, "昭和": 1925, "平成": 1988, "令和": 2018}
_KANJI_DIGITS = {sign: value for value, sign in enumerate("〇一二三四五六七八九")} | {"零": 0}
_TENS = {"十": 10.0, "百": 100.0, "千": 1000.0}
_MYRIADS = {"万": 1e4, "億": 1e8, "兆": 1e12}
_WORDS = {
    "thousand": 1e3, "million": 1e6, "billion": 1e9, "trillion": 1e12, "bn": 1e9, "k": 1e3, "b": 1e9,
}  # fmt: skip
_UNITS: dict[str, tuple[str, float]] = {
    **dict.fromkeys(("%", "パーセント", "percent", "per cent"), ("percent", 1.0)),
    "割": ("percent", 10.0),
    **dict.fromkeys(("ポイント", "points", "point", "pt", "pts"), ("points", 1.0)),
    **dict.fromkeys(("キロメートル", "km", "キロ"), ("length", 1000.0)),
    **dict.fromkeys(("メートル", "m", "metres", "meters", "metre", "meter"), ("length", 1.0)),
    **dict.fromkeys(("センチメートル", "センチ", "cm"), ("length", 0.01)),
    **dict.fromkeys(("ミリメートル", "ミリ", "mm"), ("length", 0.001)),
    **dict.fromkeys(("トン", "t", "tonnes", "tons"), ("mass", 1e6)),
    **dict.fromkeys(("キログラム", "kg"), ("mass", 1000.0)),
    **dict.fromkeys(("グラム", "g"), ("mass", 1.0)),
    **dict.fromkeys(("平方キロメートル", "km2", "km^2"), ("area", 1e6)),
    **dict.fromkeys(("平方メートル", "m2", "m^2"), ("area", 1.0)),
    **dict.fromkeys(("時間", "hours", "hour"), ("time", 3600.0)),
    **dict.fromkeys(("分間", "分", "minutes", "minute"), ("time", 60.0)),
    **dict.fromkeys(("秒間", "秒", "seconds", "second"), ("time", 1.0)),
    **dict.fromkeys(("ミリ秒", "ms"), ("time", 0.001)),
    **dict.fromkeys(("日間", "days"), ("time", 86400.0)),
    **dict.fromkeys(("週間", "weeks"), ("time", 604800.0)),
    **dict.fromkeys(("か月", "ヶ月", "カ月", "ケ月", "months"), ("months", 1.0)),
    **dict.fromkeys(("年間", "年後", "年前", "years"), ("months", 12.0)),
    **dict.fromkeys(("歳", "才", "years old"), ("age", 1.0)),
    **dict.fromkeys(("円", "yen"), ("yen", 1.0)),
    **dict.fromkeys(("ドル", "dollars"), ("dollars", 1.0)),
    **dict.fromkeys(("gb", "ギガバイト"), ("bytes", 1e9)),
    **dict.fromkeys(("mb", "メガバイト"), ("bytes", 1e6)),
    **dict.fromkeys(("kb", "キロバイト"), ("bytes", 1e3)),
    "年代": ("decade", 1.0),
    "年": ("year", 1.0),
    "世紀": ("century", 1.0),
    "月": ("month", 1.0),
    "日": ("day", 1.0),
    "時": ("hour", 1.0),
    "倍": ("times", 1.0),
    **dict.fromkeys(("人", "名", "people", "persons", "participants"), ("people", 1.0)),
}
"""Unit as it is written -> what it measures and its size in that measure's first unit."""
_COUNTERS = "件個本文語冊枚台機隻匹頭羽杯軒戸校社局館点回次位番号巻話曲票票語句段行列章節種類層次元国州県市町村区世代組"
_NUMERAL = r"(?:\d+(?:\.\d+)?|[〇零一二三四五六七八九])"
_FOUND = re.compile(
    # an era's year
    rf"(?P<era>明治|大正|昭和|平成|令和)(?P<erayear>元|\d+|[一二三四五六七八九十]+)年"
    # digits with magnitudes, or with a power of ten
    r"|(?<![a-z\d_.])(?<![a-z][-‐–/_])(?P<sign>[-−+])?(?P<digits>\d+(?:\.\d+)?)"
    r"(?:\s*[x×*・]\s*10\s*\^\s*(?P<power>[-−+]?\d+)|e(?P<exponent>[-+]?\d+)(?![\da-z])|\^(?P<raised>[-−+]?\d+)"
    rf"|(?P<chain>[百千万億兆](?:{_NUMERAL}|[十百千万億兆])*)"
    r"|\s*(?P<word>thousand|million|billion|trillion|bn)(?![a-z])|(?P<letter>[kb])(?![a-z\d]))?"
    # kanji alone
    r"|(?P<kanji>[〇零一二三四五六七八九十百千万億兆]{2,}|(?!十分[にな])[一二三四五六七八九十百千](?=[年月日人件個回名枚点割分秒時台社倍位世]))"
)
_UNIT = re.compile(
    r"\s?(?P<unit>" + "|".join(sorted(map(re.escape, _UNITS), key=len, reverse=True)) + r")(?P<tail>[a-z]?)"
    rf"|(?P<counter>[{_COUNTERS}])|\s(?P<english>[a-z]{{2,}})"
)
_ABOUT = re.compile(
    r"(約|およそ|ほぼ|概ね|おおむね|about|around|approximately|roughly|nearly|almost|circa|(?<!\d)[~〜∼≈])\s*$"
)
_ABOUT_AFTER = re.compile(r"\s?(程度|前後|ほど|くらい|ぐらい|弱|強|あまり|余り|or so)")
_LEAST = re.compile(r"(最低|少なくとも|at least|more than|over|above|no fewer than|[≥>])\s*$")
_MOST = re.compile(r"(最大|高々|at most|less than|under|below|up to|fewer than|no more than|[≤<])\s*$")
_LEAST_AFTER = re.compile(r"\s?(以上|超|を超え|を上回|or more)")
_MOST_AFTER = re.compile(r"\s?(以下|未満|以内|を下回|に満たな|or less|or fewer)")
_LOOSE = {"", "year", "percent", "counted"}


@dataclass(frozen=True)
class Quantity:
    """A number as a text states it."""

    value: float
    """In the first unit of its measure: metres, grams, seconds."""
    measure: str
    """What it measures: length, percent, year, …; `counted` for things; empty without a unit."""
    step: float
    """Size of the last digit written, in the value's unit: 85.2 has 0.1, 4400万 has 10,000."""
    rough: float
    """Size of the last digit that is not 0: 4400万 has 1,000,000."""
    about: bool
    """Meant approximately."""
    bound: str
    """`>` at least or more than, `<` at most or less than, or empty."""
    start: int
    end: int
    """Place in the text: text[start:end]."""


def _powers(text: str) -> tuple[str, list[int]]:
    """The text with raised digits as ^ and digits, and the place in `text` of each of its characters."""
    characters: list[str] = []
    places: list[int] = []
    for place, character in enumerate(text):
        raised = character.translate(_RAISED)
        if raised != character and (place == 0 or text[place - 1].translate(_RAISED) == text[place - 1]):
            characters.append("^")
            places.append(place)
        characters.append(raised)
        places.append(place)
    return "".join(characters), places


def plain(text: str) -> tuple[str, list[int]]:
    """`text` as it is compared (NFKC, lower case, no thousands separators), and each character's place in `text`.

    The list has one entry more, for the end.
    """
    raised, places = _powers(text)
    found, offsets = normalise(raised)
    return found, [places[offset] for offset in offsets] + [len(text)]


def quantities(text: str) -> list[Quantity]:
    """The numbers of a text, in reading order."""
    found, places = plain(text)
    result = []
    for match in _FOUND.finditer(found):
        read = _read(match)
        if read is None:
            continue
        value, step, measure = read
        end = match.end()
        if measure == "":
            measure, factor, end = _unit(found, end)
            if measure == "year" and value < 100:
                measure, factor = "months", 12.0  # 3年: a span of time
            value, step = value * factor, step * factor
        before, after = found[: match.start()][-20:], found[end : end + 12]
        bound = ""
        if _LEAST.search(before) or _LEAST_AFTER.match(after):
            bound = ">"
        elif _MOST.search(before) or _MOST_AFTER.match(after):
            bound = "<"
        about = bool(_ABOUT.search(before) or _ABOUT_AFTER.match(after))
        last = places[end - 1] + 1 if end else 0
        result.append(
            Quantity(_clean(value), measure, step, _rough(value, step), about, bound, places[match.start()], last)
        )
    return result


def _clean(value: float) -> float:
    return float(f"{value:.12g}")


def _rough(value: float, step: float) -> float:
    """Size of the last digit that is not 0."""
    units = round(abs(value) / step) if step else 0
    if not units or units > 10**15:
        return step
    while units % 10 == 0:
        units //= 10
        step *= 10
    return step


def _read(match: re.Match[str]) -> tuple[float, float, str] | None:
    """Value, size of the last digit, and the measure where it is known without a unit."""
    if match["era"]:
        year = match["erayear"]
        number = 1.0 if year == "元" else float(year) if year.isdigit() else _chain(year)[0]
        return _ERAS[match["era"]] + number, 1.0, "year"
    if match["kanji"]:
        value, step = _chain(match["kanji"])
        return value, step, ""
    digits = match["digits"]
    if len(digits) > 30:
        return None  # nobody states that; a checksum or the like
    value = float(digits)
    step = 10.0 ** -len(digits.partition(".")[2])
    if match["chain"]:
        value, step = _chain(digits + match["chain"])
    elif match["raised"]:
        if not -30 <= int(match["raised"].replace("−", "-")) <= 30 or value > 1000:
            return None
        value = value ** int(match["raised"].replace("−", "-"))
    else:
        power = match["power"] or match["exponent"]
        if power and abs(int(power.replace("−", "-"))) > 300:
            return None
        factor = 10.0 ** int(power.replace("−", "-")) if power else 1.0
        factor *= _WORDS.get(match["word"] or match["letter"] or "", 1.0)
        value, step = value * factor, step * factor
    # A dash between two numbers is a range's.
    negative = match["sign"] in ("-", "−") and not match.string[: match.start()].rstrip()[-1:].isdigit()
    return (-value if negative else value), step, ""


def _chain(text: str) -> tuple[float, float]:
    """Value and last digit's size of digits and magnitudes: 4億5000万, 3万5千, 四千四百万, 二〇二四."""
    total = section = 0.0
    current: float | None = None
    step = 1.0
    for part in re.findall(r"\d+(?:\.\d+)?|[〇零一二三四五六七八九]+|[十百千万億兆]", text):
        if part in _TENS:
            section += (1.0 if current is None else current) * _TENS[part]
            current, step = None, _TENS[part] * (step if step < 1 else 1.0)
        elif part in _MYRIADS:
            here = section + (current or 0.0)
            total += (here or 1.0) * _MYRIADS[part]
            section, current, step = 0.0, None, _MYRIADS[part] * step
        elif part[0] in _KANJI_DIGITS:
            current, step = float("".join(str(_KANJI_DIGITS[sign]) for sign in part)), 1.0
        else:
            current, step = float(part), 10.0 ** -len(part.partition(".")[2])
    return total + section + (current or 0.0), step


def _unit(text: str, place: int) -> tuple[str, float, int]:
    """Measure, factor and end of the unit that stands at `place`."""
    match = _UNIT.match(text, place)
    if match is None or match["tail"]:
        return "", 1.0, place
    if match["unit"]:
        measure, factor = _UNITS[match["unit"]]
        return measure, factor, match.end()
    return "counted", 1.0, match.end() if match["counter"] else place


def agree(stated: Quantity, known: Quantity) -> bool:
    """Whether a number that is `stated` follows from one that is `known`.

    Equal values do; so does one that is rounded to fewer decimals, or to its last digit that is not 0 where either is
    approximate. Numbers of different measures never agree, nor do opposite bounds; 85 % and 0.85 do.
    """
    if {stated.bound, known.bound} == {"<", ">"}:
        return False
    value, step, rough, other = stated.value, stated.step, stated.rough, known.value
    if stated.measure != known.measure:
        if stated.measure and known.measure and not {stated.measure, known.measure} <= _LOOSE:
            return False
        if "percent" in (stated.measure, known.measure):
            if abs(value) <= 1 and stated.measure != "percent":
                value, step, rough = value * 100, step * 100, rough * 100
            elif abs(other) <= 1 and known.measure != "percent":
                other *= 100
    size = max(abs(value), abs(other))
    if abs(value - other) <= 1e-9 * size:
        return True
    if stated.measure in ("year", "month", "day", "decade", "century"):
        return False
    if stated.about or known.about:
        return abs(value - other) <= min(max(rough, known.rough) / 2 * 1.000001, 0.1 * size)
    return known.step < step <= 1 and abs(value - other) <= step / 2 * 1.000001


def same_kind(first: Quantity, second: Quantity) -> bool:
    """Whether one number could stand in the other's place."""
    return first.measure == second.measure or bool(
        {first.measure, second.measure} & {""} and {first.measure, second.measure} <= _LOOSE | {"points"}
    )


@lru_cache(maxsize=4096)
def cached_quantities(text: str) -> tuple[Quantity, ...]:
    """As `quantities`, kept for texts that are asked for again and again."""
    return tuple(quantities(text))
