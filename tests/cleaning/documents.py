"""What the tests of the cleaning room share: documents out of awkward pieces, and what holds for every step.

Made of whole lines (furniture, headings, wrapped paragraphs, lists, code, references) and of loose characters, so that
hypothesis finds out what they do to each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from hypothesis import strategies as st

from nemo_kcpt.cleaning import Changed

LINES = """\
はじめに|# 見出し|1 はじめに|2.1 手法|第3章 実験|・項目です|- item|1. one|> quote|```|~~~|    code()|$x^2$|$$
\\begin{equation}|\\end{equation}|― 12 ―|- 3 -|Page 3 of 10|12/30|12|13|14|7|ii|iii
Copyright(C) 2024 The Association. All Rights Reserved.|言語処理学会 第30回年次大会 発表論文集|参考文献|References
## 参考文献|[1] 山田太郎. 言語処理. 2020.|[2] J. Smith. Title of paper. In Proc. of ACL, 2019.|付録A|Appendix|[3]
Jacob Devlin, Ming-Wei Chang. 2019. BERT: Pre-|training of deep models. In NAACL.
近年，大規模言語モデルの継続事前学習が注目を集めて|いる．特定の分野の文書を用いて追加で学習することに
より，モデルに新しい知識を与えることができる．しか|し，学習に用いる文書の前処理が性能に与える影響は十
分に調べられていない．|　本研究では，論文を対象とし，前処理の各段階の効果|自 然 言 語 処 理|自然 言語処理の研究
自然言語処理|山田 太郎 佐藤 花子|We study the continual pre-|training of large language models on the pa-
pers of a domain, and show that they are eval-|uated well.|「はい」|「いいえ」|===|---|ＡＢＣ１２３|ｶﾞｷﾞ｡|⽇本|ﬁne|x²
`ＡＢ`|a\xa0b|名前　住所|soft\xad|\u200b|👩\u200d👩|\ufeff|\r|abc\r|x\u2028y|\x00|\x02|\ufffe|か\u3099|(1) 一つ目
図 1: 例|url https://example.com/a-|b.html を見よ|``quoted''|\\(x\\)|価格は$5から$10|…………3|a  b  c|1\t2"""
CHARACTERS = (
    "あいア漢字一ー、。「」．，（）　 \n\f-–12aAbZ.#|`$\\*>[]()~ＡｱﾞﾟﬁÀ\u0301\u3099\u200b\u200d\xad\r\x02\ufeff²⽇\ud800"
)

_PIECES = st.one_of(
    st.sampled_from([*re.split(r"[|\n]", LINES), "| a | b |", ""]), st.text(st.sampled_from(CHARACTERS), max_size=12)
)
_ENDS = st.sampled_from(["\n", "\n", "\n", "\n\n", "\f", "\n\f\n", " "])


def documents(lines: int = 14) -> st.SearchStrategy[str]:
    """Documents of up to so many pieces."""
    pairs = st.lists(st.tuples(_PIECES, _ENDS), max_size=lines)
    return pairs.map(lambda parts: "".join(piece + end for piece, end in parts)) | st.text(max_size=40)


def applied(step: Callable[[str], Changed], text: str) -> Changed:
    """What a step does, checked for what every step promises: an honest count, and nothing left for a second run."""
    changed = step(text)
    assert (changed.count == 0) == (changed.text == text)
    again = step(changed.text)
    assert again == (changed.text, 0, ())
    return changed


def bare(text: str) -> str:
    """The text without white space."""
    return "".join(text.split())
