from __future__ import annotations

import datetime
import random
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus.papers import FIELDS, Settings, readable
from nemo_kcpt.readers import parquet as reader
from tests.readers.reading import found, peak_of, pieces_of, problem, records

pa = pytest.importorskip("pyarrow")
pq = pytest.importorskip("pyarrow.parquet")


def write(path: Path, content: list[dict[str, Any]], **options: Any) -> Path:
    pq.write_table(pa.Table.from_pylist(content), path, **options)
    return path


def test_rows_are_documents(tmp_path: Path) -> None:
    content = [{"id": n, "text": f"本文{n}", "day": datetime.date(2024, 1, 2), "tags": ["a", None]} for n in range(600)]
    write(tmp_path / "a.parquet", content[:500], row_group_size=100)
    write(tmp_path / "b.parquet", content[500:])
    everything = found(tmp_path)
    assert [dict(item.record) for item in everything] == content
    assert everything[499].where == f"{tmp_path}/a.parquet, row 500"
    assert everything[500].where == f"{tmp_path}/b.parquet, row 1"
    assert everything[500].source == "b.parquet"


def test_a_number_of_single_precision_stays_as_short_as_it_is(tmp_path: Path) -> None:
    numbers = pa.array([0.1, None, 1e22], pa.float32())
    pq.write_table(pa.table({"text": ["a", "b", "c"], "score": numbers}), tmp_path / "a.parquet")
    assert [record["score"] for record in records(tmp_path)] == [0.1, None, 1e22]


def test_a_piece_is_a_range_of_row_groups(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "PIECE", 3000)
    content = [{"id": n, "text": f"本文{n}" * 5} for n in range(600)]
    file = write(tmp_path / "a.parquet", content, row_group_size=50)
    _, pieces = pieces_of(file)
    assert len(pieces) > 3
    everything = found(file)
    assert [dict(item.record) for item in everything] == content
    assert [item.where.split()[-1] for item in everything] == [str(n) for n in range(1, 601)]


def test_nested_columns_are_kept_and_raw_bytes_are_not(tmp_path: Path) -> None:
    table = pa.table(
        {
            "text": ["一", "二"],
            "large": pa.array(["a", "b"], pa.large_string()),
            "category": pa.array(["x", "x"]).dictionary_encode(),
            "picture": [{"bytes": b"\x89", "path": "a.png"}] * 2,
            "blob": [b"1", b"2"],
            "hash": pa.array([b"12", b"34"], pa.binary(2)),
            "authors": [[{"name": "山田", "photo": b"1"}], []],
            "a.b": [1.5, None],
        }
    )
    pq.write_table(table, tmp_path / "a.parquet")
    first, second = records(tmp_path / "a.parquet")
    assert first == {
        "text": "一",
        "large": "a",
        "category": "x",
        "picture": {"path": "a.png"},
        "authors": [{"name": "山田"}],
        "a.b": 1.5,
    }
    assert second["authors"] == []
    assert second["a.b"] is None


@pytest.mark.parametrize("content", [b"", b"PAR1", b"PAR1 not really", b"PAR1" + bytes(100) + b"PAR1"])
def test_what_is_no_parquet_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.parquet").write_bytes(content)
    said = problem(tmp_path / "a.parquet")
    assert said.startswith(f"{tmp_path}/a.parquet: the file is damaged, or no Parquet (")
    assert said.endswith("fetch or write the file anew")


def test_a_file_without_rows_is_named(tmp_path: Path) -> None:
    pq.write_table(pa.table({"text": pa.array([], pa.string())}), tmp_path / "a.parquet")
    assert problem(tmp_path / "a.parquet").endswith("a.parquet: the file has no rows")


