"""Jupyter notebooks: one document a notebook, text as it is, code in fences, outputs where they are short.

Of an output the form that says most is read: Markdown, TeX, a table of HTML, else plain text. Pictures are no text;
longer outputs, which are logs mostly, are left out and counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from nemo_kcpt.documents.base import Found, Piece, Place, one_file
from nemo_kcpt.markup.html.markdown import page_markdown
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.json_values import Twice, twice_in
from nemo_kcpt.readers.squad import Malformed, load_whole

LINES, CHARACTERS = 40, 3000
"""An output may have so many of each to be read."""
_ESCAPE = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[()][A-Z0-9]|\x08")
_PICTURE = re.compile(r"!\[[^\]]*\]\(attachment:[^)]*\)|!\[[^\]]*\]\(data:[^)]*\)")


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The document of a notebook; one without text is a problem."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        content = load_whole(place, path)
    except Malformed as error:
        yield Found(str(path), source, {}, str(error))
        return
    cells = _cells(content)
    if isinstance(content, Twice) or (isinstance(content, dict) and twice_in(content)):
        yield Found(str(path), source, {}, str(twice_in(content)))
        return
    if cells is None:
        yield Found(str(path), source, {}, "is no notebook: it has no list of cells")
        return
    changes: Counter[str] = Counter()
    metadata = _mapping(content.get("metadata"))
    kernel, known = _mapping(metadata.get("kernelspec")), _mapping(metadata.get("language_info"))
    language = str(known.get("name") or kernel.get("language") or "")
    blocks = [block for cell in cells if isinstance(cell, Mapping) for block in _blocks(cell, language, changes)]
    text = "\n\n".join(block for block in blocks if block.strip())
    if not text:
        yield Found(str(path), source, {}, "there is no text in the notebook")
        return
    names = [
        _mapping(author).get("name", "") for author in metadata.get("authors") or [] if isinstance(author, Mapping)
    ]
    fields = {"author": "; ".join(filter(None, map(str, names))), "code_language": language}
    title = metadata.get("title")
    record = {"paper_id": source, "title": title if isinstance(title, str) else "", **fields, "text": text}
    kept = {name: value for name, value in record.items() if value or name == "title"}
    yield Found(str(path), source, kept, changes=dict(changes))


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def _cells(content: Any) -> list[Any] | None:
    """A notebook's cells; in format 3 they are in worksheets."""
    if not isinstance(content, dict):
        return None
    cells = content.get("cells")
    if cells is None and isinstance(sheets := content.get("worksheets"), list):
        cells = [cell for sheet in sheets for cell in _mapping(sheet).get("cells") or []]
    return cells if isinstance(cells, list) else None


def _source(value: Any) -> str:
    """The text of a cell or an output: a string, or a list of lines."""
    lines = value if isinstance(value, list) else [value]
    return "".join(line for line in lines if isinstance(line, str)).replace("\r\n", "\n")


def _blocks(cell: Mapping[str, Any], language: str, changes: Counter[str]) -> Iterator[str]:
    kind = cell.get("cell_type")
    text = _source(cell.get("source", cell.get("input", "")))
    if kind == "heading":  # format 3
        level = cell.get("level")
        yield f"{'#' * (level if isinstance(level, int) and 0 < level < 7 else 1)} {' '.join(text.split())}"
    elif kind in ("markdown", "raw"):
        yield _PICTURE.sub("", text).strip("\n")
    elif kind == "code":
        yield fenced(text, language)
        for output in cell.get("outputs") or []:
            markdown = _output(_mapping(output))
            if markdown.count("\n") > LINES + 1 or len(markdown) > CHARACTERS:
                changes["notebook_outputs"] += 1
            else:
                yield markdown


def fenced(text: str, language: str = "") -> str:
    """Text as a block of code; empty for blank text."""
    text = text.strip("\n")
    fence = "```"
    while fence in text:
        fence += "`"
    return f"{fence}{language}\n{text}\n{fence}" if text.strip() else ""


def _output(output: Mapping[str, Any]) -> str:
    """What a cell put out, as Markdown; empty for pictures and warnings."""
    kind = output.get("output_type")
    if kind == "stream":
        return fenced(_plain(_source(output.get("text", "")))) if output.get("name", "stdout") == "stdout" else ""
    if kind in ("error", "pyerr"):
        return fenced(_plain(f"{output.get('ename', '')}: {output.get('evalue', '')}"))
    data = _mapping(output.get("data", output))  # format 3 has the forms beside each other
    if markdown := _source(data.get("text/markdown")):
        return markdown.strip("\n")
    page = _source(data.get("text/html", data.get("html")))
    if "<table" in page.lower():
        return page_markdown(page)[0]
    if tex := _source(data.get("text/latex", data.get("latex"))).strip():
        return tex if tex.startswith(("$", "\\[", "\\(", "\\begin")) else f"$${tex}$$"
    return fenced(_plain(_source(data.get("text/plain", data.get("text", "")))))


def _plain(text: str) -> str:
    """Text as a terminal shows it: without colours, and of a line that is drawn again the last state."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in _ESCAPE.sub("", text).split("\n"))


READER = Reader(name="ipynb", suffixes=(".ipynb",), read=read, documents=True)
