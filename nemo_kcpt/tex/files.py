"""The files of a TeX document: found in its folder and never outside of it, decoded, and told apart from documents.

An arXiv folder holds one document in many files. A file with \\documentclass is a document; what a document reads by
\\input and its relatives is a part of it; what nobody reads is a document of its own, so that nothing is left out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Sequence
from functools import lru_cache
from pathlib import Path

from nemo_kcpt.documents.base import Flaw, Place
from nemo_kcpt.errors import BadInput
from nemo_kcpt.tex.lexer import Lexer
from nemo_kcpt.text.encodings import BrokenUtf8, UnknownEncoding, check_name, decode

MISSING = "parts of TeX documents that are not read"
"""Kind of a flaw."""
FILES = 500
"""Files that a document may read."""
_COMMENTS = re.compile(r"(?<!\\)((?:\\\\)*)%[^\n]*")
_CLASS = re.compile(r"\\document(?:class|style)\s*(?:\[[^\]]*\])?\s*\{([^}]*)\}")
_INCLUDES = re.compile(
    r"\\(?P<name>input|include|subfile|subfileinclude|includestandalone|import\*?|subimport\*?)\s*(?:\[[^\]]*\])?\s*"
    r"(?:\{(?P<first>[^{}]*)\}(?:\s*\{(?P<second>[^{}]*)\})?|(?P<bare>[^\s{}\\%]+))"
)
_INPUT_ENCODING = re.compile(r"\\usepackage\s*\[([\w-]+)\]\s*\{inputenc\}")
_ENCODINGS = {
    "latin1": "cp1252",
    "latin9": "iso8859-15",
    "ansinew": "cp1252",
    "utf8": "utf-8",
    "utf8x": "utf-8",
    "latin2": "iso8859-2",
    "applemac": "mac_roman",
    "sjis": "cp932",
    "eucjp": "euc_jp",
    "koi8-r": "koi8-r",
    "cp1251": "cp1251",
}
_DEFINITION = re.compile(
    r"\\(?:re|provide)?newcommand|\\(?:re)?newcommand|\\(?:g|e)?def\\|\\DeclareMathOperator|\\let\\"
)


class Sources:
    """What a document may read.

    Args:
        main: the document's file.
        place: the corpus; no file outside of it is opened, nor one behind a link that leads outside.
    """

    def __init__(self, main: Path, place: Place) -> None:
        self.main = main
        self.place = place
        self.root = place.path if place.path.is_dir() else main.parent
        self.flaws: list[Flaw] = []
        self.read = 0
        self.size = 0
        self.folders = [main.parent]
        """The folders that files are looked for in, the last one first."""
        self.packages: set[str] = set()
        self.begun: Callable[[], bool] = lambda: False
        """Whether the document's text has begun: a file with a head of its own is then read without it."""
        self.numeric = False
        """Whether works are cited by numbers though the list has authors and years."""
        self.works_file: Path | None = bbl_of(main)

    def source(self, path: Path) -> str:
        """A file's text.

        Raises:
            UnknownEncoding: it cannot be decoded.
        """
        return decoded(path.read_bytes(), self.place.encoding)

    def open(self, command: str, words: Sequence[str]) -> Lexer | None:
        """The file that a command reads; what cannot be read is a flaw."""
        if command == "bbl":
            return self._bbl()
        if command in ("usepackage", "RequirePackage"):
            return self._package(words)
        name = words[0].strip().strip('"')
        if (
            command in ("import", "subimport", "includefrom", "subincludefrom", "inputfrom", "subinputfrom")
            and len(words) > 1
        ):
            name = f"{words[0].rstrip('/')}/{words[1]}"
        if not name or name.endswith((".bbl", ".sty", ".cls", ".aux", ".toc")):
            return self._bbl() if name.endswith(".bbl") else None
        path = self._find(name)
        if isinstance(path, str):
            self._flaw(command, name, path)
            return None
        return self._lexer(path, command, name)

    def _lexer(self, path: Path, command: str, name: str) -> Lexer | None:
        self.read += 1
        self.size += path.stat().st_size
        if self.read > FILES or self.size > self.place.max_bytes:
            self._flaw(command, name, "the document reads too many files, or too much")
            return None
        try:
            text = self.source(path)
        except (UnknownEncoding, OSError) as error:
            self._flaw(command, name, str(error))
            return None
        if path.parent not in self.folders:
            self.folders.append(path.parent)
        match = (
            re.search(r"\\begin\s*\{document\}(.*?)(?:\\end\s*\{document\}|$)", text, re.S) if self.begun() else None
        )
        text = match[1] if match else text
        return Lexer(text, str(path))

    def _find(self, name: str) -> Path | str:
        """The file of a name, or why it is not read."""
        for folder in (self.folders[0], *reversed(self.folders[1:])):
            for candidate in (folder / f"{name}.tex", folder / name):
                if not inside(candidate, self.root):
                    return "outside of the folder, where nothing is read"
                if candidate.is_file() or candidate.is_symlink():
                    problem = (
                        self.place.outside(candidate) if self.place.path.is_dir() else _linked(candidate, self.root)
                    )
                    return problem or candidate
        return "no such file"

    def _bbl(self) -> Lexer | None:
        path = self.works_file
        if path is None or self.place.outside(path):
            return None
        try:
            return Lexer(self.source(path), str(path))
        except (UnknownEncoding, OSError) as error:
            self._flaw("bibliography", path.name, str(error))
            return None

    def _package(self, words: Sequence[str]) -> Lexer | None:
        """A package of one's own beside the document: its macros."""
        name, options = words[0], words[1] if len(words) > 1 else ""
        if name in ("natbib", "cite", "biblatex"):
            self.numeric = (
                self.numeric or bool(re.search(r"\b(?:numbers|super)\b|style\s*=\s*numeric", options)) or name == "cite"
            )
        path = self.main.parent / f"{name}.sty"
        if name in self.packages or not inside(path, self.root) or not path.is_file() or self.place.outside(path):
            return None
        self.packages.add(name)
        try:
            text = "".join(_definitions(self.source(path)))
        except (UnknownEncoding, OSError):
            return None
        return Lexer(text, str(path)) if text else None

    def _flaw(self, command: str, name: str, why: str) -> None:
        self.flaws.append(Flaw(MISSING, str(self.main), f"\\{command}{{{name}}}: {why}"))


