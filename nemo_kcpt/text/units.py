"""What a number measures, by the words and signs around it.

A measure is a name such as `length`; its values are in the measure's first unit (metres, grams, seconds, m/s). Things
that are counted have the measures `things` (件, 個), `things:語` and the like (語, words), `people`, or `counted` where
an English noun is not known. `order` is a place in an order (第3, 3番目, 3rd), `order:図` a label's (図3, Fig. 3), and
`days` is 日 alone, which may be a date's or a span's. Symbols have their case: M is no metre, Mb no megabyte.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from nemo_kcpt.text.spelled_units import SPELLED
from nemo_kcpt.text.symbols import SYMBOLS, Unit, compound_at, divided_by

_ONE_LETTER = "mtgLlhsWVJAN"
"""Symbols that are also letters of a list: not behind more than one blank, nor before a letter or an apostrophe."""
_ENGLISH: dict[str, Unit] = {
    **dict.fromkeys(("percent", "per cent"), ("percent", 1.0)),
    **dict.fromkeys(("percentage points?", "percent points?", "points?"), ("points", 1.0)),
    **dict.fromkeys(("kilomet(?:re|er)s?",), ("length", 1e3)),
    **dict.fromkeys(("met(?:re|er)s?",), ("length", 1.0)),
    **dict.fromkeys(("centimet(?:re|er)s?",), ("length", 1e-2)),
    **dict.fromkeys(("millimet(?:re|er)s?",), ("length", 1e-3)),
    "miles?": ("miles", 1.0), "inch(?:es)?": ("inches", 1.0), "yards?": ("yards", 1.0), "ounces?": ("ounces", 1.0),
    "acres?": ("acres", 1.0), "gallons?": ("gallons", 1.0), "(?:feet|foot)": ("feet", 1.0),
    "(?:tonnes?|tons?)": ("mass", 1e6), "(?:kilograms?|kilos?)": ("mass", 1e3), "grams?": ("mass", 1.0),
    "square kilomet(?:re|er)s?": ("area", 1e6), "square met(?:re|er)s?": ("area", 1.0), "hectares?": ("area", 1e4),
    "cubic met(?:re|er)s?": ("volume", 1.0), "lit(?:re|er)s?": ("volume", 1e-3),
    "hours?": ("time", 3600.0), "minutes?": ("time", 60.0), "seconds?": ("time", 1.0), "milliseconds?": ("time", 1e-3),
    "days?(?! of (?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec))": ("time", 86400.0), "weeks?": ("time", 604800.0),
    "months?": ("months", 1.0), "(?:years? old|year-olds?|years of age)": ("age", 1.0),
    "years?": ("months", 12.0), "decades": ("months", 120.0), "century": ("century", 1.0),
    "kilomet(?:re|er)s? per hour": ("speed", 1 / 3.6), "met(?:re|er)s? per second": ("speed", 1.0),
    "degrees? (?:celsius|centigrade)": ("degrees", 1.0), "degrees? fahrenheit": ("fahrenheit", 1.0),
    "degrees?": ("degrees", 1.0), "kelvins?": ("kelvin", 1.0), "(?:hertz)": ("frequency", 1.0),
    "watts?": ("power", 1.0), "kilowatts?": ("power", 1e3), "volts?": ("voltage", 1.0), "molar": ("molar", 1.0),
    "kilobytes?": ("bytes", 1e3), "megabytes?": ("bytes", 1e6), "gigabytes?": ("bytes", 1e9),
    "terabytes?": ("bytes", 1e12), "bytes?": ("bytes", 1.0), "bits?": ("bits", 1.0), "pixels?": ("pixels", 1.0),
    "(?:us )?dollars?": ("dollars", 1.0), "yen": ("yen", 1.0), "euros?": ("euros", 1.0), "yuan": ("yuan", 1.0),
    "fold": ("times", 1.0), "times": ("often", 1.0),
    "(?:people|persons?|men|women|children|participants?|students?|users?|workers?|employees?|members?|patients?|"
    "subjects|annotators?|raters?|speakers?|inhabitants|residents|authors?|researchers?)": ("people", 1.0),
    "words?": ("things:語", 1.0), "sentences?": ("things:文", 1.0), "layers?": ("things:層", 1.0),
    "pages?": ("things:頁", 1.0), "(?:parameters?|params)": ("things:パラメータ", 1.0),
    "tokens?": ("things:トークン", 1.0),
}  # fmt: skip
_JAPANESE: dict[str, Unit] = {
    **SPELLED,
    "パーセントポイント": ("points", 1.0), "パーセント": ("percent", 1.0), "ポイント": ("points", 1.0),
    "キロメートル": ("length", 1e3), "キロ(?!グラム|バイト|ワット|ビット)": ("length", 1e3),
    "メートル": ("length", 1.0),
    "センチメートル": ("length", 1e-2), "センチ": ("length", 1e-2), "ミリメートル": ("length", 1e-3),
    "ミリ(?!秒|グラム)": ("length", 1e-3), "マイル": ("miles", 1.0), "トン": ("mass", 1e6), "キログラム": ("mass", 1e3),
    "グラム": ("mass", 1.0), "ミリグラム": ("mass", 1e-3), "平方キロメートル": ("area", 1e6), "平方キロ": ("area", 1e6),
    "平方メートル": ("area", 1.0), "ヘクタール": ("area", 1e4), "立方メートル": ("volume", 1.0),
    "リットル": ("volume", 1e-3),
    "ミリリットル": ("volume", 1e-6), "時間": ("time", 3600.0), "分間": ("time", 60.0), "分": ("time", 60.0),
    "秒間": ("time", 1.0), "秒": ("time", 1.0), "ミリ秒": ("time", 1e-3), "日間": ("time", 86400.0),
    "週間": ("time", 604800.0), "週": ("time", 604800.0), "[かヶカケヵ箇]月": ("months", 1.0), "年間": ("months", 12.0),
    "年[後前ぶ]": ("months", 12.0), "年代": ("decade", 1.0), "年": ("year", 1.0), "世紀": ("century", 1.0),
    "月": ("month", 1.0), "日": ("days", 1.0), "時": ("hour", 1.0), "[歳才]": ("age", 1.0), "円": ("yen", 1.0),
    "フィート": ("feet", 1.0), "インチ": ("inches", 1.0), "ヤード": ("yards", 1.0), "オンス": ("ounces", 1.0),
    "エーカー": ("acres", 1.0), "坪": ("坪", 1.0), "畳": ("畳", 1.0), "合(?![計同格併])": ("合", 1.0),
    "升": ("合", 10.0), "尺": ("尺", 1.0), "米?ドル": ("dollars", 1.0),
    "ユーロ": ("euros", 1.0), "人民元": ("yuan", 1.0), "元": ("yuan", 1.0),
    "ウォン": ("won", 1.0), "テラバイト": ("bytes", 1e12), "ギガバイト": ("bytes", 1e9), "メガバイト": ("bytes", 1e6),
    "キロバイト": ("bytes", 1e3), "バイト": ("bytes", 1.0), "ビット": ("bits", 1.0), "ヘルツ": ("frequency", 1.0),
    "ギガヘルツ": ("frequency", 1e9), "メガヘルツ": ("frequency", 1e6), "ワット": ("power", 1.0),
    "キロワット": ("power", 1e3), "ボルト": ("voltage", 1.0), "デシベル": ("decibel", 1.0), "ピクセル": ("pixels", 1.0),
    "画素": ("pixels", 1.0), "度": ("degrees", 1.0), "倍": ("times", 1.0), "ダース": ("things", 12.0),
    "(?:人|名)(?:分|前)?": ("people", 1.0), "(?:単語|語)": ("things:語", 1.0), "文(?!字|書|献|節)": ("things:文", 1.0),
    "層": ("things:層", 1.0), "(?:ページ|頁)": ("things:頁", 1.0), "パラメーター?": ("things:パラメータ", 1.0),
    "トークン": ("things:トークン", 1.0), "[件個つ]": ("things", 1.0), "か国|カ国|ヶ国": ("things:国", 1.0),
    "か所|カ所|ヶ所|箇所": ("things:所", 1.0), "文字": ("things:字", 1.0), "文書": ("things:文書", 1.0),
}  # fmt: skip
_COUNTERS = "本冊枚台機隻匹頭羽杯軒戸校社局館点回次号巻話曲票句段行列章節種類元国州県市町村区組"
_ORDER = r"(?:[回人日年代度位つ本個]?目|番目|番(?!号)|位|代目)"
_SUFFIX = "|".join(sorted(_JAPANESE, key=lambda unit: -len(re.sub(r"\(\?.*?\)|\[.*?\]", "x", unit))))
_UNIT = re.compile(
    rf" ?(?:(?P<order>{_ORDER})|(?P<japanese>{_SUFFIX})|(?P<counter>[{_COUNTERS}]))"
    rf"| ?(?P<symbol>{'|'.join(sorted(map(re.escape, SYMBOLS), key=len, reverse=True))})(?![A-Za-z0-9^_]|/[a-z])"
    rf"|[ \n-](?:an? )?(?P<english>(?i:{'|'.join(sorted(_ENGLISH, key=len, reverse=True))}))(?![A-Za-z])"
    r"|[ \n](?P<noun>[a-z]{2,}s)(?![A-Za-z])"
)
_IDEOGRAPH = re.compile("[ァ-ヺ一-鿿々]")
_PATTERNS = [(re.compile(pattern), unit) for pattern, unit in _JAPANESE.items()]
_PATTERNS_ENGLISH = [(re.compile(pattern, re.I), unit) for pattern, unit in _ENGLISH.items()]
_NO_NOUN = frozenset(
    ("as", "is", "was", "has", "its", "this", "thus", "plus", "minus", "times", "does", "us", "yes", "vs", "versus")
)
_YEAR = re.compile(r"(?:\b(?:in|since|from|until|till|by|of|year|before|after|during|early|late|mid)[ \n]+)$", re.I)
_FIRST = {"people", "things", "counted", "order"}
_COUNTABLE = re.compile(
    r"[ \n-]?(?:parameters?|params?|weights|tokens?|words?|sentences?|examples?|samples?|images?|documents?|papers?"
    r"|articles?|pages?|people|users?|customers?|subscribers?|inhabitants|residents?|records?|rows?|lines|views|copies"
    r"|downloads?|items?|pairs?|entries|questions?|characters?|videos?|posts?|jobs?|workers?|members?|votes?|patients?"
    r"|dollars?|euros?|yen|pounds?|models?|steps?|iterations?|instances?|queries|sequences?|years?)(?![A-Za-z])",
    re.I,
)
_SOLUTE = re.compile(
    r" ?[(（]?(?:(?i:solutions?|buffer|acid|urea|glucose|sucrose|tris|edta|ethanol|concentration|aqueous)\b"
    r"|(?:Na|H|K|Li|Ca|Mg|NH4?)(?:Cl|OH|SO4|NO3|CO3|F|Br|I)[0-9]?\b|の?[^。、 ]{0,8}(?:溶液|塩酸|硫酸|酢酸|濃度))"
)
_DISSOLVED = re.compile(r"(?:concentration|molarity|濃度)[^.。]{0,24}$", re.I)
_TEMPERATURE = re.compile(r"(?:temperatures?|kelvin|温度|heated|cooled|melts?|boils?|superconduct)[^.。]{0,40}$", re.I)
_MAGNETIC = re.compile(r"[ -]?(?:MRI|scanners?|magnets?|magnetic|field|の?磁場|の?MRI)", re.I)
_TEMPERATURE_BEHIND = re.compile(r"[^.。]{0,12}(?:temperature|kelvin|温度)", re.I)


@dataclass(frozen=True)
class Found:
    """A unit behind a figure."""

    measure: str
    factor: float
    end: int


def unit_at(text: str, position: int) -> Found | None:
    """The unit that begins at `position`, behind a figure; None if there is none.

    An English noun in the plural is one: `counted`, and the unit ends where the figure does.
    """
    if compound := compound_at(text, position):
        return Found(*compound)
    match = _UNIT.match(text, position)
    if match is None:
        return None
    if match["order"]:
        return Found("order", 1.0, match.end())
    if match["counter"]:
        return _divided(text, f"things:{match['counter']}", 1.0, match.end())
    if match["noun"]:
        return None if match["noun"] in _NO_NOUN else Found("counted", 1.0, position)
    if symbol := match["symbol"]:
        if symbol in _ONE_LETTER and text[match.end() : match.end() + 1] in tuple("'’."):
            behind = text[match.end() + 1 : match.end() + 2]
            if text[match.end()] != "." or behind.isalnum():
                return None
        if symbol in "AN" and _IDEOGRAPH.match(text, match.end()):
            return None  # グループ3 A社
        measure, factor = SYMBOLS[symbol]
        return Found(measure, factor, match.end())
    japanese = match["japanese"]
    patterns = _PATTERNS if japanese else _PATTERNS_ENGLISH
    spelled = japanese or match["english"]
    start = match.start("japanese" if japanese else "english")
    measure, factor = next(
        unit
        for pattern, unit in patterns
        if (candidate := pattern.match(text, start)) and candidate.end() == match.end()
    )
    return _divided(text, measure, factor, match.end()) if spelled else None


def _divided(text: str, measure: str, factor: float, end: int) -> Found:
    """A unit with what it is divided by, if that follows: 人/km², 円/kWh."""
    below = divided_by(text, end)
    if below is None:
        return Found(measure, factor, end)
    return Found(f"{measure}/{below[0]}", factor / below[1], below[2])


def letter_scale(text: str, position: int, money: bool) -> tuple[float, str, int] | None:
    """What k, K, M, B, T, m or b behind digits says, by its case and its neighbours.

    110M and 110M parameters are a number, 110 m is a length, 5 M NaCl a concentration, 300 K a temperature.

    Args:
        text: the text.
        position: the end of the digits.
        money: whether a currency sign precedes them.

    Returns:
        Factor, measure ("" for a plain magnitude) and end; None if the letter is none of these.
    """
    match = re.compile(r"( ?)([kKMmBbTt])(?![A-Za-z0-9^_²³/'’])").match(text, position)
    if match is None:
        return None
    apart, letter, end = bool(match[1]), match[2], match.end()
    counts = money or _COUNTABLE.match(text, end) is not None
    before = text[max(0, position - 60) : position]
    if letter == "M":
        if not counts and (_SOLUTE.match(text, end) or _DISSOLVED.search(before)):
            return 1.0, "molar", end
        return 1e6, "", end
    if letter in "kK":
        warm = _TEMPERATURE.search(before) or _TEMPERATURE_BEHIND.match(text, end)
        if letter == "K" and not counts and (apart or warm):
            return 1.0, "kelvin", end
        return 1e3, "", end
    if letter in "bB":
        return (1e9, "", end) if counts or not apart else None
    if letter == "T" and not counts and _MAGNETIC.match(text, end):
        return 1.0, "tesla", end
    if letter == "T" and not apart:
        return 1e12, "", end
    if letter in "Ttm" and counts and (not apart or money or letter == "T"):
        return {"m": 1e6}.get(letter, 1e12), "", end
    return None


def is_year(text: str, start: int, digits: str) -> bool:
    """Whether four bare digits at `start` are said as a year: in 2021, March 5, 2021."""
    return (
        len(digits) == 4
        and digits.isdigit()
        and digits[0] in "12"
        and _YEAR.search(text, max(0, start - 12), start) is not None
    )


def root(measure: str) -> str:
    """`things` of `things:語`."""
    return measure.partition(":")[0]


def compatible(first: str, second: str) -> bool:
    """Whether two measures may be one: words and things counted, but neither words and sentences, nor 5 % and 5 km."""
    if first == second or not (first and second):
        return True
    roots = {root(first), root(second)}
    if roots <= _FIRST and len(roots) == 1:
        return first in _FIRST or second in _FIRST
    if "counted" in roots and roots <= {"counted", "people", "things", "often", "pixels"}:
        return True
    pairs = ({"points", "things:点"}, {"often", "times"}, {"often", "things:回"}, {"days", "day"}, {"days", "time"})
    return {first, second} in pairs
