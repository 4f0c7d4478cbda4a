"""One document as it is read, and where it lies; what every format and every reader shares."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

from nemo_kcpt.errors import BadInput

PIECE = 8 << 20
"""Bytes of input a piece aims at: some seconds of work, so that a kill costs little and the cores end together."""


class Question(NamedTuple):
    """A question that people asked about a document, with their answer."""

    question_id: str
    question: str
    answer: str
    """The answer that is shown."""
    accepted: tuple[str, ...] = ()
    """Every answer that counts as right, the shown one among them; empty where that is the only one."""


LEFT_OUT = "parts left out"
"""Kind of a flaw: what is embedded, attached or missing is not read."""


class Flaw(NamedTuple):
    """What is wrong in a document that is read all the same: a question or a field that is left out, say."""

    kind: str
    """Groups flaws in the message and in the counts, in the plural: "questions left out"."""
    where: str
    """The file and the part of it."""
    detail: str
    """What was found, and what was expected."""


class Unreadable(NamedTuple):
    """Stands in a record for a field whose value cannot be read: bad if the field is needed, else left out by name."""

    reason: str


class Found(NamedTuple):
    """One document as read, before fields are chosen and text is cleaned; or one that cannot be read.

    `where` is for error messages (file and line); `source` for papers.jsonl (the place within the corpus, the same
    wherever the corpus lies); `record` holds the fields under their own names. With `problem`, the record is of no
    use and the text says why, and what would help. `changes` counts what the reader itself altered, by the name of the
    cleaning step that does the same to text.
    """

    where: str
    source: str
    record: Mapping[str, Any]
    problem: str = ""
    questions: Sequence[Question] = ()
    changes: Mapping[str, int] = MappingProxyType({})
    flaws: Sequence[Flaw] = ()


class Piece(NamedTuple):
    """A part of the corpus that one process reads: `start` to `stop` (bytes or rows) of a file, or whole files.

    `number` is the number of its first record in the file, counted from 1, for messages.
    """

    reader: str
    paths: tuple[str, ...]
    start: int = 0
    stop: int = -1
    number: int = 1


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the documents are (a file, a folder, a data set's name on the Hugging Face hub) and how to open them."""

    name: str
    split: str = ""
    """Split of a data set: train, test, …; all: every one."""
    revision: str = ""
    subset: str = ""
    """Configuration of a data set on the hub that has several."""
    encoding: str = "auto"
    """Encoding of text files; auto: recognised, file by file."""
    follow_links: bool = False
    """Read what a link in the folder points to outside of it."""
    max_bytes: int = 64 << 20
    """A document (a line, a row, a file) larger than this is a problem and is not read."""
    ocr: str = ""
    """Folder with what an OCR engine read on pages that are pictures (ocr_texts.py); empty: none was asked."""

    @cached_property
    def path(self) -> Path:
        """`name` as a path."""
        return Path(self.name).expanduser()

    def relative(self, path: Path) -> str:
        """A file's path within the corpus, with forward slashes."""
        return path.name if self.path.is_file() else path.relative_to(self.path).as_posix()

    def within(self, text: str) -> str:
        """A message with the paths of this corpus's files as they are within it: the same wherever the corpus lies."""
        return text.replace(f"{self.path.parent if self.path.is_file() else self.path}/", "")

    def files(self, suffixes: Sequence[str]) -> list[Path]:
        """The file itself, or the folder's files that end so (below it, sorted; no hidden ones, no locks of Office)."""
        if self.path.is_file():
            return [self.path]
        endings = tuple(suffixes)
        paths = (
            Path(folder, name)
            for folder, _, names in self._walk()
            for name in names
            if name.lower().endswith(endings) and not name.startswith((".", "~$"))
        )
        return sorted(path for path in paths if path.is_file() or path.is_symlink())

    def linked_folders(self) -> list[Path]:
        """Links to folders, which are followed only if that was asked for."""
        paths = (Path(folder, name) for folder, folders, _ in self._walk() for name in folders)
        return sorted(path for path in paths if path.is_symlink())

    def folders(self) -> list[str]:
        """The folders below this one, by their paths within it."""
        return [self.relative(Path(folder)) for folder, _, _ in self._walk()]

    def _walk(self) -> Iterator[tuple[str, list[str], list[str]]]:
        """Folders with the folders and all else in them; a folder that links lead to twice, or in a circle, once."""
        seen = set()
        for folder, folders, names in os.walk(self.path, onerror=_refuse_folder, followlinks=self.follow_links):
            folders[:] = sorted(name for name in folders if not name.startswith("."))
            if self.follow_links and (real := os.path.realpath(folder)) in seen:
                folders[:] = []
                continue
            if self.follow_links:
                seen.add(real)
            yield folder, folders, names

    def outside(self, path: Path) -> str:
        """A problem if a link takes `path` out of the folder and that was not asked for, or if it leads nowhere."""
        if not path.is_file():
            return f"a link to {os.readlink(path)}, which is no file" if path.is_symlink() else "no such file"
        if self.follow_links or not self.path.is_dir():
            return ""
        # os.path's is three times as fast as pathlib's; of many files the folder is the same
        real = os.path.realpath(path) if path.is_symlink() else os.path.join(_real(path.parent), path.name)
        if real.startswith(os.path.join(_real(self.path), "")):
            return ""
        return f"a link to {real}, outside the folder; copy the file into it, or allow links by follow_links=true"


def _real(folder: Path) -> str:
    return _real_of(os.path.join(os.getcwd(), folder))


@lru_cache(maxsize=1024)
def _real_of(folder: str) -> str:
    return os.path.realpath(folder)


def _refuse_folder(error: OSError) -> None:
    raise BadInput(f"{error.filename}: the folder cannot be read ({error.strerror}); nothing in it would be found")


def too_large(size: int, place: Place) -> str:
    """The problem of a document of `size` bytes."""
    return (
        f"{size / (1 << 20):,.1f} MiB for one document, more than the limit of {place.max_bytes >> 20} MiB; "
        "split it, or raise max_document_mb="
    )


_SPLIT = re.compile(
    r"(?:^|[-_./]|(?<=split)=)(train|training|test|testing|valid|validation|val|dev|eval)(?=[-_./\d]|$)", re.I
)
_SPLIT_NAMES = {"training": "train", "testing": "test", "valid": "validation", "val": "validation"}


def split_of(place: Place, path: Path) -> str:
    """The split of a data set that a file's path names (train, test, validation, dev, eval), or an empty string."""
    match = _SPLIT.search(place.relative(path))
    name = match[1].lower() if match else ""
    return _SPLIT_NAMES.get(name, name)


def one_file(paths: Iterable[str]) -> Path:
    """The only file of a piece whose reader is given one at a time."""
    (name,) = paths
    return Path(name)
