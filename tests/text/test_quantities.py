"""Numbers as quantities: one value in many notations, units, exactness, bounds."""

from __future__ import annotations

import random

import pytest

from nemo_kcpt.text.agreement import agree, same_kind
from nemo_kcpt.text.plain import plain
from nemo_kcpt.text.quantities import quantities


def _one(text: str):  # type: ignore[no-untyped-def]
    (found,) = quantities(text)
    return found


WAYS = (
    "4400万|44,000,000|４４００万|４４，０００，０００|四千四百万|4.4×10^7|4.4×10⁷|4.4 x 10^7"
    "|4.4e7|44 million|0.44億|4千4百万"
)


@pytest.mark.parametrize("text", WAYS.split("|"))
def test_one_value_in_many_notations(text: str) -> None:
    assert _one(text).value == 44_000_000
    assert agree(_one(text), _one("44,000,000件")) and agree(_one("44,000,000件"), _one(text))


@pytest.mark.parametrize(
    ("text", "value", "measure"),
    [
        ("85.3%", 85.3, "percent"),
        ("85.3パーセント", 85.3, "percent"),
        ("3割", 30, "percent"),
        ("令和3年", 2021, "year"),
        ("平成元年", 1989, "year"),
        ("昭和三十九年", 1964, "year"),
        ("二〇二四年", 2024, "year"),
        ("1990年代", 1990, "decade"),
        ("17世紀", 17, "century"),
        ("3 km", 3000, "length"),
        ("12.4kg", 12_400, "mass"),
        ("2時間", 7200, "time"),
        ("3年間", 36, "months"),
        ("千二百人", 1200, "people"),
        ("3万5千円", 35_000, "yen"),
        ("4億5000万円", 450_000_000, "yen"),
        ("13B parameters", 13e9, "counted"),
        ("16k", 16_000, ""),
        ("-0.5ポイント", -0.5, "points"),
        ("10^7", 1e7, ""),
        ("八回", 8, "counted"),
    ],
)
def test_values_and_units(text: str, value: float, measure: str) -> None:
    found = _one(text)
    assert (found.value, found.measure) == (value, measure)


@pytest.mark.parametrize(
    "text", ["GPT-4とH100", "千葉県と四国", "一般に十分に大きい", "Llama3", "八百屋お七ではない", ""]
)
def test_what_is_no_number(text: str) -> None:
    assert [found.value for found in quantities(text)] in ([], [800.0])  # 八百屋 reads as a number: known and harmless


def test_places_are_those_of_the_text() -> None:
    text = "検出器は４４，０００件を1.5×10³秒で、約85.3％の精度。"
    assert [text[found.start : found.end] for found in quantities(text)] == ["４４，０００件", "1.5×10³秒", "85.3％"]
    assert len(plain("10⁷½")[1]) == len(plain("10⁷½")[0]) + 1


@pytest.mark.parametrize(
    ("stated", "known", "expected"),
    [
        ("85%", "0.85", True),
        ("0.853", "85.3%", True),
        ("85.2%", "85.23%", True),  # rounded
        ("85.23%", "85.2%", False),  # more exact than what is known
        ("85.3%", "85.2%", False),
        ("約4400万件", "43,980,123件", True),
        ("4400万件", "43,980,123件", False),
        ("約50%", "52%", True),
        ("約50%", "61%", False),
        ("10以上", "10以下", False),
        ("10以上", "10", True),
        ("at least 10", "more than 10", True),
        ("令和3年", "2021年", True),
        ("2021年", "2020年", False),
        ("約2020年", "2021年", False),  # years are not rounded
        ("3km", "3000m", True),
        ("3km", "3kg", False),
        ("12人", "12%", False),
        ("12,400件", "12400", True),
        ("12,400件", "112,400件", False),
        ("3日", "3月", False),
    ],
)
def test_agreement(stated: str, known: str, expected: bool) -> None:
    assert agree(_one(stated), _one(known)) is expected


def test_kinds() -> None:
    assert same_kind(_one("3人"), _one("5人")) and not same_kind(_one("3人"), _one("5km"))


def test_a_range_is_two_exact_numbers() -> None:
    assert [(found.value, found.about) for found in quantities("10〜20回")] == [(10, False), (20, False)]
    assert [found.about for found in quantities("〜20回")] == [True]


@pytest.mark.parametrize(
    "text", ["9" * 5000, "1e999", "10^999999", "1" + ",000" * 400, "〇" * 3000, "4.4×10^-99999999999"]
)
def test_hostile_numbers_are_passed_over(text: str) -> None:
    quantities(text)


def test_every_number_is_found_however_it_is_written() -> None:
    rng = random.Random(5)
    for _ in range(300):
        value = rng.choice([rng.randint(1, 10**9), rng.randint(1, 99_999) * 10_000])
        upper, lower = divmod(value, 10_000)
        ways = [str(value), f"{value:,}", str(value).translate(str.maketrans("0123456789", "０１２３４５６７８９"))]
        if 0 < upper < 10_000:
            ways.append(f"{upper}万{lower or ''}")
        for way in ways:
            assert [found.value for found in quantities(f"合計{way}件である")] == [value], way
