"""Names, and each fact of an answer looked up in reference, paper and corpus."""

from __future__ import annotations

import pytest

from nemo_kcpt.evaluation.scoring.facts import Corpus, Source, check
from nemo_kcpt.text.proper_names import NameText, name_key, names

PAPERS = {
    "a": {
        "title": "カスミNet",
        "text": "カスミNetは文法誤り訂正の手法である。東京大学の高橋美咲が2021年に提案した。"
        "正解率は83.7%で、12,400件で学習した。",
    },
    "b": {"title": "アサギ", "text": "アサギは京都大学で開発された。ミヤビコーパスで75.2%に達した。"},
}
QUESTION, REFERENCE = "カスミNetの正解率はいくつですか。", "カスミNetの正解率は83.7%です。"


def _names(text: str) -> list[str]:
    return [text[name.start : name.end] for name in names(text)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("手塚治虫の出身地は兵庫県宝塚市で、1928年に生まれた。", ["手塚治虫", "兵庫県宝塚市"]),
        ("カスミNetは東京大学と理化学研究所が開発したモデルです。", ["カスミNet", "東京大学", "理化学研究所"]),
        ("BERTモデルを用い、GPT-4と比べた。", ["BERT", "GPT-4"]),
        ("データセットはミヤビコーパスで、山田太郎が評価した。", ["ミヤビコーパス", "山田太郎"]),
        ("フランシス・ベーコンが書いた「新大陸」", ["フランシス・ベーコン", "新大陸"]),
        ("これはデータのモデルである。", []),
        (
            "Kasumi-Net was proposed by Haruka Sato of the University of Tokyo. It uses BERT-base.",
            ["Kasumi-Net", "Haruka Sato", "University of Tokyo", "BERT-base"],
        ),
        ("This is the method. It works.", []),
    ],
)
def test_names(text: str, expected: list[str]) -> None:
    assert _names(text) == [name.strip("「」") for name in expected] or _names(text) == expected


def test_a_name_is_not_found_inside_of_a_word() -> None:
    assert NameText("本社は東京都にある。").holds("東京") and not NameText("本社は東京都にある。").holds("京都")
    assert NameText("東京都と京都府").holds("京都") and not NameText("長谷川さん").holds("谷川")


def test_a_name_stands_in_a_text_as_a_whole() -> None:
    text = NameText("RoBERTaと東京大学、Llama 3.1、フランシス・ベーコン、サーバー")
    held = [
        text.holds(name_key(name))
        for name in ("BERT", "東京", "Llama-3.1", "フランシスベーコン", "シスベーコン", "サーバ")
    ]
    assert held == [False, True, True, True, False, True]


def _check(answer: str, **more):  # type: ignore[no-untyped-def]
    corpus = Corpus(PAPERS)
    return check(QUESTION, answer, REFERENCE, corpus.source("a"), corpus, **more)


@pytest.mark.parametrize(
    ("answer", "precision", "recall", "statuses"),
    [
        ("83.7%です。", 1.0, 1.0, ["supported"]),
        ("カスミNetの正解率は0.837である。", 1.0, 1.0, ["supported"]),  # the name is the question's: not counted
        ("75.2%です。", 0.0, 0.0, ["contradicted"]),
        ("12,400件で学習し、正解率は83.7%です。", 1.0, 1.0, ["supported", "supported"]),
        ("京都大学で75.2%に達した。", 0.0, 0.0, ["unknown", "contradicted"]),
        ("分かりません。", None, 0.0, []),
        ("", None, 0.0, []),
    ],
)
def test_statuses(answer: str, precision: float | None, recall: float, statuses: list[str]) -> None:
    found = _check(answer)
    assert (found.precision, found.recall) == (precision, recall)
    assert [fact.status for fact in found.facts] == statuses
    assert all(answer[fact.start : fact.end] == fact.text for fact in found.facts)


