# ruff: noqa: E501 (documents stand here as they are printed)
from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given

from nemo_kcpt.cleaning.joining import Joiner
from nemo_kcpt.cleaning.line_breaks import line_breaks
from tests.cleaning.documents import applied, bare, documents

JAPANESE = """\
　近年，大規模言語モデルの継続事前学習が注目を集めて
いる．特定の分野の文書を用いて追加で学習することに
より，モデルに新しい知識を与えることができる．しか
し，学習に用いる文書の前処理が性能に与える影響は十
分に調べられていない．
　本研究では，年次大会の論文を対象とし，前処理の各
段階の効果を調べる．
2 関連研究
　前処理については多くの研究がある．とくに，英語の
文書を対象としたものは多い．
・OCR の誤りを含む行を取り除き，正しい文字列に置き
換える処理
・二段組の行を結合する処理
次の式を用いる．
f(x) = ax + b (1)
"""
JAPANESE_JOINED = """\
　近年，大規模言語モデルの継続事前学習が注目を集めている．特定の分野の文書を用いて追加で学習することにより，\
モデルに新しい知識を与えることができる．しかし，学習に用いる文書の前処理が性能に与える影響は十分に調べられていない．
　本研究では，年次大会の論文を対象とし，前処理の各段階の効果を調べる．
2 関連研究
　前処理については多くの研究がある．とくに，英語の文書を対象としたものは多い．
・OCR の誤りを含む行を取り除き，正しい文字列に置き換える処理
・二段組の行を結合する処理
次の式を用いる．
f(x) = ax + b (1)"""
ENGLISH = """\
1 Introduction
Continual pretraining adapts a language model to a do-
main for which little text was seen before. We study how
the cleaning of documents changes what is learned, with a
state-of-the-art model and the papers in the annual pro-
ceedings of a large conference. Our own state-of-the-
art baseline reads every page as it was printed.
Each step is a function of its own that can be switched
off.

2 Method
We clean.
"""
ENGLISH_JOINED = """\
1 Introduction
Continual pretraining adapts a language model to a domain for which little text was seen before. We study how \
the cleaning of documents changes what is learned, with a state-of-the-art model and the papers in the annual \
proceedings of a large conference. Our own state-of-the-art baseline reads every page as it was printed.
Each step is a function of its own that can be switched off.

2 Method
We clean."""


@pytest.mark.parametrize(("text", "expected"), [(JAPANESE, JAPANESE_JOINED), (ENGLISH, ENGLISH_JOINED)])
def test_columns_become_paragraphs(text: str, expected: str) -> None:
    assert applied(line_breaks, text).text.rstrip("\n") == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("continu-\nal", "continual"),
        (
            "This is a hyphen-\nated word in a text without any column.",
            "This is a hyphenated word in a text without any column.",
        ),
        ("soft\u00ad\nware", "software"),
        ("pre-\nand post-training", "pre- and post-training"),
        ("state-of-the-\nart models", "state-of-the-art models"),
        ("a fine-\ntuned one, and fine-tuned again", "a fine-tuned one, and fine-tuned again"),
    ],
)
def test_hyphens_are_sure_enough_alone(text: str, expected: str) -> None:
    assert applied(line_breaks, text).text == expected


