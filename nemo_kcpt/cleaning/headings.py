"""What reads like a heading: Markdown's, numbered ones and those with a name that everybody uses.

Shared by the steps that must leave headings alone and by `cleaning/structure.py`, which makes sections of them.
"""

from __future__ import annotations

import re
import unicodedata
from typing import NamedTuple

from nemo_kcpt.cleaning.scripts import JAPANESE, SENTENCE_END, display_width
from nemo_kcpt.text.moments import number_of

WIDEST = 80
"""Columns of a numbered heading at most; a longer line is text that begins with a number."""

_MARKDOWN = re.compile(r" {0,3}(#{1,6})(?:[ \t]+(.*))?$")
_DECORATION = "【】〔〕［］[]＜＞<>〈〉《》■□◆◇●○▼▽*_:：.． \t\u3000"
_NUMBER = re.compile(
    r"[ \t\u3000]*(?:"
    r"第[ \u3000]?(?P<counted>\d{1,3}|[一二三四五六七八九十]{1,3})[ \u3000]?(?P<unit>[章節部編])"
    r"(?P<after>[ \t\u3000:：]*)"
    r"|(?P<appendix>付録|補遺|Appendix|APPENDIX)[ \u3000]?(?P<letter>[A-ZＡ-Ｚ]|\d{1,2})?(?P<sub>(?:[.．]\d{1,2})*)"
    r"[.．:：]?[ \t\u3000]*"
    r"|(?P<digits>\d{1,2}(?:[.．]\d{1,2}){0,4})(?P<dot>[.．]?)(?P<gap>[ \t\u3000]*)"
    r"|(?P<roman>[Ⅰ-Ⅻ]|[IVX]{1,5}(?=[.．]? ))(?P<roman_dot>[.．]?)[ \t\u3000]*"
    r")(?P<title>[^ \t\u3000].*)?$"
)
_TITLE = re.compile(f"[A-Z\"'“‘(「『〈《【｢\\d{JAPANESE}\uff21-\uff3a\u00c0-\u024f\u0370-\u052f]")
_COUNTED = re.compile(
    r"(?:[つ個人名種件回年月日時分秒章節項条点本枚台歳才倍割階番位語字文行頁巻号次段期社国県市世例頭匹億万千百%％]|[かカヶ]所|[かカヶ]月)"
    r"(?:[のをがはにでともまへ、。,）)]|以上|以下|以内|目|程度|$)|(?:[年日]|時|秒|[かカヶ]月)間|メートル|パーセント|キロ"
)
"""What follows a number that counts something: "3 つの手法" is no heading, but "2 日本語処理" is."""
_PARTICLE = re.compile("[をがはにでとのもや、。，,](?![ぁ-ん])")
_NOT_AT_END = re.compile(f"[{SENTENCE_END}、，,；;をがはにでとのてしただ]$")
_AT_END = ("はじめに", "始めに", "おわりに", "終わりに", "むすびに", "について", "に関して", "に向けて", "にあたって")

_NAMES = """
概要 要旨 要約 抄録 序文 はじめに 始めに まえがき 序論 序章 緒言 緒論 背景 研究背景 研究の背景 目的 研究目的
研究の目的 関連研究 先行研究 準備 問題設定 手法 方法 提案手法 提案 研究方法 材料と方法 対象と方法 実験 実験設定
実験方法 実験結果 実験と考察 評価 評価実験 評価結果 結果 結果と考察 分析 考察 議論 まとめ 結論 結語 結び むすび
おわりに 終わりに あとがき 今後の課題 まとめと今後の課題 謝辞 付録 補遺 目次 参考文献 引用文献 文献 abstract
summary introduction background relatedwork relatedworks previouswork preliminaries method methods methodology
materialsandmethods approach proposedmethod experiment experiments experimentalsetup experimentalresults
evaluation results resultsanddiscussion discussion discussions analysis conclusion conclusions
conclusionandfuturework futurework limitations ethicsstatement ethicalconsiderations acknowledgement
acknowledgements acknowledgment acknowledgments appendix appendices contents tableofcontents references
bibliography
"""
KNOWN = frozenset(_NAMES.split())
"""Names of sections without their white space, in lower case."""


class Numbered(NamedTuple):
    """A line that begins with the number of a section."""

    style: str
    """How it is written, such as "1", "1.", "第章", "Ⅰ", "付録": the sections of a document keep to one style."""
    number: tuple[int, ...]
    title: str


def markdown_heading(line: str) -> tuple[int, str] | None:
    """Level and title of a Markdown heading with number signs, or None; an empty heading is none."""
    match = _MARKDOWN.match(line) if "#" in line[:9] else None
    if not match or not match[2]:
        return None
    title = match[2].strip()
    bare = title.rstrip("#")
    if bare != title and (not bare or bare[-1] in " \t"):
        title = bare.rstrip()
    return (len(match[1]), title) if title else None


def known_name(line: str) -> str:
    """The name of the section if the line is nothing but a well-known one, decoration such as 【】 aside, else ""."""
    if len(line) > 60 or not line.strip():
        return ""
    name = unicodedata.normalize("NFKC", line).strip(_DECORATION)
    plain = re.sub(r"[ \t\u3000]+", "", name).lower()
    return name if plain in KNOWN else ""


def numbered_heading(line: str) -> Numbered | None:
    """The parts of a line that could be a numbered heading ("2.1 提案手法", "第3章 実験", "付録A"), else None."""
    match = _NUMBER.match(line) if len(line) <= WIDEST and display_width(line) <= WIDEST else None
    if not match:
        return None
    title = (match["title"] or "").strip()
    if not _reads_like_title(title):
        return None
    if match["unit"]:
        if title and not match["after"] and "ぁ" <= title[0] <= "ん" and not known_name(title):
            return None
        return Numbered(f"第{match['unit']}", (_counted(match["counted"]),), title)
    if match["appendix"]:
        letter = unicodedata.normalize("NFKC", match["letter"] or "")
        if title and not letter:
            return None
        first = int(letter) if letter.isdigit() else ord(letter) - 64 if letter else 0
        return Numbered("付録", (first, *_parts(match["sub"])), title)
    if not title:
        return None
    if match["roman"]:
        return Numbered("Ⅰ" + ("." if match["roman_dot"] else ""), (_roman(match["roman"]),), title)
    number = _parts(match["digits"])
    dotted = len(number) > 1 or bool(match["dot"])
    if title[0].isdigit() or _COUNTED.match(title):
        return None
    if not match["gap"] and not (dotted and not title[0].isascii()) and not known_name(title):
        return None
    return Numbered("1" + ("." if match["dot"] and len(number) == 1 else ""), number, title)


def _reads_like_title(title: str) -> bool:
    """Whether what follows a number may be a title and is no part of a sentence; "" may."""
    if not title:
        return True
    if not _TITLE.match(title) or _PARTICLE.match(title):
        return False
    return not _NOT_AT_END.search(title) or title.endswith(_AT_END)


def looks_like_heading(line: str) -> bool:
    """Whether a step should leave the line alone since it may be a heading."""
    return bool(markdown_heading(line) or known_name(line) or numbered_heading(line))


def _parts(number: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", number))


def _counted(number: str) -> int:
    return int(number_of(unicodedata.normalize("NFKC", number)))


def _roman(number: str) -> int:
    values = {"I": 1, "V": 5, "X": 10}
    figures = [values[figure] for figure in unicodedata.normalize("NFKC", number)]
    return sum(-left if left < right else left for left, right in zip(figures, [*figures[1:], 0]))
