"""Titles and sections by their form alone: what is found, what is not taken for one, where it begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given

from nemo_kcpt.cleaning import clean
from nemo_kcpt.cleaning.headings import numbered_heading
from nemo_kcpt.cleaning.structure import WIDEST_TITLE, find_sections, find_title
from tests.cleaning.documents import documents

PARAGRAPH = "本研究では、年次大会の論文を対象とし、前処理の各段階の効果を調べる。既存の研究とは対象が異なる。"
PAPER = f"""\
前処理の効果に関する一考察
山田 太郎
サンプル大学

概要
{PARAGRAPH}

1 はじめに
{PARAGRAPH}
2 提案手法
2.1 前処理
{PARAGRAPH}
次の三つの段階からなる。
1. 空白を除く
2. 改行を除く
3. 頁番号を除く
2.2 学習
{PARAGRAPH}
3 実験
{PARAGRAPH}
4 おわりに
{PARAGRAPH}
"""


def headings(text: str) -> list[tuple[int, str]]:
    return [(section["level"], section["title"]) for section in find_sections(text)]


@pytest.mark.parametrize(
    ("text", "title"),
    [
        (PAPER, "前処理の効果に関する一考察"),
        ("# 題名\n\n本文。", "題名"),
        ("序文です。\n\n# 題名\n\n本文。", "題名"),
        ("題名\n====\n\n本文。", "題名"),
        ("```\n# コメント\n```\n\n# 題名\n", "題名"),
        ("---\ndate: x\n---\n\n# 題名\n", "題名"),
        ("---\ntitle: 手引き\n---\n\n## 概要\n", "手引き"),
        ("---\ntitle: a: b\n---\n\n# 題名\n", "題名"),
        ("---\n\n# 題名\n\n---\n\n本文。", "題名"),
        ("序文です。\n\n## Overview\n\n## Design of Kasumi\n", ""),
        ("# Overview\n\n本文。", "Overview"),
        ("12\n\n前処理の効果\n\n山田太郎\n\n" + PARAGRAPH, "前処理の効果"),
        ("言語処理学会 第30回年次大会 発表論文集 (2024年3月)\n前処理の効果\n\n山田太郎\n", "前処理の効果"),
        ("Effects of Cleaning\n\nJane Doe\n\nWe study this.", "Effects of Cleaning"),
        # no titles
        ("", ""),
        (PARAGRAPH, ""),
        (f"{PARAGRAPH}\n\n{PARAGRAPH}", ""),
        ("はじめに\n\n" + PARAGRAPH, ""),
        (
            "近年，大規模言語モデルの継続事前学習が注目を集めて\nいる．特定の分野の文書を用いて追加で学習することに\nより",
            "",
        ),
        ("長" * WIDEST_TITLE + "\n\n" + PARAGRAPH, ""),
    ],
)
def test_title(text: str, title: str) -> None:
    assert find_title(text) == title


def test_sections_of_a_paper_and_not_its_lists() -> None:
    assert headings(PAPER) == [
        (1, "概要"),
        (1, "1 はじめに"),
        (1, "2 提案手法"),
        (2, "2.1 前処理"),
        (2, "2.2 学習"),
        (1, "3 実験"),
        (1, "4 おわりに"),
    ]


def test_markdown_headings_are_the_only_ones_where_there_are_some() -> None:
    text = (
        f"# 題名\n\n{PARAGRAPH}\n\n## 手順\n\n1. 読む\n\n{PARAGRAPH}\n\n2. 書く\n\n{PARAGRAPH}\n\n### 注意\n{PARAGRAPH}"
    )
    assert headings(text) == [(1, "題名"), (2, "手順"), (3, "注意")]


def test_a_section_begins_at_its_line() -> None:
    for section in find_sections(PAPER):
        line = PAPER[section["start"] :].split("\n", 1)[0]
        assert line.endswith(section["title"])
        assert section["start"] == 0 or PAPER[section["start"] - 1] == "\n"


@pytest.mark.parametrize(
    "text",
    [
        "",
        PARAGRAPH,
        "1. 読む\n2. 書く\n3. 話す\n",  # a list
        "2024年3月\n2024年4月\n",
        "```\n# コメント\n# もう一つ\n```\n",
        "表 1: 結果\nBERT 85.2\nGPT 81.2\n",
    ],
)
def test_what_is_no_section(text: str) -> None:
    assert find_sections(text) == []


@given(documents(20))
def test_sections_are_in_order_within_the_text(text: str) -> None:
    sections = find_sections(text)
    starts = [section["start"] for section in sections]
    assert starts == sorted(set(starts))
    for section in sections:
        assert section["level"] >= 1 and section["title"].strip() == section["title"] != ""
        assert section["title"][:1] in text[section["start"] :].split("\n", 1)[0]
    title = find_title(text)
    assert title == title.strip() and "\n" not in title


def test_encyclopedia_articles_have_no_sections_of_their_own(shared_data: Path) -> None:
    """JaQuAD's contexts are running text: what is taken for a heading there is a mistake."""
    wrong = articles = 0
    for file in sorted((shared_data / "jaquad").glob("*.json")):
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            text = clean("\n\n".join(item["context"] for item in article["paragraphs"])).text
            articles += 1
            wrong += len(find_sections(text))
    print(f"{wrong} headings found in {articles} articles without any")
    assert wrong <= 0.05 * articles


@pytest.mark.parametrize(
    "number, value", [("三", 3), ("十", 10), ("十二", 12), ("三十一", 31), ("一二", 12), ("１２", 12), ("十十", 20)]
)
def test_a_chapter_s_number_is_read_as_any_numeral(number: str, value: int) -> None:
    heading = numbered_heading(f"第{number}章 事件")
    assert heading is not None and heading.number == (value,)
