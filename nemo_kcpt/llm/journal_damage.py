"""What can still be read of a damaged journal."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.llm.journal_rows import FIELDS, Row, readable_text, row_of

GROUP = 500
"""Rows of one transaction of a salvage."""
GIVE_UP = 200
"""Groups in a row without a whole row, after which a salvage ends."""
MOST_ROWS = 100_000_000


def readable(path: Path) -> Iterator[tuple[list[Row], Mapping[str, Any]]]:
    """Rows in groups, then the notes; a page that is damaged takes the rows of its group's part with it, no others."""
    try:
        db = sqlite3.connect(path)
        db.text_factory = readable_text
        db.execute("PRAGMA writable_schema = ON")  # SQLite's recovery mode: a file that is too short is read, too
        last = db.execute("SELECT max(rowid) FROM requests").fetchone()[0]
    except sqlite3.Error:
        last = None
    if last is None:
        last = MOST_ROWS if _has_table(path) else 0
    misses, first = 0, 1
    while first <= last and misses < GIVE_UP:
        rows = [row for number in range(first, first + GROUP) if (row := _row_at(db, number))]
        misses = 0 if rows else misses + 1
        first += GROUP
        if rows:
            yield rows, {}
    try:
        notes = {name: json.loads(value) for name, value in db.execute("SELECT name, value FROM notes")}
    except (sqlite3.Error, ValueError):
        notes = {}
    yield [], notes
    db.close()


def _has_table(path: Path) -> bool:
    try:
        with sqlite3.connect(path) as db:
            db.execute("PRAGMA writable_schema = ON")
            return bool(db.execute("SELECT 1 FROM sqlite_master WHERE name = 'requests'").fetchone())
    except sqlite3.Error:
        return False


def _row_at(db: sqlite3.Connection, number: int) -> Row | None:
    """The row of a number; each is looked for on its own way down the table, past pages that are damaged."""
    try:
        values = db.execute(f"SELECT {', '.join(FIELDS)}, checksum FROM requests WHERE rowid = ?", (number,)).fetchone()
        row = row_of(values) if values else None
    except sqlite3.Error:
        return None
    try:
        names = row and db.execute("SELECT asked, model FROM served WHERE key = ?", (row.key,)).fetchone()
    except sqlite3.Error:  # of an earlier version, or damaged
        names = None
    return replace(row, asked=names[0], served=names[1]) if row and names else row
