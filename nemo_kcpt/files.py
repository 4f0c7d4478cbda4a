"""Files: written beside their place and renamed into it after fsync, JSON Lines with errors that name the line.

A killed process leaves the old file or the new one, never a torn one; the price is one fsync a file.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from nemo_kcpt.errors import BadInput


def file_in(path: Path, name: str) -> Path:
    """`path/name` if `path` is a stage's folder, else `path` itself."""
    return path / name if path.is_dir() else path


def canonical_json(value: Any) -> str:
    """`value` as JSON with sorted keys and no spaces: equal values give equal text, so its hash is an identity."""
    return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)


def sha256_text(text: str) -> str:
    """SHA-256 of `text` in UTF-8, 64 hex digits."""
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def sha256_file(path: Path, seen: Callable[[int], object] | None = None) -> str:
    """SHA-256 of a file's bytes, 64 hex digits, read in 1 MiB pieces; `seen` is called with the bytes of each."""
    digest = hashlib.sha256()
    with path.open("rb") as stream:
        while block := stream.read(1 << 20):
            digest.update(block)
            if seen is not None:
                seen(len(block))
    return digest.hexdigest()


def sha256_files(paths: Sequence[Path]) -> list[str]:
    """:func:`sha256_file` of each, on all cores: hashing leaves Python's lock to others."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(sha256_file, paths))


def sync(path: Path) -> None:
    """Flush a file's bytes, or a folder's entries (so that a rename into it survives a power cut), to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def publish(temporary: Path, path: Path) -> Path:
    """Flush a finished temporary file to disk and rename it to `path`; returns `path`."""
    sync(temporary)
    temporary.replace(path)
    sync(path.parent)
    return path


@contextmanager
def atomic_write(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file beside `path`; on leaving without an error, fsync it and rename it to `path`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        with temporary.open(mode, encoding=None if "b" in mode else "utf-8") as stream:
            yield stream
        publish(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON, atomically."""
    with atomic_write(path) as stream:
        json.dump(value, stream, ensure_ascii=False, indent=2, default=str)
        stream.write("\n")


def read_text(path: Path, encoding: str = "utf-8", newline: str | None = None) -> str:
    """A file's text; with newline="" its line ends as they are.

    Raises:
        BadInput: the file is missing or is not UTF-8.
    """
    try:
        with path.open(encoding=encoding, newline=newline) as stream:
            return stream.read()
    except (FileNotFoundError, IsADirectoryError):
        raise BadInput(f"{path}: no such file") from None
    except UnicodeDecodeError as error:
        raise BadInput(f"{path}: not UTF-8 at byte {error.start}; convert the file to UTF-8") from None


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        BadInput: the file is missing or is not JSON; the message names file, line and column.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise BadInput(f"{path}, line {error.lineno}, column {error.colno}: not JSON ({error.msg})") from None
    except RecursionError:
        raise BadInput(
            f"{path}: lists in lists deeper than anybody writes; use a file from a source you trust"
        ) from None


def write_jsonl(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    """Write one JSON object a line, atomically; returns the number of records."""
    count = 0
    with atomic_write(path) as stream:
        for record in records:
            stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            count += 1
    return count


def read_jsonl(path: Path, required: Sequence[str] = ()) -> Iterator[dict[str, Any]]:
    """Yield the records of a JSON Lines file; blank lines are passed over.

    Raises:
        BadInput: missing file, bad JSON, not an object, or a `required` field missing; names file and line.
    """
    for _, record in read_jsonl_lines(path, required):
        yield record


def read_jsonl_lines(path: Path, required: Sequence[str] = ()) -> Iterator[tuple[int, dict[str, Any]]]:
    """As `read_jsonl`, with the line number of each record, counted from 1."""
    try:
        stream = path.open("rb")
    except FileNotFoundError:
        raise BadInput(f"{path}: no such file") from None
    except IsADirectoryError:
        raise BadInput(f"{path}: is a folder; a JSON Lines file was expected") from None
    with stream:
        for number, raw in enumerate(stream, start=1):
            if not raw.strip():
                continue
            try:
                record = json.loads(raw.decode("utf-8-sig" if number == 1 else "utf-8"))
            except UnicodeDecodeError as error:
                raise BadInput(f"{path}, line {number}: not UTF-8 at byte {error.start} of the line") from None
            except json.JSONDecodeError as error:
                raise BadInput(f"{path}, line {number}, column {error.colno}: not JSON ({error.msg})") from None
            if not isinstance(record, dict):
                raise BadInput(f"{path}, line {number}: expected an object {{…}}, found {type(record).__name__}")
            missing = [name for name in required if name not in record]
            if missing:
                names = ", ".join(sorted(record)) or "nothing"
                raise BadInput(f"{path}, line {number}: field {', '.join(missing)} is missing (found: {names})")
            yield number, record
