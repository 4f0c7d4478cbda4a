from __future__ import annotations

import datetime
import json
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus.readers import READERS, Place, choose_format, content_hash, first_heading, json_value
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_jsonl

ARTICLES = [
    {"title": "甲", "paragraphs": [{"context": "一。\n", "qas": [{"question": "?"}]}, {"context": "二。"}]},
    {"title": "乙", "paragraphs": [{"context": "三。"}]},
]


def read(path: Path, format: str = "auto", **place: str) -> list[dict[str, Any]]:
    where = Place(name=str(path), **place)
    return [dict(found.record) for found in READERS[choose_format(where) if format == "auto" else format](where)]


def write_parquet(path: Path, records: list[dict[str, Any]], **options: Any) -> None:
    import pyarrow
    import pyarrow.parquet

    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(records), path, **options)


def test_parquet_file_and_folder(tmp_path: Path) -> None:
    records = [{"id": number, "text": f"本文{number}", "day": datetime.date(2024, 1, 2)} for number in range(600)]
    write_parquet(tmp_path / "a.parquet", records[:500], row_group_size=100)
    write_parquet(tmp_path / "b.parquet", records[500:])
    assert read(tmp_path) == records
    run(Config(documents=str(tmp_path), out=tmp_path / "out"))
    first = next(read_jsonl(tmp_path / "out" / "papers.jsonl"))
    assert (first["paper_id"], first["source"], first["meta"]["day"]) == ("0", "a.parquet", "2024-01-02")


def test_a_broken_parquet_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(BadInput, match=r"a\.parquet: not a readable Parquet file"):
        read(tmp_path)


def test_text_folder(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "b.txt").write_text("\ufeffplain")
    (tmp_path / "sub" / "a.md").write_text("intro\n\n## 見出し ##\n\n# Later\n")
    (tmp_path / ".hidden" / "c.md").write_text("no")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert read(tmp_path) == [
        {"paper_id": "b.txt", "title": "b", "text": "plain"},
        {"paper_id": "sub/a.md", "title": "見出し", "text": "intro\n\n## 見出し ##\n\n# Later\n"},
    ]
    assert read(tmp_path / "sub" / "a.md")[0]["paper_id"] == "a.md"
    (tmp_path / "sub" / "a.md").write_bytes("日本".encode("euc-jp"))
    with pytest.raises(BadInput, match=r"sub/a\.md: not UTF-8 at byte 0.*iconv"):
        read(tmp_path)


@pytest.mark.parametrize(
    ("text", "title"),
    [("# A", "A"), ("```\n# no\n```\n# yes #\n", "yes"), ("#no\nno", ""), ("", ""), ("    # code\n", "")],
)
def test_first_heading(text: str, title: str) -> None:
    assert first_heading(text) == title


def test_squad(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"version": "1", "data": ARTICLES}))
    found = read(tmp_path / "a.json")
    assert [record["paper_id"] for record in found] == ["a-0000", "a-0001"]
    assert found[0]["text"] == "一。\n\n二。"
    assert (found[0]["title"], found[0]["paragraphs"], found[0]["questions"]) == ("甲", 2, 1)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ([], "expected SQuAD-style JSON"),
        ({"data": [{}]}, r"data\[0\]: expected an article"),
        ({"data": [ARTICLES[1], {"paragraphs": [{"context": "a"}, {"text": "b"}]}]}, r"data\[1\]\.paragraphs\[1\]"),
    ],
)
def test_json_that_is_not_squad(tmp_path: Path, content: object, expected: str) -> None:
    (tmp_path / "a.json").write_text(json.dumps(content))
    with pytest.raises(BadInput, match=rf"a\.json.*{expected}"):
        read(tmp_path)


def test_hugging_face_folder(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    records = [{"text": "一", "id": 1}, {"text": "二", "id": 2}]
    one = datasets.Dataset.from_list(records)
    one.save_to_disk(tmp_path / "one")
    assert choose_format(Place(name=str(tmp_path / "one"))) == "datasets"
    assert read(tmp_path / "one") == records
    datasets.DatasetDict(train=one, test=one.select([1])).save_to_disk(tmp_path / "two")
    with pytest.raises(BadInput, match="has the splits train, test; say which by hf_split="):
        read(tmp_path / "two")
    with pytest.raises(BadInput, match="no split 'dev'; there are train, test"):
        read(tmp_path / "two", split="dev")
    assert read(tmp_path / "two", split="test") == records[1:]
    run(Config(documents=str(tmp_path / "one"), out=tmp_path / "out"))
    assert len(list(read_jsonl(tmp_path / "out" / "papers.jsonl"))) == 2
    assert content_hash(Place(name=str(tmp_path / "one")), "datasets") != content_hash(
        Place(name=str(tmp_path / "two")), "datasets"
    )


def test_a_hub_name_goes_to_datasets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    datasets = pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    asked = []

    def load_dataset(name: str, revision: str | None) -> object:
        asked.append((name, revision))
        if name == "team/none":
            raise ConnectionError("no network")
        return datasets.DatasetDict(train=datasets.Dataset.from_list([{"text": "一"}]))

    monkeypatch.setattr(datasets, "load_dataset", load_dataset)
    assert read(Path("team/papers"), revision="abc") == [{"text": "一"}]
    assert asked == [("team/papers", "abc")]
    with pytest.raises(BadInput, match=r"team/none: could not be loaded.*ConnectionError: no network.*save_to_disk"):
        read(Path("team/none"))
    place = Place(name="team/papers")
    assert content_hash(place, "datasets") != content_hash(Place(name="team/papers", revision="abc"), "datasets")


def test_formats_are_told_apart(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    (tmp_path / "README.md").write_text("about")
    assert choose_format(Place(name=str(tmp_path))) == "jsonl"
    (tmp_path / "b.json").write_text("{}")
    with pytest.raises(BadInput, match=r"several formats: jsonl \(a\.jsonl\), squad \(b\.json\); give format="):
        choose_format(Place(name=str(tmp_path)))
    assert read(tmp_path, "text")[0]["text"] == "about"
    (tmp_path / "c.docx").write_text("")
    with pytest.raises(BadInput, match="cannot tell the format"):
        choose_format(Place(name=str(tmp_path / "c.docx")))


def test_fields_that_json_cannot_hold() -> None:
    assert json_value({"a": datetime.date(2024, 1, 2), "b": [b"x"]}) == {"a": "2024-01-02", "b": [None]}


def test_a_large_file_is_streamed(tmp_path: Path) -> None:
    """Peak memory must not grow with the texts: 40 MB of them, less than half of that in memory."""
    import tracemalloc

    file = tmp_path / "in.jsonl"
    with file.open("w") as stream:
        for number in range(400):
            stream.write(json.dumps({"paper_id": str(number), "text": f"{number} " + "x" * 100_000}) + "\n")
    tracemalloc.start()
    try:
        run(Config(documents=str(file), out=tmp_path / "out"))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < file.stat().st_size / 2
