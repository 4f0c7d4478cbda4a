"""`--diff`: found by id, file or place; every step shown; text that a terminal would obey is not obeyed."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus import diff
from nemo_kcpt.corpus.diff import show
from nemo_kcpt.corpus.papers import Settings
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.readers import Place, choose_readers

Write = Callable[[Path, Iterable[Mapping[str, Any]]], Path]
BODY = "\n".join(f"第{number}段落では、事実をひとつだけ述べる。" for number in range(12))
PAPERS = [
    {"id": "p0", "title": "零", "text": f"{BODY}\n変更なし。"},
    {
        "id": "p1",
        "title": "壱 \x1b[31m<b>",
        "text": f"{BODY}\r\nＡＢＣは\u200bＤである。\x1b[2J\n{BODY}",
        "license": "CC0",
    },
    {"id": "bad", "title": "空", "text": " \x00 "},
    {"text": f"{BODY}\n無名。\r\n"},
]


@pytest.fixture
def corpus(tmp_path: Path, write_lines: Write) -> Path:
    """A file of four documents."""
    return write_lines(tmp_path / "in.jsonl", PAPERS)


def shown(
    capsys: pytest.CaptureFixture[str], where: Path, paper_id: str, out: Path | None = None, **settings: Any
) -> str:
    """What is printed for a document."""
    place = Place(name=str(where))
    show(paper_id, place, choose_readers(place), Settings(**settings), out=out)
    return capsys.readouterr().out


def test_every_step_is_counted_and_shown(capsys: pytest.CaptureFixture[str], corpus: Path) -> None:
    text = shown(capsys, corpus, "p1")
    lines = text.splitlines()
    assert lines[0].startswith("壱") and f"{corpus}, line 2" in text and "CC0" in text
    table = {
        line.split()[0]: line.split()[-1] for line in lines[lines.index("") : lines.index("", lines.index("") + 1)][2:]
    }
    assert int(table["control_characters"]) >= 2 and int(table["line_ends"]) >= 1 and int(table["nfkc"]) >= 1
    assert table["references"] == "0"
    assert "── nfkc: " in text and "── references" not in text
    part = text[text.index("── nfkc") :]
    assert "-ＡＢＣはＤである。" in part and "+ABCはDである。" in part
    context = [line for line in part.splitlines() if line.startswith(" 第")]
    assert len(context) == 4, "two lines before and two behind"
    assert "before" in text and "after cleaning" in text


def test_what_is_in_the_text_is_shown_not_obeyed(capsys: pytest.CaptureFixture[str], corpus: Path) -> None:
    text = shown(capsys, corpus, "p1")
    assert "\x1b" not in text
    assert "␛[2J" in text and "⟨U+200B⟩" in text and "␍" in text and "↵" not in text


def test_colours_and_marks_on_a_terminal_only(
    capsys: pytest.CaptureFixture[str], corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm-256color")
    text = shown(capsys, corpus, "p1")
    part = text[text.index("nfkc: ") :]
    assert "\x1b[7;31mＡＢＣ" in part and "\x1b[7;32mABC" in part
    assert "\x1b[2J" not in text


def test_steps_that_are_off_are_named_and_not_run(capsys: pytest.CaptureFixture[str], corpus: Path) -> None:
    text = shown(capsys, corpus, "p1", steps=("control_characters",))
    assert "── nfkc" not in text and "── control_characters" in text
    assert any(line.split() == ["nfkc", "off"] for line in text.splitlines())
    text = shown(capsys, corpus, "p1", steps=())
    assert "──" not in text and text.count(" off") == len(diff.STEPS)


def test_references_taken_out_are_listed(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_lines: Write
) -> None:
    entries = [
        f"[{number}] A. Author. A study of thing {number}. Journal of Things, 20{10 + number}." for number in (1, 2, 3)
    ]
    text = "\n".join(["# Title", "", BODY, "", "# References", "", *entries])
    text = shown(capsys, write_lines(tmp_path / "in.jsonl", [{"id": "a", "text": text}]), "a")
    assert "3 references taken out:" in text
    assert "    2  " in text and "A study of thing 2" in text.split("taken out:")[1]


def test_a_document_by_its_place_and_by_an_id_made_from_its_text(
    capsys: pytest.CaptureFixture[str], corpus: Path
) -> None:
    text = shown(capsys, corpus, f"{corpus}, line 4")
    (name,) = (line.split()[1] for line in text.splitlines() if line.startswith("  id "))
    assert name.startswith("text-")
    assert shown(capsys, corpus, name) == text


def test_a_bad_document_tells_its_problem(capsys: pytest.CaptureFixture[str], corpus: Path) -> None:
    text = shown(capsys, corpus, "bad")
    assert "without text: nothing is left after cleaning" in text and "── control_characters" in text
    with corpus.open("a") as stream:
        stream.write("{no\n")
    text = shown(capsys, corpus, f"{corpus}, line 5")
    assert "bad" in text and "not JSON" in text and "changes" not in text


def test_a_filtered_document_says_so(capsys: pytest.CaptureFixture[str], corpus: Path) -> None:
    assert "shorter than 100000 characters" in shown(capsys, corpus, "p0", min_characters=100_000)


def test_an_unknown_id_names_those_near_it(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(diff, "BATCH", 10)
    records = [{"id": f"2024/{letter}{number}", "text": "x"} for letter in "ABC" for number in range(40)]
    file = write_lines(tmp_path / "in.jsonl", records)
    with pytest.raises(BadInput, match=r"in\.jsonl: no document '2024/B-7'; near it: .*2024/B7\b") as caught:
        shown(capsys, file, "2024/B-7")
    assert "Ids are the field paper_id, id or doc_id" in str(caught.value) and "text-…" in str(caught.value)
    with pytest.raises(BadInput, match=r"no document 'zzzzzz'\. Ids are the field name;"):
        shown(capsys, file, "zzzzzz", id_field="name")
    (tmp_path / "in.jsonl").write_text("")
    with pytest.raises(BadInput, match="no document 'a'"):
        shown(capsys, file, "a")


def test_an_earlier_run_says_where_to_look(
    capsys: pytest.CaptureFixture[str], corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as parquet

    rows = [
        {"where": "x", "source": "in.jsonl", "paper_id": name, "part": 0, "row": row}
        for row, name in enumerate(("p0", "p1"))
    ]
    rows += [{"where": "x", "source": "in.jsonl", "paper_id": "bad", "part": 0, "row": 1}]
    parquet.write_table(pa.Table.from_pylist(rows), tmp_path / "documents.parquet")
    expected = shown(capsys, corpus, "p1")
    wrong = shown(capsys, corpus, "bad")
    assert shown(capsys, corpus, "bad", out=tmp_path) == wrong, "the table tells of other documents"
    monkeypatch.setattr(diff, "_by_search", None)
    assert shown(capsys, corpus, "p1", out=tmp_path) == expected


def test_with_the_stage(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, write_lines: Write, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "papers"
    (folder / "2024").mkdir(parents=True)
    for number in range(3):
        (folder / "2024" / f"A{number}.md").write_text(f"# 題{number}\n\n第{number}の文書、ＡＢＣ。\n{BODY}{number}\n")
    (folder / "2024" / "empty.md").write_text("")
    out = tmp_path / "out"
    config = {"input": str(folder), "out": out, "heldout_count": 0, "max_bad": 1, "near_duplicates": 0.0, "workers": 1}
    run(Config(**config))
    capsys.readouterr()
    before = sorted(path.name for path in out.iterdir())
    run(Config(**config, diff="2024/A1.md"))
    text = capsys.readouterr().out
    assert text.startswith("題1\n") and "-第1の文書、ＡＢＣ。" in text and "+第1の文書、ABC。" in text
    assert sorted(path.name for path in out.iterdir()) == before
    assert "bad " in shown(capsys, folder, "2024/empty.md")
    monkeypatch.setattr(diff, "_by_search", None)
    assert shown(capsys, folder, "2024/A1.md", out=out) == text
    assert "bad " in shown(capsys, folder, "2024/empty.md", out=out)


def test_nothing_is_compared_or_counted_in_tokens(
    capsys: pytest.CaptureFixture[str], corpus: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nemo_kcpt.corpus.papers.signature", None)
    assert "changes" in shown(capsys, corpus, "p1", tokenizer="/not/there")
