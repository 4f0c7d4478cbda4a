"""JSON Lines: one document a line, fields as they are; packed by gzip too, in any encoding that is recognised."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.documents.streams import divide_lines, read_lines
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.json_values import distinct, exact, twice_in


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The documents of some lines; one that is no JSON object or has a key twice is a problem, an empty one nothing."""
    path = one_file(piece.paths)
    source = place.relative(path)
    something = False
    for line in read_lines(place, piece):
        if not line.problem and not line.text.strip():
            continue
        something = True
        record = line.problem or parse_object(line.text)
        where = f"{path}, line {line.number}" if line.number else str(path)
        yield Found(where, source, {}, record) if isinstance(record, str) else Found(where, source, record)
    if not something and piece.start == 0 and piece.stop in (-1, path.stat().st_size):
        yield Found(str(path), source, {}, "the file is empty")


def parse_object(text: str) -> dict[str, Any] | str:
    """The JSON object in `text`, or what is wrong with it."""
    try:
        record = json.loads(text, object_pairs_hook=distinct, parse_float=exact)
    except json.JSONDecodeError as error:
        return f"not JSON (column {error.colno}: {error.msg})"
    except (ValueError, RecursionError) as error:  # a number of thousands of digits; thousands of brackets
        return f"not JSON that can be read ({error})"
    if twice := twice_in(record):
        return str(twice)
    return record if isinstance(record, dict) else f"expected an object {{…}}, found {type(record).__name__}"


READER = Reader(name="jsonl", suffixes=(".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz"), read=read, divide=divide_lines)
