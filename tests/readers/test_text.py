from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from tests.readers.reading import JAPANESE, found, problem, records


def test_a_file_is_a_document(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / ".hidden").mkdir()
    (tmp_path / "b.txt").write_text("\ufeffplain", encoding="utf-8")
    (tmp_path / "sub" / "a.MD").write_text("intro\n\n## 見出し ##\n\n# Later\n", encoding="utf-8")
    (tmp_path / ".hidden" / "c.md").write_text("no")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    assert records(tmp_path) == [
        {"paper_id": "b.txt", "title": "b", "text": "plain"},
        {"paper_id": "sub/a.MD", "title": "見出し", "text": "intro\n\n## 見出し ##\n\n# Later\n"},
    ]
    assert records(tmp_path / "sub" / "a.MD")[0]["paper_id"] == "a.MD"


@pytest.mark.parametrize("encoding", ["cp932", "euc_jp", "utf-16", "utf-16-be", "iso2022_jp", "utf-8-sig"])
def test_encodings_file_by_file(tmp_path: Path, encoding: str) -> None:
    (tmp_path / "a.txt").write_bytes(JAPANESE.encode(encoding))
    (tmp_path / "b.txt").write_bytes(JAPANESE.encode())
    assert [record["text"] for record in records(tmp_path)] == [JAPANESE, JAPANESE]


def test_an_encoding_given_by_hand(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("ｱｲｳ".encode("cp932"))
    assert "cannot tell the encoding for certain" in problem(tmp_path)
    assert records(tmp_path, encoding="Shift_JIS")[0]["text"] == "ｱｲｳ"
    assert problem(tmp_path, encoding="utf-8").endswith("is not utf-8: byte 0 (0xb1, line 1) does not fit")


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", "the file is empty"),
        (b" \n\t\n", "the file is empty"),
        (b"\xef\xbb\xbf", "the file is empty"),
        (b"%PDF-1.7 ...", "is a PDF, not text"),
        (b"PK\x03\x04 ...", "is a ZIP archive (or an Office document), not text"),
        (gzip.compress(b"text", mtime=0), "is gzip, not text"),
        (b"\x7fELF\x02\x01", "is a program (ELF), not text"),
        (b"text\x00text", "holds NUL bytes (the first at byte 4): is it text at all?"),
        (b"\x01\x02\x03\x04\x05 a few words", "control characters: is it text at all?"),
        (bytes(range(256)) * 20, "holds NUL bytes"),
        (bytes(range(128, 256)) * 20, "cannot tell the encoding for certain"),
        (JAPANESE.encode()[:100] + b"\xff" + JAPANESE.encode()[100:], "is UTF-8, but damaged: byte 99 (0xe6, line 1)"),
    ],
)
def test_what_is_no_text_is_named(tmp_path: Path, content: bytes, expected: str) -> None:
    (tmp_path / "a.txt").write_bytes(content)
    (tmp_path / "b.txt").write_text("good")
    everything = found(tmp_path)
    assert (everything[0].where, everything[0].source) == (str(tmp_path / "a.txt"), "a.txt")
    assert expected in everything[0].problem
    assert everything[1].record["text"] == "good"


def test_a_file_over_the_limit_is_not_opened(tmp_path: Path) -> None:
    with (tmp_path / "a.txt").open("wb") as stream:
        stream.truncate(3 << 30)
    assert "3,072.0 MiB for one document, more than the limit of 64 MiB" in problem(tmp_path)
