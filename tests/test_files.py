from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import (
    atomic_write,
    canonical_json,
    read_json,
    read_jsonl,
    read_jsonl_lines,
    sha256_file,
    sha256_text,
    write_json,
    write_jsonl,
)


def test_an_error_while_writing_leaves_the_old_file_and_no_rubbish(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as stream:
        stream.write("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert [entry.name for entry in tmp_path.iterdir()] == ["file.txt"]


def test_a_process_killed_while_writing_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    program = (
        "import sys, time; from pathlib import Path; from nemo_kcpt.files import atomic_write\n"
        "with atomic_write(Path(sys.argv[1])) as stream:\n"
        "    stream.write('new' * 100000); stream.flush(); print('written', flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", program, str(path)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None and process.stdout.readline() == "written\n"
        process.send_signal(signal.SIGKILL)
    assert path.read_text() == "old"


def test_the_file_appears_only_when_it_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "new" / "file.txt"
    with atomic_write(path) as stream:
        stream.write("text")
        assert not path.exists()
    assert path.read_text() == "text"


@given(st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers() | st.text(st.characters(codec="utf-8"))))
def test_canonical_json_depends_on_content_only(value: dict[str, object]) -> None:
    assert canonical_json(value) == canonical_json(dict(reversed(list(value.items()))))
    assert json.loads(canonical_json(value)) == value


def test_hashes_of_file_and_text_agree(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("日本語" * 500_000, encoding="utf-8")
    assert sha256_file(path) == sha256_text("日本語" * 500_000)


def test_jsonl_round_trip_with_blank_lines_crlf_and_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes('\ufeff{"a": "一"}\r\n\r\n{"a": "\u2028"}'.encode())
    assert list(read_jsonl_lines(path)) == [(1, {"a": "一"}), (3, {"a": "\u2028"})]
    assert write_jsonl(path, [{"a": "\u2028"}, {"a": "二"}]) == 2
    assert list(read_jsonl(path, ["a"])) == [{"a": "\u2028"}, {"a": "二"}]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b'{"a": 1}\n{"a": \n', "line 2, column"),
        (b'{"a": 1}\n[1]\n', "line 2: expected an object"),
        (b'{"a": 1}\n{"a": "\xff"}\n', "line 2: not UTF-8 at byte 7"),
        (b'{"b": 1, "c": 2}\n', r"line 1: field a is missing \(found: b, c\)"),
        (b"{}\n", r"found: nothing"),
    ],
)
def test_bad_lines_are_named(tmp_path: Path, content: bytes, expected: str) -> None:
    path = tmp_path / "file.jsonl"
    path.write_bytes(content)
    with pytest.raises(BadInput, match=f"{path}, .*{expected}|{expected}"):
        list(read_jsonl(path, ["a"]))


def test_missing_file_folder_and_damaged_json(tmp_path: Path) -> None:
    for read in (lambda path: list(read_jsonl(path)), read_json):
        with pytest.raises(BadInput, match="no such file"):
            read(tmp_path / "missing.json")
    with pytest.raises(BadInput, match="is a folder"):
        list(read_jsonl(tmp_path))
    (tmp_path / "bad.json").write_text('{"a": 1,\n oops}')
    with pytest.raises(BadInput, match=r"bad\.json, line 2, column 2: not JSON"):
        read_json(tmp_path / "bad.json")
    (tmp_path / "bad.json").write_bytes(b"\xff\xfe")
    with pytest.raises(BadInput, match="not UTF-8 at byte 0"):
        read_json(tmp_path / "bad.json")


def test_json_is_written_readably(tmp_path: Path) -> None:
    write_json(tmp_path / "file.json", {"名": Path("/x")})
    assert (tmp_path / "file.json").read_text() == '{\n  "名": "/x"\n}\n'


def test_write_is_a_new_file_so_readers_keep_theirs(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with path.open() as reader:
        before = os.fstat(reader.fileno()).st_ino
        with atomic_write(path) as stream:
            stream.write("new")
        assert reader.read() == "old"
    assert path.stat().st_ino != before
    assert path.stat().st_mtime <= time.time() + 1


def test_json_that_is_too_deep(tmp_path: Path) -> None:
    path = tmp_path / "deep.json"
    path.write_text("[" * 200_000)
    with pytest.raises(BadInput, match=r"deep\.json: lists in lists"):
        read_json(path)
