"""`kcpt corpus` over many mixed documents, killed at random moments and resumed, on all cores and in shards.

    .venv/bin/python tools/bench/corpus_scale.py --documents 10000
    .venv/bin/python tools/bench/corpus_scale.py --documents 100000 --ways killed shards --folder build/scale
    .venv/bin/python tools/bench/corpus_scale.py --rows 10000 100000 300000      # the second pass alone

Twelve formats in equal shares: a few templates of each, most made by the writers of tools/bench/truth/, and in every
document other text; one in a hundred is a copy of another, one in two hundred is cut off. Each way makes a corpus of
its own: `whole` undisturbed, `killed` with SIGKILL to the command at random moments, `shards` by four shards at once,
killed as well. The program ends with an error unless all have the same bytes. The peaks are of the command and of the
largest of its readers, as Linux counts them (VmHWM). With `--rows`, what a first pass leaves of so many documents is
made up (one in a hundred nearly a copy), and only the second pass is run over it.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from html import escape
from io import BytesIO
from pathlib import Path

import psutil
from truth import markup, office
from truth.content import Block, Document, Piece

TEXTS = 6
"""Places for text in a template; the first is the title."""
RESULTS = ("papers.jsonl", "split.json", "dropped.jsonl", "flaws.jsonl", "documents.parquet")
SHARDS = 4


def mark(number: int) -> str:
    """What is in a template where text number so and so comes."""
    return f"QZ{number}ZQ"


def words(draw: random.Random, japanese: bool) -> str:
    """Some sentences with numbers that no other document has."""
    sentences = []
    for _ in range(draw.randint(1, 3)):
        if japanese:
            kana = ["".join(chr(draw.randrange(0x3042, 0x3092)) for _ in range(draw.randint(2, 6))) for _ in range(8)]
            sentences.append(f"{'、'.join(kana[:4])}は{draw.randint(1000, 10**7):,}件で、{'の'.join(kana[4:])}である。")
        else:
            names = ["".join(draw.choices("aeioubcdfglmnprst", k=draw.randint(3, 9))) for _ in range(10)]
            sentences.append(f"{' '.join(names).capitalize()} had {draw.randint(1000, 10**7):,} of the units. ")
    return "".join(sentences).strip()


def content(language: str) -> Document:
    """A document of marks."""
    texts = [(Piece(mark(number)),) for number in range(TEXTS)]
    table = Block("table", rows=(("A", "B", "C"), (mark(4), "1,234", "5.6")))
    kinds = ["title", "paragraph", "heading", "paragraph", "item", "paragraph"]
    blocks = [table if number == 4 else Block(kind, texts[number]) for number, kind in enumerate(kinds)]
    return Document("template", language, tuple(blocks), header=mark(0), footer="- 1 -")


def pdf() -> bytes:
    """A PDF of one page in one of the fonts that every reader has; its offsets are not kept when text is put in."""
    lines = "".join(f"BT /F 11 Tf 50 {760 - 60 * number} Td (QZ{number}ZQ) Tj ET\n" for number in range(TEXTS))
    objects = [
        "<</Type/Catalog/Pages 2 0 R>>",
        "<</Type/Pages/Kids[3 0 R]/Count 1>>",
        "<</Type/Page/Parent 2 0 R/MediaBox[0 0 2400 842]/Resources<</Font<</F 4 0 R>>>>/Contents 5 0 R>>",
        "<</Type/Font/Subtype/Type1/BaseFont/Helvetica/Encoding/WinAnsiEncoding>>",
        f"<</Length LENGTH>>stream\n{lines}endstream",
    ]
    return "".join(f"{number} 0 obj{body}endobj\n" for number, body in enumerate(objects, 1)).encode()


def finished_pdf(body: bytes) -> bytes:
    """A PDF whose text is in, with its lengths and offsets."""
    stream = body.index(b"stream\n") + len(b"stream\n")
    body = b"%PDF-1.4\n" + body.replace(b"LENGTH", str(body.rindex(b"endstream") - stream).encode())
    at = [body.index(b"%d 0 obj" % number) for number in range(1, 6)]
    table = b"".join(b"%010d 00000 n \n" % offset for offset in at)
    end = b"trailer<</Size 6/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % len(body)
    return body + b"xref\n0 6\n0000000000 65535 f \n" + table + end


def epub() -> bytes:
    """A book of one chapter."""
    container = (
        '<container version="1.0" xmlns="urn:oasis:names:tc:opendocument:xmlns:container"><rootfiles><rootfile '
        'full-path="b.opf" media-type="application/oebps-package+xml"/></rootfiles></container>'
    )
    book = (
        '<package xmlns="http://www.idpf.org/2007/opf" version="3.0" unique-identifier="i"><metadata '
        f'xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:title>{mark(0)}</dc:title></metadata><manifest><item id="a" '
        'href="a.xhtml" media-type="application/xhtml+xml"/></manifest><spine><itemref idref="a"/></spine></package>'
    )
    text = "".join(f"<p>{mark(number)}</p>" for number in range(1, TEXTS))
    chapter = f'<html xmlns="http://www.w3.org/1999/xhtml"><body><h1>{mark(0)}</h1>{text}</body></html>'
    out = BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("mimetype", "application/epub+zip", zipfile.ZIP_STORED)
        archive.writestr("META-INF/container.xml", container)
        archive.writestr("b.opf", book)
        archive.writestr("a.xhtml", chapter)
    return out.getvalue()


def written(write: Callable[[Document, Path], None], language: str) -> bytes:
    """What a writer of tools/bench/truth/ makes of the marks."""
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(temporary) / "template"
        write(content(language), path)
        return path.read_bytes()


def templates(language: str) -> dict[str, bytes]:
    """Ending -> a file with marks."""
    paragraphs = "\n\n".join(mark(number) for number in range(1, TEXTS))
    notebook = (
        '{"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [{"cell_type": "markdown", "metadata": {}, '
        f'"source": "# {mark(0)}"}}, {{"cell_type": "markdown", "metadata": {{}}, '
        f'"source": "{paragraphs}"}}]}}'.replace("\n", "\\n")
    )
    head = f"From: a@example.org\nSubject: {mark(0)}\nMIME-Version: 1.0\nContent-Type: text/plain; charset=utf-8\n"
    return {
        ".md": f"# {mark(0)}\n\n{paragraphs}\n".encode(),
        ".txt": f"{mark(0)}\n\n{paragraphs}\n".encode(),
        ".html": written(markup.html, language),
        ".tex": written(markup.tex, language),
        ".xml": written(markup.jats, language),
        ".docx": written(office.docx, language),
        ".pptx": written(office.pptx, language),
        ".xlsx": written(office.xlsx, language),
        ".eml": f"{head}Content-Transfer-Encoding: 8bit\n\n{paragraphs}\n".encode(),
        ".ipynb": notebook.encode(),
        ".epub": epub(),
        ".pdf": pdf(),
    }


def filled(template: bytes, texts: list[str]) -> bytes:
    """A template with texts in the place of its marks."""
    for number, text in enumerate(texts):
        template = template.replace(mark(number).encode(), text.encode())
    return template


def document(suffix: str, template: bytes, texts: list[str]) -> bytes:
    """A file of a format."""
    if not template.startswith(b"PK"):
        made = filled(template, texts)
        return finished_pdf(made) if suffix == ".pdf" else made
    out = BytesIO()
    with (
        zipfile.ZipFile(BytesIO(template)) as old,
        zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as new,
    ):
        for item in old.infolist():
            new.writestr(item.filename, filled(old.read(item), texts))
    return out.getvalue()


def write_documents(folder: Path, count: int) -> None:
    """Write so many documents, a thousand a folder; what is there already stays."""
    kept = {language: templates(language) for language in ("ja", "en")}
    suffixes = list(kept["ja"])
    for number in range(count):
        suffix = suffixes[number % len(suffixes)]
        path = folder / f"{number // 1000:03d}" / f"d{number:06d}{suffix}"
        if path.exists():
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        draw = random.Random(number - len(suffixes) if number % 100 == 99 else number)  # a copy of the one before
        japanese = suffix != ".pdf" and draw.random() < 0.5
        texts = [escape(words(draw, japanese), quote=False) for _ in range(TEXTS)]
        texts[0] = texts[0][:40].strip()
        made = document(suffix, kept["ja" if japanese else "en"][suffix], texts)
        path.write_bytes(made[: len(made) // 2] if number % 200 == 50 else made)


@dataclass
class Run:
    """What a way took."""

    seconds: float = 0.0
    kills: int = 0
    command: int = 0
    """Most bytes of the command itself."""
    reader: int = 0
    """Most bytes of one of its processes."""


def peak(process: psutil.Process) -> int:
    """Most bytes that a process has had in memory so far; 0 if it has ended."""
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except OSError:
        return 0
    return int(status.split("VmHWM:")[1].split()[0]) * 1024 if "VmHWM:" in status else 0


def call(words: list[str], run: Run, out: Path, moments: Sequence[int]) -> None:
    """Call `kcpt corpus` until it ends by itself; it is killed when so many pieces are done, for each of the moments.

    Raises:
        SystemExit: it failed.
    """
    left = sorted(moments)
    while True:
        began = time.monotonic()
        process = subprocess.Popen(
            [sys.executable, "-m", "nemo_kcpt.cli", "corpus", *words], stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        command = psutil.Process(process.pid)
        while process.poll() is None and not (left and sum(1 for _ in out.glob("parts/*/*.parquet")) >= left[0]):
            run.command = max(run.command, peak(command))
            try:
                below = command.children(recursive=True)
            except psutil.Error:
                below = []
            run.reader = max([run.reader, *map(peak, below)])
            time.sleep(0.5)
        if process.poll() is None:
            process.kill()
            run.kills += 1
            left.pop(0)
        output, _ = process.communicate()
        run.seconds += time.monotonic() - began
        if process.returncode == 0:
            return
        if process.returncode > 0:
            sys.exit(f"kcpt corpus {' '.join(words)} failed:\n{output.decode()[-3000:]}")


def made(way: str, words: list[str], out: Path, pieces: int, kills: int) -> Run:
    """A corpus made in a way: `pieces` is about how many there are, of which a random number is done at each kill."""
    draw = random.Random(way)
    moments = [draw.randint(1, pieces) for _ in range(kills)]
    whole = Run()
    if way == "shards":
        runs = [Run() for _ in range(SHARDS)]
        began = time.monotonic()
        with ThreadPoolExecutor(SHARDS) as executor:
            for _ in executor.map(
                lambda shard: call([*words, "--shard", f"{shard}/{SHARDS}"], runs[shard], out, moments[shard::SHARDS]),
                range(SHARDS),
            ):
                pass
        whole = Run(
            time.monotonic() - began,
            sum(run.kills for run in runs),
            max(run.command for run in runs),
            max(run.reader for run in runs),
        )
        call([*words, "--merge"], whole, out, [])
    else:
        call(words, whole, out, moments if way == "killed" else [])
    return whole


def unreadable(papers: Path) -> list[str]:
    """The sources of papers with characters that could not be read."""
    with papers.open(encoding="utf-8") as lines:
        return [json.loads(line)["source"] for line in lines if "\ufffd" in line]


def write_rows(folder: Path, count: int) -> None:
    """The parts of so many documents, as the first pass leaves them; `PER_PART` a part."""
    import numpy as np
    import pyarrow
    import pyarrow.parquet

    from nemo_kcpt.corpus.papers import Row
    from nemo_kcpt.corpus.parts import _schema

    draw = np.random.default_rng(1)
    for part in range(count // PER_PART):
        signatures = draw.integers(0, 2**32, (PER_PART, 128), dtype=np.uint32)
        bands = draw.integers(0, 2**62, (PER_PART, 32))
        if part % 2:  # the last of a hundred is nearly the one before
            signatures[-1, 10:], bands[-1, 10:] = signatures[-2, 10:], bands[-2, 10:]
        rows = []
        for number in range(PER_PART):
            name, title = f"{part * PER_PART + number:08d}.docx", int(draw.integers(1, 2**62))
            row = Row(
                where=f"in/{name}",
                source=name,
                format="docx",
                paper_id=name,
                title=f"Title {title}",
                language="en",
                characters=int(draw.integers(500, 1_000)),
                text_hash=draw.bytes(32),
                title_key=title,
                same=[f"paper:{name}", f"title:{title}"],
                bands=bands[number].tolist(),
                signature=signatures[number].tobytes(),
            )
            rows.append({"part": part, "row": number, "line": number, **vars(row), "changes": [("line_ends", 1)]})
        pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows, _schema()), folder / f"{part:06d}.parquet")
        (folder / f"{part:06d}.jsonl").write_text(f'{{"text": "{"x" * 600}"}}\n' * PER_PART)


SECOND_PASS = """
import sys
from pathlib import Path
from nemo_kcpt.corpus.merge import Rules, merge
counts = merge("rows", Path(sys.argv[1]), Path(sys.argv[2]), Rules())
print(counts["papers"], Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])
"""
PER_PART = 50


def second_pass(counts: Sequence[int]) -> None:
    """Print a row for each number of documents."""
    print("| rows | papers | seconds | peak MiB |", flush=True)
    for count in counts:
        with tempfile.TemporaryDirectory() as temporary:
            parts, out = Path(temporary, "parts"), Path(temporary, "out")
            parts.mkdir()
            out.mkdir()
            write_rows(parts, count)
            began = time.monotonic()
            command = [sys.executable, "-c", SECOND_PASS, str(parts), str(out)]
            papers, peak = subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()
            seconds = time.monotonic() - began
            print(f"| {count:,} | {int(papers):,} | {seconds:.0f} | {int(peak) >> 10} |", flush=True)


def main() -> None:
    """Print a row for each way.

    Raises:
        SystemExit: a run failed, or two results differ.
    """
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--documents", type=int, default=10_000)
    parser.add_argument(
        "--ways", nargs="+", default=["whole", "killed", "shards"], choices=["whole", "killed", "shards"]
    )
    parser.add_argument("--workers", type=int, default=0, help="workers= of each command")
    parser.add_argument("--kills", type=int, default=6, help="of a way")
    parser.add_argument("--folder", type=Path, help="for documents and results, which stay; else a temporary one")
    parser.add_argument("--rows", type=int, nargs="+", help="the second pass alone, over so many documents")
    given = parser.parse_args()
    if given.rows:
        second_pass(given.rows)
        return
    with tempfile.TemporaryDirectory() as temporary:
        folder = given.folder or Path(temporary)
        began = time.monotonic()
        write_documents(folder / f"in-{given.documents}", given.documents)
        print(f"{os.cpu_count()} cores; {given.documents:,} documents written in {time.monotonic() - began:.0f} s")
        print("| way | kills | seconds | documents a second | peak MiB, command | peak MiB, reader |", flush=True)
        hashes: dict[str, dict[str, str]] = {}
        for way in given.ways:
            out = folder / f"out-{given.documents}-{way}"
            words = [f"input={folder / f'in-{given.documents}'}", f"out={out}", f"max_bad={given.documents}"]
            words.append(f"workers={given.workers}")
            run = made(way, words, out, given.documents // 60, given.kills)
            speed = given.documents / run.seconds
            cells = f"{run.kills} | {run.seconds:.0f} | {speed:.0f} | {run.command >> 20} | {run.reader >> 20}"
            print(f"| {way} | {cells} |", flush=True)
            if lost := unreadable(out / "papers.jsonl"):
                sys.exit(f"{len(lost):,} papers with U+FFFD, which no document has; the first: {lost[0]}")
            hashes[way] = {
                name: hashlib.sha256((out / name).read_bytes()).hexdigest() for name in RESULTS if (out / name).exists()
            }
            print(
                f"    {(out / 'papers.jsonl').stat().st_size >> 20} MiB of papers, {hashes[way]['papers.jsonl'][:16]}"
            )
        if len({str(sorted(digests.items())) for digests in hashes.values()}) > 1:
            sys.exit(f"the results differ: {hashes}")
        print(f"the same bytes in {', '.join(RESULTS)}")


if __name__ == "__main__":
    main()
