"""What a reader is: which files it takes, how they are divided among processes, how the documents of a piece come.

A corpus is divided into pieces of about `PIECE` bytes that any process can read on its own, and a reader streams the
documents of a piece. So all cores and all machines can work on one corpus, a killed run resumes at the next piece,
and memory is that of a few documents, however large the corpus is.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import PIECE, Flaw, Found, Piece, Place, split_of, too_large
from nemo_kcpt.documents.memory import remembered
from nemo_kcpt.readers.partitions import Columns, columns, fields_of

READER_CHANGES = {
    "notes": "Notes of PDFs that parted a sentence at the end of a column, put behind the text of their page",
    "sideways": "Pages of PDFs with sideways text, each direction of which is read by itself",
    "columns": "Lines of columns that a PDF draws line by line across all of them, put in the order of reading",
    "mixed_pages": "Pages of PDFs on which the lines of two columns may be mixed",
    "mail_quotes": "Mails whose quoted replies at the end were left out: they are messages of their own",
    "mail_signatures": "Mails whose signatures were left out",
    "ocr": "Pages of pictures whose text is what an OCR engine (ocr=) read, and not stored text",
    "notebook_outputs": "Outputs of notebooks that are too long to be text, and were left out",
    "wiki_redirects": "Pages of wikis that are redirects, and no documents; counted with the page that follows",
    "wiki_other_pages": "Pages of wikis outside of the main namespace, no documents either; counted in the same way",
    "wiki_templates": "Templates of wikis that cannot be expanded, and were left out",
    "wiki_templates_kept": "Templates of wikis that cannot be expanded and hold numbers: they stay as they are written",
    "confluence_other_pages": "Drafts, older versions and comments of a Confluence space, which are no documents",
    "confluence_macros": "Macros of Confluence whose content is not in the export",
    "unmapped_pages": "Pages of PDFs with a font that does not say which characters its glyphs are",
}
"""What readers change or doubt and no cleaning step does: the name of the count -> what it counts."""
OTHER_FOLDER = "with a field that differs from the folder's name, kept as it is"
"""Kind of a flaw."""
FILES = 64
"""Files a piece holds at most, where a file is a document."""
Divide = Callable[[Place, Path], Iterable[tuple[int, int, int]]]
"""(start, stop, number) of the pieces of one file."""
Read = Callable[[Place, Piece], Iterator[Found]]


@dataclass(frozen=True)
class Pictures:
    """How pages without stored text are found and drawn for an OCR engine."""

    pages: Callable[[Place, Path], list[int]]
    """Numbers, from 1, of the pages of a file whose text cannot be read; none of a file that cannot be read at all."""
    image: Callable[[Path, int, int], bytes]
    """(file, page, dots per inch) -> PNG."""


@dataclass(frozen=True, kw_only=True)
class Reader:
    """A format. To add one, write a module in this folder with a `READER`, and a test; nothing else names it."""

    name: str
    suffixes: tuple[str, ...]
    read: Read
    documents: bool = False
    """A file is a document, so that one folder may mix such formats."""
    refuses: bool = False
    """It reads nothing: it names files of a kind that no reader knows, which beside data are nobody's documents."""
    recognises: Callable[[Path], bool] | None = None
    """For a suffix that several formats share: whether a file is of this one. It must not raise."""
    parts: Callable[[Place, Sequence[Path]], Collection[Path]] | None = None
    """Those of a place's files that are read with another one and are no documents of their own."""
    beside: Callable[[Place, Sequence[Path]], Iterable[Path]] | None = None
    """Other files that documents are made of: what they hold is a part of the corpus's identity."""
    divide: Divide | None = None
    """How a file falls into pieces; without it a file is one piece."""
    pieces: Callable[[Place], Iterator[Piece]] | None = None
    """How the whole place falls into pieces, for what is no file (a data set)."""
    pictures: Pictures | None = None
    """For formats whose pages may be pictures."""

    @remembered
    def files(self, place: Place) -> list[Path]:
        """The files at `place` that this reader reads: in its format, and of the split that was asked for."""
        files = place.files(self.suffixes)
        if self.recognises is not None:
            bad = {path for path in files if place.outside(path)}  # not opened, and named with those they lie among
            known = [path for path in files if path not in bad and self.recognises(path)]
            files = sorted([*known, *bad]) if known or len(bad) == len(files) else []
        if self.parts is not None and not place.path.is_file():
            others = self.parts(place, files)
            files = [path for path in files if path not in others]
        if place.split in ("", "all") or self.documents or place.path.is_file():
            return files
        return [path for path in files if (split_of(place, path) or "train") == place.split]

    def all_pieces(self, place: Place) -> Iterator[Piece]:
        """The pieces of what lies at `place`, in reading order: the same ones for the same bytes."""
        if self.pieces is not None:
            yield from self.pieces(place)
            return
        bundle: list[str] = []
        size = 0
        for path in self.files(place):
            bad = bool(place.outside(path))
            if self.divide is not None and not bad:
                try:
                    yield from [
                        Piece(self.name, (str(path),), start, stop, number)
                        for start, stop, number in self.divide(place, path)
                    ]
                except OSError:  # read as a whole by a process that then says why it cannot be read
                    yield Piece(self.name, (str(path),))
                continue
            bundle.append(str(path))
            size += 0 if bad else path.stat().st_size
            if not self.documents or size >= PIECE or len(bundle) == FILES:
                yield Piece(self.name, tuple(bundle))
                bundle, size = [], 0
        if bundle:
            yield Piece(self.name, tuple(bundle))

    def documents_of(self, place: Place, piece: Piece) -> Iterator[Found]:
        """The documents of a piece; files that must not or cannot be opened as problems."""
        for name in piece.paths:
            path = Path(name)
            source = place.relative(path) if place.path.exists() else place.name
            problem = place.outside(path) if place.path.exists() else ""
            if not problem and self.documents and self.divide is None and path.stat().st_size > place.max_bytes:
                problem = too_large(path.stat().st_size, place)
            if problem:
                yield Found(name, source, {}, problem)
                continue
            fields = fields_of(source, _columns(place)) if "=" in source and place.path.is_dir() else {}
            try:
                yield from _with_fields(self.read(place, piece._replace(paths=(name,))), fields)
            except OSError as error:
                yield Found(name, source, {}, f"cannot be read ({error.strerror or error})")
            except RecursionError:
                yield Found(name, source, {}, "is nested too deeply to be a document; save it anew")
            except MemoryError:
                yield Found(name, source, {}, "takes more memory than a reading process has; split it, or save it anew")


@lru_cache(maxsize=4)
def _columns(place: Place) -> Columns:
    return columns(place.folders())


def _with_fields(documents: Iterable[Found], fields: Mapping[str, Any]) -> Iterator[Found]:
    """The documents with the fields of their folder; one that has such a field itself keeps its own, by name.

    A folder's name is no document's id: such a field goes into `meta`.
    """
    if not fields:
        yield from documents
        return
    beside = {name: value for name, value in fields.items() if name not in ("paper_id", "id", "doc_id", "meta")}
    rest = {name: value for name, value in fields.items() if name not in beside}
    for document in documents:
        record = dict(document.record)
        flaws = [
            Flaw(OTHER_FOLDER, document.where, f"field {name} holds {record[name]!r}, its folder says {value!r}")
            for name, value in beside.items()
            if name in record and str(record[name] or "") != str(value or "")
        ]
        meta = record.get("meta")
        if rest and (meta is None or isinstance(meta, Mapping)):
            record["meta"] = {**rest, **(meta or {})}
        yield (
            document
            if document.problem
            else document._replace(record={**beside, **record}, flaws=[*document.flaws, *flaws])
        )