@pytest.mark.parametrize("checked", [True, False])
def test_a_damaged_row_group_is_named_and_the_others_are_read(tmp_path: Path, checked: bool) -> None:
    """With page checksums one flipped bit is found; without them, a page that cannot be taken apart."""
    content = [{"id": n, "text": f"本文{n}"} for n in range(300)]
    file = write(tmp_path / "a.parquet", content, row_group_size=100, write_page_checksum=checked, compression="none")
    metadata = pq.ParquetFile(file).metadata
    data = bytearray(file.read_bytes())
    column = metadata.row_group(1).column(1)
    if checked:
        data[column.dictionary_page_offset + column.total_compressed_size // 2] ^= 1
    else:
        data[column.dictionary_page_offset : column.dictionary_page_offset + 60] = bytes(60)
    file.write_bytes(data)
    everything = found(file)
    good = [dict(item.record) for item in everything if not item.problem]
    (bad,) = [item for item in everything if item.problem]
    assert good == content[:100] + content[200:]
    assert bad.where == f"{file}, row 101"
    assert bad.problem.startswith("row group 1 is damaged")


def test_what_arrow_cannot_do_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise pa.ArrowNotImplementedError("Nested data conversions not implemented for chunked array outputs")

    monkeypatch.setattr(reader, "documents_in", refuse)
    said = problem(write(tmp_path / "a.parquet", [{"text": "a"}]))
    assert "row 1: row group 0 cannot be read (Nested data conversions not implemented" in said
    assert "write the file anew, with smaller row groups" in said


def test_text_that_is_not_utf8_is_a_problem_of_its_row(tmp_path: Path) -> None:
    broken = pa.array([b"one", b"\xff", b"three"]).cast(pa.binary()).view(pa.string())
    pq.write_table(pa.table({"text": broken}), tmp_path / "a.parquet")
    everything = found(tmp_path / "a.parquet")
    assert [item.record["text"] for item in (everything[0], everything[2])] == ["one", "three"]
    bad = readable(everything[1], Settings())
    assert bad.where.endswith("row 2")
    assert bad.problem.startswith("column text is no text (invalid start byte at byte 0)")


def test_a_field_that_cannot_be_read_goes_alone(tmp_path: Path) -> None:
    note = pa.array([b"one", b"\xff"]).cast(pa.binary()).view(pa.string())
    far = pa.array([0, 2**62], pa.timestamp("us"))
    pq.write_table(pa.table({"text": ["a", "b"], "note": note, "seen": far}), tmp_path / "a.parquet")
    first, second = (readable(one, Settings()) for one in found(tmp_path / "a.parquet"))
    assert (first.record["note"], first.flaws) == ("one", ())
    assert dict(second.record) == {"text": "b"}
    assert [(flaw.kind, flaw.detail.partition(" (")[0]) for flaw in second.flaws] == [
        (FIELDS, "column note is no text"),
        (FIELDS, "column seen cannot be read"),
    ]
    for needed in ({"id_field": "note"}, {"title_field": "seen"}, {"stratify_field": "note"}):
        assert readable(found(tmp_path / "a.parquet")[1], Settings(**needed)).problem.startswith("column ")


def test_a_row_over_the_limit_is_named(tmp_path: Path) -> None:
    content = [{"text": "a"}, {"text": "x" * (3 << 20)}, {"text": "c"}]
    everything = found(write(tmp_path / "a.parquet", content), max_bytes=2 << 20)
    assert [item.record.get("text") for item in everything] == ["a", None, "c"]
    assert everything[1].problem.startswith("3.0 MiB for one document, more than the limit of 2 MiB")


@pytest.mark.parametrize("plaintext_footer", [True, False])
def test_an_encrypted_file_says_so(tmp_path: Path, plaintext_footer: bool) -> None:
    encryption = pytest.importorskip("pyarrow.parquet.encryption")

    class Keys(encryption.KmsClient):
        def wrap_key(self, key: bytes, _: str) -> bytes:
            return key.hex().encode()

        def unwrap_key(self, wrapped: bytes, _: str) -> bytes:
            return bytes.fromhex(wrapped.decode())

    table = pa.table({"id": [1, 2], "text": ["a", "b"]})
    factory = encryption.CryptoFactory(lambda _: Keys())
    how = encryption.EncryptionConfiguration(
        footer_key="f", column_keys={"c": ["text"]}, plaintext_footer=plaintext_footer
    )
    properties = factory.file_encryption_properties(encryption.KmsConnectionConfig(), how)
    with pq.ParquetWriter(tmp_path / "a.parquet", table.schema, encryption_properties=properties) as writer:
        writer.write_table(table)
    assert "is encrypted (" in problem(tmp_path / "a.parquet")
    assert "decrypt the file" in problem(tmp_path / "a.parquet")


def bomb(path: Path) -> Path:
    """One text of 8 MB that 200,000 rows name: 1.6 TB of documents in less than a megabyte."""
    text = pa.DictionaryArray.from_arrays(pa.array([0] * 200_000, pa.int32()), pa.array(["あ" * (8 << 20 >> 2)]))
    pq.write_table(
        pa.table({"text": text}), path, compression="zstd", dictionary_pagesize_limit=1 << 30, row_group_size=200_000
    )
    assert path.stat().st_size < 1 << 20
    return path


def test_a_bomb_of_repeated_texts_is_stopped_in_little_memory(tmp_path: Path) -> None:
    printed, peak = peak_of(
        "import pyarrow.parquet\n"
        "before = peak()\n"
        "count, last = 0, ''\n"
        "for item in found(sys.argv[1]): count, last = count + 1, item.problem\n"
        "print(count); print(last); print(peak() - before)",
        bomb(tmp_path / "a.parquet"),
    )
    assert 100 < int(printed[0]) < 200
    assert "the Parquet file unpacks to more than 200 times its size" in printed[1]
    assert "The rest of row group 0 is not read" in printed[1]
    assert peak < 150  # a few copies of one text


def test_a_bomb_of_pages_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The footer tells what the row group would be: 64 MB of distinct, but well-packing texts."""
    monkeypatch.setattr(reader, "UNPACKED", 32 << 20)
    content = [{"text": f"{n:04d}" + "x" * 1_000_000} for n in range(64)]
    file = write(tmp_path / "a.parquet", content, compression="zstd", use_dictionary=False)
    assert file.stat().st_size < 64_000_000 / 200
    before = pa.default_memory_pool().max_memory()
    said = problem(file)
    assert "row group 0 unpacks to 64,0" in said
    assert "write the file anew without what repeats in every row" in said
    assert pa.default_memory_pool().max_memory() - before < 1 << 20


def test_rows_of_nothing_are_not_without_end(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemo_kcpt.documents.streams.UNPACKED", 1 << 20)
    pq.write_table(pa.table({"text": pa.nulls(1_000_000, pa.string())}), tmp_path / "a.parquet")
    assert (tmp_path / "a.parquet").stat().st_size < 2000
    everything = found(tmp_path / "a.parquet")
    assert len(everything) < 20_000
    assert "a mistake or a bomb" in everything[-1].problem


def test_random_damage_never_ends_the_process(tmp_path: Path) -> None:
    """Bytes are overwritten at random: there are rows, problems or both, and no exception."""
    content = [{"id": n, "text": f"本文{n}"} for n in range(300)]
    whole = write(tmp_path / "whole.parquet", content, row_group_size=100).read_bytes()
    file = tmp_path / "a" / "a.parquet"
    file.parent.mkdir()
    draw = random.Random(1)
    damaged = 0
    for _ in range(40):
        data = bytearray(whole)
        start = draw.randrange(len(data))
        data[start : start + 8] = draw.randbytes(len(data[start : start + 8]))
        file.write_bytes(data)
        damaged += any(item.problem for item in found(file))
    assert damaged > 10
