"""What readers keep of documents whose content is known, beside MarkItDown, docling, pdfminer.six and pymupdf4llm.

    .venv/bin/python tools/bench/documents.py
    .venv/bin/python tools/bench/documents.py --formats docx pptx --tools nemo_kcpt markitdown
    .venv/bin/python tools/bench/documents.py --memory       # 100 documents and 1,000, all formats

The same fictional content (tools/bench/truth/) is written in every format and read by every tool in one run, each in a
process of its own. The other tools are installed into environments of this benchmark at their first use; one that
cannot be had, or cannot read a format, is a row that says so. PDFs come from reportlab and, where they are installed,
from LibreOffice and upLaTeX (Debian: libreoffice-writer-nogui, libreoffice-math-nogui, fonts-ipafont-gothic;
texlive-lang-japanese, texlive-latex-recommended).
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

from baseline import ROOT
from truth import markup, office, pdf
from truth.content import Block, Document, make, plain
from truth.measure import Kept, measure

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / "build" / "bench-documents"
PACKAGES = {
    "light": [
        "markitdown[docx,pptx,xlsx,pdf]==0.1.9",
        "pdfminer.six==20260107",
        "pymupdf4llm==1.28.2",
        "reportlab==5.1.0",
        "japanize-matplotlib==1.1.3",
        "setuptools<81",
    ],
    "docling": ["docling==2.143.0"],
}
"""Environment -> what is installed into it."""
READS = {
    "nemo_kcpt": ("", ("docx", "pptx", "xlsx", "tex", "xml", "html", "pdf")),
    "reading alone": ("", ("docx", "pptx", "xlsx", "tex", "xml", "html", "pdf")),
    "markitdown": ("light", ("docx", "pptx", "xlsx", "tex", "xml", "html", "pdf")),
    "docling": ("docling", ("docx", "pptx", "xlsx", "tex", "xml", "html", "pdf")),
    "pdfminer.six": ("light", ("pdf",)),
    "pymupdf4llm": ("light", ("pdf",)),
}
"""Tool -> its environment and the endings that are given to it."""
PAGE = {"ja": 1_000, "en": 2_500}
"""Characters that count as a page."""
TIME = 1_800
"""Seconds after which a tool is given up."""


@dataclass(frozen=True)
class Format:
    """A kind of file: how it is written, and what of the content it holds."""

    name: str
    suffix: str
    write: Callable[[Sequence[Document], Path], None]
    visible: Callable[[Document], Sequence[Block]] = lambda document: document.blocks
    languages: tuple[str, ...] = ("ja", "en")


def each(write: Callable[[Document, Path], None], suffix: str) -> Callable[[Sequence[Document], Path], None]:
    """A writer of many documents, of one that writes one."""

    def all_of_them(documents: Sequence[Document], folder: Path) -> None:
        for document in documents:
            write(document, folder / f"{document.name}{suffix}")

    return all_of_them


def reportlab(layout: str) -> Callable[[Sequence[Document], Path], None]:
    """A writer of PDFs in the environment that has reportlab."""

    def write(documents: Sequence[Document], folder: Path) -> None:
        names = [document.name for document in documents]
        subprocess.run([python_of("light"), "-m", "truth.pdf", str(folder), layout, *names], cwd=HERE, check=True)

    return write


def libreoffice(columns: int) -> Callable[[Sequence[Document], Path], None]:
    """A writer of PDFs from the Word files.

    Raises:
        FileNotFoundError: LibreOffice is not installed.
    """

    def write(documents: Sequence[Document], folder: Path) -> None:
        if shutil.which("soffice") is None:
            raise FileNotFoundError("LibreOffice is not installed")
        with tempfile.TemporaryDirectory() as temporary:
            for document in documents:
                office.docx(document, Path(temporary) / f"{document.name}.docx", columns=columns)
            files = sorted(map(str, Path(temporary).glob("*.docx")))
            command = ["soffice", "--headless", f"-env:UserInstallation=file://{temporary}/profile", "--convert-to"]
            subprocess.run([*command, "pdf", "--outdir", str(folder), *files], check=True, capture_output=True)

    return write


def uplatex(engine: str) -> Callable[[Sequence[Document], Path], None]:
    """A writer of PDFs by upLaTeX and dvipdfmx.

    Raises:
        FileNotFoundError: they are not installed.
    """

    def write(documents: Sequence[Document], folder: Path) -> None:
        if shutil.which("uplatex") is None or shutil.which("dvipdfmx") is None:
            raise FileNotFoundError("upLaTeX is not installed")
        with tempfile.TemporaryDirectory() as temporary:
            for document in documents:
                adapted = (
                    replace(document, blocks=tuple(pdf.vertical_blocks(document))) if "vertical" in engine else document
                )
                markup.tex(adapted, Path(temporary) / f"{document.name}.tex", engine)
                command = ["uplatex", "-interaction=nonstopmode", "-halt-on-error", f"{document.name}.tex"]
                subprocess.run(command, cwd=temporary, check=True, capture_output=True)
                out = str(folder / f"{document.name}.pdf")
                subprocess.run(
                    ["dvipdfmx", "-q", "-o", out, document.name], cwd=temporary, check=True, capture_output=True
                )

    return write


FORMATS = [
    Format("docx", ".docx", each(office.docx, ".docx")),
    Format("pptx", ".pptx", each(office.pptx, ".pptx")),
    Format("xlsx", ".xlsx", each(office.xlsx, ".xlsx"), office.tables),
    Format("tex", ".tex", each(markup.tex, ".tex")),
    Format("JATS", ".xml", each(markup.jats, ".xml")),
    Format("html", ".html", each(markup.html, ".html")),
    Format("pdf, two columns", ".pdf", reportlab("columns")),
    Format("pdf, sideways", ".pdf", reportlab("sideways")),
    Format("pdf, vertical", ".pdf", reportlab("vertical"), pdf.vertical_blocks, languages=("ja",)),
    Format("pdf, TeX, two columns", ".pdf", uplatex("uplatex")),
    Format("pdf, TeX, vertical", ".pdf", uplatex("uplatex, vertical"), pdf.vertical_blocks, languages=("ja",)),
    Format("pdf, LibreOffice", ".pdf", libreoffice(1)),
    Format("pdf, LibreOffice, two columns", ".pdf", libreoffice(2)),
]


def python_of(environment: str) -> str:
    """The interpreter of an environment, which is made if it is not there; of ours without a name.

    Raises:
        subprocess.CalledProcessError: it cannot be made; with what pip said.
    """
    if not environment:
        return sys.executable
    folder = ENVIRONMENTS / environment
    if not (folder / "bin" / "python").exists():
        subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        pip = [str(folder / "bin" / "pip"), "install", "--quiet"]
        if environment == "docling":
            subprocess.run([*pip, "torch"], check=True, capture_output=True, text=True)
        subprocess.run([*pip, *PACKAGES[environment]], check=True, capture_output=True, text=True)
    return str(folder / "bin" / "python")


@dataclass(frozen=True)
class Result:
    """What a tool made of the files of one format."""

    texts: list[str]
    problems: list[str]
    seconds: list[float]
    peak: float
    """MiB."""


def convert(tool: str, files: Sequence[Path]) -> Result:
    """Read files with a tool.

    Raises:
        subprocess.SubprocessError: it cannot be installed, or its process ended.
    """
    command = [python_of(READS[tool][0]), "-m", "truth.converters", tool, *map(str, files)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)} if not READS[tool][0] else {**os.environ, "PYTHONPATH": ""}
    done = subprocess.run(command, cwd=HERE, env=environment, capture_output=True, text=True, timeout=TIME, check=True)
    *lines, last = map(json.loads, done.stdout.splitlines())
    return Result(
        [line["text"] for line in lines],
        [line["problem"] for line in lines],
        [line["seconds"] for line in lines],
        last["peak"],
    )


def mean(values: Iterable[float | None]) -> float | None:
    """The mean of those that are there."""
    known = [value for value in values if value is not None]
    return statistics.mean(known) if known else None


def formatted(value: float | None, form: str = "{:.2%}") -> str:
    """A value of the table."""
    return "" if value is None else form.format(value)


def row(form: Format, tool: str, language: str, documents: Sequence[Document], files: Sequence[Path]) -> str:
    """A row of the table."""
    head = f"| {form.name} | {language} | {tool} |"
    try:
        result = convert(tool, files)
    except subprocess.CalledProcessError as error:
        said = str(error.stderr or error).strip().splitlines()
        return f"{head} cannot run: {said[-1][:120] if said else error} | | | | | |"
    except subprocess.TimeoutExpired:
        return f"{head} gave up after {TIME} s | | | | | |"
    bad = [problem for problem in result.problems if problem]
    if len(bad) == len(files):
        return f"{head} cannot read it: {' '.join(bad[0].split())[:120].replace('|', ' ')} | | | | | |"
    kept: list[Kept] = [
        measure(document, text, form.visible(document)) for document, text in zip(documents, result.texts)
    ]
    pages = sum(len(plain(block)) for document in documents for block in form.visible(document)) / PAGE[language]
    cells = [
        formatted(mean(score.characters for score in kept)),
        formatted(mean(score.numbers for score in kept)),
        formatted(mean(score.order for score in kept), "{:.3f}"),
        formatted(mean(score.cells for score in kept)),
        f"{1000 * sum(result.seconds) / pages:.1f}",
        f"{result.peak:.0f}",
    ]
    return f"{head} {' | '.join(cells)} |"


HEAD = (
    "| format | language | tool | characters in order | numbers | order (tau) | cells | CPU ms a page | peak MiB |\n"
    "| --- | --- | --- | ---: | ---: | ---: | ---: | ---: | ---: |"
)


def memory(tools: Sequence[str], formats: Sequence[Format]) -> None:
    """Print the peak memory of a tool over 100 documents and 1,000."""
    print("\n| format | tool | peak MiB, 100 documents | peak MiB, 1,000 documents |\n| --- | --- | ---: | ---: |")
    for form in formats:
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            documents = [make("ja", seed, sections=2) for seed in range(20)]
            form.write(documents, folder)
            files = [folder / f"{document.name}{form.suffix}" for document in documents]
            for tool in tools:
                peaks = [convert(tool, files * times).peak for times in (5, 50)]
                print(f"| {form.name} | {tool} | {peaks[0]:.0f} | {peaks[1]:.0f} |", flush=True)


def main() -> None:
    """Print a row for each format, language and tool."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=8, help="a language and format")
    parser.add_argument("--languages", nargs="*", default=["ja", "en"], choices=["ja", "en"])
    parser.add_argument("--formats", nargs="*", default=[form.name for form in FORMATS])
    parser.add_argument("--tools", nargs="*", default=list(READS), choices=list(READS))
    parser.add_argument("--memory", action="store_true", help="peak memory over 100 documents and 1,000, nothing else")
    given = parser.parse_args()
    chosen = [form for form in FORMATS if form.name in given.formats or form.suffix[1:] in given.formats]
    print(f"{date.today()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    if given.memory:
        memory(["nemo_kcpt"], chosen)
        return
    print(HEAD, flush=True)
    for form in chosen:
        for language in sorted({*form.languages} & {*given.languages}, reverse=True):
            documents = [make(language, seed) for seed in range(given.documents)]
            with tempfile.TemporaryDirectory() as temporary:
                try:
                    form.write(documents, Path(temporary))
                except (FileNotFoundError, subprocess.CalledProcessError) as error:
                    print(f"| {form.name} | {language} | | not written: {error} | | | | | |")
                    continue
                files = [Path(temporary) / f"{document.name}{form.suffix}" for document in documents]
                for tool in given.tools:
                    if form.suffix[1:] in READS[tool][1]:
                        print(row(form, tool, language, documents, files), flush=True)


if __name__ == "__main__":
    main()
