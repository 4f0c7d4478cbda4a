"""Which questions are the same: numbers, names and titles make a difference, endings and marks do not."""

from __future__ import annotations

import random
from typing import Any

import pytest

from nemo_kcpt.evaluation.questions.duplicates import drop_duplicates


def record(name: str, question: str, split: str = "train", paper: str = "p") -> dict[str, Any]:
    return {"question_id": name, "split": split, "paper_id": paper, "kind": "k", "question": question, "answer": "a"}


def fates(*questions: str, papers: str = "pppp", titles: dict[str, str] | None = None) -> list[str]:
    records = [record(str(place), text, paper=papers[place]) for place, text in enumerate(questions)]
    return [one["fate"] for one in drop_duplicates(records, titles or {}, 0.7)[1]]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is the accuracy of KASUMI on SQuAD?", "What is the accuracy of MINAMO on SQuAD?"),
        ("Does method Alpha beat method Beta on the task?", "Does method Beta beat method Alpha on the task?"),
        ("手法カスミで使ったデータの件数は何件ですか。", "手法ミナモで使ったデータの件数は何件ですか。"),
        ("実験1の参加者の人数は何人でしたか。", "実験2の参加者の人数は何人でしたか。"),
        ("「春」という作品を書いた作家の名前は何ですか。", "「秋」という作品を書いた作家の名前は何ですか。"),
        ("混浴をしたとして非難した教会裁判はいつ開かれたか。", "混浴をしたとして非難した教会裁判はどこで開かれたか。"),
        ("学習で損失が最大になる層の番号は何番ですか。", "学習で損失が最小になる層の番号は何番ですか。"),
        (
            "Which layers of the network are frozen in training?",
            "Which layers of the network are not frozen in training?",
        ),
    ],
)
def test_different_questions_stay(one: str, other: str) -> None:
    assert fates(one, other) == []


@pytest.mark.parametrize(
    ("one", "other", "fate"),
    [
        ("カスミの正解率は何ですか?", "カスミの正解率は何ですか？", "duplicate"),
        ("What is  KASUMI?", "what is kasumi?", "duplicate"),
        ("コンスタンティヌス1世はどこで生まれたの?", "コンスタンティヌス1世はどこで生まれた?", "near duplicate"),
        (
            "カスミの学習で使われた文の件数は何件ですか。",
            "カスミの学習で使われた文の件数は何件でしょうか?",
            "near duplicate",
        ),
        ("How many layers does BERT-base have?", "How many layers does the BERT-base have?", "near duplicate"),
    ],
)
def test_same_questions(one: str, other: str, fate: str) -> None:
    assert fates(one, other) == [fate]


def test_questions_that_name_different_documents_are_different() -> None:
    titles = {"p": "雪の研究", "q": "雨の研究"}
    asked = ("雪の研究で用いたデータは何件ですか。", "雨の研究で用いたデータは何件ですか。")
    assert fates(*asked, papers="pq", titles=titles) == []
    assert fates(asked[0], "雪の研究で、用いたデータは何件でしょうか。", papers="pp", titles=titles) == [
        "near duplicate"
    ]


def test_of_a_train_and_a_test_question_the_train_one_stays() -> None:
    records = [record("t", "カスミの層の数は何層ですか。", "test"), record("s", "カスミの層の数は何層でしょうか。")]
    kept, dropped = drop_duplicates(records, {}, 0.7)
    assert [one["question_id"] for one in kept] == ["s"]
    assert [(one["question_id"], one["kept"]) for one in dropped] == [("t", "s")]
    assert 0.7 <= dropped[0]["similarity"] <= 1 and dropped[0]["reason"].endswith("as a train question")
    assert len(drop_duplicates(records, {}, 0)[0]) == 2  # near=0 looks at the same words only


def test_forty_thousand_questions() -> None:
    made = random.Random(0)
    words = ["層", "件数", "正解率", "著者", "目的", "評価", "データ", "欠点"]
    records = [
        record(str(place), f"手法{made.choice('ABCDEF')}{place % 9000}の{made.choice(words)}は何ですか。")
        for place in range(40_000)
    ]
    kept, dropped = drop_duplicates(records, {}, 0.7)
    assert len(kept) + len(dropped) == 40_000
    assert len({one["question"] for one in kept}) == len({one["question"] for one in records})
