"""Exact match: values as wholes, other values refused, the form of writing no matter."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.evaluation.scoring.exact_match import exact_match, find_values
from nemo_kcpt.text.plain import normalise

NUMBERS = st.integers(min_value=1, max_value=10**7)
OTHER_TEXT = st.text(alphabet="のはです。、それ提案手法", max_size=8)


@pytest.mark.parametrize(
    ("answer", "accepted", "alternatives", "expected"),
    [
        ("12,400件です。", ["12,400件", "12400"], ["2,400件"], True),
        ("１２４００ 件", ["12,400件"], [], True),
        ("112,400件です", ["12,400"], [], False),
        ("12,4001", ["12,400"], [], False),
        ("1万2400件", ["2400"], [], False),
        ("12.5です", ["12"], [], False),
        ("精度は83.7。", ["83.7"], [], True),
        ("83.75", ["83.7"], [], False),
        ("12,400件か3,000件です", ["12,400件"], ["3,000件"], False),
        ("3,000件です", ["12,400件"], ["3,000件"], False),
        ("東都大学情報学研究所です", ["東都大学情報学研究所"], ["情報学研究所"], True),
        ("東都大学情報学研究所です", ["情報学研究所"], ["東都大学情報学研究所"], False),
        ("12400 and 2400", ["12,400"], ["2,400"], False),
        ("カスミランです", ["カスミラ"], [], False),
        ("ｶｽﾐﾗです", ["カスミラ"], [], True),
        ("the model is sora-7b", ["Sora-7B"], ["Sora"], True),
        ("BERTology", ["BERT"], [], False),
        ("東京都です", ["京都"], [], False),
        ("小山田さん", ["山田"], [], False),
        ("京都府です", ["京都"], [], True),
        ("立花子規", ["花子"], [], False),
        ("富士山は京都市にある", ["京都市"], ["都"], True),
        ("GPT-4o", ["GPT-4"], [], False),
        ("GPT‑4 です", ["GPT-4"], [], True),
        ("C++ です", ["C"], [], False),
        ("C# です", ["C#"], [], True),
        ("H2Oです", ["H2"], [], False),
        ("It is O’Neil.", ["O'Neil"], [], True),
        ("Python 3.1", ["Python 3.10"], [], False),
        ("Python 3.10 です", ["Python 3.10"], [], True),
        ("バージョン3.1", ["バージョン3.10"], [], False),
        ("version 2", ["Version 2.0"], [], True),
        ("", ["2021年"], [], False),
        ("2021年", [], [], False),
        ("田中 太郎による", ["田中太郎"], [], True),
        ("-5", ["5"], [], False),
        ("5 million people", ["5"], [], False),
        ("5 million people", ["5,000,000"], [], True),
        ("5 億人", ["5"], [], False),
        ("5/6", ["5"], [], False),
        ("5/6", ["6"], [], False),
        ("15%", ["5"], [], False),
        ("5〜10", ["5"], [], False),
        ("5〜10", ["10"], [], False),
        ("5から10です", ["5〜10"], [], True),
        ("GPT-4です", ["4"], [], False),
        ("▲5ポイント", ["5"], [], False),
        ("5ポイント", ["5"], [], True),
        ("表5です", ["5"], [], True),
        ("10⁶ tokens", ["1,000,000"], [], True),
        ("10⁶", ["106"], [], False),
        ("百万件", ["10^6"], [], True),
        ("It saw 1e6 tokens", ["10⁶ tokens"], [], True),
        ("It saw 106 tokens", ["10⁶ tokens"], [], False),
        ("1万2400件か0.3万件です", ["12,400件"], ["3,000件"], False),
        ("令和3年", ["2021年"], [], True),
        ("March 5, 2021", ["2021年3月5日"], [], True),
        ("March 6, 2021", ["2021年3月5日"], [], False),
        ("5 km", ["5 kg"], [], False),
        ("1時間30分", ["90分"], ["30分"], True),
        ("83.72", ["83.7"], [], False),
        ("Agent 7", ["007"], [], False),
        ("Seven Samurai", ["7 Samurai"], [], True),
    ],
)
def test_cases(answer: str, accepted: list[str], alternatives: list[str], expected: bool) -> None:
    assert exact_match(answer, accepted, alternatives) is expected


@given(NUMBERS, OTHER_TEXT, OTHER_TEXT)
def test_a_number_is_found_in_text_with_and_without_separators(number: int, before: str, after: str) -> None:
    assert exact_match(f"{before}{number:,}{after}", [str(number)])
    assert exact_match(f"{before}{number}{after}", [f"{number:,}"])


@given(NUMBERS, NUMBERS, OTHER_TEXT)
def test_a_number_is_never_found_in_another(stated: int, accepted: int, around: str) -> None:
    assert exact_match(f"{around}{stated}{around}", [str(accepted)]) == (stated == accepted)


@given(NUMBERS, NUMBERS)
def test_a_second_value_spoils_the_answer(right: int, wrong: int) -> None:
    assert exact_match(f"{right}、{wrong}", [str(right)], [str(wrong)]) == (right == wrong)


@given(st.text(max_size=40))
def test_mentions_lie_in_the_text_and_each_is_the_value(text: str) -> None:
    for mention in find_values(f"{text} 12,400件", ["12400件"], [text]):
        piece = f"{text} 12,400件"[mention.start : mention.end]
        assert piece
        assert normalise(piece)[0] in {"12400件", normalise(text)[0]} or exact_match(piece, [text, "12400件"])


def test_marks_cover_exactly_the_values() -> None:
    answer = "答えは １２，４００件 または 3,000件 です"
    found = [
        (answer[mention.start : mention.end], mention.right)
        for mention in find_values(answer, ["12,400件"], ["3,000件"])
    ]
    assert found == [("１２，４００件", True), ("3,000件", False)]
