"""Readers: one small function per format, all yielding records one at a time, so memory stays flat in the corpus size.

A reader yields `Found(where, source, record)`: `where` for error messages (file and line), `source` for papers.jsonl
(the place within the corpus, the same wherever the corpus lies) and the record with its own field names. To add a
format: write one function, register it in `READERS`, add its suffix to `SUFFIXES`, and a test.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import canonical_json, read_json, read_jsonl_lines, sha256_file, sha256_text

SUFFIXES = {
    "jsonl": (".jsonl", ".ndjson"),
    "parquet": (".parquet",),
    "squad": (".json",),
    "text": (".md", ".markdown", ".txt"),
}
"""File name endings by format."""

HUB_NAME = re.compile(r"[\w.-]+/[\w.-]+")


class Found(NamedTuple):
    """One document as read, before fields are chosen and text is cleaned."""

    where: str
    source: str
    record: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where the documents are: a file, a folder, or a data set's name on the Hugging Face hub."""

    name: str
    split: str = ""
    revision: str = ""

    @property
    def path(self) -> Path:
        """`name` as a path."""
        return Path(self.name).expanduser()

    def files(self, format: str) -> list[Path]:
        """The file itself, or the folder's files of a format (below it, sorted, hidden ones left out)."""
        if self.path.is_file():
            return [self.path]
        return sorted(
            path
            for path in self.path.rglob("*")
            if path.suffix.lower() in SUFFIXES[format]
            and path.is_file()
            and not any(part.startswith(".") for part in path.relative_to(self.path).parts)
        )

    def relative(self, path: Path) -> str:
        """A file's path within the corpus, with forward slashes."""
        return path.name if self.path.is_file() else path.relative_to(self.path).as_posix()


def choose_format(place: Place) -> str:
    """The format of what lies at `place`: by suffix of a file, by content of a folder, else a hub name.

    Raises:
        BadInput: there is nothing, or it could be more than one format.
    """
    path = place.path
    known = ", ".join(READERS)
    if path.is_file():
        for format, suffixes in SUFFIXES.items():
            if path.suffix.lower() in suffixes:
                return format
        raise BadInput(f"{path}: cannot tell the format from the name; give format= (one of {known})")
    if path.is_dir():
        if any((path / name).is_file() for name in ("dataset_dict.json", "dataset_info.json", "state.json")):
            return "datasets"
        there = {format: place.files(format) for format in SUFFIXES}
        data = [format for format in ("jsonl", "parquet", "squad") if there[format]]
        if len(data) > 1:
            held = ", ".join(f"{format} ({there[format][0].name})" for format in data)
            raise BadInput(f"{path}: holds files of several formats: {held}; give format= (one of {known})")
        if data or there["text"]:
            return data[0] if data else "text"
        endings = ", ".join(ending for endings in SUFFIXES.values() for ending in endings)
        raise BadInput(f"{path}: the corpus is empty: no document in this folder (looked for {endings})")
    if HUB_NAME.fullmatch(place.name) and path.suffix.lower() not in sum(SUFFIXES.values(), ()):
        return "datasets"
    raise BadInput(
        f"{path}: no such file or folder; give documents= a file, a folder or a Hugging Face data set's name"
    )


def content_hash(place: Place, format: str) -> str:
    """Identity of the documents: names and bytes of the files read; of a hub data set its name, split and revision."""
    path = place.path
    if not path.exists():
        return sha256_text(canonical_json([place.name, place.split, place.revision]))
    if format == "datasets":
        files = sorted(file for file in path.rglob("*") if file.is_file() and not file.name.startswith("cache-"))
    else:
        files = place.files(format)
    return sha256_text(canonical_json([[ascii(place.relative(file)), sha256_file(file)] for file in files]))


def read_jsonl_files(place: Place) -> Iterator[Found]:
    """JSON Lines: one document a line, fields as they are."""
    for path in place.files("jsonl"):
        for number, record in read_jsonl_lines(path):
            yield Found(f"{path}, line {number}", place.relative(path), record)


def read_parquet_files(place: Place) -> Iterator[Found]:
    """Parquet: one document a row, read in batches of 256 rows."""
    import pyarrow
    import pyarrow.parquet

    for path in place.files("parquet"):
        number = 0
        try:
            with pyarrow.parquet.ParquetFile(path) as file:
                for batch in file.iter_batches(batch_size=256):
                    for record in batch.to_pylist():
                        number += 1
                        yield Found(f"{path}, row {number}", place.relative(path), record)
        except (pyarrow.ArrowInvalid, pyarrow.ArrowNotImplementedError, UnicodeDecodeError) as error:
            raise BadInput(f"{path}: not a readable Parquet file ({str(error).splitlines()[0]})") from None


