# ruff: noqa: E501 (documents stand here as they are printed)
from __future__ import annotations

import re

import pytest
from hypothesis import given

from nemo_kcpt.cleaning.page_furniture import page_furniture
from tests.cleaning.documents import applied, documents

BODY = [
    "本研究では前処理の効果を調べる。\n既存の研究とは対象が異なる。",
    "実験には三つのデータを用いた。\n結果を表に示す。",
    "第一の結果は期待のとおりである。\n第二の結果は異なる。",
    "考察では原因を述べる。\n誤りは二種類に分かれる。",
    "最後に全体をまとめる。\n今後の課題も述べる。",
    "謝辞を述べる。\n匿名の査読者に感謝する。",
]


def pages(head: str = "", foot: str = "", first: int = 1, body: list[str] = BODY) -> str:
    """The body on pages; `{}` in head and foot is the page's number, `|` parts left pages from right ones."""
    made = []
    for number, page in enumerate(body, first):
        sides = [side.split("|")[number % len(side.split("|"))].format(number) for side in (head, foot)]
        made.append("\n".join(part for part in (sides[0], page, sides[1]) if part))
    return "\f".join(made)


@pytest.mark.parametrize(
    ("head", "foot"),
    [
        ("", "{}"),
        ("", "- {} -"),
        ("", "― {} ―  Copyright(C) 2024 The Association for Natural Language Processing. All Rights Reserved."),
        ("", "― {} ―\nCopyright(C) 2024 The Association for Natural Language Processing.\nAll Rights Reserved."),
        ("", "Page {} of 6"),
        ("", "{} / 6 ページ"),
        ("山田ほか　前処理の効果 {}|{} 自然言語処理 Vol. 31 No. 2", ""),
        ("Journal of Examples 12 (2024) 1–6|Yamada et al.", "{}"),
        ("社外秘 2024/03/31", "株式会社サンプル    {}"),
    ],
)
def test_what_recurs_on_pages_goes(head: str, foot: str) -> None:
    text = pages(head, foot, first=1)
    changed = applied(page_furniture, text).text
    # A running title without a number stays once at the top of the first page: it may be the title.
    kept = [line for line in changed.split("\n") if line not in "\n".join(BODY)]
    assert changed.replace("Yamada et al.\n", "", 1) == "\f".join(BODY), kept


def test_a_title_that_is_the_running_title_too_stays_once() -> None:
    title = "前処理の効果について"
    assert page_furniture(pages(title)).text == title + "\n" + "\f".join(BODY)


def test_roman_page_numbers_and_a_page_without_one() -> None:
    numbers = ["i", "ii", "iii", "iv", "", "vi"]
    text = "\f".join(f"{page}\n{number}".rstrip("\n") for page, number in zip(BODY, numbers))
    assert page_furniture(text).text == "\f".join(BODY)


def test_the_running_title_of_one_chapter_in_a_long_book() -> None:
    body = [f"ここは本の{number * 7}番目の話で、前とは違う。" for number in range(40)]
    heads = ["第二章 事件" if 10 <= number < 16 else "" for number in range(40)]
    text = "\f".join(f"{head}\n{page}".lstrip("\n") for head, page in zip(heads, body))
    assert page_furniture(text).text == "\f".join(body)


@pytest.mark.parametrize(
    "text",
    [
        pages("問題{}"),  # an exam
        pages("第{}章"),
        pages("# {}"),
        pages("Step {}"),
        pages("・共通の項目"),
        pages("", "品名    数量    単価    金額"),
        pages("| 品名 | 数量 |"),
        "\f".join(["目次", "実験結果\n精度が上がった。", "実験結果\n時間が減った。", "まとめ"]),  # too few
        "\f".join(["氏名\n住所\n電話"] * 5),  # a form, again and again
        "\f".join(f"{page}\n{number}" for page, number in zip(BODY, (310, 12, 4500, 7, 88, 1))),  # sums
        pages(body=BODY[:2], foot="{}"),  # two pages show nothing
    ],
)
def test_content_at_the_edge_of_pages_stays(text: str) -> None:
    assert applied(page_furniture, text).count == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("前の段落。\n\n- 12 -\n\n次の段落。", "前の段落。\n\n次の段落。"),
        ("前の段落。\n\n― 12 ―\n\n次の段落。", "前の段落。\n\n次の段落。"),
        ("前の段落。\n\nPage 3 of 10\n\n次の段落。", "前の段落。\n\n次の段落。"),
        ("前の段落。\n\n12/30\n\n次の段落。", "前の段落。\n\n次の段落。"),
        ("前の行。\n- 1 -\n次の行。\n- 2 -\n終わり。", "前の行。\n次の行。\n終わり。"),
        ("言語処理学会 第30回年次大会 発表論文集 (2024年3月)\n\n題名", "題名"),
        ("前の段落。\n\n－１２－", "前の段落。"),
        # The sentence goes on: no paragraph ends there.
        (
            "この文はページの終わりに来てもまだ\n\n- 3 -\n\n続いている。",
            "この文はページの終わりに来てもまだ\n続いている。",
        ),
        (
            "この文は一つ目のページの終わりで\n\n7\n\n続き、次のページの終わりに来ても文はまだまだ\n\n8\n\n"
            "続き、そのまた次のページの終わりに来てもまだ\n\n9\n\n終わる。",
            "この文は一つ目のページの終わりで\n続き、次のページの終わりに来ても文はまだまだ\n続き、そのまた次のページの終わりに来てもまだ\n終わる。",
        ),
        (
            "本文。\n― 5 ― Copyright(C) 2024 The Association for Natural Language Processing. All Rights Reserved.\n続き。",
            "本文。\n続き。",
        ),
    ],
)
def test_without_page_marks(text: str, expected: str) -> None:
    assert applied(page_furniture, text).text == expected


