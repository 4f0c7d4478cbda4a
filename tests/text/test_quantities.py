"""Numbers as quantities: one value in many notations, units, exactness, bounds."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.text.agreement import agree, equal, same_kind
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
        ("13B parameters", 13e9, "things:パラメータ"),
        ("16k", 16_000, ""),
        ("-0.5ポイント", -0.5, "points"),
        ("10^7", 1e7, ""),
        ("It is 1/2.", 0.5, ""),
        ("¼%", 0.25, "percent"),
        ("八回", 8, "things:回"),
        ("5万分の1", 1 / 50_000, ""),
        ("2万5千分の1", 1 / 25_000, ""),
        ("25,000分の1", 1 / 25_000, ""),
        ("1億分の3", 3e-8, ""),
        ("5万分間", 3_000_000, "time"),
        ("a quarter of a million people", 250_000, "people"),
        ("Quarter of a million", 250_000, ""),
        ("three-quarters of a billion", 750_000_000, ""),
        ("a quarter million", 250_000, ""),
        ("a third of a mile", 0.333333333333, ""),
        ("one and a quarter million", 1_250_000, ""),
        ("two and three quarters", 2.75, ""),
        ("2 and a quarter million", 2_250_000, ""),
        ("5-1/2 inches", 5.5, "inches"),
        ("12-3/16 in.", 12.1875, ""),
    ],
)
def test_values_and_units(text: str, value: float, measure: str) -> None:
    found = _one(text)
    assert (found.value, found.measure) == (value, measure)


@pytest.mark.parametrize(
    "text",
    [
        "GPT-4とH100",
        "'GPT-4'",
        "v2.1",
        "3D",
        "24/7",
        "1/2/3",
        "one of them",
        "COVID-19",
        "千葉県と四国",
        "一般に十分に大きい",
        "Llama3",
        "八百屋お七ではない",
        "万一の場合",
        "",
    ],
)
def test_what_is_no_number(text: str) -> None:
    assert [found.value for found in quantities(text)] in ([], [800.0])  # 八百屋 reads as a number: known and harmless


def test_places_are_those_of_the_text() -> None:
    text = "検出器は４４，０００件を1.5×10³秒で、約85.3％の精度。"
    assert [text[found.start : found.end] for found in quantities(text)] == ["４４，０００件", "1.5×10³秒", "85.3％"]


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


def test_a_range_is_one_number_with_two_ends() -> None:
    assert [(found.value, found.high, found.about) for found in quantities("10〜20回")] == [(10, 20, False)]
    assert [found.about for found in quantities("〜20回")] == [True]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("スコアは75.2から83.7に向上した", [75.2, 83.7]),  # a change, no range
        ("It rose from 75.2 to 83.7", [75.2, 83.7]),
        ("勝敗は10-5だった", [10, 5]),
        ("5%から10%に改善", [5, 10]),
        ("between 3 and 5", [3]),
        ("3 and 5", [3, 5]),
    ],
)
def test_what_looks_like_a_range(text: str, values: list[float]) -> None:
    assert [found.value for found in quantities(text)] == values


def test_a_year_at_the_end_of_a_known_range_is_supported_and_no_other_end_is() -> None:
    assert agree(_one("2019年"), _one("2019年から2021年まで")) and agree(_one("2021年"), _one("2019〜2021年"))
    assert not agree(_one("2020年"), _one("2019〜2021年")) and not agree(_one("5人"), _one("5〜10人"))
    assert not agree(_one("2019〜2021年"), _one("2019年"))


def test_a_spread_may_be_left_out_and_not_made_up() -> None:
    assert agree(_one("83.2"), _one("83.2±0.5")) and not agree(_one("83.2±0.5"), _one("83.2"))


@pytest.mark.parametrize(("first", "second"), [("version 3.1", "version 3.10"), ("図3", "表3"), ("第3章", "第3節")])
def test_labels_are_not_numbers_of_things(first: str, second: str) -> None:
    assert not equal(_one(first), _one(second)) and equal(_one(first), _one(first))
    assert equal(_one(first), _one("3.1" if "." in first else "3"))  # what was asked for may be the bare number


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("110M BERT", 110e6),
        ("110m", 110),
        ("$110m", 110e6),
        ("0.1 M HCl", 0.1),
        ("heated to 300K", 300),
        ("300K examples", 300_000),
        ("1.5T tokens", 1.5e12),
        ("a 1.5T MRI scanner", 1.5),
    ],
)
def test_a_letter_is_read_by_its_case_and_its_neighbours(text: str, value: float) -> None:
    assert [found.value for found in quantities(text)] == [value]


@given(
    st.text(
        alphabet=st.one_of(st.characters(), st.sampled_from("0123456789.,%〜-−万億百十二half two三分の時^×⁶½ ")),
        max_size=40,
    )
)
def test_any_text_is_read_and_its_numbers_lie_in_it(text: str) -> None:
    end = 0
    for found in quantities(text):
        assert end <= found.start < found.end <= len(text) and found.start < found.figure_end <= found.end
        assert agree(found, found)
        end = found.end


@pytest.mark.parametrize(
    "text", ["9" * 5000, "1e999", "10^999999", "1" + ",000" * 400, "〇" * 3000, "4.4×10^-99999999999", "_" * 9000]
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
