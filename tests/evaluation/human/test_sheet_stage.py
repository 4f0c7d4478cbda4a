"""kcpt human sheet: what is drawn, that it is blind, what the page and the key hold."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.people.items import blind, choose_kinds, draw, letter, sheet_id
from nemo_kcpt.evaluation.people.page import embed
from nemo_kcpt.evaluation.people.sheet_stage import run
from nemo_kcpt.evaluation.people.words import WORDS
from nemo_kcpt.files import read_json, sha256_text, write_jsonl
from tests.evaluation.human import sheets


def _data(folder: Path) -> dict[str, Any]:
    page = (folder / "sheet.html").read_text(encoding="utf-8")
    found = re.search(r'<script type="application/json" id="sheet">(.*?)</script>', page, re.DOTALL)
    assert found
    return dict(json.loads(found[1]))


def test_the_sheet(tmp_path: Path) -> None:
    folder = sheets.make_sheet(tmp_path)
    data, key = _data(folder), sheets.read_key(folder)
    assert [one["id"] for one in data["asked"]] == ["a:1", "a:2", "b:1", "b:2"]  # no train question, nobody's name
    assert set(data["papers"]) == {"a", "b", "c"} and data["corpus"] == "all"
    assert data["id"] == key["sheet"]
    shown = {item["id"]: item for one in data["asked"] for item in one["items"]}
    by_text = {(one["question_id"], one["answer"].strip()): one["model"] for one in sheets.answers()}
    assert len(shown) == 7  # a:2 was answered alike, once with spaces around
    for entry in key["items"]:
        item = shown[entry["item"]]
        assert item["sha"] == entry["answer_sha256"] == sha256_text(item["answer"])
        if entry["question_id"] != "a:2":
            assert entry["models"] == [by_text[entry["question_id"], item["answer"]]]
    (same,) = (entry for entry in key["items"] if entry["question_id"] == "a:2")
    assert same["models"] == list(sheets.MODELS)
    manifest = read_json(folder / "manifest.json")
    assert manifest["counts"]["items"] == 7 and manifest["counts"]["corpus"] == "all"
    run(sheets.config(tmp_path))  # done: nothing to do


def test_no_model_is_named_in_what_raters_get(tmp_path: Path) -> None:
    import zipfile

    folder = sheets.make_sheet(tmp_path)
    assert "secretname" not in (folder / "sheet.html").read_text(encoding="utf-8")
    with zipfile.ZipFile(folder / "sheet.xlsx") as book:
        assert not [name for name in book.namelist() if b"secretname" in book.read(name)]


def test_the_page_holds_data_as_data(tmp_path: Path) -> None:
    page = (sheets.make_sheet(tmp_path) / "sheet.html").read_text(encoding="utf-8")
    assert page.count("<script") == page.count("</script>") == 3  # two of data, one of ours
    assert "onerror=" in page and "<img" not in page
    assert not re.search("[\u2028\u2029\u202a-\u202e\u2066-\u2069]", page)
    policy = re.search(r'Content-Security-Policy" content="([^"]*)"', page)
    assert policy and policy[1].startswith("default-src 'none'; style-src 'sha256-")
    assert "unsafe" not in policy[1] and "http" not in policy[1]
    assert not re.findall(r"(?:src|href)=[\"']?(?:https?:|//)", page)


def test_embedding_escapes_and_reads_back() -> None:
    hostile = {"<!--": "</script>&\u2028\u2029\u202e\u0000\u0085\ufeff\ud800 改行\n😀"}
    text = embed(hostile)
    assert json.loads(text) == hostile
    assert not re.search("[<>&\u2028\u2029\u202e\u0085\ufeff\ud800]", text) and "改行" in text and "😀" in text
    text.encode("utf-8")


def test_both_languages_have_the_same_words() -> None:
    assert WORDS["en"].keys() == WORDS["ja"].keys()
    for name, text in WORDS["en"].items():
        assert sorted(re.findall(r"\{\d\}", text)) == sorted(re.findall(r"\{\d\}", WORDS["ja"][name])), name
    script = Path(sheets.run.__code__.co_filename).with_name("sheet.js.j2").read_text(encoding="utf-8")
    page = Path(sheets.run.__code__.co_filename).with_name("sheet.html.j2").read_text(encoding="utf-8")
    quoted = set(re.findall(r'"(\w+)"', script + page))
    assert WORDS["en"].keys() <= quoted


def test_each_question_has_an_order_of_its_own() -> None:
    models = ["m1", "m2", "m3"]
    questions = [{"question_id": f"q{n}", "paper_id": "p", "question": "q", "answer": "a"} for n in range(300)]
    answers = {(one["question_id"], model): {"answer": model} for one in questions for model in models}
    asked = blind(questions, answers, models, seed=0)
    orders = Counter(tuple(item.text for item in one.items) for one in asked)
    assert len(orders) == 6 and min(orders.values()) > 25
    assert blind(questions, answers, models, seed=0) == asked
    assert sheet_id(blind(questions, answers, models, seed=1)) != sheet_id(asked)
    assert blind(questions, answers, list(reversed(models)), seed=0) == asked


def test_letters() -> None:
    assert [letter(place) for place in (0, 25, 26, 51, 52)] == ["A", "Z", "AA", "AZ", "BA"]


def test_drawing_is_by_seed_and_keeps_the_order() -> None:
    records = [{"question_id": str(number)} for number in range(50)]
    drawn = draw(records, 10, 0)
    assert len(drawn) == 10 and drawn == draw(records, 10, 0) != draw(records, 10, 1)
    assert [int(one["question_id"]) for one in drawn] == sorted(int(one["question_id"]) for one in drawn)
    assert draw(records, 0, 0) == draw(records, 99, 0) == records


@pytest.mark.parametrize(
    ("wanted", "found", "chosen"),
    [
        ("auto", ["qa_easy", "keywords", "qa_methods"], ["qa_methods", "keywords"]),
        ("auto", ["qa_easy", "human"], ["qa_easy", "human"]),
        ("auto", ["qa_easy", "qa_people_names"], ["qa_easy", "qa_people_names"]),
        ("qa_easy, keywords", ["qa_easy", "keywords", "human"], ["qa_easy", "keywords"]),
    ],
)
def test_kinds(wanted: str, found: list[str], chosen: list[str]) -> None:
    assert choose_kinds(wanted, found)[0] == chosen


def test_a_corpus_that_is_too_large_leaves_the_papers_asked_about(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = sheets.make_sheet(tmp_path, max_mb=0.002)
    data = _data(folder)
    assert set(data["papers"]) == {"a", "b"} and data["corpus"] == "asked"
    assert "max_mb=0.002" in caplog.text


def test_without_a_corpus(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    data = _data(sheets.make_sheet(tmp_path, corpus=None, language="ja", models="full-secretname", n=2))
    assert data["papers"] == {} and data["corpus"] == "none" and data["language"] == "ja"
    assert [len(one["items"]) for one in data["asked"]] == [1, 1]
    assert "cannot look anything up" in caplog.text


def test_questions_that_a_model_did_not_answer_are_passed_over(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sheets.write_inputs(tmp_path)
    write_jsonl(tmp_path / "answers.jsonl", sheets.answers()[1:])
    run(sheets.config(tmp_path))
    assert [one["id"] for one in _data(tmp_path / "sheet")["asked"]] == ["a:2", "b:1", "b:2"]
    assert "1 questions are passed over" in caplog.text


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"models": "full-secretnam"}, "did you mean 'full-secretname'"),
        ({"kinds": "qa_method"}, "did you mean 'qa_methods'"),
        ({"corpus": Path("nowhere.jsonl")}, "nowhere.jsonl: no such file"),
    ],
)
def test_bad_keys(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    sheets.write_inputs(tmp_path)
    with pytest.raises(BadInput, match=re.escape(message)):
        run(sheets.config(tmp_path, **keys))


def test_no_test_questions(tmp_path: Path) -> None:
    sheets.write_inputs(tmp_path)
    write_jsonl(tmp_path / "questions.jsonl", [{**one, "split": "train"} for one in sheets.questions()])
    with pytest.raises(BadInput, match="no question with split test"):
        run(sheets.config(tmp_path))


def test_keys_are_checked(tmp_path: Path) -> None:
    for keys in ({"n": -1}, {"language": "fr"}, {"max_mb": -1}):
        with pytest.raises(ValueError, match=next(iter(keys))):
            sheets.config(tmp_path, **keys)


def test_the_command(tmp_path: Path, kcpt: Any) -> None:
    sheets.write_inputs(tmp_path)
    words = [f"{name}={tmp_path}/{name}.jsonl" for name in ("questions", "answers")]
    done = kcpt("human", "sheet", *words, f"corpus={tmp_path}/papers.jsonl", f"out={tmp_path}/s", "n=3")
    assert done.returncode == 0, done.stderr
    assert sorted(path.name for path in (tmp_path / "s").glob("[!.]*")) == [
        "key.json",
        "manifest.json",
        "sheet.html",
        "sheet.xlsx",
    ]
    assert "not key.json" in done.stdout + done.stderr
