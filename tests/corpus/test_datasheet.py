"""The data sheet: numbers against hand-made rows, the page rebuilt from datasheet.json alone, titles as data."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from itertools import pairwise
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import yaml

from nemo_kcpt.cleaning import STEPS
from nemo_kcpt.corpus.datasheet import build_datasheet, write_datasheet
from nemo_kcpt.corpus.datasheet_page import keys_as_yaml, render, render_markdown, share
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.files import read_json
from nemo_kcpt.runs import read_manifest
from tests.html_tags import tags_of

Write = Callable[[Path, Iterable[Mapping[str, Any]]], Path]
ATTACK = "<script>alert(1)</script><img src=x onerror=alert(2)> | **x** \n# h $x$ 2021年"
TYPES = {
    **dict.fromkeys(
        ("where", "source", "format", "paper_id", "title", "language", "license", "stratum", "fate"), pa.string()
    ),
    **dict.fromkeys(("reason", "kept", "together"), pa.string()),
    **dict.fromkeys(
        ("raw_characters", "characters", "tokens", "sections", "references", "questions", "flaws"), pa.int64()
    ),
    **dict.fromkeys(("part", "row"), pa.int64()),
    "changes": pa.map_(pa.string(), pa.int64()),
    "similarity": pa.float64(),
    "heldout": pa.bool_(),
}
CONFIG = {
    "text_field": "text",
    "license": "",
    "without": ["nfkc"],
    "heldout_count": None,
    "format": "html+pdf",
    "content": "c0ffee",
}


def document(number: int, **fields: Any) -> dict[str, Any]:
    """A row of documents.parquet; by default of a paper of 100 characters that is trained on."""
    fate = fields.get("fate", "")
    return {
        "where": f"in.jsonl, line {number + 1}",
        "source": "in.jsonl",
        "format": "jsonl",
        "flaws": 0,
        "paper_id": f"p{number}",
        "title": f"題{number}",
        "language": "ja",
        "license": "CC BY 4.0",
        "raw_characters": 120,
        "characters": 100,
        "tokens": 0,
        "sections": 2,
        "references": 0,
        "questions": 0,
        "changes": [],
        "stratum": "",
        "fate": "",
        "reason": "",
        "kept": None,
        "similarity": None,
        "heldout": None if fate else False,
        "together": "" if not fate else None,
        "part": number // 4,
        "row": number % 4,
        **fields,
    }


def write(folder: Path, documents: list[dict[str, Any]], write_lines: Write) -> Path:
    """documents.parquet and papers.jsonl in `folder`."""
    folder.mkdir(parents=True)
    schema = pa.schema(list(TYPES.items()))
    parquet.write_table(pa.Table.from_pylist(documents, schema), folder / "documents.parquet")
    papers = [{**row, "text": f"{row['title']}の本文。" * 99} for row in documents if not row["fate"]]
    write_lines(folder / "papers.jsonl", [{key: row[key] for key in ("paper_id", "text")} for row in papers])
    return folder


DOCUMENTS = [
    document(0, characters=10, title=ATTACK, heldout=True, questions=3, license=ATTACK),
    document(1, characters=100, changes=[("line_ends", 2), ("page_furniture", 5)], references=7, questions=1),
    document(2, characters=1000, changes=[("line_ends", 1)], language="en", raw_characters=1500, sections=0),
    document(3, characters=90_000, language="", raw_characters=90_000, license=""),
    document(4, fate="bad", paper_id="", reason="not UTF-8 at byte 12 of the line"),
    document(5, fate="bad", paper_id="", reason="not UTF-8 at byte 7,012 of the line"),
    document(6, fate="bad", reason="the id 'p1' is that of in.jsonl, line 2; choose another"),
    document(7, fate="bad", reason="a link to /mnt/disk/other.pdf, outside the folder; copy the file into it"),
    document(8, fate="filtered", reason="language de"),
    document(9, fate="duplicate", reason="the same text", kept="p1", similarity=1.0),
    document(10, fate="near duplicate", title=ATTACK, reason="x", kept="p2", similarity=0.87654, characters=900),
    document(11, characters=101, together="p11", stratum="2024", heldout=True),
    document(12, characters=102, together="p11", stratum="2024", heldout=True),
]
COUNTS = {
    "flaws": {"slides that are only pictures": 1_234},
    "kept_sides": 2,
    "shared_identifiers": [f"11 papers share the title '{ATTACK}'"],
}


@pytest.fixture
def folder(tmp_path: Path, write_lines: Write) -> Path:
    """A corpus's folder."""
    return write(tmp_path / "out", DOCUMENTS, write_lines)