def _linked(path: Path, root: Path) -> str:
    return "" if path.resolve().is_relative_to(root.resolve()) else "a link that leads out of the folder"


def _definitions(text: str) -> Iterator[str]:
    """The definitions of a package that are plain LaTeX: others set up TeX itself."""
    lines = _COMMENTS.sub(r"\1", text).split("\n")
    index = 0
    while index < len(lines):
        if _DEFINITION.match(lines[index].lstrip()):
            taken = lines[index]
            while taken.count("{") > taken.count("}") and index + 1 < len(lines) and len(taken) < 20_000:
                index += 1
                taken = f"{taken}\n{lines[index]}"
            if "@" not in taken and taken.count("{") == taken.count("}"):
                yield f"{taken}%\n"
        index += 1


def inside(path: Path, root: Path) -> bool:
    """Whether a path stays within a folder, dots and all; links are not followed."""
    parts: list[str] = []
    if path.is_absolute() and not str(path).startswith(str(root)):
        return False
    for part in path.parts[len(root.parts) :] if path.parts[: len(root.parts)] == root.parts else path.parts:
        if part == "..":
            if not parts:
                return False
            parts.pop()
        elif part != ".":
            parts.append(part)
    return True


def bbl_of(main: Path) -> Path | None:
    """The list of references beside a document: under its own name, else the only one in the folder."""
    own = main.with_suffix(".bbl")
    if own.is_file():
        return own
    others = sorted(main.parent.glob("*.bbl"))
    return others[0] if len(others) == 1 else None


