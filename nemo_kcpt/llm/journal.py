"""The journal: one SQLite file a run, a row a request, committed before the call counts as done.

Rows are keyed by the request's SHA-256 (teacher.request_sha256) and carry a checksum of their own, so that a flipped
byte is noticed and that row's reply asked for again instead of being trained on. The file is in WAL mode with
`synchronous=FULL`: what was committed survives a power cut.
"""

from __future__ import annotations

import json
import sqlite3
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import publish
from nemo_kcpt.llm.journal_damage import readable
from nemo_kcpt.llm.journal_rows import FIELDS, FORMAT, SERVED, TABLES, Row, checksum, readable_text, row_of, values_of

NAME = "journal.sqlite"
WAIT = 5.0
"""Seconds to wait for another process that holds the file."""
DONE, UNREADABLE, FAILED = "done", "unreadable", "failed"


class JournalFault(KcptError):
    """The journal cannot be used; the message says what it is and what to do."""


class Journal:
    """The journal of one run. One process writes; others may read."""

    def __init__(self, path: Path, *, read_only: bool = False) -> None:
        """Open the journal, or make it.

        Raises:
            JournalFault: damaged, locked, no SQLite file, of a newer version, or in a place that cannot be written.
        """
        self.path = path
        self._lock = threading.Lock()  # commits run in a thread of their own
        with self._faults():
            if read_only:
                self._db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True, timeout=WAIT)
            else:
                path.parent.mkdir(parents=True, exist_ok=True)
                _put_in_place(path)
                self._db = sqlite3.connect(path, timeout=WAIT, check_same_thread=False)
            self._db.isolation_level = None
            self._db.text_factory = readable_text  # damaged text is noticed by its checksum, not by an error
            version = self._db.execute("PRAGMA user_version").fetchone()[0]
            if version > FORMAT:
                raise JournalFault(f"{path}: written by a newer nemo_kcpt (format {version}); use that one")
            if read_only and not version:  # made by a run that has just begun: there is nothing in it yet
                self._db.close()
                self._db = sqlite3.connect(":memory:")
                self._db.executescript(TABLES)
            if not read_only:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = FULL")
                self._db.executescript(SERVED if version else TABLES)
            self._has_served = bool(self._db.execute("SELECT 1 FROM sqlite_master WHERE name = 'served'").fetchone())
            problem = self._db.execute("PRAGMA quick_check(1)").fetchone()[0]
            if problem != "ok":
                raise sqlite3.DatabaseError(problem)

    def close(self) -> None:
        """Close the file; the write-ahead log is folded into it."""
        self._db.close()

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def add(self, rows: Iterable[Row]) -> None:
        """Write rows in one transaction; on return they are on disk. A row that is there is replaced.

        Raises:
            JournalFault: the disk is full, or the file cannot be written; none of the rows is there then.
        """
        now = time.time()
        rows = list(rows)
        values = [(*values_of(row), now, checksum(row)) for row in rows]
        served = [(row.key, row.asked, row.served) for row in rows if row.served]
        marks = ", ".join("?" * (len(FIELDS) + 2))
        with self._lock, self._faults():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                self._db.executemany(f"INSERT OR REPLACE INTO requests VALUES ({marks})", values)
                self._db.executemany("INSERT OR REPLACE INTO served VALUES (?, ?, ?)", served)
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise

    def get(self, key: str) -> Row | None:
        """The row of a request, None if it was never asked or its row is damaged."""
        with self._lock, self._faults():
            values = self._db.execute(
                f"SELECT {', '.join(FIELDS)}, checksum FROM requests WHERE key = ?", (key,)
            ).fetchone()
            row = row_of(values) if values else None
            return self._with_names(row) if row else None

    def rows(self) -> Iterator[Row]:
        """All undamaged rows, by key."""
        with self._faults():
            for values in self._db.execute(f"SELECT {', '.join(FIELDS)}, checksum FROM requests ORDER BY key"):
                if row := row_of(values):
                    yield self._with_names(row)

    def _with_names(self, row: Row) -> Row:
        if not self._has_served:
            return row
        names = self._db.execute("SELECT asked, model FROM served WHERE key = ?", (row.key,)).fetchone()
        return replace(row, asked=names[0], served=names[1]) if names else row

    def served(self) -> list[tuple[str, str, int]]:
        """The names under which servers answered, where they are others than those asked for: (asked, answered,
        times)."""
        if not self._has_served:
            return []
        with self._faults():
            return list(
                self._db.execute("SELECT asked, model, count(*) FROM served GROUP BY asked, model ORDER BY 1, 2")
            )

    def damaged(self) -> int:
        """Rows whose content does not fit their checksum."""
        with self._faults():
            cursor = self._db.execute(f"SELECT {', '.join(FIELDS)}, checksum FROM requests")
            return sum(row_of(values) is None for values in cursor)

    def totals(self) -> list[dict[str, Any]]:
        """Per kind and status: requests, tokens, seconds and cost."""
        with self._faults():
            cursor = self._db.execute(
                """SELECT kind, status, count(*) AS requests, sum(prompt_tokens) AS prompt_tokens,
                   sum(cached_tokens) AS cached_tokens, sum(completion_tokens) AS completion_tokens,
                   sum(seconds) AS seconds, sum(cost) AS cost FROM requests GROUP BY kind, status"""
            )
            names = [column[0] for column in cursor.description]
            return [dict(zip(names, values)) for values in cursor]

    def note(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name; on return it is on disk."""
        with self._faults():
            self._db.execute("INSERT OR REPLACE INTO notes VALUES (?, ?)", (name, json.dumps(value)))

    def notes(self, prefix: str = "") -> dict[str, Any]:
        """The values whose names begin so."""
        with self._faults():
            cursor = self._db.execute(
                "SELECT name, value FROM notes WHERE substr(name, 1, ?) = ?", (len(prefix), prefix)
            )
            return {name: json.loads(value) for name, value in cursor}

    def forget(self, name: str) -> None:
        """Drop a note."""
        with self._faults():
            self._db.execute("DELETE FROM notes WHERE name = ?", (name,))

    @contextmanager
    def _faults(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise JournalFault(f"{self.path}: {_remedy(error)}") from error


def _remedy(error: sqlite3.Error) -> str:
    """What is wrong and the way out, for what SQLite says."""
    said = " ".join(str(error).split())
    if "locked" in said or "busy" in said:
        return "another process holds the journal. Wait for it or stop it, then run the same command again"
    if "full" in said:
        return "the disk is full. What was journaled before is kept; make room and run the same command again"
    if "readonly" in said or "unable to open" in said:
        return f"the journal cannot be written here ({said}). Check the folder's permissions and mount, or copy it"
    if "not a database" in said:
        return "is no SQLite file. Move it away and run the same command again; --salvage reads what can be read"
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, (sqlite3.OperationalError,)):
        return (
            f"the journal is damaged ({said}). Run the same command with --salvage: it copies every row that is whole "
            "into a new journal and keeps the damaged file beside it; what is missing is asked for again"
        )
    return said


def _salvaged(path: Path) -> Path:
    """Where everything whole of a damaged journal stands until it takes that one's place."""
    return path.with_name(f".{path.name}.salvaged")


def salvage(path: Path) -> tuple[int, Path]:
    """Copy what is whole of a damaged journal into a new one; returns the number of rows and where the old file is.

    Whoever opens the journal ends what a killed salvage has begun to put in place (`_put_in_place`).

    Raises:
        JournalFault: there is no journal.
    """
    _put_in_place(path)
    if not path.is_file():
        raise JournalFault(f"{path}: no such file; there is nothing to salvage")
    fresh = path.with_name(f".{path.name}.salvaging")
    for leftover in (fresh, *(fresh.with_name(fresh.name + suffix) for suffix in ("-wal", "-shm"))):
        leftover.unlink(missing_ok=True)
    kept = 0
    with Journal(fresh) as target:
        for rows, notes in readable(path):
            target.add(rows)
            kept += len(rows)
            for name, value in notes.items():
                target.note(name, value)
    publish(fresh, _salvaged(path))
    return kept, _put_in_place(path)


def _put_in_place(path: Path) -> Path:
    """Move the damaged files aside and the salvaged one to `path`, if there is one; returns where the old file is."""
    number = 1
    while (old := path.with_name(f"{path.name}.damaged-{number}")).exists():
        number += 1
    if not _salvaged(path).is_file():
        return old
    for suffix in ("-wal", "-shm", ""):
        beside = path.with_name(path.name + suffix)
        if beside.exists():
            beside.replace(old.with_name(old.name + suffix))
    publish(_salvaged(path), path)
    return old
