"""A document as sentences, Japanese or English: which stand alone, which belong to the one before, how they end."""

from __future__ import annotations

import re
from dataclasses import dataclass

LEAST = {"ja": 10, "en": 20}
"""Characters below which a sentence says too little to be asked about."""

_NO_PROSE = re.compile(r"\s*(?:[|#>*・•-]|```|\d+[.)]\s)")
_OPENING, _CLOSING, _ENDS_JA = "「『(（", "」』)）", "。．！？!?"
_ENDED = {"ja": re.compile(r"[。．！？!?][」』)）]*$"), "en": re.compile(r"[.!?][\"'”’)\]]*$")}
_END_EN = re.compile(r"[.!?][\"'”’)\]]*\s+(?=[\"'“‘(\[]?[A-Z0-9])")
_SHORTENED = re.compile(r"(?:\b(?:Mr|Mrs|Ms|Dr|Prof|St|No|Fig|Eq|Sec|vs|al|etc|e\.g|i\.e|cf|Inc|Ltd|Jr|[A-Z]))\.$")
_BACK = {
    "ja": re.compile(
        r"(?:この|その|これ|それ|あの|彼|同|両|当時|当初|後者|前者|ここ|そこ|こう|そう|しかし|また|そして|さらに|なお|だが|一方|ただし|ただ"
        r"|したがって|従って|例えば|たとえば|つまり|すなわち|よって|なぜなら|次に|次いで|続いて|すると|ところが|けれど|でも|とはいえ|もっとも|むしろ"
        r"|いずれ|以上|以下|上記|下記|翌|後に|やがて|結局|他方|加えて|特に)"
    ),
    "en": re.compile(
        r"[\"'“‘(\[]*(?:This|That|These|Those|He|She|It|They|We|I|You|His|Her|Hers|Its|Their|Our|My|However|But|And|Or"
        r"|So|Also|Moreover|Furthermore|Then|Therefore|Thus|Hence|For example|For instance|In addition|Here|There|Such"
        r"|Both|Instead|Meanwhile|Later|Afterwards|Nevertheless|Still|Yet|Finally"
        r"|The (?:latter|former|same|other|second|two))\b"
    ),
}
_POLITE = [
    (re.compile(before + r"([。．])$"), after + r"\1")
    for before, after in (
        ("である", "です"),
        ("(?:であ|だ)った", "でした"),
        ("ではない", "ではありません"),
        ("ていない", "ていません"),
        ("(?<=[てで])いる", "います"),
        ("(?<=[てで])いた", "いました"),
        ("(?<=[がもは])ある", "あります"),
        ("(?<=[がもは])あった", "ありました"),
        ("(?<=[とに])なる", "なります"),
        ("(?<=[とに])なった", "なりました"),
        ("(?<=[らさ])れる", "れます"),
        ("れた", "れました"),
        ("(?<=[一-鿿ァ-ヴー])する", "します"),
        ("(?<![でま])した", "しました"),
        ("という", "といいます"),
    )
]
"""Ends of Japanese sentences whose polite form is sure whatever precedes; one that is not here stays as it is."""


@dataclass(frozen=True)
class Sentence:
    """A sentence of a document."""

    text: str
    paragraph: int
    back: bool
    """It begins with a word for something said before, and makes no sense without it."""


def sentences(text: str, language: str) -> list[Sentence]:
    """The whole sentences of a text in its order, without headings, list items and what stops without a full stop."""
    kept = []
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text)):
        for line in paragraph.split("\n"):
            if _NO_PROSE.match(line):
                continue
            parts = _japanese(line) if language == "ja" else _english(line)
            whole = [part for part in map(str.strip, parts) if _is_whole(part, language)]
            kept += [Sentence(part, number, _BACK[language].match(part) is not None) for part in whole]
    return kept


def pieces(all_sentences: list[Sentence], room: int) -> list[list[Sentence]]:
    """Neighbouring sentences of one paragraph, `room` characters together; one that points back stays with its like.

    A piece is longer where one sentence is, or where sentences that point back follow.
    """
    groups: list[list[Sentence]] = []
    for sentence in all_sentences:
        last = groups[-1] if groups and groups[-1][-1].paragraph == sentence.paragraph else None
        size = sum(len(previous.text) for previous in last or ())
        if last is not None and size + len(sentence.text) <= (2 * room if sentence.back else room):
            last.append(sentence)
        else:
            groups.append([sentence])
    return groups


def polite(sentence: str) -> str:
    """A Japanese sentence in polite style where its ending is one that is sure (である → です); else as it is."""
    for ending, replacement in _POLITE:
        if ending.search(sentence):
            return ending.sub(replacement, sentence)
    return sentence


def _is_whole(part: str, language: str) -> bool:
    return len(part) >= LEAST[language] and _ENDED[language].search(part) is not None


def _japanese(line: str) -> list[str]:
    """Divided after full stops that are in no brackets; where brackets do not match, in brackets too."""
    matched = all(line.count(left) == line.count(right) for left, right in zip(_OPENING, _CLOSING))
    parts, depth, start = [], 0, 0
    for index, sign in enumerate(line):
        depth += (sign in _OPENING) - (sign in _CLOSING)
        if sign in _ENDS_JA and (depth <= 0 or not matched) and line[index + 1 : index + 2] not in tuple(_ENDS_JA):
            parts.append(line[start : index + 1])
            start = index + 1
    return [*parts, line[start:]]


def _english(line: str) -> list[str]:
    parts, start = [], 0
    for match in _END_EN.finditer(line):
        if not _SHORTENED.search(line[start : match.start() + 1]):
            parts.append(line[start : match.end()])
            start = match.end()
    return [*parts, line[start:]]
