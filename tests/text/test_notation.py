"""Numbers in the notation of a reference: those that are equal, and nothing else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.text.notation import as_in


@pytest.mark.parametrize(
    ("reference", "text", "expected"),
    [
        ("1,000,000件である。", "百万件を使った。", "1,000,000件を使った。"),
        ("10^6 tokens", "It saw 1e6 tokens, not 10⁷.", "It saw 10^6 tokens, not 10⁷."),
        ("110 million parameters", "110M parameters", "110 million parameters"),
        ("3 kmの道", "道は3000 m続く", "道は3 km続く"),
        ("精度は50%", "精度は0.5だ", "精度は50%だ"),
        ("1時間30分", "90分かかる", "1時間30分かかる"),
        ("12,400件", "12,400 件", "12,400 件"),  # the same letters
        ("12,400件と1.24万件", "1.24万件", "1.24万件"),  # the reference has this notation, too
        ("12,400件", "12,500件とGPT-4", "12,500件とGPT-4"),
        ("5", "-5と5億", "-5と5億"),
        ("no number", "百万", "百万"),
    ],
)
def test_equal_numbers_take_the_references_notation(reference: str, text: str, expected: str) -> None:
    assert as_in(reference, text) == expected
    assert as_in(reference, expected) == expected


@given(st.text(max_size=60))
def test_a_text_beside_itself_stays(text: str) -> None:
    assert as_in(text, text) == text
