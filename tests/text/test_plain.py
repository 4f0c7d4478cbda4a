"""Forms in which texts are compared: normal, with their offsets; and as numbers are read, with nothing lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.text.plain import normalise, plain, written


@given(st.text(max_size=60))
def test_normal_form_is_normal_and_its_offsets_rise(text: str) -> None:
    form, offsets = normalise(text)
    assert len(form) == len(offsets)
    assert offsets == sorted(offsets)
    assert all(0 <= offset < len(text) for offset in offsets)


@given(st.text(alphabet=st.one_of(st.characters(), st.sampled_from("⁰¹⁽⁾₂½⅓①❶１が\u3099\u200b")), max_size=40))
def test_every_character_of_the_written_form_has_its_place(text: str) -> None:
    form, places = written(text)
    assert len(places) == len(form) + 1 and places[-1] == len(text) and places == sorted(places)


@pytest.mark.parametrize(
    ("text", "form"),
    [
        ("10⁶", "10^6"),
        ("10⁻⁵", "10^-5"),
        ("24³⁾人", "24 人"),
        ("24[^3]人", "24 人"),
        ("24[^3] people [5]", "24 people [5]"),
        ("10⁽⁻⁶⁾と24⁽³⁾", "10^-6と24 "),
        ("2½", "2\u20641\u20442"),
        ("½", "1\u20442"),
        (".¼", ". 1\u20444"),
        ("¼5", "1\u20444 5"),
        ("H₂O", "H_2O"),
        ("①5", " 5"),
        ("１２，４００Ｍ", "12,400M"),
        ("12\u2009400", "12 400"),
        ("1\u200b2", "12"),
    ],
)
def test_what_tells_numbers_apart_is_kept(text: str, form: str) -> None:
    assert written(text)[0] == form


def test_plain_keeps_powers_apart() -> None:
    assert plain("10⁷")[0] == "10^7" != plain("107")[0]
    assert len(plain("10⁷½")[1]) == len(plain("10⁷½")[0]) + 1
