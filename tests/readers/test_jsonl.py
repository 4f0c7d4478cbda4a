from __future__ import annotations

import gzip
import json
import random
from pathlib import Path

import pytest

from nemo_kcpt.documents import streams
from nemo_kcpt.readers import base
from tests.readers.reading import JAPANESE, found, peak_of, pieces_of, problem, records

SHORT = JAPANESE.split("\n")[0]


def lines(number: int, text: str = JAPANESE) -> list[dict[str, object]]:
    return [{"id": index, "text": f"{index}。{text}"} for index in range(number)]


def write(path: Path, content: list[dict[str, object]], encoding: str = "utf-8") -> Path:
    path.write_bytes("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in content).encode(encoding))
    return path


def test_a_document_a_line(tmp_path: Path) -> None:
    (tmp_path / "b.ndjson").write_text('{"text": "b"}')
    (tmp_path / "a.jsonl").write_text('\ufeff{"text": "a"}\r\n\n{"text": "\\u3042", "n": [1]}\n')
    everything = found(tmp_path)
    assert [dict(item.record) for item in everything] == [{"text": "a"}, {"text": "あ", "n": [1]}, {"text": "b"}]
    assert [item.where for item in everything] == [
        f"{tmp_path}/a.jsonl, line 1",
        f"{tmp_path}/a.jsonl, line 3",
        f"{tmp_path}/b.ndjson, line 1",
    ]
    assert {item.source for item in everything} == {"a.jsonl", "b.ndjson"}


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (b'{"text": ', r"not JSON \(column 10"),
        (b"[1]", r"expected an object \{…\}, found list"),
        (b'{"text": "\x83\x41"}', r"is not utf-8: byte 11 of the line \(0x83\) does not fit"),
        (b"[" * 100_000, "not JSON that can be read"),
        (b'{"n": ' + b"1" * 5000 + b"}", "not JSON that can be read"),
        (b'{"text": "a", "year": 1986, "year": 1968}', "key 'year' appears twice; only one of them can be meant"),
        (b'{"text": "a", "meta": {"no": [{"x": 1, "x": 1.0}]}}', "key 'x' appears twice"),
        (b'{"text": "' + b"x" * 3000 + b'"}', "MiB for one document, more than the limit"),
    ],
)
def test_a_bad_line_is_named_and_the_others_are_read(tmp_path: Path, line: bytes, expected: str) -> None:
    file = tmp_path / "a.jsonl"
    limit = 2000 if b"xxx" in line else 1 << 20
    file.write_bytes(b'{"text": "one"}\n' + line + f'\n{{"text": "{SHORT}"}}\n'.encode())
    everything = found(file, max_bytes=limit)
    assert [dict(item.record) for item in everything] == [{"text": "one"}, {}, {"text": SHORT}]
    assert everything[1].where == f"{file}, line 2"
    with pytest.raises(AssertionError, match=expected):
        assert not everything[1].problem, everything[1].problem
    assert everything[2].where == f"{file}, line 3"


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"])
def test_an_empty_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.jsonl").write_bytes(content)
    assert problem(tmp_path / "a.jsonl").endswith("a.jsonl: the file is empty")


def test_pieces_together_are_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "PIECE", 4000)
    monkeypatch.setattr(streams, "BLOCK", 1000)
    content = lines(60)
    file = write(tmp_path / "a.jsonl", content)
    _, pieces = pieces_of(file)
    assert len(pieces) > 5
    assert [piece.start for piece in pieces[1:]] == [piece.stop for piece in pieces[:-1]]
    everything = found(file)
    assert [dict(item.record) for item in everything] == content
    assert [item.where.split()[-1] for item in everything] == [str(number) for number in range(1, 61)]


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "iso2022_jp"])
@pytest.mark.parametrize("packed", [False, True])
def test_other_encodings_are_recognised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str, packed: bool
) -> None:
    monkeypatch.setattr(streams, "PIECE", 8000)
    monkeypatch.setattr(streams, "BLOCK", 999)
    content = lines(70)
    file = write(tmp_path / "a.jsonl", content, encoding)
    if packed:
        (tmp_path / "a.jsonl.gz").write_bytes(gzip.compress(file.read_bytes()))
        file = tmp_path / "a.jsonl.gz"
    everything = found(file)
    assert [dict(item.record) for item in everything] == content
    assert [item.where.split()[-1] for item in everything] == [str(number) for number in range(1, 71)]
    assert (len(pieces_of(file)[1]) > 1) == (encoding in ("cp932", "euc_jp") and not packed)
    assert records(file, encoding=encoding) == content


