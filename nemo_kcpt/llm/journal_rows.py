"""The rows of a journal, and the tables that hold them."""

from __future__ import annotations

import json
from dataclasses import dataclass, fields
from typing import Any

from nemo_kcpt.files import sha256_text

FORMAT = 1
"""`PRAGMA user_version` of a journal this version can read."""


@dataclass(frozen=True)
class Row:
    """One request and what came of it."""

    key: str
    """SHA-256 of the request, 64 hex digits."""
    paper_id: str
    kind: str
    part: int
    attempt: int
    """0, or how often the reply to this call was unreadable before."""
    status: str
    """done; unreadable: answered, but not in the form asked for; failed: not answered."""
    reply: str = ""
    """Raw."""
    finish_reason: str = ""
    fault: str = ""
    """Name of the fault of a failed or unreadable request, and after a colon what was said."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    seconds: float = 0.0
    """From the request to its reply."""
    cost: float = 0.0
    """In the currency of the configured prices."""
    asked: str = ""
    """The model's name as it was asked for, if the server answered under another one."""
    served: str = ""
    """That other name."""


FIELDS = [field.name for field in fields(Row) if field.name not in ("asked", "served")]
SERVED = """CREATE TABLE IF NOT EXISTS served (key TEXT PRIMARY KEY, asked TEXT NOT NULL, model TEXT NOT NULL)
    WITHOUT ROWID;"""
TABLES = f"""
CREATE TABLE IF NOT EXISTS requests ({", ".join(f"{name} NOT NULL" for name in FIELDS)}, created NOT NULL,
    checksum NOT NULL, UNIQUE (key));
CREATE TABLE IF NOT EXISTS notes (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
{SERVED}
PRAGMA user_version = {FORMAT};
"""


def readable_text(data: bytes) -> str:
    """A text of the file, though its bytes may be damaged."""
    return data.decode("utf-8", "replace")


def values_of(row: Row) -> tuple[Any, ...]:
    """A row's columns, in the order of `FIELDS`."""
    return tuple(getattr(row, name) for name in FIELDS)


def checksum(row: Row) -> str:
    """By which a damaged row is noticed."""
    return sha256_text(json.dumps(values_of(row), ensure_ascii=True))


def row_of(values: tuple[Any, ...]) -> Row | None:
    """The row of its columns and checksum; None if it is damaged."""
    try:
        row = Row(*values[:-1])
        return row if checksum(row) == values[-1] else None
    except (TypeError, ValueError):
        return None
