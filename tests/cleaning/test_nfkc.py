from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.cleaning.nfkc import nfkc
from nemo_kcpt.cleaning.regions import protected_spans
from tests.cleaning.documents import applied, documents


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ＢＥＲＴは２０１８年", "BERTは2018年"),
        ("ｶﾞｲﾄﾞﾗｲﾝ｡ﾊﾟｰﾄ", "ガイドライン。パート"),
        ("ﬁne-tuning の ﬂow", "fine-tuning の flow"),
        ("⽇本語の⾔語", "日本語の言語"),
        ("⻑い⻄の⺠", "長い西の民"),
        ("か\u3099きく\u3099 cafe\u0301", "がきぐ café"),
        ("カﾞ", "ガ"),
        ("p\xa0<\u20090.05", "p < 0.05"),
        ("第一章　はじめに", "第一章 はじめに"),
        ("３㌔と５㎏、㍿山田", "3キロと5kg、株式会社山田"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert applied(nfkc, text).text == expected


@pytest.mark.parametrize(
    "kept",
    [
        "x² と H₂O、½ 杯",
        "①② ㈱ Ⅲ ™ ℃ № …",
        "，．（）：；？！［］「」〜～￥％＆",
        "神\ufa19田\ufa11",  # compatibility ideographs of names
        "㎡ ㎧ ㍘ ㏠",
        "𝐱 ∈ ℝ, \u2126",
        "\u3000段落\n\u3000\u3000段落",
        "葛\U000e0100城",
        "```\nｶﾅ＝Ａ\n```",
        "`ＡＢＣ` と $Ａ＋Ｂ$ と \\(Ａ\\) と \\[Ａ\\]",
        "\\begin{equation}\nＡ\n\\end{equation}",
        "段落\n\n    ＡＢＣ = 1\n\n段落",
    ],
)
def test_forms_that_say_something_stay(kept: str) -> None:
    assert applied(nfkc, kept).count == 0


def test_around_code_text_is_still_changed() -> None:
    assert nfkc("Ａ `Ａ` Ａ\n\n```\nＡ\n```\n\nＡ").text == "A `Ａ` A\n\n```\nＡ\n```\n\nA"


@given(documents() | st.text(st.characters(min_codepoint=0x2E80, max_codepoint=0xFFFF, exclude_categories=["Cs"])))
def test_the_text_stays_the_same_by_unicode_s_own_measure(text: str) -> None:
    changed = applied(nfkc, text).text
    beyond = str.maketrans("⺠⻁⻄⻑⻘⻝⻤⻨⻩⻫⻭⻯⻲", "民虎西長青食鬼麦黄斉歯竜亀")
    assert unicodedata.normalize("NFKC", changed) == unicodedata.normalize("NFKC", text.translate(beyond))
    kept = [text[start:end] for start, end in protected_spans(text)]
    assert [changed[start:end] for start, end in protected_spans(changed)][: len(kept)] == kept or not kept
