from __future__ import annotations

import pytest
from hypothesis import given

from nemo_kcpt.cleaning.ocr_spaces import ocr_spaces
from tests.cleaning.documents import applied, bare, documents

CLEAN = "本稿ではデータベースを用いたアンケート調査の結果について述べる。回答者は大学生とする。"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("自 然 言 語 処 理", "自然言語処理"),
        ("第 1 章 は じ め に", "第 1 章はじめに"),
        ("本 研 究 で は BERT を 用 い る 。", "本研究では BERT を用いる。"),
        ("参　考　文　献", "参考文献"),  # headings are spaced out that way
        ("要旨: 自 然 言 語 処理の研究", "要旨: 自然言語 処理の研究"),
        # The same four characters stand together elsewhere.
        ("機械 翻訳の研究。機械翻訳とは何か。", "機械翻訳の研究。機械翻訳とは何か。"),
        ("著者 山田 太郎\n山田太郎は研究者である。", "著者 山田太郎\n山田太郎は研究者である。"),
    ],
)
def test_examples(text: str, expected: str) -> None:
    assert applied(ocr_spaces, text).text == expected


@pytest.mark.parametrize(
    "kept",
    [
        "第1章 はじめに",
        "東京 大阪 名古屋",
        "山田 太郎  佐藤 花子",
        "山田 太郎 佐藤 花子 鈴木 一郎 高橋 美咲",
        "本文は BERT と GPT を使う。",
        "　段落の初め",
        "ア イ ウ エ オ",
        "月 火 水 木 金",
        "| 自 然 | 言 語 処 理 |",
        "自 然\t言 語\t処 理 の",
        "```\n自 然 言 語 処 理\n```",
        "`自 然 言 語` を使う",
        "キーワード: 機械翻訳 自動評価\n機械翻訳自動評価を行う。",
        # An example in words, beside the sentence it was made from.
        "「すもももももももものうち」は\nすもも も もも も もも の うち\nと分けられる。",
    ],
)
def test_spaces_on_purpose_stay(kept: str) -> None:
    assert applied(ocr_spaces, kept).count == 0


def test_a_document_is_noisy_if_spaces_stand_where_no_word_begins() -> None:
    noisy = "本稿で はデ ータベースを用い たアンケ ート調査 の結果につい て述べ る。回答 者は大 学生とす る。"
    assert ocr_spaces(noisy).count == 0  # two torn words are an accident
    torn = f"{noisy}\nニュ ーラ ルネットワ ークの学習 を行う。\n山田 太郎"
    assert ocr_spaces(torn).text == f"{CLEAN}\nニューラルネットワークの学習を行う。\n山田 太郎"


def test_one_removal_can_be_the_evidence_for_the_next() -> None:
    text = "機械翻訳とは。機械 翻訳システム。翻訳システムの例。翻訳シス テム。"
    assert applied(ocr_spaces, text).text == "機械翻訳とは。機械翻訳システム。翻訳システムの例。翻訳システム。"


@given(documents())
def test_only_single_spaces_between_japanese_characters_go(text: str) -> None:
    changed = applied(ocr_spaces, text)
    assert bare(changed.text) == bare(text)
    assert len(text) - len(changed.text) == changed.count
    assert changed.text.count("\n") == text.count("\n")
