"""What reads a file, a folder or a name; and files that links bring in."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.readers import Place, choose_readers, content_hash, divide, readers
from tests.conftest import ROOT
from tests.pdf.pdfs import Show, make_pdf
from tests.readers.reading import JAPANESE, found, problem, records

HTML = f"<html><body><p>{JAPANESE}</p></body></html>"


def chosen(path: Path | str, format: str = "auto", **place: str) -> list[str]:
    return [reader.name for reader in choose_readers(Place(name=str(path), **place), format)]


def test_every_module_with_a_reader_is_found() -> None:
    folder = ROOT / "nemo_kcpt/readers"
    modules = [path.stem for path in sorted(folder.glob("*.py")) if "\nREADER = " in path.read_text(encoding="utf-8")]
    assert list(readers()) == modules
    assert {"csv", "datasets", "html", "jats", "json", "jsonl", "parquet", "pdf", "squad", "tei", "text"} < set(modules)


def test_nothing_heavy_is_imported() -> None:
    program = "import nemo_kcpt.readers as r, sys; r.readers(); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT)
    heavy = {"pyarrow", "datasets", "huggingface_hub", "trafilatura", "lxml", "pypdfium2", "cchardet", "numpy", "torch"}
    assert not heavy & {name.split(".")[0] for name in done.stdout.split()}


@pytest.mark.parametrize(
    ("name", "format"),
    [
        ("a.jsonl", "jsonl"),
        ("a.ndjson.gz", "jsonl"),
        ("A.CSV", "csv"),
        ("a.tsv.gz", "csv"),
        ("a.parquet", "parquet"),
        ("a.arrow", "datasets"),
        ("a.markdown", "text"),
        ("a.xhtml", "html"),
        ("a.pdf", "pdf"),
    ],
)
def test_the_format_of_a_file(tmp_path: Path, name: str, format: str) -> None:
    (tmp_path / name).write_text("")
    assert chosen(tmp_path / name) == [format]
    assert chosen(tmp_path) == [format]


@pytest.mark.parametrize(
    ("content", "format"),
    [
        ('{"data": [{"title": "a", "paragraphs": []}]}', "squad"),
        ('{\n "version": "1.0",\n "data": [', "squad"),
        ('{"meta": {}, "data": [{"paragraphs": [{"context": "', "squad"),
        ('[{"text": "a"}]', "json"),
        ('{"text": "a"}\n{"text": "b"}\n', "json"),
        ('{"data": "a", "text": "b"}', "json"),
        ("", "json"),
    ],
)
def test_json_is_told_by_what_is_in_it(tmp_path: Path, content: str, format: str) -> None:
    (tmp_path / "a.json").write_text(content)
    assert chosen(tmp_path / "a.json") == chosen(tmp_path) == [format]
    assert chosen(tmp_path, "squad") == ["squad"]


def test_documents_of_several_formats_are_one_corpus(tmp_path: Path) -> None:
    (tmp_path / "b.md").write_text("# B\n")
    (tmp_path / "a.txt").write_text("A")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "c.html").write_text(HTML)
    (tmp_path / "d.pdf").write_bytes(make_pdf([[Show(50, 700, "本文")]]))
    assert chosen(tmp_path) == ["html", "pdf", "text"]
    assert [record["paper_id"] for record in records(tmp_path)] == ["sub/c.html", "d.pdf", "a.txt", "b.md"]
    assert [record["paper_id"] for record in records(tmp_path, "html+text")] == ["sub/c.html", "a.txt", "b.md"]
    with pytest.raises(
        BadInput, match=r"format=text\+jsonl: only formats in which .* go together: .*html, .*pdf, .*text"
    ):
        chosen(tmp_path, "text+jsonl")


def test_xml_that_nobody_reads_is_named_among_documents_and_ignored_beside_data(tmp_path: Path) -> None:
    (tmp_path / "pom.xml").write_text("<project><a/></project>")
    assert chosen(tmp_path) == ["xml"]
    (tmp_path / "b.md").write_text("# B\n")
    assert chosen(tmp_path) == ["text", "xml"]
    (tmp_path / "b.md").rename(tmp_path / "README.md")
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    assert chosen(tmp_path) == ["jsonl"]


def test_a_readme_beside_data_is_about_it(tmp_path: Path) -> None:
    """A plain clone of a repository on the hub."""
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.jsonl").write_text('{"text": "a"}')
    for name in ("README.md", "LICENSE.txt", ".gitattributes", "dataset_infos.json"):
        (tmp_path / name).write_text("about")
    assert chosen(tmp_path) == ["jsonl"]
    assert chosen(tmp_path, "datasets") == ["jsonl"]
    assert records(tmp_path, split="train") == [{"text": "a"}]
    assert [record["paper_id"] for record in records(tmp_path, "text")] == ["LICENSE.txt", "README.md"]


def test_what_could_be_either_is_asked_for(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a"}')
    (tmp_path / "paper.md").write_text("# A paper")
    with pytest.raises(
        BadInput, match=r"data files \(a\.jsonl, …\) and documents \(paper\.md, .*format=jsonl or format=t"
    ):
        chosen(tmp_path)
    (tmp_path / "paper.md").unlink()
    (tmp_path / "b.csv").write_text("")
    with pytest.raises(BadInput, match=r"several formats: csv \(b\.csv\), jsonl \(a\.jsonl\); give format="):
        chosen(tmp_path)
    assert chosen(tmp_path, "csv") == ["csv"]


def test_train_and_test_files_are_not_read_together_unasked(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    for name in ("train-00000-of-00002", "train-00001-of-00002", "test-00000-of-00001"):
        (tmp_path / "data" / f"{name}.jsonl").write_text(f'{{"text": "{name}"}}')
    with pytest.raises(
        BadInput, match=r"holds the splits test \(test-.*\), train \(train-.*\); say which by hf_split="
    ):
        found(tmp_path)
    assert [record["text"][:7] for record in records(tmp_path, split="train")] == ["train-0", "train-0"]
    assert len(records(tmp_path, split="all")) == 3
    with pytest.raises(BadInput, match="no file of the split 'dev'; there are test, train"):
        found(tmp_path, split="dev")
    (tmp_path / "data" / "more.jsonl").write_text('{"text": "more"}')  # then names are no splits
    assert len(records(tmp_path)) == 4


@pytest.mark.parametrize(
    ("name", "format", "expected"),
    [
        ("missing.jsonl", "auto", "missing.jsonl: no such file or folder; give input="),
        ("team/papers.jsonl", "auto", "no such file or folder; give input="),
        ("missing", "text", r"no such file or folder \(input=\)"),
        ("odt", "auto", r"a\.odt: cannot tell the format from the name; give format= \(one of .*csv, "),
        ("empty", "auto", r"the corpus is empty: no document in this folder \(looked for .*\.csv, "),
        ("empty", "jsonl", r"holds no file ending in \.jsonl or .* \(format=jsonl\)"),
        ("empty", "word", "format=word: not one of auto, .*csv, datasets, docx, "),
    ],
)
def test_nothing_to_read(tmp_path: Path, name: str, format: str, expected: str) -> None:
    (tmp_path / "a.odt").write_text("")
    (tmp_path / "empty").mkdir()
    path = {"odt": "a.odt"}.get(name, name)
    with pytest.raises(BadInput, match=expected):
        chosen(path if "/" in path else tmp_path / path, format)


def test_a_name_on_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert chosen("team/papers") == ["datasets"]
    assert chosen("team/papers", "datasets") == ["datasets"]


@pytest.fixture
def linked(tmp_path: Path) -> Path:
    """A corpus with links to a file outside, a file inside, nothing, a folder outside, and itself."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret.txt").write_text("secret")
    corpus = tmp_path / "corpus"
    (corpus / "sub").mkdir(parents=True)
    (corpus / "a.txt").write_text("a")
    (corpus / "b.txt").symlink_to(outside / "secret.txt")
    (corpus / "c.txt").symlink_to("a.txt")
    (corpus / "d.txt").symlink_to("gone.txt")
    (corpus / "e.txt").symlink_to("e.txt")
    (corpus / "f.txt").symlink_to(outside)
    (corpus / "folder").symlink_to(outside)
    (corpus / "sub" / "loop").symlink_to(corpus)
    return corpus