@pytest.mark.parametrize(
    ("answer", "reference", "statuses"),
    [
        ("110M parameters", "110 million parameters", ["supported"]),
        ("110Mです。", "1.1億", ["supported"]),
        ("110 m", "110 million parameters", ["unknown"]),
        ("7B parameters", "7 billion parameters", ["supported"]),
        ("-5", "5", ["contradicted"]),
        ("5 million people", "5", ["contradicted"]),
        ("5億人", "5人", ["contradicted"]),
        ("10⁶件", "百万件", ["supported"]),
        ("106件", "10⁶件", ["contradicted"]),
    ],
)
def test_magnitudes_signs_and_powers(answer: str, reference: str, statuses: list[str]) -> None:
    found = check("Kasumi?", answer, reference)
    assert [fact.status for fact in found.facts] == statuses and found.recall == float(statuses == ["supported"])


def test_where_a_fact_stands() -> None:
    found = _check("高橋美咲の83.7%ではなく、京都大学の75.2%と理化学研究所")
    assert {fact.text: fact.where for fact in found.facts} == {
        "高橋美咲": "paper",
        "83.7%": "reference",
        "京都大学": "b",
        "75.2%": "b",
        "理化学研究所": "",
    }


def test_accepted_forms_count_as_the_reference() -> None:
    found = check("何件ですか。", "1万2,400件です。", "12,400件", accepted=("1万2,400",))
    assert found.recall == 1.0 and found.precision == 1.0
    assert check("誰ですか。", "Misaki Takahashi です", "高橋美咲", accepted=("Misaki Takahashi",)).recall == 1.0


def test_a_short_reference_without_facts_is_one_term() -> None:
    found = check("課題は何ですか。", "文法誤り訂正です。", "文法誤り訂正")
    assert found.wanted == (("文法誤り訂正", "term", True),) and found.recall == 1.0
    assert check("課題は何ですか。", "対話です。", "文法誤り訂正").recall == 0.0
    assert check("なぜですか。", "はい。", "いいえ、そうではありませんでした。").recall is None


def test_a_long_answer_and_odd_characters_do_no_harm() -> None:
    odd = "\u202e83.7%\u202c\x00﷽" + "長い答え。" * 20_000 + "75.2%"
    found = check(QUESTION, odd, REFERENCE, Source(PAPERS["a"]["text"]))
    assert found.recall == 1.0 and [fact.status for fact in found.facts][-1] == "unknown"


@pytest.mark.parametrize(
    ("answer", "recall"),
    [
        ("2005年です。", 1.0),
        ("平成17年だと思います。", 1.0),
        ("2004年です。", 0.0),
        ("殺人が多いのは、2004年と2005年のうち、2004年です。", 0.0),  # begins with the question's words
        ("殺人が多いのは、2004年と2005年のうち、2005年です。", 1.0),
    ],
)
def test_a_choice_that_the_question_offers_is_a_fact(answer: str, recall: float) -> None:
    question = "殺人が多いのは、2004年と2005年のうち、どちらですか。"
    assert check(question, answer, "2005年").recall == recall


def test_one_character_can_be_a_term() -> None:
    assert check("国境が山に接しない方角は?", "南です。", "南").recall == 1.0
    assert check("国境が山に接しない方角は?", "北です。", "南").recall == 0.0


def test_an_era_is_no_name() -> None:
    assert [fact.kind for fact in check("いつですか。", "平成22年です。", "2010年").facts] == ["number"]


def test_a_sentence_without_numbers_and_names_has_its_compound_nouns() -> None:
    reference = "カスミNetは文法誤り訂正に取り組む手法として設計された。"
    assert check("カスミNetの課題は?", "文法誤り訂正の性能を高めることです。", reference).recall == 1.0
    found = check("カスミNetの課題は?", "カスミNetは機械翻訳のための手法です。", reference)
    assert found.recall == 0.0 and found.wanted == (("文法誤り訂正", "term", False),)


def test_organisations_of_common_nouns_are_names() -> None:
    assert _names("カスミNetは青嵐情報大学で開発された。") == ["カスミNet", "青嵐情報大学"]
