"""Office files that are hostile, broken or something else: named, left out, counted; nothing is run or fetched."""

from __future__ import annotations

import random
import socket
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.files import read_json
from tests.documents.test_zipped import LAUGHS, OLE
from tests.office.files import p, r, shape, up, write_docx, write_pptx, write_xlsx
from tests.readers.reading import found, peak_of, problem

SHEET = '<sheetData><row r="1"><c r="A1"><v>12</v></c></row></sheetData>'
WRITERS: dict[str, Callable[..., Path]] = {
    "docx": lambda path, **more: write_docx(path, p("Kasumi 12,400"), **more),
    "pptx": lambda path, **more: write_pptx(path, [shape("Hayate of 12 persons", "title")], **more),
    "xlsx": lambda path, **more: write_xlsx(path, {"Kasumi": SHEET}, **more),
}
FORMATS = sorted(WRITERS)


@pytest.mark.parametrize("name", FORMATS)
def test_macros_are_not_run_and_said(tmp_path: Path, name: str) -> None:
    folder = {"docx": "word", "pptx": "ppt", "xlsx": "xl"}[name]
    path = WRITERS[name](tmp_path / f"a.{name[:-1]}m", parts={f"{folder}/vbaProject.bin": OLE})
    (one,) = found(path)
    assert not one.problem and "12" in one.record["text"]
    assert [flaw.kind for flaw in one.flaws] == ["files with macros, of which only the text was read"]


OLD = {"docx": ("doc", "WordDocument"), "xlsx": ("xls", "Workbook"), "pptx": ("ppt", "PowerPoint Document")}


@pytest.mark.parametrize("name", FORMATS)
def test_files_of_1997_and_files_with_a_password(tmp_path: Path, name: str) -> None:
    ending, stream = OLD[name]
    for suffix in (ending, name):
        (tmp_path / f"a.{suffix}").write_bytes(OLE + f"{stream}\0".encode("utf-16-le"))
        assert f"97 to 2003; save it as .{name}" in problem(tmp_path / f"a.{suffix}")
    (tmp_path / f"b.{name}").write_bytes(OLE + "EncryptedPackage\0".encode("utf-16-le"))
    assert "locked by a password" in problem(tmp_path / f"b.{name}")


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("content", "said"), [(b"<html><p>12", "HTML"), (rb"{\rtf1 12}", "RTF"), (b"", "empty")])
def test_what_only_has_the_name(tmp_path: Path, name: str, content: bytes, said: str) -> None:
    (tmp_path / f"a.{name}").write_bytes(content)
    assert said in problem(tmp_path / f"a.{name}")


def test_a_doc_that_is_a_docx_is_read(tmp_path: Path) -> None:
    (one,) = found(WRITERS["docx"](tmp_path / "a.doc"))
    assert one.record["text"] == "Kasumi 12,400"


@pytest.mark.parametrize("name", FORMATS)
def test_a_file_without_its_main_part_and_another_format_s(tmp_path: Path, name: str) -> None:
    with zipfile.ZipFile(tmp_path / f"a.{name}", "w") as stream:
        stream.writestr("readme.txt", "12")
    assert "is missing" in problem(tmp_path / f"a.{name}")
    other = FORMATS[FORMATS.index(name) - 1]
    WRITERS[other](tmp_path / f"b.{name}")
    assert problem(tmp_path / f"b.{name}")


@pytest.mark.parametrize("name", FORMATS)
def test_entities_are_never_expanded(tmp_path: Path, name: str) -> None:
    part = {"docx": "word/document.xml", "pptx": "ppt/slides/s1.xml", "xlsx": "xl/worksheets/sheet1.xml"}[name]
    WRITERS[name](tmp_path / f"a.{name}")
    with zipfile.ZipFile(tmp_path / f"a.{name}") as old, zipfile.ZipFile(tmp_path / f"b.{name}", "w") as new:
        for entry in old.namelist():
            new.writestr(entry, LAUGHS if entry == part else old.read(entry))
    assert "declares XML entities" in problem(tmp_path / f"b.{name}")


def test_nothing_outside_is_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a connection was opened")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    outside = (
        "rId8 image http://127.0.0.1:9/x.png\nrId9 attachedTemplate http://127.0.0.1:9/t.dotm\n"
        "rId7 styles http://127.0.0.1:9/styles.xml"
    )
    body = p('<w:r><w:drawing><a:blip r:link="rId8"/></w:drawing></w:r>' + r("10") + up("6"))
    (one,) = found(write_docx(tmp_path / "a.docx", body, relations=outside))
    assert one.record["text"] == "10⁶"


@pytest.mark.parametrize("name", FORMATS)
def test_no_damage_ends_in_anything_but_a_document_or_a_problem(tmp_path: Path, name: str) -> None:
    """Any byte of the file, and any of its parts' (packed anew, so that no checksum helps), may be anything."""
    whole = WRITERS[name](tmp_path / f"a.{name}").read_bytes()
    draw = random.Random(7)
    with zipfile.ZipFile(tmp_path / f"a.{name}") as stream:
        parts = {entry: stream.read(entry) for entry in stream.namelist()}
    for number in range(150):
        path = tmp_path / f"b.{name}"
        if number % 3:
            chosen = draw.choice([entry for entry, data in parts.items() if data])
            with zipfile.ZipFile(path, "w") as stream:
                for entry, data in parts.items():
                    stream.writestr(entry, _hurt(data, draw) if entry == chosen else data)
        else:
            path.write_bytes(_hurt(whole, draw))
        (one,) = found(path)
        assert one.problem or one.record["text"]


