from __future__ import annotations

import json
from pathlib import Path

import pytest

from nemo_kcpt.documents import streams
from tests.readers.reading import JAPANESE, found, pieces_of, problem, records

CONTENT = [{"id": number, "text": JAPANESE} for number in range(30)]


def test_a_list_of_objects(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps([*CONTENT[:2], 3, {"text": "x" * 5000}]))
    everything = found(tmp_path, max_bytes=4000)
    assert [dict(item.record) for item in everything] == [*CONTENT[:2], {}, {}]
    assert f"{everything[2].where}: {everything[2].problem}" == (
        f"{tmp_path}/a.json, [2]: expected an object {{…}}, found int"
    )
    assert "more than the limit" in everything[3].problem


def test_one_object_a_line_in_spite_of_the_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PIECE", 5000)
    monkeypatch.setattr(streams, "BLOCK", 1000)
    (tmp_path / "a.json").write_text("".join(json.dumps(record) + "\n" for record in CONTENT))
    assert len(pieces_of(tmp_path)[1]) > 2
    everything = found(tmp_path)
    assert [dict(item.record) for item in everything] == CONTENT
    assert everything[-1].where.endswith("a.json, line 30")


def test_a_first_line_longer_than_what_is_looked_at(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps({"text": "x" * 100_000}) + '\n{"text": "b"}\n')
    assert [len(record["text"]) for record in records(tmp_path)] == [100_000, 1]


def test_one_object_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text(json.dumps(CONTENT[0], indent=1))
    (tmp_path / "b.json").write_text(json.dumps(CONTENT[1]))
    assert records(tmp_path) == CONTENT[:2]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        ("", "the file is empty"),
        ("[]", r"expected a list of objects, an object, or one object a line; found \[\]"),
        ('"text"', 'found "text"'),
        ("[{", r"not JSON \(line 1, column 3"),
        ('{"text": "a", "n": 1,\n"n": 2}', "key 'n' appears twice"),
        ('[{"text": "a", "n": 1, "n": 2}]', "key 'n' appears twice"),
        ("no JSON", r"not JSON \(line 1, column 1"),
    ],
)
def test_what_is_neither_is_named(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(AssertionError, match=expected):
        assert not problem(tmp_path), problem(tmp_path)


def test_descriptions_of_data_are_not_data(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "dataset_infos.json").write_text('{"default": {}}')
    assert records(tmp_path) == [{"text": "a"}]


def test_records_with_paragraphs_are_not_squad(tmp_path: Path) -> None:
    content = [{"paragraphs": ["a"], "data": "x", "context": "y"}, {"paragraphs": []}]
    (tmp_path / "a.json").write_text("".join(json.dumps(record) + "\n" for record in content))
    assert records(tmp_path) == content


def test_a_record_with_a_key_twice_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    (tmp_path / "a.json").write_text('[{"text": "a"}, {"text": "b", "m": {"n": 1, "n": 2}}, {"text": "c"}]')
    first, second, third = found(tmp_path)
    assert (first.record, third.record) == ({"text": "a"}, {"text": "c"})
    assert second.where.endswith("a.json, [1]")
    assert second.problem == "key 'n' appears twice; only one of them can be meant"
