from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.readers import Question, squad
from tests.readers.reading import found, problem, records


def qa(question: str = "なに?", **fields: Any) -> dict[str, Any]:
    return {"question": question, "answers": [{"text": "これ", "answer_start": 0}, {"text": "それ"}], **fields}


ARTICLES = [
    {
        "title": "甲",
        "paragraphs": [
            {"context": "一。\n", "qas": [qa(id="x"), qa("無理?", id="y", answers=[]), qa(is_impossible=True)]},
            {"context": "二。", "qas": [qa("だれ?"), qa("どこ?", answers={"text": ["東京"], "answer_start": [0]})]},
        ],
    },
    {"title": "乙", "id": 7, "paragraphs": [{"context": "三。", "qas": [qa(id="x")]}]},
]


def write(path: Path, content: Any) -> Path:
    path.write_text(json.dumps(content, ensure_ascii=False), encoding="utf-8")
    return path


def test_an_article_is_a_document_with_questions(tmp_path: Path) -> None:
    first, second = found(write(tmp_path / "a.json", {"version": "1", "data": ARTICLES}))
    assert first.where == f"{tmp_path}/a.json, data[0]"
    assert first.source == "a.json"
    assert first.record == {
        "paper_id": "a-0000",
        "title": "甲",
        "text": "一。\n\n二。",
        "paragraphs": 2,
        "unanswered": 2,
    }
    assert first.questions == [
        Question("x", "なに?", "これ", ("これ", "それ")),
        Question("a-0000-q1", "だれ?", "これ", ("これ", "それ")),
        Question("a-0000-q2", "どこ?", "東京", ("東京",)),
    ]
    assert second.record["paper_id"] == "7"
    assert second.questions == [Question("x-2", "なに?", "これ", ("これ", "それ"))]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "expected SQuAD-style JSON"),
        ({"data": {}}, "expected SQuAD-style JSON"),
        ({"data": []}, 'there is no article in "data"'),
        ("", "expected SQuAD-style JSON"),
    ],
)
def test_what_is_not_squad_is_named(tmp_path: Path, content: Any, expected: str) -> None:
    assert f"a.json: {expected}" in problem(write(tmp_path / "a.json", content), "squad")


@pytest.mark.parametrize(
    ("article", "expected"),
    [
        ({}, 'data[1]: expected an article with a list "paragraphs"'),
        (None, 'data[1]: expected an article with a list "paragraphs"'),
        ({"paragraphs": [{"text": "b"}, 3]}, 'data[1]: paragraphs[0]: expected a text in "context", found none'),
        ({"paragraphs": [{"context": "x" * 3_000_000}]}, "2.9 MiB for one document, more than the limit of 2 MiB"),
    ],
)
def test_a_malformed_article_is_named_and_the_others_are_read(tmp_path: Path, article: Any, expected: str) -> None:
    file = write(tmp_path / "a.json", {"data": [ARTICLES[0], article, ARTICLES[1]]})
    everything = found(file, max_bytes=2 << 20)
    assert [item.record.get("title") for item in everything] == ["甲", None, "乙"]
    assert f"{everything[1].where}: {everything[1].problem}".startswith(f"{file}, data[1]: ")
    assert expected in f"{everything[1].where}: {everything[1].problem}"


@pytest.mark.parametrize(
    ("item", "expected"),
    [
        (qa(" \u3000", id="q9"), ' (id q9): expected a text in "question", found a blank one'),
        ({"id": "q9"}, ' (id q9): expected a text in "question", found none'),
        (qa(3), ': expected a text in "question", found int 3'),  # type: ignore[arg-type]
        ("なに?", ': expected a text in "question", found none'),
        (qa(answers=[{"text": 42}]), ': expected a text in "answers[0].text", found int 42'),
        (qa(answers=[{"text": None}]), ': expected a text in "answers[0].text", found none'),
        (qa(answers=[{}]), ': expected a text in "answers[0].text", found none'),
        (qa(answers=["これ"]), """: expected answers of the form [{"text": …}], found 'これ'"""),
        (qa(answers="これ"), """: expected answers of the form [{"text": …}], found 'これ'"""),
        (qa(answers=0), ': expected answers of the form [{"text": …}], found int 0'),
        (qa(answers={"text": 42}), ': expected answers of the form [{"text": …}], found dict {"text": 42}'),
        (qa(answers={"text": [None]}), ': expected a text in "answers[0].text", found none'),
    ],
)
def test_a_malformed_question_goes_alone_and_is_named(tmp_path: Path, item: Any, expected: str) -> None:
    content = {"data": [{"paragraphs": [{"context": "一。", "qas": [qa("だれ?"), item, qa("どこ?")]}]}]}
    (one,) = found(write(tmp_path / "a.json", content))
    assert one.record["text"] == "一。"
    assert [(asked.question_id, asked.question) for asked in one.questions] == [
        ("a-0000-q0", "だれ?"),
        ("a-0000-q1", "どこ?"),
    ]
    (flaw,) = one.flaws
    assert flaw.kind == squad.QUESTIONS
    assert f"{flaw.where}: {flaw.detail}" == f"{tmp_path}/a.json, data[0].paragraphs[0].qas[1]{expected}"