def test_links_out_of_the_folder_are_not_followed(linked: Path, caplog: pytest.LogCaptureFixture) -> None:
    everything = found(linked)
    assert {item.source: item.record.get("text", item.problem) for item in everything} == {
        "a.txt": "a",
        "b.txt": f"a link to {linked.parent}/outside/secret.txt, outside the folder; copy the file into it, or allow "
        "links by follow_links=true",
        "c.txt": "a",
        "d.txt": "a link to gone.txt, which is no file",
        "e.txt": "a link to e.txt, which is no file",
    }
    assert "3 links to folders are not followed (f.txt, …)" in caplog.text
    assert "secret" not in {item.record.get("text") for item in everything}


def test_links_are_followed_if_that_is_asked_for(linked: Path, caplog: pytest.LogCaptureFixture) -> None:
    everything = found(linked, follow_links=True)
    texts = {item.source: item.record.get("text") for item in everything if not item.problem}
    assert texts == {"a.txt": "a", "b.txt": "secret", "c.txt": "a", "f.txt/secret.txt": "secret"}
    assert len([item for item in everything if item.problem]) == 2  # the links to nothing
    ours = [record for record in caplog.records if record.name == "kcpt"]
    assert all(record.levelno < logging.WARNING for record in ours)


def test_a_link_through_data_files(tmp_path: Path) -> None:
    (tmp_path / "corpus").mkdir()
    (tmp_path / "real.jsonl").write_text('{"text": "a"}\n')
    (tmp_path / "corpus" / "a.jsonl").symlink_to("../real.jsonl")
    assert "outside the folder" in problem(tmp_path / "corpus")
    assert records(tmp_path / "corpus" / "a.jsonl") == [{"text": "a"}]  # named by hand, it is meant
    (tmp_path / "link").symlink_to("corpus")
    assert "outside the folder" in problem(tmp_path / "link")
    assert records(tmp_path / "link", follow_links=True) == [{"text": "a"}]