@pytest.fixture
def sheet(folder: Path) -> dict[str, Any]:
    """datasheet.json of it."""
    written = write_datasheet(folder, name="someone/papers", config=CONFIG, counts=COUNTS, seed=1)
    assert [path.name for path in written] == ["datasheet.json", "datasheet.html", "datasheet.md"]
    return dict(read_json(written[0]))


def test_what_was_read(sheet: dict[str, Any]) -> None:
    assert sheet["name"] == "someone/papers"
    assert (sheet["documents"]["read"], sheet["documents"]["papers"]) == (13, 6)
    left_out = {row["fate"]: row for row in sheet["documents"]["left_out"]}
    assert {fate: row["documents"] for fate, row in left_out.items()} == {
        "bad": 4,
        "filtered": 1,
        "duplicate": 1,
        "near duplicate": 1,
    }
    assert left_out["bad"]["reasons"] == [
        {"reason": "not UTF-8 at byte … of the line", "documents": 2, "first": "in.jsonl, line 5"},
        {"reason": "a link to other.pdf, outside the folder; copy the file into it", "documents": 1, "first": "p7"},
        {"reason": "the id … is that of in.jsonl, line …; choose another", "documents": 1, "first": "p6"},
    ]
    assert left_out["filtered"]["reasons"] == [{"reason": "language de", "documents": 1, "first": "p8"}]
    assert [pair["kept"] for pair in sheet["duplicates"]["first"]] == ["p1"]
    (pair,) = sheet["near_duplicates"]["first"]
    assert (pair["paper_id"], pair["kept"], pair["similarity"], pair["characters"]) == ("p10", "p2", 0.877, 900)


def test_formats(folder: Path, sheet: dict[str, Any], tmp_path: Path, write_lines: Write) -> None:
    papers = [row for row in DOCUMENTS if not row["fate"]]
    characters = sum(row["characters"] for row in papers)
    assert sheet["formats"] == [
        {"format": "jsonl", "documents": 13, "papers": 6, "bad": 4, "flawed": 0, "characters": characters}
    ]
    mixed = [document(n, format=("docx", "pdf", "docx")[n], flaws=n, fate="bad" if n == 1 else "") for n in range(3)]
    other = build_datasheet(
        write(tmp_path / "other", mixed, write_lines), name="", config=CONFIG, counts=COUNTS, seed=0
    )
    assert other["formats"] == [
        {"format": "docx", "documents": 2, "papers": 2, "bad": 0, "flawed": 1, "characters": 200},
        {"format": "pdf", "documents": 1, "papers": 0, "bad": 1, "flawed": 0, "characters": 0},
    ]
    assert "| docx | 2 | 2 | 0 | 1 | 200 |" in render_markdown({**sheet, "formats": other["formats"]})


def test_lengths(sheet: dict[str, Any]) -> None:
    assert sheet["totals"]["characters"] == 10 + 100 + 1000 + 90_000 + 101 + 102
    assert sheet["totals"]["raw_characters"] == 4 * 120 + 1500 + 90_000
    length = sheet["lengths"]["characters"]
    expected = {"min": 10, "p5": 10, "p25": 100, "p50": 101, "p75": 1000, "p95": 90_000, "max": 90_000}
    assert {key: length[key] for key in expected} == expected
    assert length["mean"] == pytest.approx(91_313 / 6, abs=0.05)
    bins = length["histogram"]
    assert all(left["to"] == right["from"] for left, right in pairwise(bins))
    assert bins[0]["from"] == 10 and bins[0]["heldout"] == 1 and bins[-1]["from"] <= 90_000 < bins[-1]["to"]
    assert sum(entry["train"] + entry["heldout"] for entry in bins) == 6
    (hundred,) = (entry for entry in bins if entry["from"] == 100)
    assert (hundred["train"], hundred["heldout"]) == (1, 2)
    assert sheet["lengths"]["tokens"] is None and sheet["totals"]["characters_per_token"] is None


