from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nemo_kcpt.corpus.papers import Settings, prepare
from nemo_kcpt.errors import BadInput
from nemo_kcpt.readers.base import OTHER_FOLDER
from nemo_kcpt.readers.partitions import columns, fields_of
from tests.readers.reading import found, records


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["2020", "2021"], [2020, 2021]),
        (["2020", "__HIVE_DEFAULT_PARTITION__"], [2020, None]),
        (["-1", "0"], [-1, 0]),
        (["01", "10"], ["01", "10"]),
        (["7", "x"], ["7", "x"]),
        (["0.5", "2.0"], [0.5, 2.0]),
        (["1.10", "1.2"], ["1.10", "1.2"]),
        (["2020-04-01"], ["2020-04-01"]),
        (["", "a"], ["", "a"]),
        (["a%2Fb", "%E6%97%A5%20%25"], ["a/b", "日 %"]),
        (["100%", "%FF"], ["100%", "%FF"]),
        (["a=b"], ["a=b"]),
        (["٣"], ["٣"]),
    ],
)
def test_values_have_the_type_of_their_column(values: list[str], expected: list[Any]) -> None:
    kinds = columns(f"data/v={value}" for value in values)
    assert [fields_of(f"data/v={value}/part-0.parquet", kinds) for value in values] == [{"v": one} for one in expected]


def test_names_are_decoded_and_a_file_is_no_folder() -> None:
    assert fields_of("a%20b=1/c/x=2.parquet", columns(["a%20b=1", "a%20b=1/c"])) == {"a b": 1}


def write(path: Path, rows: list[dict[str, Any]]) -> None:
    path.parent.mkdir(parents=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".csv":
        with path.open("w", newline="") as stream:
            table = csv.DictWriter(stream, rows[0])
            table.writeheader()
            table.writerows(rows)
    elif path.suffix == ".md":
        path.write_text(rows[0]["text"])
    else:
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))


@pytest.mark.parametrize("suffix", ["parquet", "csv", "jsonl", "json", "md"])
def test_every_reader_has_the_fields_of_the_folders(tmp_path: Path, suffix: str) -> None:
    write(tmp_path / "year=2020" / "lang=ja" / f"a.{suffix}", [{"text": "one"}])
    write(tmp_path / "year=2021" / "lang=__HIVE_DEFAULT_PARTITION__" / f"b.{suffix}", [{"text": "two"}])
    first, second = records(tmp_path)
    assert (first["text"].strip(), first["year"], first["lang"]) == ("one", 2020, "ja")
    assert (second["text"].strip(), second["year"], second["lang"]) == ("two", 2021, None)


def test_a_field_of_its_own_wins_and_a_difference_is_named(tmp_path: Path) -> None:
    write(tmp_path / "year=2020" / "a.csv", [{"text": "one", "year": "2020"}, {"text": "two", "year": "1999"}])
    same, other = found(tmp_path)
    assert (same.record["year"], same.flaws) == ("2020", [])
    assert other.record["year"] == "1999"
    assert [(flaw.kind, flaw.detail) for flaw in other.flaws] == [
        (OTHER_FOLDER, "field year holds '1999', its folder says 2020")
    ]


def test_a_folder_is_no_document_s_id(tmp_path: Path) -> None:
    write(tmp_path / "id=5" / "a.jsonl", [{"text": "one"}, {"text": "two", "meta": {"x": 1}}])
    papers = [prepare(one, Settings())[1] for one in found(tmp_path)]
    assert [paper and paper["meta"] for paper in papers] == [{"id": 5}, {"id": 5, "x": 1}]
    assert len({paper["paper_id"] for paper in papers if paper}) == 2


def test_splits_as_folders_are_asked_about(tmp_path: Path) -> None:
    write(tmp_path / "split=train" / "a.parquet", [{"text": "one"}])
    write(tmp_path / "split=test" / "a.parquet", [{"text": "two"}])
    with pytest.raises(BadInput, match=r"holds the splits test \(a.parquet\), train \(a.parquet\)"):
        records(tmp_path)
    assert records(tmp_path, split="test") == [{"split": "test", "text": "two"}]
