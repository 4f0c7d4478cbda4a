# ruff: noqa: E501 (documents stand here as they are printed)
from __future__ import annotations

import re
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.cleaning.references import is_list_heading, references
from tests.cleaning.documents import applied, bare, documents

NUMBERED = """\
先行研究 [1] がある。

参考文献
[1] 山田太郎, 鈴木花子. 言語モデルの
    継続事前学習. 自然言語処理, Vol. 30,
    No. 1, 2023.
[2] Jacob Devlin, Ming-Wei Chang. BERT: Pre-train-
    ing of deep bidirectional transformers. In NAACL, 2019.

付録A プロンプト
次の通り。"""
AUTHOR_YEAR = """\
Text.

References
Jacob Devlin, Ming-Wei Chang, Kenton Lee, and Kristina
Toutanova. 2019. BERT: Pre-training of deep bidirec-
tional transformers for language understanding. In
Proceedings of NAACL, pages 4171–4186.
Ashish Vaswani, Noam Shazeer, and Niki Parmar. 2017.
Attention is all you need. In Advances in Neural Infor-
mation Processing Systems, pages 5998–6008.
山田太郎, 鈴木花子. 2020. 日本語の文書分類. 自然
言語処理, 27(1):1–20.

A Hyperparameters

We use Adam."""


@pytest.mark.parametrize(
    ("text", "left", "entries"),
    [
        (
            NUMBERED,
            "先行研究 [1] がある。\n\n付録A プロンプト\n次の通り。",
            [
                "[1] 山田太郎, 鈴木花子. 言語モデルの継続事前学習. 自然言語処理, Vol. 30, No. 1, 2023.",
                "[2] Jacob Devlin, Ming-Wei Chang. BERT: Pre-training of deep bidirectional transformers. In NAACL, 2019.",
            ],
        ),
        (
            AUTHOR_YEAR,
            "Text.\n\nA Hyperparameters\n\nWe use Adam.",
            [
                "Jacob Devlin, Ming-Wei Chang, Kenton Lee, and Kristina Toutanova. 2019. BERT: Pre-training of deep "
                "bidirectional transformers for language understanding. In Proceedings of NAACL, pages 4171–4186.",
                "Ashish Vaswani, Noam Shazeer, and Niki Parmar. 2017. Attention is all you need. In Advances in Neural "
                "Information Processing Systems, pages 5998–6008.",
                "山田太郎, 鈴木花子. 2020. 日本語の文書分類. 自然言語処理, 27(1):1–20.",
            ],
        ),
        (
            "# 題\n\n本文。\n\n## 参考文献\n\n- 山田太郎 (2020)『言語処理入門』東京出版\n- https://example.com/a\n\n## 付録\n\nあ",
            "# 題\n\n本文。\n\n## 付録\n\nあ",
            ["山田太郎 (2020)『言語処理入門』東京出版", "https://example.com/a"],
        ),
        (
            "本文。\n\n5. 引用文献\n1) 田中一郎: 教育の研究, 学会誌, 3巻, 1998.\n2) 佐藤次郎: 学習の研究, 学会誌, 4巻,\n1999.",
            "本文。",
            ["1) 田中一郎: 教育の研究, 学会誌, 3巻, 1998.", "2) 佐藤次郎: 学習の研究, 学会誌, 4巻, 1999."],
        ),
        (
            "Text.\n\nWorks Cited\n\nSmith, John. A Book. Press, 1999.\n\nDoe, Jane. Another\nBook. Press, 2001.",
            "Text.",
            ["Smith, John. A Book. Press, 1999.", "Doe, Jane. Another Book. Press, 2001."],
        ),
        (  # hanging indentation
            "本文\n\n【文献】\n山田太郎（2001）『本の\n　題名』ある出版社\n鈴木花子（2002）『別の\n　題名』ある書店",
            "本文",
            ["山田太郎（2001）『本の題名』ある出版社", "鈴木花子（2002）『別の題名』ある書店"],
        ),
        (  # over a page's end, and text after the list
            "本文\fReferences\n[1] A. Author. Some title of a paper. In Proc.\fof ACL, 2020.\n[2] B. Author. A title. 2021.\n\n"
            "図1は結果を示す。",
            "本文\n\n図1は結果を示す。",
            ["[1] A. Author. Some title of a paper. In Proc. of ACL, 2020.", "[2] B. Author. A title. 2021."],
        ),
    ],
)
def test_lists_are_kept_apart(text: str, left: str, entries: list[str]) -> None:
    changed = applied(references, text)
    assert changed.text == left
    assert list(changed.references) == entries
    assert changed.count == len(entries)


@pytest.mark.parametrize(
    "kept",
    [
        "目次\n1 はじめに ........ 1\n参考文献 ........ 12\n\n本文。",
        "目次\nはじめに\n参考文献\n\n第1章 はじめに\n本文。2020年のことである。",
        "## 参考文献\n\n本章の内容は多くの書物に基づいている。詳しくは図書館で調べてほしい。\n\n次の段落。",
        "References\n\n[1] J. Smith. The only entry of the list. 2020.",
        "Smith [1] と Doe (2020) を参考文献とする。\n[2] も見よ。",
        "# References\n\nThis class counts references. Use it with care.\n\nIt has two methods.",
        "```\n# References\n[1] a 2020 paper about code\n[2] a 2021 paper about code\n```",
        "文献\nを読む。",
    ],
)
def test_what_is_no_list_of_references_stays(kept: str) -> None:
    assert applied(references, kept).count == 0


@pytest.mark.parametrize(
    "line", ["参考文献", "【参考文献】", "## 6. References", "6 参考文献", "■ 引用文献", "REFERENCES:", "**文献**"]
)
def test_headings(line: str) -> None:
    assert is_list_heading(line)
    assert not is_list_heading(f"{line}を見よ")


ENTRIES = [
    "Smith, J. (2019). A title of a paper. Journal of Papers, 3(1), 1-20.",
    "山田太郎. 言語の研究. 言語学会誌, 2020.",
]


@given(
    st.lists(st.sampled_from([*ENTRIES, "", "\f", "[1] A 2020", "[2] B 2021", "付録", "Doe", "# x"]), max_size=12),
    documents(4),
)
def test_nothing_is_lost_but_headings_bullets_and_broken_hyphens(lines: list[str], rest: str) -> None:
    text = "\n".join(["本文", "参考文献", *lines, rest])
    changed = references(text)
    assert not references(changed.text).count
    before, after = (Counter(bare(part)) for part in (text, changed.text + "".join(changed.references)))
    assert not after - before
    assert re.fullmatch(
        r"[-\u2010\u00ad#=*・参考文献引用Rrefncs:Bbilogaphy【】]*", "".join((before - after).elements())
    )
