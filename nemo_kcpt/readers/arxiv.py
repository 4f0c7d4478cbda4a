"""Source packages of arXiv, .tar.gz and .tgz: the TeX documents in each, read as those of a folder are.

Only files of TeX leave the package, into a folder that goes when it has been read, and none whose name leads elsewhere.
A package with links, devices or names that climb out of it is hostile and is named as a whole; so is a bomb.
"""

from __future__ import annotations

import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path, PurePosixPath

from nemo_kcpt.documents.base import Found, Piece, Place, one_file, too_large
from nemo_kcpt.documents.streams import Overflow, open_packed
from nemo_kcpt.documents.zipped import ENTRIES, UNPACKED
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.tex import READER as TEX

TEXTS = (".tex", ".ltx", ".bbl", ".sty")
"""Endings of what documents are made of; pictures and data stay packed."""
_DAMAGE = (tarfile.TarError, EOFError, OSError, zlib.error, ValueError)
"""What tarfile raises of a damaged package; `Overflow` is a ValueError."""


class BadPackage(Exception):
    """The package cannot be read; says why."""


def members(path: Path) -> Iterator[tuple[tarfile.TarInfo, tarfile.TarFile]]:
    """The files of a package in its order, with the open package to read each from before the next is asked for.

    Raises:
        BadPackage: it is damaged, a bomb, or has an entry that is no plain file or lies elsewhere.
    """
    size = 0
    try:
        with open_packed(path) as stream, tarfile.open(fileobj=stream, mode="r|") as package:
            for number, entry in enumerate(package):
                name = PurePosixPath(entry.name)
                if number >= ENTRIES:
                    raise BadPackage(f"has more than the limit of {ENTRIES:,} entries: a mistake or a bomb")
                if name.is_absolute() or ".." in name.parts or "\\" in entry.name or "\0" in entry.name:
                    raise BadPackage(f"has an entry {entry.name!r} that lies outside of it; nothing of it is read")
                if entry.isdir():
                    continue
                if not entry.isfile():
                    kind = "a link" if entry.issym() or entry.islnk() else "a device or the like"
                    raise BadPackage(
                        f"has {kind} in it ({entry.name!r}), where plain files are expected; unpack it "
                        "yourself if you trust it"
                    )
                size += entry.size
                if size > UNPACKED:
                    raise BadPackage(f"would unpack to more than {UNPACKED:,} bytes: a mistake or a bomb")
                yield entry, package
    except Overflow as error:
        raise BadPackage(str(error)) from None
    except _DAMAGE as error:
        said = " ".join(str(error).split()) or type(error).__name__
        raise BadPackage(f"is damaged or cut off, or no .tar.gz ({said}); fetch it anew") from None


def is_package(path: Path) -> bool:
    """Whether a package holds TeX, or cannot be looked into, which is said when it is read."""
    try:
        stat = path.stat()
    except OSError:
        return False
    return _holds_tex(path, stat.st_size, stat.st_mtime_ns)


@lru_cache(maxsize=1 << 16)
def _holds_tex(path: Path, size: int, changed: int) -> bool:
    try:
        return any(entry.name.lower().endswith((".tex", ".ltx")) for entry, _ in members(path))
    except BadPackage:
        return True


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The documents of a package."""
    path = one_file(piece.paths)
    source = place.relative(path)
    with tempfile.TemporaryDirectory(prefix="kcpt-arxiv-") as temporary:
        folder = Path(temporary).resolve()
        try:
            _unpack(path, folder, place)
        except BadPackage as error:
            yield Found(str(path), source, {}, str(error))
            return
        inner = Place(name=str(folder), encoding=place.encoding, max_bytes=place.max_bytes)
        files = TEX.files(inner)
        if not files:
            yield Found(str(path), source, {}, "holds no TeX; unpack it and give its files")
        for file in files:
            name = f"{source}#{inner.relative(file)}" if len(files) > 1 else source
            for document in TEX.documents_of(inner, Piece(TEX.name, (str(file),))):
                yield _as_of(document, name, str(path), folder)


def _as_of(document: Found, name: str, path: str, folder: Path) -> Found:
    """A document of the unpacked folder as one of the package."""

    def relocated(text: str) -> str:
        return text.replace(f"{folder}/", f"{path}, ")

    record = {**document.record, "paper_id": name} if document.record else {}
    flaws = [flaw._replace(where=relocated(flaw.where), detail=relocated(flaw.detail)) for flaw in document.flaws]
    return document._replace(
        where=relocated(document.where), source=name, record=record, problem=relocated(document.problem), flaws=flaws
    )


def _unpack(path: Path, folder: Path, place: Place) -> None:
    """Write the package's texts below a folder.

    Raises:
        BadPackage: as `members`; a text is larger than a document may be, or two have one name.
    """
    size = 0
    for entry, package in members(path):
        if not entry.name.lower().endswith(TEXTS):
            continue
        size += entry.size
        if size > place.max_bytes:
            raise BadPackage(f"{entry.name}: {too_large(size, place)}")
        target = folder / PurePosixPath(entry.name)
        if target.exists() or not target.resolve().is_relative_to(folder):
            raise BadPackage(f"has two entries named {entry.name}: damaged; pack it anew")
        stream = package.extractfile(entry)
        assert stream is not None  # a plain file
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(stream.read())
        except (FileExistsError, NotADirectoryError):
            raise BadPackage(f"has {entry.name} as a file and as a folder: damaged; pack it anew") from None


def divide(place: Place, path: Path) -> Iterator[tuple[int, int, int]]:
    """One piece: a package may be larger than a document, since it holds pictures."""
    yield 0, -1, 1


READER = Reader(
    name="arxiv", suffixes=(".tar.gz", ".tgz"), read=read, documents=True, recognises=is_package, divide=divide
)