def test_links_among_json_files(tmp_path: Path) -> None:
    """Told by what is in them if they stay inside; else named with the files they lie among, unopened."""
    corpus = tmp_path / "corpus"
    (corpus / "sub").mkdir(parents=True)
    (corpus / "a.json").write_text('{"data": [{"title": "a", "paragraphs": [{"context": "a"}]}]}')
    (corpus / "b.json").symlink_to("a.json")
    (tmp_path / "outside.json").write_text('[{"text": "secret"}]')
    (corpus / "c.json").symlink_to(tmp_path / "outside.json")
    (corpus / "d.json").symlink_to("gone")
    assert chosen(corpus) == ["squad"]
    assert [(item.source, bool(item.problem)) for item in found(corpus)] == [
        ("a.json", False),
        ("b.json", False),
        ("c.json", True),
        ("d.json", True),
    ]


def test_what_is_no_file_is_not_opened(tmp_path: Path) -> None:
    """A pipe would be waited for without end, and so would a link to one."""
    (tmp_path / "a.txt").write_text("a")
    os.mkfifo(tmp_path / "b.txt")
    (tmp_path / "c.txt").symlink_to("b.txt")
    everything = found(tmp_path)
    assert [item.source for item in everything] == ["a.txt", "c.txt"]
    assert everything[1].problem == "a link to b.txt, which is no file"


def test_a_folder_that_cannot_be_listed_ends_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.txt").write_text("a")
    (tmp_path / "sub").mkdir()
    scan = os.scandir

    def refuse(path: str) -> object:
        if str(path).endswith("sub"):
            raise PermissionError(13, "Permission denied", str(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(BadInput, match=r"sub: the folder cannot be read \(Permission denied\)"):
        found(tmp_path)


def test_small_documents_share_pieces(tmp_path: Path) -> None:
    for number in range(150):
        (tmp_path / f"{number:03d}.txt").write_text("a")
    place = Place(name=str(tmp_path))
    assert [len(piece.paths) for piece in divide(place, choose_readers(place))] == [64, 64, 22]


def test_identity_is_names_and_bytes(tmp_path: Path) -> None:
    def identity(folder: str) -> str:
        place = Place(name=str(tmp_path / folder))
        return content_hash(place, choose_readers(place))

    for folder, name, text in [("a", "x.txt", "1"), ("b", "x.txt", "1"), ("c", "y.txt", "1"), ("d", "x.txt", "2")]:
        (tmp_path / folder).mkdir()
        (tmp_path / folder / name).write_text(text)
    assert identity("a") == identity("b")
    assert len({identity(folder) for folder in "acd"}) == 3
    for split in ("train", "test"):
        (tmp_path / "set" / split).mkdir(parents=True)
    (tmp_path / "set" / "dataset_dict.json").write_text("{}")
    place = Place(name=str(tmp_path / "set"))
    hashes = {content_hash(replace(place, split=split), choose_readers(place)) for split in ("", "train", "test")}
    assert len(hashes) == 3
    before = identity("a")
    (tmp_path / "a" / "y.txt").symlink_to(tmp_path / "b" / "x.txt")
    assert identity("a") != before
