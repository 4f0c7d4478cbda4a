"""TeX: one document a \\documentclass, with all files that it reads, as Markdown; formulas stay TeX.

An arXiv folder is one document, wherever in the corpus. A document's own macros are expanded, comments and what a
condition switches off go, numbers of sections, formulas, figures and citations are those of the page. What cannot be
known is named: files that are missing or outside of the folder, and commands without a meaning, stay visible and are
flaws of the document.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Flaw, Found, Piece, Place, one_file, too_large
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.tex.files import Sources, parts_of
from nemo_kcpt.tex.lexer import tokens_of
from nemo_kcpt.tex.macros import Macro, Program
from nemo_kcpt.tex.meanings import KEPT, TABLE
from nemo_kcpt.tex.primitives import ACTS
from nemo_kcpt.tex.tokens import TooMuch
from nemo_kcpt.tex.works import works_of
from nemo_kcpt.tex.write import Writer
from nemo_kcpt.text.encodings import UnknownEncoding
from nemo_kcpt.text.raised import fractions

UNKNOWN = "TeX commands without a known meaning"
"""Kind of a flaw."""
_SHOWN = 12
"""Commands that a flaw names."""
_BEFORE = r"\documentclass{article}"
"""What a file without a head is read as."""


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a file and of all that it reads; one without text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    sources = Sources(path, place)
    try:
        text = sources.source(path)
        if not text.strip():
            yield Found(str(path), source, {}, "the file is empty")
            return
        record = _record(text, path, sources)
    except UnknownEncoding as error:
        yield Found(str(path), source, {}, str(error))
        return
    except (TooMuch, RecursionError) as error:
        yield Found(str(path), source, {}, f"cannot be read as TeX: {error}")
        return
    flaws = [*sources.flaws, *record.pop("flaws")]
    body = record["text"]
    if len(body.encode("utf-8", "replace")) > place.max_bytes:
        yield Found(str(path), source, {}, too_large(len(body.encode("utf-8", "replace")), place))
    elif not re.search(r"\w", record.pop("body")):
        yield Found(str(path), source, {}, "there is no text in the document: only macros, or drawings")
    else:
        yield Found(str(path), source, {"paper_id": source, **record}, flaws=flaws)


def _record(text: str, path: Path, sources: Sources) -> dict[str, Any]:
    """The fields of a document; `body` is its text without the title, `flaws` what is wrong with it."""
    works = works_of([text, *_own_texts(path, text, sources), *_bbl_text(sources)])
    program = Program(text, str(path), sources.open, ACTS, KEPT)
    program.macros["empty"] = program.macros["@empty"] = Macro(())
    writer = Writer(program, TABLE, works)
    sources.begun = lambda: writer.begun
    if not re.search(r"\\document(?:class|style)\b", text):
        program.push(tokens_of(_BEFORE))
    works.by_author = works.by_author and not re.search(
        r"\\usepackage\s*\[[^\]]*\b(?:numbers|super)\b[^\]]*\]\s*\{natbib\}", text
    )
    writer.run()
    writer.paragraph()
    fields = {name: writer.state.labels.resolved(value) for name, value in writer.state.fields.items() if value}
    body = fractions(writer.state.labels.resolved("\n\n".join(writer.paragraphs("".join(writer.out)))))
    title = " ".join(fields.pop("title", "").split())
    subtitle = fields.pop("subtitle", "")
    whole = f"# {title}{f': {subtitle}' if subtitle else ''}\n\n{body}" if title else body
    flaws = []
    if writer.state.unknown:
        named = [f"{name} ({count})" for name, count in writer.state.unknown.most_common(_SHOWN)]
        rest = f", and {len(writer.state.unknown) - _SHOWN} more" if len(writer.state.unknown) > _SHOWN else ""
        flaws = [Flaw(UNKNOWN, str(path), f"{', '.join(named)}{rest}")]
    return {"title": title, **fields, "text": whole.strip(), "body": body, "flaws": flaws}


def _own_texts(path: Path, text: str, sources: Sources) -> Iterator[str]:
    """The texts of a document's other files in which a list of references may be."""
    if "\\begin{thebibliography}" in text:
        return
    for other in sorted(path.parent.glob("*.tex"))[:200]:
        if other != path and other.stem in text and not sources.place.outside(other):
            try:
                content = sources.source(other)
            except (UnknownEncoding, OSError):
                continue
            if "\\bibitem" in content:
                yield content


def _bbl_text(sources: Sources) -> Iterator[str]:
    path = sources.works_file
    if path is not None and not sources.place.outside(path):
        try:
            yield sources.source(path)
        except (UnknownEncoding, OSError):
            return


def _beside(place: Place, files: Sequence[Path]) -> Iterator[Path]:
    """What documents may read beside the files that are documents."""
    for folder in sorted({path.parent for path in files}):
        for path in sorted(folder.rglob("*") if place.path.is_file() else folder.glob("*")):
            if path.suffix.lower() in (".tex", ".bbl", ".sty") and path.is_file():
                yield path


READER = Reader(name="tex", suffixes=(".tex", ".ltx"), read=read, documents=True, parts=parts_of, beside=_beside)
