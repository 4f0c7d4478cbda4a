from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.cleaning.control_characters import control_characters, page_marks
from tests.cleaning.documents import applied, documents


@pytest.mark.parametrize(
    ("text", "expected", "count"),
    [
        ("自然\x00言語\x07", "自然言語", 2),
        ("a\tb\nc\fd\r\n\v\x85\u2028", "a\tb\nc\fd\r\n\v\x85\u2028", 0),  # white space is not its business
        ("言語\u200bモデル\ufeff", "言語モデル", 2),
        ("half\ud83d of a pair", "half\ufffd of a pair", 1),
        ("\ufdd0\U0001ffffx", "x", 2),
        ("ruby\ufff9漢字\ufffaかんじ\ufffb", "ruby漢字かんじ", 3),
        ("co\u00adoperate", "cooperate", 1),
        # The hyphen of a broken word is one that can be seen, whoever wrote it.
        ("continu\u00ad\nal", "continu-\nal", 1),
        ("continu\u00ad\r\n  al", "continu-\r\n  al", 1),
        ("GPT\x024 and continu\ufffeal", "GPT-\n4 and continu-\nal", 2),  # as PDFium has it
        ("言語\x02処理", "言語処理", 1),
    ],
)
def test_examples(text: str, expected: str, count: int) -> None:
    assert applied(control_characters, text)[:2] == (expected, count)


@pytest.mark.parametrize(
    "kept",
    [
        "👩\u200d🔬 と 🏳\ufe0f\u200d🌈",
        "क\u094d\u200dष and می\u200cخواهم",
        "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f",
        "葛\U000e0100城市と葛\U000e0101飾区",
        "ภาษา\u200bไทย",
        "\u200fשלום (hello)\u200f",
        "外字\ue000",
        "\ufffd",
    ],
)
def test_what_a_script_or_an_emoji_needs_stays(kept: str) -> None:
    assert applied(control_characters, kept).count == 0


def test_marks_of_direction_go_where_no_line_needs_them() -> None:
    assert control_characters("日本\u200f語\nשלום\u200f").text == "日本語\nשלום\u200f"
    assert control_characters("日\u200d本 か\u200dな").text == "日本 かな"
    assert control_characters("\U000e0067x").text == "x"


def test_page_marks_become_paragraphs() -> None:
    assert page_marks("一\n\n\f二\f\f\n三").text == "一\n\n二\n\n三"
    assert page_marks("一").count == 0


@given(documents() | st.text(st.characters(categories=["Cc", "Cf", "Cs", "Cn", "Lo", "So"])))
def test_only_what_means_nothing_goes(text: str) -> None:
    changed = applied(control_characters, text).text
    pieces = iter(re.sub("-\n?|\ufffd", "", changed))
    rest = next(pieces, None)
    for character in re.sub("-\n?|\ufffd", "", text):
        if character == rest:
            rest = next(pieces, None)
        else:
            assert character == "\n" or unicodedata.category(character) in ("Cc", "Cf", "Cn", "Cs")
    assert rest is None
    changed.encode("utf-8")
    assert "\x00" not in changed