def test_what_cannot_be_told_is_asked_for(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", [{"t": "ｱｲｳ"}], "cp932")
    assert "cannot tell the encoding for certain" in problem(file)
    assert "give it, as in encoding=" in problem(file)
    assert records(file, encoding="cp932") == [{"t": "ｱｲｳ"}]


def test_damaged_utf8_is_not_taken_for_another_encoding(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", lines(3))
    data = bytearray(file.read_bytes())
    data[100] = 0xFF
    file.write_bytes(data)
    assert problem(file).startswith(f"{file}, line 1: is not utf-8: byte 99 of the line (0xe3) does not fit")
    assert len(found(file)) == 3


def test_utf16_that_breaks_off_keeps_what_is_before(tmp_path: Path) -> None:
    file = write(tmp_path / "a.jsonl", lines(5), "utf-16")
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + b"\x00\xd8\x41\x00" + data[len(data) // 2 :])
    everything = found(file)
    assert [item.record["id"] for item in everything if not item.problem] == [0, 1]
    assert everything[-1].where.endswith("line 3")
    assert "is not utf-16-le from here on (0x00 does not fit); the rest is not read" in everything[-1].problem


def test_a_damaged_gzip_file_keeps_what_is_before(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl.gz"
    noise = random.Random(1)
    content = [{"id": n, "text": f"{noise.random()}"} for n in range(20_000)]
    data = gzip.compress("".join(json.dumps(record) + "\n" for record in content).encode())
    file.write_bytes(data[: len(data) // 2])
    everything = found(file)
    assert 5000 < len(everything) < 15_000
    assert "the gzip file is damaged or cut off from here on" in everything[-1].problem
    assert [dict(item.record) for item in everything[:-1]] == content[: len(everything) - 1]
    file.write_bytes(b"no gzip at all")
    assert problem(file).startswith(f"{file}: the gzip file is damaged")


def test_a_gzip_bomb_is_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streams, "UNPACKED", 8 << 20)
    file = tmp_path / "a.jsonl.gz"
    line = json.dumps({"text": "x" * 10_000}).encode() + b"\n"
    file.write_bytes(gzip.compress(line * 2000))
    everything = found(file)
    assert "unpacks to more than 200 times its size" in everything[-1].problem
    assert "unpack it yourself and give the file" in everything[-1].problem
    assert 700 < len(everything) < 1000
    monkeypatch.setattr(streams, "UNPACKED", 64 << 20)
    assert len(records(file)) == 2000


def test_a_line_of_a_gigabyte_leaves_memory_flat(tmp_path: Path) -> None:
    file = tmp_path / "a.jsonl"
    with file.open("wb") as stream:
        stream.write(json.dumps({"text": "x" * 100_000}).encode() + b"\n")
        stream.seek(1 << 30, 1)  # a hole: NULs that take no disk
        stream.write(b'\n{"text": "last"}\n')
    printed, peak = peak_of(
        "before = peak()\n"
        "for item in found(sys.argv[1], max_bytes=8 << 20):\n"
        "    print(item.where.split()[-1], len(item.record), item.problem)\n"
        "print(peak() - before)",
        file,
    )
    assert printed[0] == "1 1 "
    assert printed[1].startswith("2 0 1,024.0 MiB for one document, more than the limit of 8 MiB; split it, or raise")
    assert printed[2] == "3 1 "
    assert peak < 64


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = write(tmp_path / "a.jsonl", lines(1))

    def refuse(self: Path, *_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert problem(file) == f"{file}: cannot be read (Permission denied)"


def test_pieces_aim_at_eight_mebibytes() -> None:
    assert base.PIECE == streams.PIECE == 8 << 20


def test_a_number_that_python_cannot_hold_stays_as_it_is_written(tmp_path: Path) -> None:
    written = '"b": 1E400, "c": -1e-99999999999999999999, "d": 0.1, "e": 1.50, "f": 0.12345678901'
    written += ', "a": 1234567890.123456789012'
    (tmp_path / "a.jsonl").write_text(f'{{"text": "a", {written}}}\n')
    values = {"a": "1234567890.123456789012", "b": "1E400", "c": "-1e-99999999999999999999", "d": 0.1, "e": 1.5}
    assert records(tmp_path) == [{"text": "a", **values, "f": 0.12345678901}]
