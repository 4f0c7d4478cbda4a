"""The journal: what was acknowledged is there, what is damaged is noticed, and each fault says the way out."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemo_kcpt.llm.journal import DONE, FAILED, Journal, JournalFault, Row, salvage
from nemo_kcpt.llm.journal_rows import FORMAT


def row(number: int, **fields: object) -> Row:
    made = Row(
        key=f"{number:064x}"[::-1],
        paper_id=f"p{number}",
        kind="summary",
        part=0,
        attempt=0,
        status=DONE,
        reply=f"返答 {number} " + "本文" * 200,
        finish_reason="stop",
        prompt_tokens=10,
        completion_tokens=3,
        cost=0.25,
    )
    return replace(made, **fields)  # type: ignore[arg-type]


@pytest.fixture()
def path(tmp_path: Path) -> Path:
    return tmp_path / "run" / "journal.sqlite"


def filled(path: Path, rows: int = 400) -> Path:
    with Journal(path) as journal:
        journal.add(row(number) for number in range(rows))
        journal.note("calls", rows)
    return path


def test_rows_come_back_as_they_were(path: Path) -> None:
    rows = [
        row(1),
        row(2, status=FAILED, reply="", fault="timeout: x"),
        row(3, reply="\x00 絵文字👩 '\""),
        row(4, seconds=1.5),
    ]
    with Journal(path) as journal:
        journal.add(rows)
        assert [journal.get(one.key) for one in rows] == rows
        assert journal.get("no") is None and journal.damaged() == 0
        assert sorted(journal.rows(), key=lambda one: one.paper_id) == rows
        journal.add([replace(rows[1], status=DONE, reply="jetzt")])
        again = journal.get(rows[1].key)
        assert again and again.reply == "jetzt"
    with Journal(path, read_only=True) as journal:
        assert {total["status"]: total["requests"] for total in journal.totals()} == {DONE: 4}
        with pytest.raises(JournalFault, match="cannot be written"):
            journal.add(rows)


def test_a_journal_that_has_just_been_made_is_empty(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with Journal(path, read_only=True) as journal:
        assert journal.totals() == [] and journal.notes() == {} and list(journal.rows()) == []


def test_notes(path: Path) -> None:
    with Journal(path) as journal:
        journal.note("batch 1", {"id": "b"})
        journal.note("batch 1", {"id": "c"})
        journal.note("other", 3)
        assert journal.notes("batch ") == {"batch 1": {"id": "c"}}
        journal.forget("batch 1")
        assert journal.notes() == {"other": 3}


def test_what_was_added_survives_a_kill(path: Path) -> None:
    script = (
        "import os, sys; from pathlib import Path; from tests.synthesis.test_journal import Journal, row\n"
        f"journal = Journal(Path({str(path)!r})); journal.add([row(7)]); os.kill(os.getpid(), 9)"
    )
    root = Path(__file__).resolve().parents[2]
    prelude = f"import sys; sys.path.insert(0, {str(root)!r}); sys.modules.pop('tests', None)\n"
    loader = (
        "import importlib.util as u\n"
        f"spec = u.spec_from_file_location('helper', {__file__!r}); m = u.module_from_spec(spec)\n"
        "sys.modules['helper'] = m; spec.loader.exec_module(m); Journal, row = m.Journal, m.row\n"
    )
    body = script.split("\n", 1)[1]
    command = [sys.executable, "-c", prelude + "import os\nfrom pathlib import Path\n" + loader + body]
    done = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert done.returncode == -9, done.stderr
    with Journal(path) as journal:
        assert journal.get(row(7).key) == row(7)


def test_a_flipped_byte_in_a_reply_is_noticed(path: Path) -> None:
    filled(path)
    content = bytearray(path.read_bytes())
    place = content.find("返答 123 ".encode())
    assert place > 0
    content[place + 1] ^= 0x01
    path.write_bytes(content)
    with Journal(path) as journal:
        assert journal.damaged() == 1
        assert journal.get(row(123).key) is None
        assert journal.get(row(122).key) == row(122)
        assert sum(1 for _ in journal.rows()) == 399


@pytest.mark.parametrize("how", ["torn", "zeros", "page"])
def test_a_torn_file_is_refused_and_salvaged(path: Path, how: str) -> None:
    filled(path)
    content = bytearray(path.read_bytes())
    size = len(content)
    if how == "torn":
        del content[size // 2 :]
    elif how == "zeros":
        content[size // 2 : size // 2 + 16384] = bytes(16384)
    else:
        content[size // 2 : size // 2 + 4096] = os.urandom(4096)
    path.write_bytes(content)
    try:
        with Journal(path) as journal:
            noticed = journal.damaged() > 0 and "rows asked for again"
            assert all(one == row(int(one.paper_id[1:])) for one in journal.rows())
    except JournalFault as fault:
        noticed = re.search(r"journal\.sqlite: .*--salvage", str(fault)) and "refused"
    assert noticed
    kept, old = salvage(path)
    assert old.read_bytes() == bytes(content)
    with Journal(path) as journal:
        rows = list(journal.rows())
        assert len(rows) == kept and journal.damaged() == 0
        assert all(one == row(int(one.paper_id[1:])) for one in rows)
    print(f"{how}: {noticed}; {kept} of 400 rows were whole")
    assert kept >= 100


def test_a_file_that_is_no_journal(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"paper_id,kind\n" * 1000)
    with pytest.raises(JournalFault, match="is no SQLite file"):
        Journal(path)
    assert path.read_bytes().startswith(b"paper_id")


def test_a_newer_format_is_refused(path: Path) -> None:
    filled(path, 1)
    with sqlite3.connect(path) as db:
        db.execute(f"PRAGMA user_version = {FORMAT + 1}")
    db.close()
    with pytest.raises(JournalFault, match=f"newer nemo_kcpt .format {FORMAT + 1}"):
        Journal(path)


def test_a_locked_journal_says_so(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("nemo_kcpt.llm.journal.WAIT", 0.1)
    filled(path, 1)
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with Journal(path) as journal, pytest.raises(JournalFault, match="another process holds the journal"):
        journal.add([row(2)])
    other.execute("ROLLBACK")
    other.close()


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_folder_without_permission(path: Path) -> None:
    filled(path, 1)
    path.chmod(0o444)
    path.parent.chmod(0o555)
    try:
        with pytest.raises(JournalFault, match="cannot be written here"):
            Journal(path).add([row(2)])
    finally:
        path.parent.chmod(0o755)


def test_a_full_disk_loses_nothing_that_was_acknowledged(path: Path) -> None:
    """SQLite's own limit on pages stands for the disk's: the error it raises is the same (SQLITE_FULL)."""
    filled(path, 10)
    with Journal(path) as journal:
        pages = journal._db.execute("PRAGMA page_count").fetchone()[0]
        journal._db.execute(f"PRAGMA max_page_count = {pages + 2}")
        with pytest.raises(JournalFault, match="the disk is full"):
            journal.add(row(number, reply="長" * 20_000) for number in range(10, 30))
        assert sum(1 for _ in journal.rows()) == 10
    with Journal(path) as journal:
        assert [journal.get(row(number).key) for number in range(10)] == [row(number) for number in range(10)]


def test_nothing_to_salvage(path: Path) -> None:
    with pytest.raises(JournalFault, match="nothing to salvage"):
        salvage(path)
