"""JSON that is not SQuAD's: a list of objects, one object a line in spite of the name, or one object a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from nemo_kcpt.documents.base import Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.streams import divide_lines
from nemo_kcpt.readers import jsonl
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.json_values import Twice, twice_in
from nemo_kcpt.readers.squad import Malformed, head_of, is_squad, load_whole

ABOUT = ("dataset_info.json", "dataset_infos.json", "dataset_dict.json", "state.json", "croissant.json", "config.json")
"""Files that describe the data beside them."""


def is_json(path: Path) -> bool:
    """True for what is neither SQuAD's nor a description of other files."""
    return path.name not in ABOUT and not is_squad(path)


def is_lines(path: Path) -> bool:
    """True if the first line is an object of its own, or goes on beyond what is looked at."""
    first, _, rest = head_of(path).lstrip().partition("\n")
    if not first.startswith("{"):
        return False
    try:
        json.loads(first)
    except (ValueError, RecursionError):
        return not rest and path.stat().st_size > len(first)
    return True


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """Ranges of lines, or the whole file if it is one value."""
    if is_lines(path):
        yield from divide_lines(place, path)
    else:
        yield 0, -1, 1


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The objects of a file; what is none is a problem."""
    path = one_file(piece.paths)
    if is_lines(path):
        yield from jsonl.read(place, piece)
        return
    source = place.relative(path)
    try:
        content = load_whole(place, path)
    except Malformed as error:
        yield Found(str(path), source, {}, str(error))
        return
    if isinstance(content, Twice) or (isinstance(content, dict) and twice_in(content)):
        yield Found(str(path), source, {}, str(twice_in(content)))
        return
    if isinstance(content, dict):
        yield Found(str(path), source, content)
        return
    if not isinstance(content, list) or not content:
        expected = "expected a list of objects, an object, or one object a line"
        yield Found(str(path), source, {}, f"{expected}; found {json.dumps(content)[:60]}")
        return
    for number, record in enumerate(content):
        where = f"{path}, [{number}]"
        if twice := twice_in(record):
            yield Found(where, source, {}, str(twice))
            continue
        if not isinstance(record, dict):
            yield Found(where, source, {}, f"expected an object {{…}}, found {type(record).__name__}")
            continue
        size = sum(len(value.encode("utf-8", "replace")) for value in record.values() if isinstance(value, str))
        if size > place.max_bytes:
            yield Found(where, source, {}, too_large(size, place))
        else:
            yield Found(where, source, record)


READER = Reader(name="json", suffixes=(".json",), read=read, divide=divide, recognises=is_json)