@pytest.mark.parametrize("count", [1, 2, 19, 20, 21, 100])
def test_quantiles_are_values_that_occur(tmp_path: Path, write_lines: Write, count: int) -> None:
    folder = write(tmp_path / "out", [document(index, characters=index + 1) for index in range(count)], write_lines)
    length = build_datasheet(folder, name="x", config={}, counts={}, seed=1)["lengths"]["characters"]
    for share_below in (5, 25, 50, 75, 95):
        assert length[f"p{share_below}"] == -(-share_below * count // 100)


def test_languages_licences_and_sides(sheet: dict[str, Any]) -> None:
    languages = {row["value"]: row for row in sheet["languages"]["rows"]}
    assert {value: row["papers"] for value, row in languages.items()} == {"ja": 4, "": 1, "en": 1}
    assert languages["ja"]["characters"] == 10 + 100 + 101 + 102 and languages["ja"]["heldout"] == 3
    assert {row["value"] for row in sheet["licenses"]["rows"]} == {"CC BY 4.0", "", ATTACK}
    split = sheet["split"]
    assert (split["heldout"]["papers"], split["heldout"]["characters"]) == (3, 213)
    assert (split["train"]["papers"], split["train"]["characters"]) == (3, 91_100)
    assert {row["value"]: row["papers"] for row in split["strata"]["rows"]} == {"": 4, "2024": 2}
    assert (split["together"]["groups"], split["together"]["papers"]) == (1, 2)
    assert split["together"]["largest"] == [{"paper_id": "p11", "title": "題11", "papers": 2, "heldout": True}]
    assert split["kept_sides"] == 2
    assert sheet["questions"] == {"questions": 4, "papers": 2, "train": 1, "heldout": 3}
    assert sheet["structure"]["references"]["total"] == 7 and sheet["structure"]["references"]["without"] == 5
    assert sheet["structure"]["sections"]["without"] == 1


def test_cleaning_counts_papers_only_and_says_what_was_off(sheet: dict[str, Any]) -> None:
    steps = {step["name"]: step for step in sheet["cleaning"]["steps"]}
    assert list(steps) == list(STEPS)
    assert (steps["line_ends"]["papers"], steps["line_ends"]["changes"]) == (2, 3)
    assert (steps["page_furniture"]["papers"], steps["page_furniture"]["changes"]) == (1, 5)
    assert [name for name, step in steps.items() if step["off"]] == ["nfkc"]
    for name, step in steps.items():
        assert step["what"] and step["what"] in str(STEPS[name].__doc__)
    assert sheet["cleaning"]["changed"] == 2


def test_many_values_are_taken_together(tmp_path: Path, write_lines: Write) -> None:
    documents = [document(index, language=f"l{index % 50:02d}", characters=10, tokens=5) for index in range(100)]
    sheet = build_datasheet(write(tmp_path / "o", documents, write_lines), name="x", config={}, counts={}, seed=1)
    found = sheet["languages"]
    assert len(found["rows"]) == 20 and found["values"] == 50
    assert found["others"] == {"values": 30, "papers": 60, "characters": 600, "tokens": 300, "heldout": 0}
    assert sheet["lengths"]["tokens"]["p50"] == 5 and sheet["totals"]["characters_per_token"] == 2
    for text in (render(sheet), render_markdown(sheet)):
        assert "30 more" in text and "500" in text


def test_samples_are_drawn_by_seed_and_begin_as_their_papers(tmp_path: Path, write_lines: Write) -> None:
    documents = [document(index, heldout=index < 10) for index in range(100)]
    folder = write(tmp_path / "out", documents, write_lines)
    drawn = [build_datasheet(folder, name="x", config={}, counts={}, seed=seed)["samples"] for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len({sample["paper_id"] for sample in drawn[0]}) == 10
    for sample in drawn[0]:
        assert sample["beginning"].startswith(f"題{sample['paper_id'][1:]}の本文。") and len(sample["beginning"]) == 300
    ranks = build_datasheet(folder, name="x", config={}, counts={}, seed=1)["samples"]
    assert not all(sample["heldout"] for sample in ranks)


def test_samples_are_not_the_held_out_papers(tmp_path: Path, write_lines: Write) -> None:
    from hashlib import sha256

    ranked = sorted(range(100), key=lambda index: sha256(f"1\np{index}".encode()).hexdigest())
    documents = [document(index, heldout=index in ranked[:10]) for index in range(100)]
    sheet = build_datasheet(write(tmp_path / "o", documents, write_lines), name="x", config={}, counts={}, seed=1)
    assert sum(sample["heldout"] for sample in sheet["samples"]) < 5


def test_the_page_is_rebuilt_from_the_json_alone(folder: Path, sheet: dict[str, Any]) -> None:
    page = (folder / "datasheet.html").read_text(encoding="utf-8")
    markdown = (folder / "datasheet.md").read_text(encoding="utf-8")
    for path in folder.iterdir():
        path.unlink()
    assert render(sheet) == page
    assert render_markdown(sheet) == markdown


def test_the_same_documents_elsewhere_give_the_same_bytes(folder: Path, sheet: dict[str, Any], tmp_path: Path) -> None:
    written = {path.name: path.read_bytes() for path in folder.glob("datasheet.*")}
    other = tmp_path / "elsewhere" / "papers.d"
    other.mkdir(parents=True)
    moved = [{**row, "reason": row["reason"].replace("/mnt/disk", "/media/usb 1")} for row in DOCUMENTS]
    schema = pa.schema(list(TYPES.items()))
    parquet.write_table(pa.Table.from_pylist(moved, schema), other / "documents.parquet")
    (folder / "papers.jsonl").rename(other / "papers.jsonl")
    again = write_datasheet(other, name="someone/papers", config=CONFIG, counts=COUNTS, seed=1)
    assert {path.name: path.read_bytes() for path in again} == written
    texts = b"".join(written.values()).decode()
    assert not re.search(r"/home|/mnt|someone/papers/in|line 2\b", texts)
    here = build_datasheet(other, name=str(other), config={}, counts={}, seed=1)
    assert here["name"] == "papers.d"


def test_what_documents_say_is_data_in_the_page(sheet: dict[str, Any]) -> None:
    hostile = json.loads(json.dumps(sheet))
    hostile["name"] = hostile["config"]["license"] = ATTACK
    for sample in hostile["samples"]:
        sample |= {"beginning": ATTACK, "language": '"><script>alert(4)</script>', "paper_id": ATTACK}
    for reason in hostile["documents"]["left_out"][0]["reasons"]:
        reason |= {"reason": ATTACK, "first": ATTACK}
    for contents in (sheet, hostile):
        page = render(contents)
        tags = tags_of(page)
        assert not [tag for tag, _ in tags if tag in ("script", "iframe", "object", "img", "link", "a")]
        assert not [attributes for _, attributes in tags if any(name.startswith("on") for name in attributes)]
        assert "&lt;script&gt;alert(1)" in page
        assert "<script" not in render_markdown(contents)
    assert "default-src 'none'" in page


def test_the_page_needs_nothing_else(sheet: dict[str, Any]) -> None:
    page = render(sheet)
    tags = tags_of(page)
    links = [attributes.get(name) or "" for _, attributes in tags for name in ("href", "src", "xlink:href")]
    assert all(link == "" or link.startswith(("#", "data:")) for link in links)
    assert not re.search(r"url\((?!#)", page)
    assert page.count("<svg") == 1 and "題1" in page


def test_every_section_stands_in_page_and_markdown(sheet: dict[str, Any]) -> None:
    page, markdown = render(sheet), render_markdown(sheet)
    for heading in (
        "What was read",
        "Held out",
        "Cleaning",
        "Samples",
        "Languages",
        "Licences",
        "Sources",
        "Reproduce",
    ):
        assert f"<h2>{heading}</h2>" in page, heading
        assert f"## {heading}\n" in markdown, heading
    for text in (page, markdown):
        for shown in (
            "91,313",
            "not recognised",
            "none given",
            "0.88",
            "off",
            "2 papers keep their side",
            "slides that are only pictures",
            "1,234",
            "題11",
            "5 %",
        ):
            assert shown in text, shown
        assert "tokenizer=" in text and "ot counted" in text


def test_markdown_cells_stay_cells(sheet: dict[str, Any]) -> None:
    width = None
    lines = render_markdown(sheet).splitlines()
    for before, line in zip(["", *lines], lines):
        if line.startswith("| "):
            cells = len(re.findall(r"(?<!\\)\|", line))
            width = width if before.startswith("| ") else cells
            assert cells == width, line


def test_a_small_corpus_without_anything_left_out(tmp_path: Path, write_lines: Write) -> None:
    folder = write(tmp_path / "out", [document(0)], write_lines)
    write_datasheet(folder, name="x", config={}, counts={}, seed=1)
    page = (folder / "datasheet.html").read_text(encoding="utf-8")
    assert "Bad documents" not in page and "dropped.jsonl" not in page and "Kept on one side" not in page
    assert "1 document read" in page and not list(folder.glob(".datasheet*"))


def test_shares_do_not_vanish() -> None:
    assert [share(part, 10_000) for part in (0, 1, 10, 5000, 9999, 10_000)] == [
        "0 %",
        "< 0.1 %",
        "0.1 %",
        "50.0 %",
        "> 99.9 %",
        "100 %",
    ]
    assert share(0, 0) == "0 %"


def test_keys_are_written_as_the_config_file_reads_them() -> None:
    written = keys_as_yaml({**CONFIG, "license": "CC: BY #1", "seed": 1, "near_duplicates": 0.8, "fresh": False})
    assert yaml.safe_load(written) == {
        "text_field": "text",
        "license": "CC: BY #1",
        "without": ["nfkc"],
        "format": "auto",
        "seed": 1,
        "near_duplicates": 0.8,
        "fresh": False,
    }


def corpus(folder: Path, write_lines: Write) -> Path:
    """A corpus made by the stage, of which not everything became a paper; gives its folder."""
    words = ["alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa", "lambda", "mu"]
    texts = [" ".join(words[(number * step) % 12] for step in range(1, 90)) + f" {number}" for number in range(1, 8)]
    records = [{"id": f"p{number}", "text": f"# Paper {number}\n\n{text}"} for number, text in enumerate(texts)]
    records[0]["text"] = records[0]["text"].replace("alpha", "ａｌｐｈａ") + "\r\n"
    records += [{"id": "copy", "text": records[1]["text"]}, {"id": "short", "text": "x"}, {"id": "empty", "text": ""}]
    file = write_lines(folder / "in.jsonl", records)
    keys = {"min_characters": 5, "heldout_count": 2, "max_bad": 1, "near_duplicates": 0.95, "workers": 1}
    run(Config(input=str(file), out=folder / "out", **keys))
    return folder / "out"


def test_with_the_stage(tmp_path: Path, write_lines: Write) -> None:
    written = []
    for name in ("a", "b"):
        out = corpus(tmp_path / name, write_lines)
        manifest = read_manifest(out)
        paths = write_datasheet(
            out, name=str(tmp_path / name / "in.jsonl"), config=manifest["config"], counts=manifest["counts"], seed=1
        )
        written.append([path.read_bytes() for path in paths])
    assert written[0] == written[1] and str(tmp_path).encode() not in b"".join(written[0])
    sheet, counts = json.loads(written[0][0]), manifest["counts"]
    assert sheet["name"] == "in.jsonl"
    assert sheet["documents"]["read"] == counts["documents"] == 10
    assert sheet["documents"]["papers"] == counts["papers"] == 7
    assert sheet["totals"]["characters"] == counts["characters"]
    assert sheet["split"]["heldout"]["papers"] == counts["heldout"] == 2
    assert {row["fate"]: row["documents"] for row in sheet["documents"]["left_out"]} == {
        "bad": 1,
        "filtered": 1,
        "duplicate": 1,
    }
    assert next(step for step in sheet["cleaning"]["steps"] if step["name"] == "nfkc")["papers"] == 1
    assert len(sheet["samples"]) == 7 and sheet["languages"]["rows"]
    assert Config(input="x", out=Path("y"), **yaml.safe_load(keys_as_yaml(sheet["config"]))).min_characters == 5
