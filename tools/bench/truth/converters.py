"""What turns files into text, one program for all: a process of its own for each tool, in that tool's environment.

    python -m truth.converters TOOL FILE …

Prints a JSON line a file (text, seconds of CPU, problem) and at the end one with the peak memory in MiB. Loading the
tool is not timed; neither is the first file, which is converted once before.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

Convert = Callable[[Path], str]


def reader() -> Convert:
    """nemo_kcpt's readers alone, as a corpus in one folder is read."""
    from nemo_kcpt.readers import Piece, Place, Reader, choose_readers

    chosen: dict[tuple[Path, str], Reader] = {}

    def convert(path: Path) -> str:
        place = Place(name=str(path.parent))
        kind = (path.parent, path.suffix)
        if kind not in chosen:
            (chosen[kind],) = choose_readers(Place(name=str(path)))
        (document,) = chosen[kind].documents_of(place, Piece(chosen[kind].name, (str(path),)))
        if document.problem:
            raise ValueError(document.problem)
        title, text = str(document.record.get("title") or ""), str(document.record["text"])
        return text if title in text[:300] else f"{title}\n{text}"

    return convert


def ours() -> Convert:
    """What `kcpt corpus` makes of a file: read, then cleaned, which no other tool here does."""
    from nemo_kcpt.cleaning import STEPS, clean

    read = reader()
    return lambda path: clean(read(path), tuple(STEPS)).text


def markitdown() -> Convert:
    """Microsoft's MarkItDown."""
    from markitdown import MarkItDown

    converter = MarkItDown(enable_plugins=False)
    return lambda path: str(converter.convert(path).text_content)


def docling() -> Convert:
    """docling, whose models for PDFs come from a hub."""
    os.environ.setdefault("HF_HUB_OFFLINE", "1")
    from docling.document_converter import DocumentConverter

    converter = DocumentConverter()
    return lambda path: str(converter.convert(path).document.export_to_markdown())


def pdfminer() -> Convert:
    """pdfminer.six."""
    from pdfminer.high_level import extract_text

    return lambda path: str(extract_text(path))


def pymupdf4llm() -> Convert:
    """pymupdf4llm (AGPL): for comparison only."""
    import pymupdf4llm as library

    return lambda path: str(library.to_markdown(str(path), show_progress=False))


TOOLS: dict[str, Callable[[], Convert]] = {
    "nemo_kcpt": ours,
    "reading alone": reader,
    "markitdown": markitdown,
    "docling": docling,
    "pdfminer.six": pdfminer,
    "pymupdf4llm": pymupdf4llm,
}


def main() -> None:
    """Convert the files that were named."""
    tool, *names = sys.argv[1:]
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")  # some tools print
    os.dup2(2, 1)
    convert = TOOLS[tool]()
    for number, name in enumerate([*names[:1], *names]):
        started = time.process_time()  # of all threads; what else the machine does is none of it
        text = problem = ""
        try:
            text = convert(Path(name))
        except Exception as error:  # a row of the table says so
            problem = f"{type(error).__name__}: {error}"[:300]
        seconds = time.process_time() - started
        if number:
            out.write(json.dumps({"text": text, "seconds": seconds, "problem": problem}) + "\n")
    # not ru_maxrss, which begins with what the process that started this one had
    status = Path("/proc/self/status").read_text().splitlines()
    (peak,) = (int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM"))
    out.write(json.dumps({"peak": peak}) + "\n")
    out.close()


if __name__ == "__main__":
    main()
