from __future__ import annotations

import re
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.cleaning import clean
from nemo_kcpt.cleaning.marks import write_raised
from nemo_kcpt.cleaning.raised import raised
from nemo_kcpt.text.raised import nfkc
from tests.cleaning.documents import applied, documents
from tests.cleaning.raised_examples import EXAMPLES, MARKDOWN_ONLY


@pytest.mark.parametrize(("text", "expected"), [*EXAMPLES, *MARKDOWN_ONLY])
def test_inline_html(text: str, expected: str | None) -> None:
    changed = applied(raised, text)
    if expected is None:
        assert changed == (text, 0, ())
    else:
        assert re.sub("<br>.*|</?b>", "", changed.text, flags=re.S) == expected


def test_every_later_step_keeps_what_was_raised() -> None:
    """NFKC above all, which would make 106 of 10⁶."""
    text = "# 題\n\n率は ２×10<sup>-5</sup>、語は 10<sup>6</sup> 個、水は H<sub>2</sub>O、24<sup>3)</sup> 人。\n"
    cleaned = clean(text)
    assert cleaned.text == "# 題\n\n率は 2×10⁻⁵、語は 10⁶ 個、水は H₂O、24[^3] 人。"
    assert cleaned.changes["raised"] == 4
    assert clean(text, ("line_ends", "nfkc")).text.count("<sup>") == 3
    assert nfkc("１０⁶ 個の H₂O、ｶﾅ、㎏、½") == "10⁶ 個の H₂O、カナ、kg、1⁄2"


@given(documents() | st.text("<>/supb a12[]()#\n`$", max_size=60))
def test_again_changes_nothing(text: str) -> None:
    once = clean(text, ("raised",)).text
    assert clean(once, ("raised",)).text == once


def test_long_and_hostile_texts_take_linear_time() -> None:
    for text in ("<sup>" * 30_000, "<sup>1</sup>" * 10_000, "<a href=#fn1>" * 10_000, "x<sup>" + "y" * 200_000):
        start = time.process_time()
        raised(text)
        assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("text", "before", "after", "expected"),
    [
        ("1", "", "東京大学", "[^1]"),
        ("2", "", "H NMR", "²"),
        ("2", "x", "", "²"),
        ("2", "10", "", "²"),
        ("2", "”", "", "[^2]"),
        ("a", "12.3", "", "ᵃ"),
        ("-1", "mol", "", "⁻¹"),
        ("2", "miles", "", "²"),
        (" ", "x", "", ""),
    ],
)
def test_a_bare_number_is_a_mark_or_a_power_by_what_stands_before(
    text: str, before: str, after: str, expected: str
) -> None:
    assert write_raised(text, before, after) == expected