@pytest.mark.parametrize(
    ("left", "right", "document", "joined"),
    [
        ("GPT-", "4 と", "", "GPT-4 と"),
        ("Word-", "Net", "", "Word-Net"),
        ("BERT-", "base", "", "BERT-base"),
        ("large-", "scale", "a large scale", "large-scale"),
        ("large-", "scale", "largescale", "largescale"),
        ("https://example.com/a-", "b", "", "https://example.com/a-b"),
        ("https://example.com/", "papers", "", "https://example.com/papers"),
        ("言語", "処理", "", "言語処理"),
        ("用いた BERT", "による", "BERT を GPT を", "用いた BERT による"),
        ("用いたBERT", "による", "BERTをGPTを", "用いたBERTによる"),
        ("である(図1)", "を", "", "である(図1)を"),
        ("two", "words", "", "two words"),
        ("堤高は1", "56メートル", "", "堤高は156メートル"),
        ("総貯水量は2億5，00", "0万立方メートル", "", "総貯水量は2億5，000万立方メートル"),
        ("(人口は、約１", "２３．４万人", "", "(人口は、約１２３．４万人"),
        ("値は171.", "1まで", "", "値は171.1まで"),
        ("値は１７１．", "１まで", "", "値は１７１．１まで"),
        ("濃度は1", "2%で", "", "濃度は12%で"),
        ("平成30 31", "32 33", "", "平成30 31 32 33"),
        ("in the year of 20", "24人", "", "in the year of 20 24人"),
        ("β-", "carotene", "", "β-carotene"),
        ("the t-", "test", "", "the t-test"),
        ("reached −", "13.9 in the", "", "reached −13.9 in the"),
        ("reached -", "13.9 in the", "", "reached -13.9 in the"),
        ("設計値-", "13.9に", "", "設計値-13.9に"),
        ("設計値は−", "13.9に", "", "設計値は−13.9に"),
        ("two", ", three", "", "two, three"),
    ],
)
def test_seams(left: str, right: str, document: str, joined: str) -> None:
    assert Joiner(f"{document}\n{left}\n{right}").join(left, right) == joined


@pytest.mark.parametrize(
    "kept",
    [
        "- an item of a list that is as long as\n  its column is wide, and that goes on,\n  line by line by line, until it is over\n- two",
        "| 品名 | 数量 |\n| 鉛筆 | 三本 |\n| 消しゴム | 一個 |",
        "> a quotation that somebody has wrapped\n> to the width of a column, so that all\n> of its lines are about equally wide",
        "```\nfor each of the documents in a corpus\ndo something that takes a while, then\ngo on with the next one, if there is\n```",
        "    for each of the documents in a corpus\n    do something that takes a while, then\n    go on with the next one, if there is",
        "Two roads diverged in a yellow wood,\nAnd sorry I could not travel both\nAnd be one traveler, long I stood\n"
        "And looked down one as far as I could",
        "雪とけて村いっぱいの子どもかな\n痩せ蛙まけるな一茶これにあり\nやれ打つな蠅が手を擦り足をする",
        "「今日はいい天気ですね、先生」\n「そうだね、散歩に行こうか」\n「はい、ぜひ行きましょう、先生」\n「では、準備をしなさい」",
        "一つ目の文はここで終わっている。\n二つ目の文もここで終わっている。\n三つ目の文もここで終わっている。",
        "The first sentence is on a line.\nThe second sentence is on a line.\nThe third sentence is on a line.",
        "深層学習を用いた日本語の形態素解析手法の提案\n大規模言語モデルによる対話システムの評価手法\n"
        "単語の分散表現を用いた類義語の自動獲得手法",
        "2024-01-01 12:00:00 INFO starting the server on 8080\n2024-01-01 12:00:01 INFO connected to the database\n"
        "2024-01-01 12:00:02 INFO listening for connections",
        "BERT large 85.2 86.1 84.0 85.5 91.2\nGPT  small 81.2 82.1 83.0 84.5 90.2\nLSTM small 71.2 72.1 73.0 74.5 80.2",
        "はじめに ............................ 1\n提案手法 ............................ 5\n実験結果 ............................ 9",
        "\\begin{equation}\na long line of a formula and something,\nanother long line of a formula and more\n\\end{equation}",
        "題名\n著者の名前\n所属",
    ],
)
def test_what_is_not_wrapped_stays(kept: str) -> None:
    assert applied(line_breaks, kept).count == 0