def decoded(data: bytes, encoding: str) -> str:
    """TeX as text: in the encoding that its bytes surely are in, else the one that inputenc names.

    Raises:
        UnknownEncoding: neither is known.
    """
    try:
        return decode(data, encoding).text
    except BrokenUtf8:
        raise
    except UnknownEncoding:
        match = _INPUT_ENCODING.search(data[:20_000].decode("latin-1")) if encoding == "auto" else None
        if match is None:
            raise
        try:
            return decode(data, check_name(_ENCODINGS.get(match[1].lower(), match[1]))).text
        except BadInput:
            pass
        raise


def parts_of(place: Place, files: Sequence[Path]) -> Collection[Path]:
    """Those of the files that others read, and that are no documents of their own."""
    return _parts(place, tuple(files), tuple(_stamp(path) for path in files))


def _stamp(path: Path) -> tuple[int, int]:
    try:
        stat = path.stat()
    except OSError:
        return 0, 0
    return stat.st_mtime_ns, stat.st_size


@lru_cache(maxsize=2)
def _parts(place: Place, files: tuple[Path, ...], stamps: tuple[tuple[int, int], ...]) -> frozenset[Path]:
    known = set(files)
    heads = {path: _head(path) for path in files if not place.outside(path)}
    reads = {
        path: [target for target in _targets(place, path, names) if target in known]
        for path, (_, names) in heads.items()
    }
    mains = [path for path in files if path in heads and heads[path][0] not in ("", "subfiles", "standalone")]
    reached: set[Path] = set()
    for path in mains:
        _reach(path, reads, reached)
    documents = set(mains)
    folders = {path.parent for path in mains}
    for path in files:
        alone = path in heads and path not in reached and path not in documents
        picture = alone and heads[path][0] == "standalone" and any(folder in path.parents for folder in folders)
        if (
            alone
            and not picture
            and not any(path in targets for other, targets in reads.items() if other != path and other not in reached)
        ):
            documents.add(path)
            _reach(path, reads, reached)
    for path in files:  # those that only read each other
        if path in heads and path not in reached and path not in documents and heads[path][0] != "standalone":
            documents.add(path)
            _reach(path, reads, reached)
    return frozenset(path for path in heads if path not in documents)


def _reach(path: Path, reads: dict[Path, list[Path]], reached: set[Path]) -> None:
    waiting = list(reads.get(path, ()))
    while waiting:
        part = waiting.pop()
        if part not in reached:
            reached.add(part)
            waiting += reads.get(part, ())


def _head(path: Path) -> tuple[str, list[str]]:
    """A file's class, and the names of what it reads."""
    try:
        text = path.read_bytes().decode("latin-1")
    except OSError:
        return "", []
    text = _COMMENTS.sub(r"\1", text)
    match = _CLASS.search(text)
    return match[1].strip() if match else "", list(_included(text))


def _included(text: str) -> Iterator[str]:
    for match in _INCLUDES.finditer(text):
        name = (match["first"] if match["first"] is not None else match["bare"]).strip().strip('"')
        if match["name"].startswith(("import", "subimport")) and match["second"] is not None:
            name = f"{name.rstrip('/')}/{match['second'].strip()}"
        if name and "#" not in name and "\\" not in name:
            yield name


def _targets(place: Place, path: Path, names: Sequence[str]) -> Iterator[Path]:
    """The files that names stand for: beside the file, or in a folder above it, where TeX was started."""
    root = place.path if place.path.is_dir() else path.parent
    folders = [
        folder for folder in (path.parent, *path.parents) if inside(folder, root) and folder.is_relative_to(root)
    ]
    for name in names:
        for folder in folders:
            for candidate in (folder / f"{name}.tex", folder / name):
                tidy = Path(*_tidy(candidate.parts))
                if candidate.suffix == ".tex" and inside(candidate, root):
                    yield tidy


def _tidy(parts: Sequence[str]) -> list[str]:
    made: list[str] = []
    for part in parts:
        if part == ".." and made and made[-1] not in ("..", "/"):
            made.pop()
        elif part != ".":
            made.append(part)
    return made
