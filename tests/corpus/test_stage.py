from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.records.inputs import read_questions
from nemo_kcpt.runs import read_manifest

Write = Callable[[Path, Iterable[Mapping[str, Any]]], Path]
CONTRACT = ["paper_id", "title", "text", "source", "license", "meta", "language", "sections", "references"]


def corpus(documents: Path, out: Path | None = None, **keys: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Run the stage; gives the papers and the split."""
    out = out or documents.parent / "out"
    keys = {"heldout_count": 0} | keys if not any(key.startswith("heldout") for key in keys) else keys
    run(Config(input=str(documents), out=out, **keys))
    return list(read_jsonl(out / "papers.jsonl")), read_json(out / "split.json")


def refused(documents: Path, **keys: Any) -> str:
    """The message with which the stage refuses `documents`; nothing may be left behind that looks finished."""
    out = documents.parent / "out"
    with pytest.raises(BadInput) as caught:
        corpus(documents, out, **keys)
    assert not (out / "manifest.json").exists()
    return str(caught.value)


def papers(count: int) -> list[dict[str, Any]]:
    return [{"paper_id": f"p{number}", "title": f"題{number}", "text": f"本文{number}"} for number in range(count)]


def test_records_follow_the_contract(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(
        tmp_path / "in.jsonl", [{**papers(1)[0], "license": "CC0", "year": 2024, "meta": {"venue": "A"}}]
    )
    found, split = corpus(file)
    assert list(found[0]) == CONTRACT
    assert found == [
        {
            "paper_id": "p0",
            "title": "題0",
            "text": "本文0",
            "source": "in.jsonl",
            "license": "CC0",
            "meta": {"venue": "A", "year": 2024},
            "language": "",
            "sections": [],
            "references": [],
        }
    ]
    assert split == {"seed": 1, "heldout": [], "train": ["p0"]}


def test_fields_may_have_other_names(tmp_path: Path, write_lines: Write) -> None:
    records = [{"body": "text", "number": 7, "name": "Title", "url": "u"}]
    file = write_lines(tmp_path / "in.jsonl", records)
    found, _ = corpus(file, text_field="body", id_field="number", title_field="name", license="MIT")
    assert (found[0]["paper_id"], found[0]["title"], found[0]["license"]) == ("7", "Title", "MIT")
    assert found[0]["meta"] == {"url": "u"}


def test_without_an_id_it_comes_from_the_text(tmp_path: Path, write_lines: Write) -> None:
    one = write_lines(tmp_path / "1.jsonl", [{"text": "a"}, {"text": "b"}])
    two = write_lines(tmp_path / "2.jsonl", [{"text": "b"}, {"text": "a"}])
    ids = {paper["text"]: paper["paper_id"] for paper in corpus(one, tmp_path / "one")[0]}
    assert ids == {paper["text"]: paper["paper_id"] for paper in corpus(two, tmp_path / "two")[0]}
    assert len(set(ids.values())) == 2


@pytest.mark.parametrize("key", ["text_field", "id_field", "title_field"])
def test_a_missing_field_names_those_that_are_there(tmp_path: Path, write_lines: Write, key: str) -> None:
    file = write_lines(tmp_path / "in.jsonl", [{"text": "a", "body": "b"}])
    message = refused(file, **{key: "boddy"})
    assert f"{file}, line 1: no field 'boddy'; fields there: text, body" in message
    assert f"{key}=" in message


def test_text_that_is_no_text(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(tmp_path / "in.jsonl", [{"text": "a"}, {"text": ["a"]}])
    assert "line 2: field text holds a list; a text was expected" in refused(file)
    file = write_lines(tmp_path / "in.jsonl", [{"text": "a", "id": {}}])
    assert "line 1: field id holds {}" in refused(file)


def test_bad_documents_are_all_counted_and_left_out_up_to_a_limit(tmp_path: Path, write_lines: Write) -> None:
    empty = [{"paper_id": f"e{number}", "text": text} for number, text in enumerate(["", " \n\u3000", None] * 3)]
    file = write_lines(tmp_path / "in.jsonl", [*papers(2), *empty, {"paper_id": "none", "body": "x"}])
    message = refused(file)
    assert "of 12 documents, 9 without text" in message
    assert "line 3" in message and "line 7" in message and " …)" in message and "line 8" not in message
    assert (
        "1 with a missing field (in.jsonl, line 12: no field 'text' (text_field=); fields there: paper_id, body)"
        in message
    )
    assert "max_bad=10" in message
    assert "max_bad=10" in refused(file, max_bad=9)
    found, _ = corpus(file, max_bad=10)
    assert [paper["paper_id"] for paper in found] == ["p0", "p1"]
    counts = read_manifest(tmp_path / "out")["counts"]
    assert (counts["documents"], counts["papers"], counts["bad"]) == (12, 2, 10)
    dropped = list(read_jsonl(tmp_path / "out" / "dropped.jsonl"))
    assert len(dropped) == 10 and dropped[-1]["where"].endswith("line 12") and dropped[-1]["fate"] == "bad"


def test_what_is_wrong_in_a_paper_that_is_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    (folder / "a.md").write_text("---\ntitle: a: b\n---\n\n# Kasumi\n\nKasumi has 12 parts.\n")
    (folder / "b.md").write_text("---\ntitle: Hayate\ntags: [x]\nid: 7\n---\n\nHayate has 13 parts.\n")
    found, _ = corpus(folder)
    assert [paper["title"] for paper in found] == ["Kasumi", "Hayate"]
    assert found[0]["text"].startswith("---\ntitle: a: b\n---\n")
    assert (found[1]["paper_id"], found[1]["text"]) == ("b.md", "Hayate has 13 parts.")
    assert found[1]["meta"] == {"tags": ["x"], "id": 7}
    (flaw,) = read_jsonl(tmp_path / "out" / "flaws.jsonl")
    kind = "with front matter that cannot be read, kept as text"
    assert flaw == {
        "paper_id": "a.md",
        "source": "a.md",
        "kind": kind,
        "where": "a.md",
        "detail": "line 1: not YAML (mapping values are not allowed here, line 1 of it)",
    }
    assert read_manifest(tmp_path / "out")["counts"]["flaws"] == {kind: 1}
    assert f"corpus: 1 {kind} (a.md: line 1: not YAML" in caplog.text
    (folder / "a.md").write_text("# Kasumi\n\nKasumi has 12 parts.\n")
    run(Config(input=str(folder), out=tmp_path / "out", heldout_count=0), redo=True)
    assert not (tmp_path / "out" / "flaws.jsonl").exists()


def test_a_title_that_nobody_could_read(tmp_path: Path, write_lines: Write) -> None:
    documents = write_lines(
        tmp_path / "d.jsonl", [{"id": "a", "title": "霞\ufffd\ufffd5", "text": "Kasumi has 12 parts."}]
    )
    (paper,), _ = corpus(documents)
    (flaw,) = read_jsonl(tmp_path / "out" / "flaws.jsonl")
    assert paper["title"] == "霞\ufffd\ufffd5" and flaw["paper_id"] == "a"
    assert flaw["kind"] == "titles with characters that cannot be read" and "title_field=" in flaw["detail"]


@pytest.mark.parametrize("key", ["text_field", "id_field", "title_field"])
def test_only_the_first_documents_may_lack_a_field(tmp_path: Path, write_lines: Write, key: str) -> None:
    rows = [{"a": "x"}, {"a": "y"}, *({"a": f"本文{number}", "body": f"話{number}"} for number in range(3))]
    keys = {"text_field": "a"} | {key: "body"}
    found, _ = corpus(write_lines(tmp_path / "in.jsonl", rows), max_bad=2, **keys)
    assert len(found) == 3


def test_duplicate_ids(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(tmp_path / "in.jsonl", [*papers(2), {"paper_id": "p0", "text": "other"}])
    message = refused(file)
    assert "1 with an id that was there before (in.jsonl, line 3: the id 'p0' is that of in.jsonl, line 1" in message
    assert "id_field=" in message


def test_duplicate_texts_are_dropped_or_refused(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(tmp_path / "in.jsonl", [*papers(2), {"paper_id": "copy", "text": "本文1  \r\n"}])
    message = refused(file, duplicates="refuse")
    assert "1 with the same text as another (in.jsonl, line 3: copy has the text of p1)" in message
    assert "duplicates=drop" in message
    found, _ = corpus(file)
    assert [paper["paper_id"] for paper in found] == ["p0", "p1"]
    (dropped,) = read_jsonl(tmp_path / "out" / "dropped.jsonl")
    assert (dropped["paper_id"], dropped["fate"], dropped["kept"]) == ("copy", "duplicate", "p1")
    assert read_manifest(tmp_path / "out")["counts"]["dropped_duplicates"] == 1


def test_all_problems_are_told_at_once(tmp_path: Path, write_lines: Write) -> None:
    records = [*papers(1), *papers(1), {"paper_id": "p0", "text": "x"}, {"text": ""}, {"text": "a\x00"}]
    file = write_lines(tmp_path / "in.jsonl", records)
    message = refused(file, duplicates="refuse", without=["control_characters"])
    for part in ("without text", "NUL or lone surrogates", "an id that was there before", "same text as another"):
        assert part in message


def test_characters_that_cannot_be_stored(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    lines = [
        r'{"id": "a", "text": "x\u0000y", "title": "\ud800"}',
        r'{"id": "b", "text": "\ud800z", "note": ["\udfff"]}',
    ]
    file.write_text("\n".join(lines))
    message = refused(file, without=["control_characters"])
    assert "2 with NUL or lone surrogates" in message and "control_characters" in message
    found, _ = corpus(file)
    assert [paper["text"] for paper in found] == ["xy", "\ufffdz"]
    assert found[0]["title"] == "\ufffd" and found[1]["meta"]["note"] == ["\ufffd"]


def test_an_id_that_cannot_be_stored(tmp_path: Path) -> None:
    file = tmp_path / "in.jsonl"
    file.write_text(r'{"id": "\ud800", "text": "x"}')
    assert "which UTF-8 cannot hold" in refused(file)


def test_missing_and_empty_corpora(tmp_path: Path) -> None:
    assert "no such file or folder" in refused(tmp_path / "none.jsonl")
    assert "no such file or folder" in refused(tmp_path / "none", format="jsonl")
    (tmp_path / "folder").mkdir()
    assert "the corpus is empty" in refused(tmp_path / "folder")
    (tmp_path / "in.jsonl").write_text("\n")
    assert "1 unreadable" in refused(tmp_path / "in.jsonl") and "is empty" in refused(tmp_path / "in.jsonl")
    (tmp_path / "in.jsonl").write_text('{"text": ""}')
    assert "the corpus is empty: 1 documents read" in refused(tmp_path / "in.jsonl", max_bad=1)


def test_bytes_that_are_not_utf8(tmp_path: Path) -> None:
    (tmp_path / "in.jsonl").write_bytes('{"text": "あ"}\n'.encode() + '{"text": "あ"}\n'.encode("shift_jis"))
    assert "in.jsonl" in (message := refused(tmp_path / "in.jsonl")) and "encoding=cp932" in message


@pytest.mark.parametrize(
    ("keys", "expected"),
    [
        ({"duplicates": "keep"}, "duplicates: 'keep' is not one of drop, refuse"),
        ({"without": ["nfk"]}, "no cleaning step 'nfk'; did you mean 'nfkc'"),
        ({"shard": "4/4"}, "counted from 0 to n-1"),
        ({"shard": "1"}, "not of the form i/n"),
        ({"shard": "0/2", "merge": True}, "first every shard"),
        ({"near_duplicates": 1.5}, "not a similarity"),
        ({"heldout_fraction": 0.5, "heldout_count": 1}, "heldout_fraction and heldout_count: give one"),
        ({"heldout_fraction": 1.0}, "not a share"),
        ({"heldout_count": -1}, "negative"),
    ],
)
def test_values_that_make_no_sense(keys: dict[str, Any], expected: str) -> None:
    with pytest.raises(ValueError, match=expected):
        Config(input="x", out=Path("y"), **keys)


def test_default_share_and_list_file(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(tmp_path / "in.jsonl", papers(40))
    run(Config(input=str(file), out=tmp_path / "first"))
    split = read_json(tmp_path / "first" / "split.json")
    assert len(split["heldout"]) == 4 and len(split["train"]) == 36
    (tmp_path / "list.txt").write_text("p3\n\np1\n")
    assert corpus(file, tmp_path / "second", heldout_list=tmp_path / "list.txt")[1]["heldout"] == ["p1", "p3"]
    again = corpus(file, tmp_path / "third", heldout_list=tmp_path / "first" / "split.json")[1]
    assert again["heldout"] == split["heldout"]
    assert "none would be left to train on" in refused(file, heldout_count=40)


def test_the_same_documents_elsewhere_are_the_same_work(tmp_path: Path, write_lines: Write) -> None:
    file = write_lines(tmp_path / "a" / "in.jsonl", papers(3))
    corpus(file, tmp_path / "out")
    before = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns
    moved = write_lines(tmp_path / "b" / "in.jsonl", papers(3))
    corpus(moved, tmp_path / "out")
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == before
    corpus(moved, tmp_path / "other")
    first, second = (read_manifest(tmp_path / name) for name in ("out", "other"))
    assert first["outputs"] == second["outputs"]  # byte for byte: later stages know their corpus by these hashes
    with pytest.raises(BadInput, match="content was"):
        corpus(write_lines(file, papers(4)), tmp_path / "out")


def test_jaquad(tmp_path: Path, shared_data: Path) -> None:
    """All of it: every article a paper, its text as it was but for what cleaning names, its questions beside it."""
    folder = shared_data / "jaquad"
    found, split = corpus(folder, tmp_path / "out", heldout_fraction=0.25)
    articles = [article for file in sorted(folder.glob("*.json")) for article in json.loads(file.read_text())["data"]]
    assert [paper["title"] for paper in found] == [article["title"] for article in articles]
    assert {paper["language"] for paper in found} == {"ja"}
    assert len(split["heldout"]) == round(len(found) / 4)
    for article, paper in zip(articles, found):
        written = "".join("".join(item["context"] for item in article["paragraphs"]).split())
        read = "".join(paper["text"].split())
        assert abs(len(read) - len(written)) <= 0.005 * len(written)
    questions = list(read_jsonl(tmp_path / "out" / "questions.jsonl"))
    asked = [qa for article in articles for paragraph in article["paragraphs"] for qa in paragraph["qas"]]
    assert [question["question"] for question in questions] == [qa["question"].strip() for qa in asked]
    assert [question["answer"] for question in questions] == [qa["answers"][0]["text"].strip() for qa in asked]
    assert {question["paper_id"] for question in questions if question["split"] == "test"} == set(split["heldout"])
    assert len(read_questions(tmp_path / "out")) == len(asked) > 1000
    counts = read_manifest(tmp_path / "out")["counts"]
    assert (counts["papers"], counts["questions"], counts["bad"]) == (len(articles), len(asked), 0)
