"""The checks of instructions, each on right and on wrong answers; and the project's items."""

from __future__ import annotations

from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions.own import retention_questions
from nemo_kcpt.evaluation.scoring.instructions import CHECKS, follows, read_checks

# check, its fields, answers that pass, answers that do not
CASES: tuple[tuple[str, dict[str, Any], tuple[str, ...], tuple[str, ...]], ...] = (
    ("words", {"most": 3}, ("It's well-known.", "one two three"), ("one two three four",)),
    ("words", {"least": 2}, ("two words",), ("One.", "- !")),
    ("characters", {"most": 5}, ("東 京 です。", "five!"), ("東京都です。",)),
    ("characters", {"least": 4, "most": 4}, ("春夏秋冬",), ("春夏秋", "春夏秋冬。")),
    ("sentences", {"least": 2, "most": 2}, ("One. Two.", "一つ。二つ。", "Pi is 3.14. Two", "「はい。」と言う。"),
     ("One.", "One. Two. Three.", "一つです")),
    ("paragraphs", {"least": 2, "most": 2}, ("a\n\nb", "a\nb\n \nc"), ("a\nb", "a\n\nb\n\nc")),
    ("lines", {"n": 2}, ("a\n\nb",), ("a", "a\nb\nc")),
    ("lines", {"least": 2}, ("a\nb\nc",), ("a",)),
    ("bullets", {"n": 2}, ("- a\n- b", "Here:\n* a\n* b", "・a\n・b"), ("- a", "a, b", "- a\n-", "**a**\n**b**")),
    ("bullets", {"n": 2, "mark": "・"}, ("・赤\n・青",), ("- 赤\n- 青",)),
    ("bullets", {"n": 0}, ("a",), ("- a",)),
    ("numbered", {"n": 2}, ("1. a\n2. b", "1) a\n2) b", "１．a\n２．b"),
     ("1. a", "2. a\n1. b", "1. a\n2. b\n3. c", "1 a")),
    ("separated", {"n": 3, "by": ","}, ("Paris, Rome, Berlin", "Paris, Rome, Berlin."),
     ("Paris, Rome", "Here are three of them for you to choose: a, b, c", "Paris,\nRome, Berlin", "Paris,, Rome")),
    ("separated", {"n": 2, "by": "、"}, ("東京、大阪",), ("東京,大阪",)),
    ("json", {"keys": ["a", "b"]}, ('{"b": 1, "a": null}', '```json\n{"a": 1, "b": 2}\n```'),
     ('{"a": 1}', '{"a": 1, "b": 2, "c": 3}', "{'a': 1, 'b': 2}", 'Sure: {"a": 1, "b": 2}', '["a", "b"]')),
    ("json", {"items": 2}, ('["x", "y"]',), ('["x"]', '{"x": "y", "z": 1}', "x, y", "[" * 100_000)),
    ("table", {"columns": ["A", "B"], "least": 2}, ("| A | B |\n|---|:--|\n| 1 | 2 |\n| 3 | 4 |",
     "a | b\n-|-\n1|2\n3|4"),
     ("| A | B |\n|---|---|\n| 1 | 2 |", "| B | A |\n|---|---|\n| 1 | 2 |\n| 3 | 4 |", "A B\n1 2\n3 4")),
    ("heading", {"level": 2}, ("text\n## A",), ("# A", "### A", "##A", "a ## b")),
    ("between", {"left": "<<", "right": ">>"}, ("The <<Fox>>.",), ("<Fox>", "<<>>", "<<Fo\nx>>")),
    ("wrapped", {"left": "「", "right": "」"}, ("「はい」",), ("「はい」です", "はい", "「」")),
    ("date", {}, ("2021-05-09", " 2021-12-31\n"), ("2021-13-01", "2021-05-32", "2021/05/09", "It is 2021-05-09")),
    ("upper", {}, ("ALL 3 OF THEM!",), ("All", "123", "東京")),
    ("lower", {}, ("all 3 of them!",), ("All", "123")),
    ("contains", {"texts": ["rain", "雲"]}, ("Rain と雲",), ("rain",)),
    ("excludes", {"texts": ["snow", ","]}, ("Cold and dark.",), ("Snowy.", "Cold, dark.")),
    ("counts", {"texts": ["ha"], "least": 2, "most": 3}, ("Ha ha", "hahaha"), ("ha", "hahahaha")),
    ("starts", {"texts": ["実は", "Actually"]}, ("実は、",), ("それは実は",)),
    ("finishes", {"texts": ["敬具", "?"]}, ("…\n敬具\n", "why?"), ("敬具です", "why? Because.")),
    ("last_line", {"texts": ["P.S."]}, ("a\nP.S. b",), ("P.S. b", "P.S. b\na")),
    ("sentence_ends", {"ending": "ます。"}, ("行きます。来ます。", "行きます。\n来ます。"),
     ("行きます。来た。", "行きます", "")),
    ("exactly", {"texts": ["yes", "I don't know"]}, ("Yes.", "I don’t know", "YES"), ("Yes, it is.", "y", "no")),
    ("only_digits", {}, ("8", "8."), ("8 legs", "eight", "4+4")),
    ("no_digits", {}, ("noon",), ("at 12", "１２時")),
    ("script", {"letters": "hiragana"}, ("とうきょう", "とうきょう。"), ("東京", "トウキョウ", "tokyo", "")),
    ("script", {"letters": "katakana"}, ("バナナ", "サンマリノ"), ("ばなな", "バナナです")),
    ("no_kanji", {}, ("はるです。",), ("春です。", "spring")),
    ("language", {"code": "ja"}, ("東京です。", "昨日のNHKのニュースです。"),
     ("Tokyo.", "The capital is 東京, of course.", "123")),
    ("language", {"code": "en"}, ("Tokyo.", "It is a city in the east of the country."),
     ("東京です。", "It is 東京.", "Die Katze sitzt auf dem Tisch und schaut aus dem Fenster.", "123")),
)  # fmt: skip
RAMBLING = {
    "en": "Well, that is 1 interesting question, and dogs and animals in the snow near the tulip 4719 matter!\n"
    "Another line follows here, and zoos are quite nice; it goes on and on without an end in sight!\n",
    "ja": "それは面白い質問ですね、犬や動物や雪やすみれ4719についてはいろいろな見方があります!\n"
    "三つ目の考えはこうです。",
}


