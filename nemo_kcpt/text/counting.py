"""Numbers of lists, headings, notes and slides as Office counts them: 1, iv, ｃ, 一, ア, ①, 甲.

The names are those of ECMA-376, part 1, 17.18.59 (ST_NumberFormat).
"""

from __future__ import annotations

import re
from collections.abc import Callable

_ROMAN = (
    *((1000, "m"), (900, "cm"), (500, "d"), (400, "cd"), (100, "c"), (90, "xc"), (50, "l"), (40, "xl")),
    *((10, "x"), (9, "ix"), (5, "v"), (4, "iv"), (1, "i")),
)
_KANJI = "〇一二三四五六七八九"
_LEGAL = "零壱弐参四伍六七八九"
_CHINESE_LEGAL = "零壹贰叁肆伍陆柒捌玖"
_LATIN = "abcdefghijklmnopqrstuvwxyz"
_AIUEO = "アイウエオカキクケコサシスセソタチツテトナニヌネノハヒフヘホマミムメモヤユヨラリルレロワヲン"
_IROHA = "イロハニホヘトチリヌルヲワカヨタレソツネナラムウヰノオクヤマケフコエテアサキユメミシヱヒモセスン"
_HALF = dict(zip(_AIUEO, "ｱｲｳｴｵｶｷｸｹｺｻｼｽｾｿﾀﾁﾂﾃﾄﾅﾆﾇﾈﾉﾊﾋﾌﾍﾎﾏﾐﾑﾒﾓﾔﾕﾖﾗﾘﾙﾚﾛﾜｦﾝ", strict=True))
_ORDINALS = {1: "st", 2: "nd", 3: "rd"}
_ONES = re.findall(
    r"\S+",
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen "
    "eighteen nineteen",
)
_TENS = ("", "", *re.findall(r"\S+", "twenty thirty forty fifty sixty seventy eighty ninety"))
_IRREGULAR = {
    "one": "first",
    "two": "second",
    "three": "third",
    "five": "fifth",
    "eight": "eighth",
    "nine": "ninth",
    "twelve": "twelfth",
}


def counted(number: int, form: str) -> str | None:
    """A number in a form of counting; None if the form is not known."""
    write = _FORMS.get(form)
    return write(number) if write else None


