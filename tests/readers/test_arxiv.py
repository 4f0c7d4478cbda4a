"""arXiv's source packages: one document each, and nothing that a hostile one wants."""

from __future__ import annotations

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from nemo_kcpt.readers import arxiv
from tests.readers.reading import found, problem, records

MAIN = (
    r"\documentclass{article}\title{Kasumi}\begin{document}\maketitle It has 12,400 units. \input{parts/two}"
    r"\end{document}"
)


def write(path: Path, files: dict[str, str | bytes], *more: tarfile.TarInfo) -> Path:
    with tarfile.open(path, "w:gz") as package:
        for name, text in files.items():
            data = text.encode() if isinstance(text, str) else text
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            package.addfile(entry, io.BytesIO(data))
        for entry in more:
            package.addfile(entry)
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


def test_a_package_is_one_document_with_what_it_reads(tmp_path: Path) -> None:
    files = {"./paper.tex": MAIN, "parts/two.tex": "Second part: 7.5 \\nowhere{x}.", "fig.png": b"\x89PNG" * 9}
    write(tmp_path / "2101.00001.tar.gz", files)
    (item,) = found(tmp_path)
    assert not item.problem and item.source == "2101.00001.tar.gz" == item.record["paper_id"]
    assert item.record["title"] == "Kasumi"
    assert "12,400 units. Second part: 7.5" in item.record["text"]
    (flaw,) = item.flaws
    assert flaw.where == f"{tmp_path}/2101.00001.tar.gz, paper.tex" and "\\nowhere" in flaw.detail


def test_two_documents_have_the_packages_name_and_their_own(tmp_path: Path) -> None:
    other = r"\documentclass{article}\begin{document}Supplement of 31 pages.\end{document}"
    write(tmp_path / "a.tgz", {"main.tex": MAIN, "more/supplement.tex": other})
    items = found(tmp_path)
    assert [item.source for item in items] == ["a.tgz#main.tex", "a.tgz#more/supplement.tex"]


def test_what_is_no_tex_is_nobodys_document(tmp_path: Path) -> None:
    write(tmp_path / "code.tar.gz", {"main.py": "print(1)"})
    (tmp_path / "note.md").write_text("A note.\n")
    assert [record["text"] for record in records(tmp_path)] == ["A note.\n"]
    assert "holds no TeX" in problem(tmp_path / "code.tar.gz", format="arxiv")


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("../evil.tex", "'../evil.tex' that lies outside"),
        ("/tmp/kcpt-evil.tex", "'/tmp/kcpt-evil.tex' that lies outside"),
    ],
)
def test_names_that_climb_out(tmp_path: Path, name: str, told: str) -> None:
    (tmp_path / "in").mkdir()
    write(tmp_path / "in" / "a.tar.gz", {name: MAIN})
    assert told in problem(tmp_path / "in")
    assert not (tmp_path / "evil.tex").exists() and not Path("/tmp/kcpt-evil.tex").exists()


@pytest.mark.parametrize(
    "entry",
    [
        special("a.tex", tarfile.SYMTYPE, "/etc/passwd"),
        special("a.tex", tarfile.LNKTYPE, "paper.tex"),
        special("a.tex", tarfile.FIFOTYPE),
        special("a.tex", tarfile.CHRTYPE),
    ],
)
def test_links_and_devices(tmp_path: Path, entry: tarfile.TarInfo) -> None:
    write(tmp_path / "a.tar.gz", {"paper.tex": MAIN}, entry)
    assert "('a.tex'), where plain files are expected" in problem(tmp_path)


def test_bombs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "a.tar.gz", {"paper.tex": MAIN, "zeros.dat": bytes(3 << 20)})
    assert not found(tmp_path)[0].problem
    monkeypatch.setattr(arxiv, "UNPACKED", 1 << 20)
    assert "would unpack to more than 1,048,576 bytes" in problem(tmp_path)
    monkeypatch.setattr(arxiv, "UNPACKED", 1 << 40)
    monkeypatch.setattr("nemo_kcpt.documents.streams.UNPACKED", 1 << 20)
    assert "a mistake or a bomb. If it is neither, unpack it yourself" in problem(tmp_path)
    monkeypatch.setattr(arxiv, "ENTRIES", 1)
    assert "more than the limit of 1 entries" in problem(tmp_path)


def test_a_text_larger_than_a_document_may_be(tmp_path: Path) -> None:
    write(tmp_path / "a.tar.gz", {"paper.tex": MAIN, "big.tex": "%" + "x" * (2 << 20)})
    assert "big.tex: 2.0 MiB for one document" in problem(tmp_path, max_bytes=1 << 20)


def test_damage_is_named(tmp_path: Path) -> None:
    whole = write(tmp_path / "w.tar.gz", {"paper.tex": MAIN, "x.dat": bytes(range(256)) * 400}).read_bytes()
    (tmp_path / "w.tar.gz").unlink()
    (tmp_path / "cut.tar.gz").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "one.tar.gz").write_bytes(gzip.compress(MAIN.encode()))
    (tmp_path / "text.tar.gz").write_bytes(b"<html>not found</html>")
    told = {item.source: item.problem for item in found(tmp_path)}
    assert sorted(told) == ["cut.tar.gz", "one.tar.gz", "text.tar.gz"]
    assert all("is damaged or cut off, or no .tar.gz" in text for text in told.values())


def test_two_entries_of_one_name(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as package:
        for _ in range(2):
            entry = tarfile.TarInfo("paper.tex")
            entry.size = len(MAIN)
            package.addfile(entry, io.BytesIO(MAIN.encode()))
    assert "two entries named paper.tex" in problem(tmp_path)
