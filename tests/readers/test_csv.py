from __future__ import annotations

import csv
import gzip
import io
import random
import re
from pathlib import Path

import pytest

from nemo_kcpt.readers import csv as reader
from tests.readers.reading import JAPANESE, found, peak_of, pieces_of, problem, records

SHORT = JAPANESE.split("\n")[0]


def test_rows_are_documents(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    file.write_text('id,title,text\n1,"a, ""b""","one\ntwo"\n\n2,,three\n', encoding="utf-8")
    everything = found(file)
    assert [dict(item.record) for item in everything] == [
        {"id": "1", "title": 'a, "b"', "text": "one\ntwo"},
        {"id": "2", "title": "", "text": "three"},
    ]
    assert [item.where for item in everything] == [f"{file}, line 2", f"{file}, line 5"]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", "id;text\n1;a,b,c\n"),
        ("a.csv", "id\ttext\n1\ta,b,c\n"),
        ("a.tsv", "id\ttext\n1\ta,b,c\n"),
        ("a.csv", "sep=;\r\nid;text\r\n1;a,b,c\r\n"),
        ("a.csv", '\ufeff"id","text"\r\n"1","a,b,c"\r\n'),
    ],
)
def test_delimiters_and_what_excel_writes(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content, encoding="utf-8", newline="")
    assert records(tmp_path / name) == [{"id": "1", "text": "a,b,c"}]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "cp932", "euc_jp", "utf-16", "utf-16-le", "iso2022_jp"])
@pytest.mark.parametrize("packed", [False, True])
def test_encodings_of_japanese_tables(tmp_path: Path, encoding: str, packed: bool) -> None:
    rows = [{"番号": str(number), "本文": JAPANESE + '"引用"'} for number in range(5)]
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, ["番号", "本文"])
    writer.writeheader()
    writer.writerows(rows)
    data = out.getvalue().encode(encoding)
    file = tmp_path / ("a.csv.gz" if packed else "a.csv")
    file.write_bytes(gzip.compress(data) if packed else data)
    assert records(file) == rows
    assert records(file, encoding=encoding.removesuffix("-sig")) == rows


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (b"2", r"1 fields, where the header has 2 \(id, text\)"),
        (b"2,a,b", r"3 fields, where the header has 2 \(id, text\); a field that holds the delimiter"),
        (b"2,\xff\xfe", r"is not utf-8: byte 3 of the row \(0xff\) does not fit"),
        (b"2,a\rb", "a carriage return stands alone"),
        (b'2,"' + b"x" * 3000 + b'"', "more than the limit"),
    ],
)
def test_a_bad_row_is_named_and_the_others_are_read(tmp_path: Path, row: bytes, expected: str) -> None:
    file = tmp_path / "a.csv"
    file.write_bytes(b'id,text\n1,"one\ntwo"\n' + row + f"\n3,{SHORT}\n".encode())
    everything = found(file, max_bytes=2000)
    assert [dict(item.record) for item in everything] == [
        {"id": "1", "text": "one\ntwo"},
        {},
        {"id": "3", "text": SHORT},
    ]
    assert everything[1].where == f"{file}, line 4"
    with pytest.raises(AssertionError, match=expected):
        assert not everything[1].problem, everything[1].problem
    assert everything[2].where == f"{file}, line 5"


def test_a_mark_that_is_never_closed(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text\n1,one\n2,"two\n3,three\n')
    everything = found(tmp_path / "a.csv")
    assert len(everything) == 2
    assert everything[1].where.endswith("line 3")
    assert "is never closed: 15 bytes up to the end of the file would be that field" in everything[1].problem


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("id,id", "the columns 1 and 2 are both named 'id'"),
        ("id,", "column 2 has no name"),
        (",id", "column 1 has no name"),
        ('"id', "the header"),
    ],
)
def test_a_bad_header_is_named(tmp_path: Path, header: str, expected: str) -> None:
    (tmp_path / "a.csv").write_text(f"{header}\n1,2\n")
    if header == '"id':
        assert "there is no row but the header" in problem(tmp_path / "a.csv")
        return
    assert re.search(rf"a\.csv: .*{expected}", problem(tmp_path / "a.csv"))


def test_a_bad_header_is_the_problem_of_its_file_alone(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("番号,番号\n1,2\n".encode("utf-16"))
    (tmp_path / "b.csv.gz").write_bytes(gzip.compress(b"id,id\n1,2\n"))
    (tmp_path / "c.csv").write_text("id,text\n1,one\n")
    everything = found(tmp_path)
    assert [item.where.rpartition("/")[2] for item in everything] == ["a.csv", "b.csv.gz", "c.csv, line 2"]
    assert ["are both named" in item.problem for item in everything] == [True, True, False]


@pytest.mark.parametrize(("content", "expected"), [("", "the file is empty"), ("id,text\n", "no row but the header")])
def test_an_empty_file_is_named(tmp_path: Path, content: str, expected: str) -> None:
    (tmp_path / "a.csv").write_text(content)
    assert expected in problem(tmp_path / "a.csv")


@pytest.mark.parametrize("block", [7, 64, 1000])
@pytest.mark.parametrize("seed", range(6))
def test_pieces_begin_at_rows_whatever_is_quoted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int, seed: int
) -> None:
    """Random fields of marks, delimiters and line breaks: pieces together are what Python's csv reads in one go."""
    monkeypatch.setattr(reader, "PIECE", 300)
    monkeypatch.setattr(reader, "BLOCK", block)
    draw = random.Random(seed)
    rows = [["id", "text"]]
    rows += [[str(n), "".join(draw.choice('a"",\n\r\n語x') for _ in range(draw.randrange(40)))] for n in range(200)]
    out = io.StringIO(newline="")
    csv.writer(out, quoting=draw.choice([csv.QUOTE_MINIMAL, csv.QUOTE_ALL])).writerows(rows)
    text = out.getvalue() + '201,a stray " mark, "here"\n'.replace(", ", "; ")
    file = tmp_path / "a.csv"
    file.write_bytes(text.encode())
    expected = list(csv.reader(io.StringIO(text, newline="")))[1:]
    everything = found(file)
    assert [list(item.record.values()) for item in everything] == expected
    assert len(pieces_of(file)[1]) > 3
    whole = text.split("\n")
    for item in everything:
        line = whole[int(item.where.split()[-1]) - 1].lstrip('"')
        assert line.startswith(item.record["id"])


def test_a_row_of_a_gigabyte_leaves_memory_flat(tmp_path: Path) -> None:
    file = tmp_path / "a.csv"
    with file.open("wb") as stream:
        stream.write(b"id,text\n1," + b"x" * 100_000 + b'\n2,"')
        stream.seek(1 << 30, 1)  # a hole: NULs that take no disk
        stream.write(b'"\n3,last\n')
    printed, peak = peak_of(
        "before = peak()\n"
        "for item in found(sys.argv[1], max_bytes=8 << 20):\n"
        "    print(item.where.split()[-1], len(item.record), item.problem)\n"
        "print(peak() - before)",
        file,
    )
    assert [line[:15] for line in printed] == ["2 2 ", "3 0 1,024.0 MiB", "4 2 "]
    assert peak < 64