@pytest.mark.parametrize("case", CASES, ids=lambda case: f"{case[0]}-{case[1]}")
def test_a_check_passes_what_is_right_and_nothing_else(
    case: tuple[str, dict[str, Any], tuple[str, ...], tuple[str, ...]],
) -> None:
    name, fields, right, wrong = case
    checks = [{"check": name, **fields}]
    assert [text for text in right if not follows(text, checks)] == []
    assert [text for text in wrong if follows(text, checks)] == []


def test_every_check_has_a_case_and_an_empty_answer_passes_none() -> None:
    assert {name for name, *_ in CASES} == set(CHECKS)
    assert not any(follows(text, [{"check": name, **fields}]) for name, fields, *_ in CASES for text in ("", " \n"))


def test_the_items() -> None:
    items = [one for one in retention_questions("both") if one["kind"] == "instruction"]
    by_language = {code: [one for one in items if one["language"] == code] for code in ("en", "ja")}
    assert all(len(found) >= 50 for found in by_language.values()) and len(items) >= 100
    assert len({one["question_id"] for one in items}) == len({one["question"] for one in items}) == len(items)
    for found in by_language.values():
        assert len({one["category"] for one in found}) >= 8
    for one in items:
        checks = read_checks(one)
        assert checks and follows(one["answer"], checks), one["question_id"]
    used = {check["check"] for one in items for check in one["checks"]}
    assert used == set(CHECKS), "a check that no item makes"
    # An answer that has nothing to do with the question passes next to nothing, and almost never in the other language.
    passed = [one["question"] for one in items if follows(RAMBLING[one["language"]], one["checks"])]
    assert len(passed) <= 5, passed


@pytest.mark.parametrize(
    ("checks", "said"),
    [
        ([], "expected a list of objects"),
        ("words", "expected a list of objects"),
        ([{"check": "word"}], "no check 'word'"),
        ([{"most": 3}], "no check None"),
        ([{"check": "words", "at_most": 3}], "words: .*at_most"),
        ([{"check": "bullets"}], "bullets: .*'n'"),
        ([{"check": "script", "letters": "romaji"}], "script: 'romaji'"),
    ],
)
def test_checks_of_another_form_are_named(checks: Any, said: str) -> None:
    with pytest.raises(BadInput, match=f"question 'q1': checks: {said}"):
        read_checks({"question_id": "q1", "checks": checks})
    assert read_checks({"question_id": "q1"}) is None
