"""Sentences with a blank: numbers, names and other terms, each sentence in one of the three kinds."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nemo_kcpt.fiction.choice import digest
from nemo_kcpt.synthesis.rules.sentences import Sentence
from nemo_kcpt.synthesis.rules.wording import BLANK
from nemo_kcpt.text.proper_names import cached_names, compounds

KINDS = ("qa_numbers_formula", "qa_people_names", "qa_easy")
LONGEST = {"ja": 160, "en": 320}
"""Characters of a sentence that is asked about."""

_UNITS_JA = (
    "世紀|年間|年度|年代|年|ヶ月|か月|カ月|月|日間|日|時間|時|分間|分|秒|週間|人|名|個|回|歳|才|代目|代|位|円|ドル|ポンド|%|パーセント|倍|割"
    "|キロメートル|メートル|キロ|センチ|トン|km|cm|mm|m|kg|g|t|隻|機|両|台|校|社|件|本|枚|冊|巻|階|戸|軒|頭|匹|羽|点|票|語|文|種|か国|カ国|箇所|か所|師団|個師団"
)
_NUMBER = {
    "ja": re.compile(
        rf"(?<![\w.,])(?:紀元前|約)?\d[\d,]*(?:\.\d+)?(?:[万億兆千百]\d*)*(?:{_UNITS_JA})?"
        rf"|(?<=[ぁ-ん、。一-鿿])(?<!第)\d[\d,]*(?:\.\d+)?(?:[万億兆千百]\d*)*(?:{_UNITS_JA})"
    ),
    "en": re.compile(
        r"(?<![\w.,-])[$€£]?\d[\d,]*(?:\.\d+)?(?: ?%|(?: (?:percent|million|billion|thousand)\b))?(?![\w-])"
    ),
}
_NO_NAME = re.compile(r"[\d\W]|\w+ [\d.,%]+$")
"""A number, or a word before one: "Nearly 400" begins with a capital where it begins a sentence."""
_WORD_EN = re.compile(r"(?<![\w-])[a-z]{6,}(?![\w-])")
_DULL_EN = frozenset(
    re.findall(
        r"\w+",
        """
        against although around because became become becomes before behind between called during
        either enough having include included includes including little making mainly mostly neither
        nothing number others people rather second should several something started themselves
        therefore through throughout together toward towards usually various whether within without
        following
        """,
    )
)


@dataclass(frozen=True)
class Gap:
    """A place of a sentence that can be left blank."""

    start: int
    end: int
    text: str


def cloze(sentences: Sequence[Sentence], paper: Mapping[str, Any], language: str) -> dict[str, list[tuple[str, str]]]:
    """Kind -> (sentence with a blank, what stood there), in the order of the text.

    A sentence is used once, by the kind that has least so far among those for which it has something; which of several
    gaps, the document's id decides.
    """
    made: dict[str, list[tuple[str, str]]] = {kind: [] for kind in KINDS}
    title = str(paper.get("title") or "")
    for sentence in sentences:
        if sentence.back or len(sentence.text) > LONGEST[language]:
            continue
        gaps = {kind: _usable(_FINDERS[kind](sentence.text, language), sentence.text, title) for kind in KINDS}
        if kinds := [kind for kind in KINDS if gaps[kind]]:
            kind = min(kinds, key=lambda candidate: len(made[candidate]))
            gap = gaps[kind][digest(paper["paper_id"], sentence.text) % len(gaps[kind])]
            blank = sentence.text[: gap.start] + BLANK[language] + sentence.text[gap.end :]
            made[kind].append((blank, gap.text))
    return made


def _usable(gaps: Sequence[Gap], sentence: str, title: str) -> list[Gap]:
    """Those that the rest of the sentence and the title do not give away."""
    return [
        gap
        for gap in gaps
        if sentence.count(gap.text) == 1
        and gap.text.casefold() not in title.casefold()
        and len(gap.text) < len(sentence) / 2
    ]


def numbers(sentence: str, language: str) -> list[Gap]:
    """Numbers with their units."""
    return [Gap(*match.span(), match[0]) for match in _NUMBER[language].finditer(sentence)]


def names(sentence: str, language: str) -> list[Gap]:
    """Proper names and quoted titles."""
    gaps = (Gap(name.start, name.end, sentence[name.start : name.end]) for name in cached_names(sentence))
    return [gap for gap in gaps if not _NO_NAME.match(gap.text) and not _NUMBER[language].fullmatch(gap.text)]


def terms(sentence: str, language: str) -> list[Gap]:
    """Compound nouns in Japanese, longer words in English."""
    if language == "ja":
        spans = [(name.start, name.end) for name in compounds(sentence)]
    else:
        spans = [match.span() for match in _WORD_EN.finditer(sentence) if match[0] not in _DULL_EN]
        spans = sorted(spans, key=lambda span: span[0] - span[1])[:3]
    return [Gap(start, end, sentence[start:end]) for start, end in sorted(spans)]


_FINDERS: dict[str, Callable[[str, str], list[Gap]]] = {
    "qa_numbers_formula": numbers,
    "qa_people_names": names,
    "qa_easy": terms,
}
