"""Columns in the names of folders, as Hive, Spark and DuckDB write them: `year=2020/lang=ja/part-0.parquet`.

What is in the folder's name is in none of its files, so it becomes a field of each document in them. A column of whole
numbers or of decimal fractions is one where writing every value again gives the same text; anything else stays text
(`month=01`, `day=2020-04-01`), for a zero in front may belong to a code.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any
from urllib.parse import unquote

NULL = "__HIVE_DEFAULT_PARTITION__"
Columns = Mapping[str, Callable[[str], Any]]
"""Name of a column -> what makes a value of a text."""

_FOLDER = re.compile(r"([^=]+)=(.*)", re.S)
_WHOLE = re.compile(r"0|-?[1-9]\d{0,17}", re.A)
_FRACTION = re.compile(r"-?\d+\.\d+", re.A)


def _values(relative: str) -> dict[str, str | None]:
    """The columns and values in the folders of a path, percent signs decoded; None for Hive's mark of a null."""
    values: dict[str, str | None] = {}
    for folder in relative.split("/")[:-1]:
        if match := _FOLDER.fullmatch(folder):
            values[_decoded(match[1])] = None if match[2] == NULL else _decoded(match[2])
    return values


def _decoded(text: str) -> str:
    try:
        return unquote(text, errors="strict")
    except UnicodeDecodeError:
        return text


def _kind(values: Iterable[str]) -> Callable[[str], Any]:
    """What makes a column's values of its texts: int or float if all are written as such, else str."""
    texts = list(values)
    if all(_WHOLE.fullmatch(text) for text in texts):
        return int
    if all(_FRACTION.fullmatch(text) and repr(float(text)) == text for text in texts):
        return float
    return str


def columns(folders: Iterable[str]) -> Columns:
    """The kind of each column in the names of folders, by all its values."""
    seen: dict[str, set[str]] = defaultdict(set)
    for folder in folders:
        for name, value in _values(f"{folder}/").items():
            if value is not None:
                seen[name].add(value)
    return {name: _kind(values) for name, values in seen.items()}


def fields_of(relative: str, kinds: Columns) -> dict[str, Any]:
    """The fields that a file has by its path within the corpus; none if no folder is of the form `name=value`."""
    values = _values(relative)
    return {name: None if value is None else kinds.get(name, str)(value) for name, value in values.items()}
