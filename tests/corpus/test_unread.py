"""Files that no reader reads are counted, and those that may hold documents are named with what to do."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.files import read_json
from nemo_kcpt.runs import read_manifest


def make(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"Kasumi {name} was presented in 2021.\n")
    return folder / "in"


def sheet(folder: Path) -> dict[str, int]:
    """What the data sheet and the manifest count, which is the same; both pages show it."""
    out = folder.parent / "out"
    run(Config(input=str(folder), out=out, heldout_count=0))
    counts = {row["ending"]: row["files"] for row in read_json(out / "datasheet.json")["unread"]}
    assert read_manifest(out)["counts"]["unread"] == counts
    page, markdown = (out / "datasheet.html").read_text(), (out / "datasheet.md").read_text()
    for ending, files in counts.items():
        assert f'<tr><td>{ending or "none"}</td><td class="n">{files}</td></tr>' in page
        assert f"| {ending or 'none'} | {files} |" in markdown
    assert ("that were not read" in page) == ("that were not read" in markdown) == bool(counts)
    return counts


def test_documents_in_other_formats_are_named(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make(tmp_path, "a.md", "notes/b.RTF", "c.rtf", "d.odt", "e.hwp", "f.zip", "g.png", "Makefile", ".hidden")
    assert sheet(folder) == {".rtf": 2, "": 1, ".odt": 1, ".hwp": 1, ".zip": 1, ".png": 1}
    (warning,) = [record.getMessage() for record in caplog.records if "no reader knows" in record.getMessage()]
    assert "corpus: 5 files were not read" in warning
    assert "2 .rtf (c.rtf), 1 .odt (d.odt), 1 .hwp (e.hwp), 1 .zip (f.zip); " in warning
    assert "LibreOffice converts .rtf, .odt: soffice --headless --convert-to docx FILE" in warning
    assert "export .hwp as PDF" in warning and "unpack .zip" in warning and ".png" not in warning


def test_what_documents_are_made_of_is_read(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    folder = make(tmp_path, "paper/main.tex", "paper/part.tex", "paper/main.bbl", "paper/figure.png")
    (folder / "paper/main.tex").write_text(
        "\\documentclass{article}\\begin{document}Kasumi has 12 parts.\\input{part}\\end{document}\n"
    )
    assert sheet(folder) == {".png": 1}
    assert "no reader knows" not in caplog.text


def test_of_data_files_and_of_one_file_there_is_nothing_to_say(tmp_path: Path) -> None:
    folder = make(tmp_path, "a.md", "c.rtf")
    out = tmp_path / "one"
    run(Config(input=str(folder / "a.md"), out=out, heldout_count=0))
    assert read_manifest(out)["counts"]["unread"] == {}
    data = tmp_path / "data" / "in"
    data.mkdir(parents=True)
    (data / "train.jsonl").write_text('{"id": "a", "text": "Kasumi has 12 parts."}\n')
    assert sheet(data) == {}
