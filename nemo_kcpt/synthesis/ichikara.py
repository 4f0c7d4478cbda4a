"""Instructions written by people: JSON files of records {ID, text, output}, as ichikara-instruction is handed out.

A file is a list of records or holds one a line. Only single turns are used: a record whose text or output is a list is
a conversation, and records that share an ID are the turns of one. The files are the user's own; none are shipped.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.logs import LOG

LONGEST_EXAMPLE = 1500
"""Characters of a sample that is shown as an example; longer ones would crowd the paper out."""
_SPACE = " \t\r\n"


@dataclass(frozen=True)
class Sample:
    """An instruction and its output."""

    id: str
    text: str
    output: str


def read_samples(source: Path) -> list[Sample]:
    """The single-turn samples of a file, or of all .json and .jsonl files in a folder, in order.

    Raises:
        BadInput: nothing there, or a file that is no such list; names file, byte offset and what was expected.
    """
    if source.is_dir():
        files = sorted(path for path in source.iterdir() if path.suffix in (".json", ".jsonl"))
        if not files:
            raise BadInput(f"{source}: no .json or .jsonl file in it")
    elif source.is_file():
        files = [source]
    else:
        raise BadInput(f"{source}: no such file or folder")
    records = [(path, offset, record) for path in files for offset, record in _records(path)]
    often = Counter(str(record["ID"]) for _, _, record in records)
    samples, turns, blank = [], 0, 0
    for _, _, record in records:
        text, output = record["text"], record["output"]
        if isinstance(text, list) or isinstance(output, list) or often[str(record["ID"])] > 1:
            turns += 1
        elif not text.strip() or not output.strip():
            blank += 1
        else:
            samples.append(Sample(str(record["ID"]), text.strip(), output.strip()))
    left_out = [f"{turns} of conversations" if turns else "", f"{blank} without text or output" if blank else ""]
    if any(left_out):
        LOG.info("%s: %d samples read; left out: %s", source, len(samples), ", ".join(filter(None, left_out)))
    if not samples:
        raise BadInput(f"{source}: no single-turn sample in it ({', '.join(filter(None, left_out)) or 'it is empty'})")
    return samples


def _records(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Records with their byte offsets."""
    raw = path.read_bytes()
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}, byte {error.start}: not UTF-8; convert the file to UTF-8") from None
    before = len(raw) - len(text.encode())  # a byte order mark
    decoder = json.JSONDecoder()

    def byte(offset: int) -> int:
        return before + len(text[:offset].encode())

    position = _after_space(text, 0)
    listed = text[position : position + 1] == "["
    position = _after_space(text, position + listed)
    while position < len(text):
        if listed and text[position] == "]":
            if text[position + 1 :].strip():
                raise BadInput(f"{path}, byte {byte(position + 1)}: something follows the end of the list")
            return
        try:
            record, end = decoder.raw_decode(text, position)
        except json.JSONDecodeError as error:
            raise BadInput(f"{path}, byte {byte(error.pos)}: not JSON ({error.msg}); fetch the file anew") from None
        yield byte(position), _checked(path, byte(position), record)
        position = _after_space(text, end)
        if listed and text[position : position + 1] not in (",", "]"):
            raise BadInput(f"{path}, byte {byte(position)}: the list breaks off here; fetch the file anew")
        position = _after_space(text, position + (text[position : position + 1] == ","))
    if listed:
        raise BadInput(f"{path}, byte {byte(len(text))}: the list breaks off here; fetch the file anew")


def _after_space(text: str, position: int) -> int:
    while position < len(text) and text[position] in _SPACE:
        position += 1
    return position


def _checked(path: Path, offset: int, record: object) -> dict[str, Any]:
    where = f"{path}, byte {offset}"
    if not isinstance(record, dict):
        raise BadInput(f"{where}: a record {{ID, text, output}} was expected, found {type(record).__name__}")
    if missing := [name for name in ("ID", "text", "output") if name not in record]:
        raise BadInput(f"{where}: {', '.join(missing)} is missing (found: {', '.join(record) or 'nothing'})")
    for name in ("text", "output"):
        if not isinstance(record[name], (str, list)):
            raise BadInput(f"{where}: {name} is {type(record[name]).__name__}, a text was expected")
    return record


def examples(source: Path, seed: int) -> Callable[[str, str], str]:
    """(paper_id, kind) -> one sample as it is shown in a prompt; which one depends on these and the seed alone.

    Raises:
        BadInput: as `read_samples`, or no sample is short enough.
    """
    samples = [sample for sample in read_samples(source) if len(sample.text) + len(sample.output) <= LONGEST_EXAMPLE]
    if not samples:
        raise BadInput(f"{source}: no sample of at most {LONGEST_EXAMPLE} characters to show as an example")

    def choose(paper_id: str, kind: str) -> str:
        digest = hashlib.sha256(f"{seed}\0{paper_id}\0{kind}".encode("utf-8", "replace")).digest()
        sample = samples[int.from_bytes(digest[:8], "big") % len(samples)]
        return json.dumps({"instruction": sample.text, "output": sample.output}, ensure_ascii=False)

    return choose
