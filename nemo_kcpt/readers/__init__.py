"""Readers: one module per format, each with a `READER`; all stream, so memory stays flat in the corpus size.

A new reader is one file here and its test: whatever module of this folder has a `READER` is found. Installed packages
may add others (plugins.py): format= names them, and auto takes them for what none of ours reads.
"""

from __future__ import annotations

import importlib
import pkgutil
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path

from nemo_kcpt import plugins
from nemo_kcpt.documents.base import Flaw, Found, Piece, Place, Question, Unreadable, split_of
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json, sha256_file, sha256_text
from nemo_kcpt.logs import LOG
from nemo_kcpt.plugins import Plugin
from nemo_kcpt.progress import progress
from nemo_kcpt.readers.base import Reader

__all__ = [
    "Flaw",
    "Found",
    "Piece",
    "Place",
    "Question",
    "Reader",
    "Unreadable",
    "added_of",
    "choose_readers",
    "content_hash",
    "divide",
    "reader_of",
    "readers",
]

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")
DATA_SET_FILES = ("dataset_dict.json", "state.json")
"""What `save_to_disk` of the library datasets leaves in a folder."""
ABOUT = re.compile(r"(readme|license|licence|notice|copying|citation|changelog|changes|contributing|authors)\b", re.I)
"""Names of documents that are about the data beside them."""


@lru_cache(maxsize=1)
def readers() -> dict[str, Reader]:
    """Format -> reader, of every module in this folder that has one: ours."""
    names = sorted(module.name for module in pkgutil.iter_modules(__path__))
    modules = [importlib.import_module(f"{__name__}.{name}") for name in names]
    return {module.READER.name: module.READER for module in modules if hasattr(module, "READER")}


def reader_of(name: str) -> Reader:
    """The reader of a format, ours or one that an installed package adds.

    Raises:
        KeyError: there is none.
        KcptError: the package's cannot be used.
    """
    return readers()[name] if name in readers() else _load(added()[name])


def added() -> dict[str, Plugin]:
    """Format -> entry point of the readers that installed packages add.

    Raises:
        KcptError: one has the name of one of ours.
    """
    return plugins.find(plugins.READERS, readers())


def added_of(chosen: Iterable[Reader]) -> list[Plugin]:
    """Those of the readers that installed packages add."""
    return [added()[reader.name] for reader in chosen if reader.name not in readers()]


def _load(plugin: Plugin) -> Reader:
    reader: Reader = plugin.load(lambda candidate: isinstance(candidate, Reader), "a nemo_kcpt.readers.Reader")
    if reader.name != plugin.name:
        raise plugin.fault(f"its reader is called {reader.name}; the entry point needs the same name")
    return reader


def _load_added() -> dict[str, Reader]:
    return {name: _load(plugin) for name, plugin in added().items()}


def choose_readers(place: Place, format: str = "auto") -> list[Reader]:
    """What reads the documents at `place`: by the suffix of a file, by what a folder holds, else a data set's name.

    Of a folder that holds one format of data files, that one; without any, all formats in which a file is a document.

    Raises:
        BadInput: there is nothing, it could be more than one format or split, or `format` is not known.
    """
    path = place.path
    if format != "auto":
        chosen = _named(place, format)
    elif path.is_file():
        chosen = _of_file(place)
    elif path.is_dir():
        chosen = _of_folder(place)
    elif HUB_NAME.fullmatch(place.name) and not place.name.lower().endswith(_endings()):
        chosen = [readers()["datasets"]]
    else:
        raise BadInput(
            f"{path}: no such file or folder; give input= a file, a folder or a Hugging Face data set's name"
        )
    for reader in chosen:
        if not _is_data_set(place):  # which names its splits itself
            _refuse_several_splits(place, reader)
    return chosen


def _endings() -> tuple[str, ...]:
    return tuple(ending for reader in readers().values() for ending in reader.suffixes)


def _named(place: Place, format: str) -> list[Reader]:
    names = format.split("+")
    known = readers() | {name: _load(plugin) for name, plugin in added().items() if name in names}
    for name in names:
        if name not in known:
            raise BadInput(f"format={format}: not one of auto, {', '.join((*readers(), *added()))}")
    if len(names) > 1 and not all(known[name].documents for name in names):
        together = ", ".join(name for name in known if known[name].documents)
        raise BadInput(f"format={format}: only formats in which a file is a document go together: {together}")
    if names == ["datasets"]:
        if place.path.is_dir() and not _is_data_set(place):
            return _of_folder(place)  # a clone of a repository on the hub: its data files are in some other format
        return [known["datasets"]]
    if not place.path.exists():
        raise BadInput(f"{place.path}: no such file or folder (input=)")
    # the format was given by hand: what is in the files decides nothing, so that it is said what is wrong with them
    chosen = [replace(known[name], recognises=None) for name in names]
    for reader in chosen:
        if not place.files(reader.suffixes):
            raise BadInput(f"{place.path}: holds no file ending in {' or '.join(reader.suffixes)} (format={format})")
    return chosen


