"""Numbers as Office counts them."""

from __future__ import annotations

import pytest

from nemo_kcpt.text import counting
from nemo_kcpt.text.counting import counted


@pytest.mark.parametrize(
    ("form", "number", "text"),
    [
        ("decimal", 12, "12"), ("decimalZero", 3, "03"), ("decimalZero", 12, "12"), ("lowerRoman", 4, "iv"),
        ("upperRoman", 1994, "MCMXCIV"), ("lowerLetter", 26, "z"), ("lowerLetter", 28, "bb"), ("upperLetter", 1, "A"),
        ("decimalFullWidth", 12, "１２"), ("decimalEnclosedCircle", 20, "⑳"), ("decimalEnclosedCircle", 21, "21"),
        ("decimalEnclosedParen", 1, "⑴"), ("decimalEnclosedFullstop", 2, "⒉"), ("aiueoFullWidth", 1, "ア"),
        ("aiueoFullWidth", 46, "ン"), ("aiueo", 6, "ｶ"), ("irohaFullWidth", 3, "ハ"), ("japaneseCounting", 10, "十"),
        ("japaneseCounting", 23, "二十三"), ("japaneseCounting", 105, "百五"), ("japaneseCounting", 10_000, "一万"),
        ("ideographDigital", 10, "一〇"), ("japaneseLegal", 12, "壱拾弐"), ("ideographTraditional", 2, "乙"),
        ("ideographZodiac", 12, "亥"), ("ideographEnclosedCircle", 3, "㊂"), ("ordinal", 11, "11th"),
        ("ordinal", 22, "22nd"), ("cardinalText", 21, "Twenty-one"), ("ordinalText", 21, "Twenty-first"),
        ("ordinalText", 30, "Thirtieth"), ("ordinalText", 108, "One hundred eighth"), ("chicago", 5, "**"),
        ("none", 3, ""),
    ],
)  # fmt: skip
def test_forms(form: str, number: int, text: str) -> None:
    assert counted(number, form) == text


def test_an_unknown_form_is_not_guessed() -> None:
    assert counted(3, "bahtText") is None


@pytest.mark.parametrize("form", sorted(counting._FORMS))
def test_no_two_numbers_are_written_alike_and_none_fails(form: str) -> None:
    texts = [counted(number, form) for number in range(1, 46)]
    assert None not in texts
    assert form == "none" or len(set(texts)) == len(texts)
    assert all(counted(number, form) is not None for number in (-1, 0, 4000, 10**9))