def read_text_files(place: Place) -> Iterator[Found]:
    """Markdown or plain text: one document a file, its relative path as id, its first heading as title."""
    for path in place.files("text"):
        try:
            text = path.read_bytes().decode("utf-8-sig")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"{path}: not UTF-8 at byte {error.start}; convert it, for instance with iconv -t UTF-8"
            ) from None
        relative = place.relative(path)
        yield Found(
            str(path), relative, {"paper_id": relative, "title": first_heading(text) or path.stem, "text": text}
        )


def first_heading(text: str) -> str:
    """The text of the first Markdown heading (`# …`) outside fenced code, or an empty string."""
    fenced = False
    for line in text.splitlines():
        if line.lstrip().startswith(("```", "~~~")):
            fenced = not fenced
        elif not fenced and (match := re.match(r" {0,3}#{1,6}[ \t]+(.+?)[ \t]*#*[ \t]*$", line)):
            return match[1]
    return ""


def read_squad_files(place: Place) -> Iterator[Found]:
    """SQuAD-style JSON: an article is a paper, its paragraphs joined by blank lines; its id is `<file>-<number>`."""
    for path in place.files("squad"):
        content = read_json(path)
        articles = content.get("data") if isinstance(content, dict) else None
        if not isinstance(articles, list):
            raise BadInput(
                f'{path}: expected SQuAD-style JSON, {{"data": [{{"title": …, "paragraphs": [{{"context": …}}]}}]}}; '
                "for one JSON object a line give format=jsonl and a file name ending in .jsonl"
            )
        for number, article in enumerate(articles):
            where = f"{path}, data[{number}]"
            paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
            if not isinstance(paragraphs, list):
                raise BadInput(f'{where}: expected an article with a list "paragraphs"')
            contexts = [item.get("context") if isinstance(item, dict) else None for item in paragraphs]
            for place_of, context in enumerate(contexts):
                if not isinstance(context, str):
                    raise BadInput(f'{where}.paragraphs[{place_of}]: expected a text in "context"')
            record = {
                "paper_id": str(article.get("id") or f"{path.stem}-{number:04d}"),
                "title": article.get("title") or "",
                "text": "\n\n".join(str(context).strip() for context in contexts),
                "paragraphs": len(paragraphs),
                "questions": sum(len(item.get("qas") or []) for item in paragraphs),
            }
            yield Found(where, place.relative(path), record)


def read_datasets(place: Place) -> Iterator[Found]:
    """Hugging Face `datasets`: a folder saved by save_to_disk, or a name on the hub."""
    try:
        import datasets
    except ImportError as error:
        raise KcptError(
            f"reading a Hugging Face data set needs the package datasets ({error}); run make setup"
        ) from None

    try:
        if place.path.is_dir():
            loaded = datasets.load_from_disk(str(place.path))
        else:
            loaded = datasets.load_dataset(place.name, revision=place.revision or None)
    except Exception as error:  # datasets raises a dozen kinds, from the network's to pyarrow's
        what = f"{type(error).__name__}: {str(error).splitlines()[0] if str(error) else 'no message'}"
        raise BadInput(
            f"{place.name}: could not be loaded as a Hugging Face data set ({what}). Is the name right? "
            "Offline, give a folder saved by save_to_disk"
        ) from None
    if isinstance(loaded, datasets.DatasetDict):
        splits = list(loaded)
        if not place.split and len(splits) > 1:
            raise BadInput(f"{place.name}: has the splits {', '.join(splits)}; say which by hf_split=")
        if place.split and place.split not in splits:
            raise BadInput(f"{place.name}: no split '{place.split}'; there are {', '.join(splits)}")
        loaded = loaded[place.split or splits[0]]
    for number, record in enumerate(loaded):
        yield Found(f"{place.name}, row {number + 1}", place.path.name, record)


READERS: dict[str, Callable[[Place], Iterator[Found]]] = {
    "jsonl": read_jsonl_files,
    "parquet": read_parquet_files,
    "datasets": read_datasets,
    "text": read_text_files,
    "squad": read_squad_files,
}
"""Format -> reader."""


def json_value(value: Any) -> Any:
    """A field's value as JSON can hold it: dates as text, bytes left out."""
    return json.loads(json.dumps(value, default=lambda other: None if isinstance(other, bytes) else str(other)))