def _of_file(place: Place) -> list[Reader]:
    for known in (readers, _load_added):
        for reader in known().values():
            if place.path.name.lower().endswith(reader.suffixes) and reader.files(place):
                return [reader]
    formats = ", ".join((*readers(), *added()))
    raise BadInput(f"{place.path}: cannot tell the format from the name; give format= (one of {formats})")


def _is_data_set(place: Place) -> bool:
    return any((place.path / name).is_file() for name in DATA_SET_FILES)


def _of_folder(place: Place) -> list[Reader]:
    path, known = place.path, readers()
    if _is_data_set(place):
        return [known["datasets"]]
    there = _there(place, known)
    if not there:
        known = _load_added()
        there = _there(place, known)
    data = [name for name in there if not known[name].documents]
    if len(data) > 1:
        held = ", ".join(f"{name} ({there[name][0].name})" for name in data)
        raise BadInput(f"{path}: holds files of several formats: {held}; give format= (one of {', '.join(known)})")
    documents = [name for name in there if known[name].documents]
    papers = [file for name in documents for file in there[name] if not (ABOUT.match(file.name) or known[name].refuses)]
    if data and papers:
        raise BadInput(
            f"{path}: holds data files ({there[data[0]][0].name}, …) and documents ({papers[0].name}, …); "
            f"which is the corpus? Give format={data[0]} or format={'+'.join(documents)}"
        )
    if not there:
        endings = (*_endings(), *(ending for reader in known.values() for ending in reader.suffixes))
        looked = ", ".join(dict.fromkeys(endings))
        raise BadInput(f"{path}: the corpus is empty: no document in this folder (looked for {looked})")
    return [known[name] for name in data or documents]


def _there(place: Place, known: Mapping[str, Reader]) -> dict[str, list[Path]]:
    there: dict[str, list[Path]] = {}
    claimed: set[Path] = set()
    for name, reader in known.items():
        files = reader.files(_all_splits(place))
        if files and not (claimed.issuperset(files) and all(map(place.outside, files))):  # links that none may open
            there[name] = files
            claimed.update(files)
    return there


def _all_splits(place: Place) -> Place:
    return replace(place, split="")


def _refuse_several_splits(place: Place, reader: Reader) -> None:
    """Refuse to read a data set's train and test files as one corpus unless that was asked for."""
    if reader.documents or not place.path.is_dir():
        return
    files = {file: split_of(place, file) for file in reader.files(_all_splits(place))}
    splits = sorted(set(files.values()))
    if place.split not in ("", "all") and not reader.files(place):
        raise BadInput(
            f"{place.path}: no file of the split '{place.split}'; there are {', '.join(filter(None, splits))}"
        )
    if not place.split and len(splits) > 1 and "" not in splits:
        examples = ", ".join(f"{split} ({next(f.name for f in files if files[f] == split)})" for split in splits)
        raise BadInput(
            f"{place.path}: holds the splits {examples}; say which by hf_split=, or hf_split=all for all of them"
        )


def divide(place: Place, chosen: Sequence[Reader]) -> Iterator[Piece]:
    """The pieces of the corpus in reading order."""
    if place.path.is_dir() and not place.follow_links and (links := place.linked_folders()):
        LOG.warning(
            "%s: %d links to folders are not followed (%s, …); copy the folders into it, or allow links by "
            "follow_links=true",
            *(place.path, len(links), place.relative(links[0])),
        )
    for reader in chosen:
        yield from reader.all_pieces(place)


def content_hash(place: Place, chosen: Sequence[Reader]) -> str:
    """Identity of the documents: split, names and bytes of the files; of a hub data set its name and revision."""
    path = place.path
    if not path.exists():
        return sha256_text(canonical_json([place.name, place.split, place.revision, place.subset]))
    files = sorted({file for reader in chosen for file in _files(place, reader)})
    problems = {file: problem for file in files if (problem := place.outside(file))}
    size = sum(file.stat().st_size for file in files if file not in problems)
    with progress() as bar:
        task = bar.add_task("looking at the documents (MB)", total=size // 10**6, visible=size > 10**9)
        read = 0

        def seen(count: int) -> None:
            nonlocal read
            read += count
            bar.update(task, completed=read // 10**6)

        entries = [[ascii(place.relative(file)), problems.get(file) or sha256_file(file, seen)] for file in files]
    return sha256_text(canonical_json([place.split, entries]))


def _files(place: Place, reader: Reader) -> list[Path]:
    if reader.beside is not None:
        files = reader.files(place)
        return [*files, *reader.beside(place, place.files(reader.suffixes))]
    if reader.pieces is None or place.path.is_file():
        return reader.files(place)
    return place.files((*reader.suffixes, *DATA_SET_FILES))