@pytest.mark.parametrize(
    "kept",
    [
        # Chapters of a story, numbered only.
        "1\n\n彼は朝早く起きた。そして海へ行った。\n\n2\n\n海は静かだった。誰もいなかった。\n\n3\n\n夜になった。雨だった。",
        "12\n\n13\n\n14",  # a column of numbers
        "売上の合計は次のとおりである。\n\n120\n\n利益は次のとおりである。それは少ない。\n\n15",
        "12/30\n\n年末の買い物をした。\n\n12/31\n\n大掃除をした。",  # a diary
        "・項目\n- 5 - 3 = 2\n- 12",
        "前の行。\n- 12 -\n次の行。",  # one, in the middle of text: it may be anything
        "```\n\n- 12 -\n\n```",
        "Copyright (c) 2024 Example Inc. All rights reserved.\n\n本文。",
        "2024",
    ],
)
def test_numbers_that_may_be_content_stay(kept: str) -> None:
    assert applied(page_furniture, kept).count == 0


@given(documents())
def test_lines_go_whole_and_in_order_or_not_at_all(text: str) -> None:
    changed = applied(page_furniture, text)
    lines = iter(re.split("[\n\f]", text))
    kept = [line for line in re.split("[\n\f]", changed.text) if line]
    assert all(any(line == other for other in lines) for line in kept)
    assert changed.text.count("\f") == text.count("\f")


@pytest.mark.parametrize(
    "title", ["霞方式の処理時間に関する報告", "霞方式の処理時間に関する報告（第4版）", "Report on Kasumi 2, edition 10"]
)
def test_a_title_that_runs_on_every_page_stays_on_the_first_with_its_number_or_without(title: str) -> None:
    lines = [
        "背景を述べる文であり",
        "方法を述べる文であり",
        "測定の値を示す文である",
        "誤差を論じる文である",
        "計画を記す文である",
    ]
    pages = ["\n".join([title, f"架空資料 {n}", *(f"{'甲乙丙丁'[n]}の{line}" for line in lines)]) for n in range(4)]
    text = page_furniture("\f".join(pages)).text
    assert text.startswith(title)
    assert text.count(title) == 1


TWO = [
    "本研究では前処理の効果を調べる。\n既存の研究とは対象が異なり、湊モデルを用いた作業が２６０",
    "５台の装置で行われた。\n結果を表に示す。",
]


@pytest.mark.parametrize(
    ("head", "foot"),
    [
        ("", "架空資料 社外秘 {}"),
        ("", "- {} -"),
        ("", "社外秘"),
        ("前処理の効果に関する報告（第 3 版）", "架空資料 {}"),
    ],
)
def test_of_two_pages_goes_what_parts_a_number(head: str, foot: str) -> None:
    title = f"{head}\n" if head else ""
    assert page_furniture(pages(head, foot, body=TWO)).text == title + "\f".join(TWO)


def test_of_two_pages_goes_what_parts_a_sentence_and_notes_below_it() -> None:
    first = "本研究では前処理の効果を調べる。\n既存の研究とは対象が異なる点を考慮して\n[^1]: 常盤の記録による。"
    body = [first, "実験には三つのデータを用いた。\n結果を表に示す。"]
    assert page_furniture(pages("", "架空資料 {}", body=body)).text == "\f".join(body)


@pytest.mark.parametrize("foot", ["架空資料 {}", "社外秘", "表 {}"])
@pytest.mark.parametrize("body", [BODY[:2], ["一覧\n装置の台数の合計は今年度も昨年度も2", "3 結果\n結果を表に示す。"]])
def test_of_two_pages_whose_edges_part_nothing_all_stays(foot: str, body: list[str]) -> None:
    text = pages("", foot, body=body)
    assert page_furniture(text).text == text


def test_two_pages_that_are_one_form_stay() -> None:
    form = "氏名\n住所\n電話\n署名"
    text = f"{form}\n前処理の効果について調べた結果を報告する際に\n{form}\f{form}\n実験を用いた。\n{form}"
    assert page_furniture(text).text == text