def roman(number: int) -> str:
    """i, ii, iii, iv, …; empty for numbers below 1."""
    text, number = "", max(0, number)
    for value, letters in _ROMAN:
        text += letters * (number // value)
        number %= value
    return text


def _roman(number: int) -> str:
    return roman(number) if 0 < number < 4000 else str(number)


def _letters(alphabet: str) -> Callable[[int], str]:
    """a, b, …, z, aa, bb, …"""

    def write(number: int) -> str:
        if not 0 < number <= 30 * len(alphabet):
            return str(number)
        return alphabet[(number - 1) % len(alphabet)] * (1 + (number - 1) // len(alphabet))

    return write


def _in_turn(signs: str, first: int = 1) -> Callable[[int], str]:
    """The signs of a set, then plain numbers."""
    return lambda number: signs[number - first] if first <= number < first + len(signs) else str(number)


def _enclosed(start: int, last: int, zero: str = "") -> Callable[[int], str]:
    """Signs that follow each other in Unicode, then plain numbers."""
    signs = "".join(chr(start + offset) for offset in range(last))
    return lambda number: zero if number == 0 and zero else _in_turn(signs)(number)


def _digits(digits: str) -> Callable[[int], str]:
    return lambda number: "".join(digits[int(digit)] if digit.isdigit() else digit for digit in str(number))


def _with_units(digits: str, units: str, ten_thousand: str, one: str = "") -> Callable[[int], str]:
    """Kanji with units: 二十三, 百五; `one` is written before a unit where a plain 一 is not."""

    def below(number: int) -> str:
        text = ""
        for place in (3, 2, 1):
            digit = number // 10**place % 10
            text += ((digits[digit] if digit > 1 else one) + units[place - 1]) if digit else ""
        return text + (digits[number % 10] if number % 10 else "")

    def write(number: int) -> str:
        if not 0 < number < 10**8:
            return digits[0] if number == 0 else str(number)
        high, low = divmod(number, 10_000)
        return (below(high) + ten_thousand if high else "") + below(low)

    return write


def _cardinal(number: int) -> str:
    if not 0 <= number < 1000:
        return str(number)
    if number < 20:
        return _ONES[number]
    if number < 100:
        return _TENS[number // 10] + (f"-{_ONES[number % 10]}" if number % 10 else "")
    rest = f" {_cardinal(number % 100)}" if number % 100 else ""
    return f"{_ONES[number // 100]} hundred{rest}"


def _ordinal(number: int) -> str:
    ending = "th" if number % 100 in (11, 12, 13) else _ORDINALS.get(number % 10, "th")
    return f"{number}{ending}"


def _ordinal_text(number: int) -> str:
    text = _cardinal(number)
    if text[-1].isdigit():
        return _ordinal(number)
    start, last = (text[: len(text) - len(word)], word) if (word := text.replace("-", " ").split()[-1]) else ("", "")
    if last in _IRREGULAR:
        return start + _IRREGULAR[last]
    return start + (f"{last[:-1]}ieth" if last.endswith("y") else f"{last}th")


_japanese = _with_units(_KANJI, "十百千", "万")
_full = _digits("０１２３４５６７８９")
_circled = _enclosed(0x2460, 20, "⓪")
_FORMS: dict[str, Callable[[int], str]] = {
    "decimal": str,
    "decimalHalfWidth": str,
    "decimalZero": lambda number: f"{number:02d}",
    "upperRoman": lambda number: _roman(number).upper(),
    "lowerRoman": _roman,
    "upperLetter": _letters(_LATIN.upper()),
    "lowerLetter": _letters(_LATIN),
    "ordinal": _ordinal,
    "cardinalText": lambda number: _cardinal(number).capitalize(),
    "ordinalText": lambda number: _ordinal_text(number).capitalize(),
    "hex": lambda number: f"{number:X}",
    "numberInDash": lambda number: f"- {number} -",
    "chicago": _letters("*†‡§"),
    "decimalFullWidth": _full,
    "decimalFullWidth2": _full,
    "decimalEnclosedCircle": _circled,
    "decimalEnclosedCircleChinese": _circled,
    "decimalEnclosedFullstop": _enclosed(0x2488, 20),
    "decimalEnclosedParen": _enclosed(0x2474, 20),
    "ideographEnclosedCircle": _enclosed(0x3280, 10),
    "aiueo": _letters("".join(map(_HALF.__getitem__, _AIUEO))),
    "aiueoFullWidth": _letters(_AIUEO),
    "iroha": _letters("".join(_HALF.get(sign, sign) for sign in _IROHA)),
    "irohaFullWidth": _letters(_IROHA),
    "japaneseCounting": _japanese,
    "japaneseDigitalTenThousand": _digits(_KANJI),
    "ideographDigital": _digits(_KANJI),
    "japaneseLegal": _with_units(_LEGAL, "拾百阡", "萬", "壱"),
    "chineseCounting": _japanese,
    "chineseCountingThousand": _japanese,
    "taiwaneseCounting": _japanese,
    "taiwaneseCountingThousand": _japanese,
    "taiwaneseDigital": _digits("○一二三四五六七八九"),
    "chineseLegalSimplified": _with_units(_CHINESE_LEGAL, "拾佰仟", "万", "壹"),
    "ideographTraditional": _in_turn("甲乙丙丁戊己庚辛壬癸"),
    "ideographZodiac": _in_turn("子丑寅卯辰巳午未申酉戌亥"),
    "ganada": _letters("가나다라마바사아자차카타파하"),
    "chosung": _letters("ㄱㄴㄷㄹㅁㅂㅅㅇㅈㅊㅋㅌㅍㅎ"),
    "russianLower": _letters("абвгдежзиклмнопрстуфхцчшщыэюя"),
    "russianUpper": _letters("АБВГДЕЖЗИКЛМНОПРСТУФХЦЧШЩЫЭЮЯ"),
    "none": lambda number: "",
}
"""Form -> how a number is written in it."""
