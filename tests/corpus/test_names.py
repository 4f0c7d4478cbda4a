"""Ids and titles in one form: what stages write, and what lists of ids are compared by."""

from __future__ import annotations

import json
import unicodedata
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from nemo_kcpt.cleaning.generic_titles import is_generic, says_nothing
from nemo_kcpt.corpus.human_questions import from_squad, read_papers
from nemo_kcpt.corpus.names import FORM_STEPS, matches, name_form, title_form
from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from nemo_kcpt.packing.sources import Records
from nemo_kcpt.synthesis.sft_stage import _from_pairs

NFC = "ガイド.md"
NFD = unicodedata.normalize("NFD", NFC)


@pytest.mark.parametrize(
    ("given", "form"),
    [
        (NFD, NFC),
        ("ＫＡＳＵＭＩ２", "KASUMI2"),
        (" ｶﾞｲﾄﾞ\u3000２ ", "ガイド 2"),
        ("a\u200bé", "aé"),
        ("A  1\t", "A  1"),
        ("﨑と神、㈱①", "﨑と神、㈱①"),
    ],
)
def test_the_form_of_a_name(given: str, form: str) -> None:
    assert name_form(given) == name_form(form) == form


def test_what_was_switched_off_for_the_text_is_off_for_names() -> None:
    assert name_form(NFD, ("references",)) == NFD
    assert title_form("Ａ\n  Ｂ\x07", ()) == "Ａ Ｂ"
    assert title_form("Ａ\n  １０<sup>6</sup>", (*FORM_STEPS, "raised")) == "A 10⁶"


def test_a_mark_of_a_note_is_no_part_of_a_title() -> None:
    steps = (*FORM_STEPS, "raised")
    assert title_form("蓄電所<sup>*1</sup>の概要[^2][^注3]", steps) == "蓄電所の概要"
    assert title_form("正規表現 [^0-9] と [^1]", steps) == "正規表現 [^0-9] と [^1]"
    assert title_form("概要[^2]") == "概要[^2]"


def test_an_id_is_found_in_any_form_and_as_itself_first() -> None:
    there = [NFD, "Ａ", "A", "b"]
    assert matches([NFC, "A", "Ｂ", "c"], there) == {NFC: [NFD], "A": ["A"], "Ｂ": [], "c": []}
    assert matches(["Ａ1", "A１"], ["Ａ１"]) == {"Ａ1": ["Ａ１"], "A１": ["Ａ１"]}


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """Files as a Mac names them."""
    folder = tmp_path / "notes"
    folder.mkdir()
    for number, name in enumerate((NFC, "パンダ.md", "plain.md")):
        text = f"この仕組みの番号は{number}である。{name}の部品は{'甲乙丙'[number] * 9}である。"
        (folder / unicodedata.normalize("NFD", name)).write_text(text, encoding="utf-8")
    return folder


def split_of(notes: Path, out: Path, **keys: Any) -> dict[str, Any]:
    run(Config(input=str(notes), out=out, workers=1, same_side=0, **keys))
    found: dict[str, Any] = read_json(out / "split.json")
    return found


def test_titles_ids_and_lists(tmp_path: Path, notes: Path) -> None:
    (tmp_path / "held.txt").write_text(f"\ufeff{NFC}\r\n", encoding="utf-8")
    assert split_of(notes, tmp_path / "a", heldout_list=tmp_path / "held.txt")["heldout"] == [NFC]
    papers = list(read_jsonl(tmp_path / "a" / "papers.jsonl"))
    assert [(one["paper_id"], one["title"]) for one in papers] == [
        ("plain.md", "plain"),
        (NFC, "ガイド"),
        ("パンダ.md", "パンダ"),
    ]
    (tmp_path / "held.txt").write_text("カイド.md", encoding="utf-8")
    with pytest.raises(BadInput, match="1 of 1 ids are not in the corpus: カイド.md"):
        split_of(notes, tmp_path / "b", heldout_list=tmp_path / "held.txt")
    (tmp_path / "held.txt").write_text("ｶﾞｲﾄﾞ.md", encoding="utf-8")
    assert split_of(notes, tmp_path / "c", heldout_list=tmp_path / "held.txt", without=["all"])["heldout"] == [NFD]