def test_what_else_of_an_article_goes_alone(tmp_path: Path) -> None:
    paragraphs = [
        {"context": 3, "qas": [qa()]},
        {"context": "一。", "qas": {"0": qa()}},
        {"context": "二。", "qas": [qa(answers=[{"text": "これ"}, {"text": 7}]), qa(answers={"text": "東京"})]},
    ]
    (one,) = found(write(tmp_path / "a.json", {"data": [{"paragraphs": paragraphs}]}))
    assert one.record["text"] == "一。\n\n二。"
    assert [asked.answer for asked in one.questions] == ["これ", "東京"]
    assert [(flaw.kind, flaw.detail) for flaw in one.flaws] == [
        (squad.PARAGRAPHS, 'expected a text in "context", found int 3'),
        (squad.QUESTIONS, 'expected a list in "qas", found dict {"0": {"question": "\\u306a\\u306b?", "ans'),
        (squad.ANSWERS, "expected a text in every answer, found int 7"),
    ]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"data": [{', "not JSON (line 1, column 12"),
        (b'{"data": [' * 100_000, "not JSON that can be read"),
        (b"", "the file is empty"),
        (b"PK\x03\x04", "is a ZIP archive"),
    ],
)
def test_what_is_no_json_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.json").write_bytes(content)
    assert expected in problem(tmp_path / "a.json", "squad")


def test_a_file_too_large_to_be_read_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(squad, "WHOLE", 1 << 20)
    file = write(tmp_path / "a.json", {"data": ARTICLES, "filler": "x" * (1 << 20)})
    assert "1 MiB of JSON in one value, more than the limit of 1 MiB; write one object a line" in problem(file)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "cp932"])
def test_other_encodings(tmp_path: Path, encoding: str) -> None:
    text = json.dumps({"data": [{**ARTICLES[0], "title": "日本語の文章である" * 3}]}, ensure_ascii=False, indent=1)
    (tmp_path / "a.json").write_bytes(text.encode(encoding))
    assert records(tmp_path / "a.json")[0]["text"] == "一。\n\n二。"


def test_jaquad(shared_data: Path) -> None:
    everything = found(shared_data / "jaquad")
    assert len(everything) == 92
    assert not any(item.problem for item in everything)
    questions = [question for item in everything for question in item.questions]
    raw = [json.loads(file.read_text()) for file in sorted((shared_data / "jaquad").glob("*.json"))]
    paragraphs = [paragraph for content in raw for article in content["data"] for paragraph in article["paragraphs"]]
    asked = [qa for paragraph in paragraphs for qa in paragraph["qas"]]
    texts = [tuple(dict.fromkeys(answer["text"] for answer in qa["answers"])) for qa in asked]
    expected = [(qa["id"], qa["question"], right[0], right) for qa, right in zip(asked, texts, strict=True)]
    assert [tuple(question) for question in questions] == expected
    assert len({question.question_id for question in questions}) == len(questions)
    assert all(question.answer in item.record["text"] for item in everything for question in item.questions)


def test_a_key_that_appears_twice_is_named_where_it_stands(tmp_path: Path) -> None:
    good = json.dumps(qa(id="x"), ensure_ascii=False)
    bad = '{"id": "y", "question": "いつ?", "answers": [{"text": "1986", "text": "1968"}]}'
    (tmp_path / "a.json").write_text(
        f'{{"data": [{{"title": "甲", "paragraphs": [{{"context": "一。", "qas": [{good}, {bad}]}},'
        ' {"context": "二。", "context": "三。"}]}, {"title": "乙", "title": "丙", "paragraphs": []}]}'
    )
    first, second = found(tmp_path / "a.json")
    assert first.record["text"] == "一。"
    assert [asked.question_id for asked in first.questions] == ["x"]
    assert [(flaw.kind, flaw.detail) for flaw in first.flaws] == [
        (squad.QUESTIONS, "key 'text' appears twice; only one of them can be meant"),
        (squad.PARAGRAPHS, "key 'context' appears twice; only one of them can be meant"),
    ]
    assert second.problem == "key 'title' appears twice; only one of them can be meant"