def _hurt(data: bytes, draw: random.Random) -> bytes:
    at = draw.randrange(len(data))
    what = draw.randrange(4)
    if what == 0:
        return data[:at]
    if what == 1:
        return data[:at] + bytes([draw.randrange(256)]) + data[at + 1 :]
    digits = [place for place, byte in enumerate(data) if 48 <= byte <= 57]
    if what == 2 and digits:
        at = draw.choice(digits)
        return data[:at] + draw.choice([b"x", b"-7", b"", b"99999999999"]) + data[at + 1 :]
    end = min(len(data), at + draw.randrange(1, 40))
    return data[:at] + data[end:] + data[at:end]


def test_a_text_or_a_part_that_is_referred_to_without_end(tmp_path: Path) -> None:
    """Small files that would become gigabytes of text, as one with a long shared text in every cell."""
    strings = f"<si><t>{'x' * 500_000}</t></si>"
    rows = "<row>" + '<c t="s"><v>0</v></c>' * 400 + "</row>"
    sheet = f"<sheetData>{rows * 50}</sheetData>"
    assert "max_document_mb=" in problem(
        write_xlsx(tmp_path / "a.xlsx", {"a": sheet}, strings=strings), max_bytes=4 << 20
    )
    slides = write_pptx(tmp_path / "a.pptx", [shape("x" * 1_000_000)], order=[1] * 200)
    assert "again and again" in problem(slides)
    note = f'<w:footnote w:id="1">{p("y" * 100_000)}</w:footnote>'
    body = p('<w:r><w:footnoteReference w:id="1"/></w:r>' * 2_000)
    (one,) = found(write_docx(tmp_path / "a.docx", body, footnotes=note))
    assert one.record["text"].count("y") == 100_000


def test_deep_nesting_is_no_crash(tmp_path: Path) -> None:
    inner = p("12")
    for _ in range(60):
        inner = f"<w:tbl><w:tr><w:tc>{inner}</w:tc></w:tr></w:tbl>"
    (one,) = found(write_docx(tmp_path / "a.docx", inner))
    assert one.record["text"] == "12"
    for _ in range(300):
        inner = f"<w:tbl><w:tr><w:tc>{inner}</w:tc></w:tr></w:tbl>"
    assert problem(write_docx(tmp_path / "b.docx", inner))


def test_a_corpus_of_good_and_bad_files_names_and_counts_them(tmp_path: Path) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    for name, write in WRITERS.items():
        write(folder / f"good.{name}")
    (folder / "~$good.docx").write_bytes(b"\x05Sato")
    (folder / "old.doc").write_bytes(OLE + "WordDocument\0".encode("utf-16-le"))
    (folder / "page.docx").write_bytes(b"<html>12</html>")
    (folder / "cut.xlsx").write_bytes((folder / "good.xlsx").read_bytes()[:-30])
    run(Config(input=str(folder), out=tmp_path / "out", max_bad=3, heldout_count=1, workers=1))
    formats = {row["format"]: row for row in read_json(tmp_path / "out" / "datasheet.json")["formats"]}
    assert {name: (row["documents"], row["papers"], row["bad"]) for name, row in formats.items()} == {
        "docx": (3, 1, 2),
        "pptx": (1, 1, 0),
        "xlsx": (2, 1, 1),
    }
    dropped = (tmp_path / "out" / "dropped.jsonl").read_text(encoding="utf-8")
    assert all(text in dropped for text in ("Word file of 97 to 2003", "HTML under another name", "cut off"))
    assert str(tmp_path) not in dropped


def test_memory_is_that_of_a_few_documents_however_many_there_are(tmp_path: Path) -> None:
    write_docx(tmp_path / "a.docx", "".join(p(f"Kasumi {number}") for number in range(3_000)))
    write_pptx(tmp_path / "a.pptx", [shape(f"Hayate {number}", "title") for number in range(100)])
    rows = "".join(f"<row><c><v>{number}</v></c><c><v>{number}.5</v></c></row>" for number in range(3_000))
    write_xlsx(tmp_path / "a.xlsx", {"Minato": f"<sheetData>{rows}</sheetData>"})
    program = """
def grown(times):
    for _ in range(times):
        for name in sys.argv[1:]:
            assert all(not one.problem for one in found(name))
    return peak()
few = grown(3)
print(grown(15) - few)
"""
    _, more = peak_of(program, *(tmp_path / f"a.{name}" for name in FORMATS))
    assert more < 12


@pytest.mark.parametrize("name", FORMATS)
def test_the_same_bytes_give_the_same_document(tmp_path: Path, name: str) -> None:
    path = WRITERS[name](tmp_path / f"a.{name}")
    first, second = found(path), found(path)
    assert first == second
