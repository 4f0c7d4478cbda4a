"""Dividing long papers: nothing is lost, no part is too long, and borders are where a reader would put them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.text.parts import split_text

TEXTS = st.text(st.sampled_from("あい漢a b。、\n#1 か\u3099👩\u200d.!"), max_size=400)


def parts_of(text: str, limit: int) -> list[str]:
    found = split_text(text, limit, len)
    assert [part.end for part in found[:-1]] == [part.start for part in found[1:]]
    assert found[0].start == 0 and found[-1].end == len(text)
    return [text[part.start : part.end] for part in found]


@given(TEXTS, st.integers(1, 120))
def test_nothing_is_lost_and_no_part_is_too_long(text: str, limit: int) -> None:
    parts = parts_of(text, limit)
    assert "".join(parts) == text
    assert all(len(part) <= limit for part in parts)
    assert all(parts) or text == ""


def test_a_text_that_fits_stays_whole() -> None:
    assert parts_of("短い。", 10) == ["短い。"]


@pytest.mark.parametrize(
    ("text", "border"),
    [
        ("a" * 60 + "\n\nb\n# 見出し\n" + "c" * 60, "# 見出し"),
        ("a" * 60 + "\n2 手法\n" + "c" * 60, "2 手法"),
        ("一文。" * 20 + "\n\n" + "次の文。" * 20, "次の文"),
        ("一文。" * 20 + "\n" + "次の文。" * 20, "次の文"),
        ("あ" * 60 + "。" + "い" * 60, "い"),
        ("word " * 14 + "x" * 60, "x"),
    ],
)
def test_the_best_border_is_taken(text: str, border: str) -> None:
    assert parts_of(text, 80)[1].startswith(border)


def test_a_sign_is_not_torn_from_its_marks() -> None:
    for part in parts_of("か\u3099" * 100, 25):
        assert not part.startswith("\u3099")


def test_tokens_are_counted_a_few_times_a_part() -> None:
    calls = 0

    def count(text: str) -> int:
        nonlocal calls
        calls += 1
        return sum(2 if sign > "\u3000" else 1 for sign in text) // 2

    text = "日本語の文である。" * 20_000 + "latin words. " * 20_000
    parts = split_text(text, 4000, count)
    assert calls <= 8 * len(parts)
    assert sum(part.end - part.start for part in parts) == len(text)


def test_a_limit_below_one_character_is_refused() -> None:
    with pytest.raises(ValueError, match="limit is 0"):
        split_text("x", 0, len)
    with pytest.raises(ValueError, match="one character has more tokens"):
        split_text("xx", 1, lambda text: 3 * len(text))