def test_pages() -> None:
    column = JAPANESE.split("\n")
    text = "\n".join(column[:3]) + "\n\f\n" + "\n".join(column[3:])
    assert line_breaks(text).text.rstrip("\n") == JAPANESE_JOINED
    # A page that ends with a sentence, a new paragraph, a heading, a slide.
    assert line_breaks("終わった。\f次である。").text == "終わった。\n\n次である。"
    assert line_breaks("\f\f一\n\f\n\n二\f").text == "一\n\n二"
    assert line_breaks("研究の背景\n・現状\f研究の目的\n・提案").text == "研究の背景\n・現状\n\n研究の目的\n・提案"
    long = "この段落は一行に書かれていて、ページの終わりに来てもまだ終わらないままに次のページへと"
    assert line_breaks(f"{long}\f続いていく。").text == f"{long}続いていく。"
    assert line_breaks(f"{long}\f　新しい段落。").text == f"{long}\n\n　新しい段落。"


GRID = """\
試験の報告（第3版）
1 運用の手順
なお、処理時間の算出には各観測所の記録９，６０４，７９８件を用いた。試験は８，２
９０，９８３語の標本に適用され、再現率は８であった。
第8期の観測所では、測定法を用いた作業が５４５０台の装置で行われた。前年は１８，
６５０台であった。
2 測定の方法
なお、平均誤差の算出には海洋局の記録１，８９１，７１８語を用いた。設計値は５７．
８であり、許容範囲に収まる。
霞式推定器は試験場で２，０８３，８７３語の標本に適用され、消費電力は６であり、ま
た十分に小さい。"""


def test_a_short_text_on_a_grid() -> None:
    """Whether its digits are still as wide as its kanji or not."""
    for text in (GRID, unicodedata.normalize("NFKC", GRID).replace(",", "，").replace(".", "．")):
        assert len(joined := line_breaks(text).text.split("\n")) == 7
        assert "試験は8，290，983語" in unicodedata.normalize("NFKC", joined[2]).replace(",", "，")
    alike = GRID.rpartition("\n霞式")[0]
    assert line_breaks(alike).text == alike  # three lines


def test_a_sentence_goes_on_over_the_notes_at_a_page_s_foot() -> None:
    lines = [
        "近年，大規模言語モデルの継続事前学習が注目を集めてい",
        "る．特定の分野の文書を用いて追加で学習することにより",
        "モデルに新しい知識を与えることができ，標本の数は，20",
    ]
    text = "\n".join([*lines, "[^1]: 一つ目の注", "[^2]: 二つ目の注", "\f69人である．", "", "次の段落．"])
    notes = "[^1]: 一つ目の注\n[^2]: 二つ目の注"
    assert line_breaks(text).text == f"{''.join(lines)}69人である．\n\n{notes}\n\n次の段落．"
    finished = "\n".join([*lines[:2], "モデルに新しい知識を与える．", "[^1]: 一つ目の注", "\f標本の数は69人である．"])
    assert line_breaks(finished).text.split("\n")[1:] == ["[^1]: 一つ目の注", "", "標本の数は69人である．"]


def test_a_sentence_a_line_that_was_wrapped_comes_back_a_sentence_a_line() -> None:
    sentences = [
        "この文書では一つの行に一つの文だけが書かれている。",
        "それぞれの文は長さが違うので、折り返しの後に残る最後の行の幅もそれぞれ違っている。",
        "三つ目の文は二つ目の文よりもいくらか長く、三つか四つの行に分かれることになるはずである。",
        "短い文もある。",
    ]
    wrapped = "\n".join(line for sentence in sentences for line in re.findall(".{1,12}。?", sentence))
    assert line_breaks(wrapped).text == "\n".join(sentences)


@given(documents(25))
def test_only_line_ends_and_hyphens_change(text: str) -> None:
    changed = applied(line_breaks, text).text
    assert re.sub("[-\u2010\u00ad]", "", bare(changed)) == re.sub("[-\u2010\u00ad]", "", bare(text))
    assert "\f" not in changed