def test_a_split_of_an_earlier_version_is_kept(tmp_path: Path, notes: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "パンダ.md")
    write_json(tmp_path / "old.json", {"seed": 1, "heldout": [decomposed], "train": [NFD, "plain.md"]})
    assert split_of(notes, tmp_path / "a", keep_split=tmp_path / "old.json") == {
        "seed": 1,
        "heldout": ["パンダ.md"],
        "train": ["plain.md", NFC],
    }
    assert read_json(tmp_path / "a" / "manifest.json")["counts"]["kept_sides"] == 3


def test_what_a_field_names_is_found_in_any_form(tmp_path: Path) -> None:
    write_jsonl(
        tmp_path / "in.jsonl",
        [
            {"id": NFD, "title": "甲", "text": "甲の本文はここにある。"},
            {"id": "b", "title": "乙", "text": "乙の話は別のところで読める。", "translation_of": NFC},
            {"id": "c", "title": "丙", "text": "丙についてはまた今度、詳しく書く。"},
        ],
    )
    run(Config(input=str(tmp_path / "in.jsonl"), out=tmp_path / "a", heldout_count=0, workers=1))
    together = pq.read_table(tmp_path / "a" / "documents.parquet")["together"].to_pylist()
    assert together == [NFC, NFC, ""]


def test_held_out_pairs_stay_out_whatever_the_form_of_the_id(tmp_path: Path) -> None:
    pairs = [{"instruction": "なに?", "output": "これ"}]
    records = [{"paper_id": NFD, "kind": kind, "pairs": pairs} for kind in ("qa_easy", "summary")]
    path = tmp_path / "synthetic.jsonl"
    write_jsonl(path, records)
    index = Records.index(path, [NFC])
    assert [record["kind"] for record in index.of(NFC)] == ["summary"]
    assert [record["kind"] for record in Records.index(path, []).of(NFD)] == ["qa_easy", "summary"]
    assert list(_from_pairs(tmp_path, {NFC}, "zero_shot")) == []


def test_questions_of_a_squad_file_that_a_mac_named(tmp_path: Path) -> None:
    paragraph = {"context": "一。二。三。", "qas": [{"question": "何?", "answers": [{"text": "一"}]}]}
    content = {"data": [{"title": "甲乙", "paragraphs": [paragraph]}]}
    file = tmp_path / unicodedata.normalize("NFD", "ガイド.json")
    file.write_text(json.dumps(content), encoding="utf-8")
    run(Config(input=str(file), out=tmp_path / "a", heldout_count=0, workers=1))
    asked = [one["question_id"] for one in read_jsonl(tmp_path / "a" / "questions.jsonl")]
    (ours,) = from_squad(file, read_papers(tmp_path / "a"), Counter())
    assert asked == [ours["question_id"]] == ["ガイド-0000-q0"]
    assert ours["paper_id"] == "ガイド-0000"


@pytest.mark.parametrize(
    "title",
    [
        "Overview", "1. Introduction", "Chapter 2: Overview", "README", "はじめに", "概要", "第1章 はじめに",
        "【概要】", "Monthly report May 2024", "Release notes 2.3.1", "議事録 2024年5月3日", "２０２４年度 月次報告書",
        "Frequently Asked Questions",
        "Einleitung", "引言", "개요", "A", "2024", "Untitled",
    ],
)  # fmt: skip
def test_titles_that_say_nothing(title: str) -> None:
    assert is_generic(title)


@pytest.mark.parametrize(
    "title",
    [
        "Kasumi",
        "Overview of Kasumi",
        "Introduction to Kasumi",
        "BERT",
        "Handbook of the beta service",
        "カスミの概要",
        "題1",
        "前処理の効果",
        "Отчёт Касуми",
        "ガイド犬の歴史",
        "Kasumi 2",
        "東京都の人口",
        "카스미 개요",
    ],
)
def test_titles_that_name_their_document(title: str) -> None:
    assert not is_generic(title)


def test_a_short_heading_of_a_section_is_shared_by_chance() -> None:
    deep = [{"title": "Architecture", "level": 2}, {"title": "Kasumi: a translation system", "level": 2}]
    assert says_nothing("Architecture", deep)
    assert not says_nothing("Kasumi: a translation system", deep)
    assert not says_nothing("Architecture", [{"title": "Architecture", "level": 1}, *deep])
    assert not says_nothing("Architecture", [])
