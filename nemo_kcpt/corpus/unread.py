"""Files of a folder that no reader reads: counted by their endings, so that none is passed over without a word."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from nemo_kcpt.logs import LOG
from nemo_kcpt.readers import DATA_SET_FILES, Place, Reader

CONVERT, PANDOC, EXPORT, UNPACK = range(4)
_ENDINGS = {
    CONVERT: ".rtf .odt .ott .fodt .ods .fods .odp .fodp .wpd .wps .sxw .sxc .sxi",
    EXPORT: ".hwp .hwpx .jtd .jtt .pages .numbers .key .one .onetoc2 .vsd .vsdx .pub .xps .oxps .djvu .chm .mobi .azw "
    ".azw3 .mht .mhtml .pst .ost",
    PANDOC: ".rst .adoc .asciidoc .org .textile .fb2 .docbook .man .typ",
    UNPACK: ".zip .7z .rar .tar .gz .tgz .bz2 .xz .zst .lzh",
}
ADVICE = {ending: advice for advice, endings in _ENDINGS.items() for ending in endings.split()}
"""Ending of files that may hold documents -> which of the ways to have them read."""
WAYS = {
    CONVERT: "LibreOffice converts {endings}: soffice --headless --convert-to docx FILE (sheets xlsx, slides pptx)",
    PANDOC: "pandoc converts {endings}: pandoc -t gfm FILE -o FILE.md",
    EXPORT: "export {endings} as PDF, Word, HTML or Markdown by the program that made them",
    UNPACK: "unpack {endings}",
}
SHOWN = 5
"""Endings that a message names with a file each."""


def count_unread(place: Place, chosen: Sequence[Reader]) -> dict[str, int]:
    """How many files of a folder no reader of `chosen` reads, by their endings in lower case, most first.

    Hidden files do not count, nor do those that a document is made of (figures of TeX that it names, pages of an
    export), nor anything in a data set's own folder. A warning names endings of files that may hold documents, and
    what to do with them.
    """
    if not place.path.is_dir() or any(reader.pieces is not None for reader in chosen):
        return {}
    read: set[Path] = set()
    for reader in chosen:
        files = place.files(reader.suffixes)
        read.update(
            reader.files(place) if reader.documents else files, reader.beside(place, files) if reader.beside else ()
        )
        read.update(reader.parts(place, files) if reader.parts else ())
    unread = [path for path in place.files([""]) if path not in read and path.name not in DATA_SET_FILES]
    first: dict[str, Path] = {}
    for path in unread:
        first.setdefault(_ending(path), path)
    counts = dict(Counter(map(_ending, unread)).most_common())
    if worth := [ending for ending in counts if ending in ADVICE]:
        _warn(place, {ending: counts[ending] for ending in worth}, first)
    return counts


def _ending(path: Path) -> str:
    return path.suffix.lower()


def _warn(place: Place, counts: dict[str, int], first: dict[str, Path]) -> None:
    files = sum(counts.values())
    examples = ", ".join(f"{counts[ending]} {ending} ({place.relative(first[ending])})" for ending in [*counts][:SHOWN])
    ways = (
        way.format(endings=", ".join(ending for ending in counts if ADVICE[ending] == advice))
        for advice, way in WAYS.items()
        if any(ADVICE[ending] == advice for ending in counts)
    )
    LOG.warning(
        "corpus: %d file%s not read, since no reader knows the format: %s%s; %s. The data sheet counts all such files",
        *(files, "s were" if files > 1 else " was", examples, ", …" if len(counts) > SHOWN else "", "; ".join(ways)),
    )
