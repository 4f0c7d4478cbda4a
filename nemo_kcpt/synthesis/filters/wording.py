"""Filters that look at the pair alone: its form, its language, its manners."""

from __future__ import annotations

import re
import zlib

from nemo_kcpt.llm.request import CUT_OFF
from nemo_kcpt.synthesis.filters.base import Candidate, Source, letters_of

FEW_LETTERS = 20
"""Letters below which a text has no language to tell."""
LONG_NAME = 40
"""Letters up to which an answer in Latin script alone may be a name in any language."""
LONG_ANSWER = 300
"""Characters from which an answer says something, whatever it begins with."""
REFUSAL_WITHIN = 60
"""Characters at the beginning in which a refusal stands."""
PACKED = 0.12
"""Compressed size as a share of a text's bytes, below which it goes round in circles; clean text has 0.3 and more."""
LOOKED_AT = 20_000
"""Characters of an output that are looked at for loops."""

_LETTER = re.compile(r"[^\W\d_]")
_KANA = re.compile(r"[ぁ-ゖァ-ヺｦ-ﾝ]")
_HIRAGANA = re.compile(r"[ぁ-ゖ]")
_NOT_LATIN = re.compile(r"[\u3040-\u9fff]+")
_HAN = re.compile(r"[㐀-䶿一-鿿]")
_LATIN = re.compile(r"[A-Za-zÀ-ɏ]")
_REFUSAL = re.compile(
    r"申し訳(?:ありません|ございません)|お答え(?:でき|することはでき)(?:ません|かね)"
    r"|(?:回答|お手伝い|対応)(?:することが|することは|は)?でき(?:ません|かね)|AI(?:言語モデル|アシスタント)?(?:として|なので)"
    r"|(?:I'm|I am|We are) (?:very )?sorry|I apologi[sz]e|As an AI"
    r"|I (?:can(?:'t|not)|am unable to) (?:help|assist|answer|provide|fulfil)"
    r"|抱歉|对不起|作为(?:一个)?(?:AI|人工智能|语言模型)|我(?:无法|不能)(?:回答|提供|协助)",
    re.I,
)
_CUT_JA = re.compile(r"[、，・:：(（「『\[{=+-]$|[ぁ-ん一-龠ァ-ヶ](?:は|が|を|に|で|と|の|へ|および|また|ため)$")
_CUT_EN = re.compile(
    r"[,;:(\[{=]$|\b(?:the|an?|of|and|or|to|in|for|with|by|on|at|from|that|which|is|are|was|were)$", re.I
)
_NAMED = re.compile(
    r"\A(?:「.*?」(?:で始まる文書)?について、|About (?:the document that begins )?\".*?\": )", re.DOTALL
)
"""What is put before an instruction that does not name its paper."""
_LOOP = re.compile(r"(.{4,60}?)\1{3,}", re.DOTALL)
_POINTS = re.compile(
    r"[図表式]\s*[((]?\s*\d|(?:上|下|次|以下|右|左)の(?:図|表|式|文章|文書|論文|文|グラフ)|(?:Figure|Fig\.|Table|Equation|Eq\.)\s*\(?\d"
    r"|\b(?:above|below|following) (?:text|passage|document|paper|table|figure)\b|(?:第|節)\s*\d+(?:\.\d+)*\s*[節章]",
    re.I,
)
_DEICTIC = re.compile(
    r"(?:本|この|当該)(?:論文|研究|文書|稿|手法|システム|資料|報告|実験)|本稿"
    r"|(?:^|[、。\s])(?:論文|著者|筆者|提案手法|提案システム)(?:ら)?(?:は|が|の|で|に)"
    r"|\bthis (?:paper|study|document|article|work|method)\b"
    r"|\bthe (?:paper|study|document|article|authors?|proposed (?:method|system|model|approach))\b"
    r"(?! (?:of|on|by|behind|about|titled|called|that|in)\b)",
    re.I,
)


def empty(candidate: Candidate, source: Source) -> bool:
    """The output says nothing, or only repeats the instruction."""
    said = letters_of(candidate.output)
    return not said or said == letters_of(candidate.instruction)


def placeholder(candidate: Candidate, source: Source) -> bool:
    """The instruction or the output is a pattern of the prompt ("What is …?"), copied with its blank left open."""
    instruction = letters_of(_NAMED.sub("", candidate.instruction, count=1))
    return bool(candidate.placeholders & {instruction, letters_of(candidate.output)})


def cut_off(candidate: Candidate, source: Source) -> bool:
    """The reply ran out of tokens or was ended by the server's filter, or its last sentence breaks off."""
    if candidate.finish_reason in CUT_OFF:
        return True
    end = candidate.plain.rstrip()[-40:]
    return len(candidate.output) >= 60 and bool((_CUT_EN if end.isascii() else _CUT_JA).search(end))


def refusal(candidate: Candidate, source: Source) -> bool:
    """The teacher excuses itself instead of answering."""
    if len(candidate.output) >= LONG_ANSWER:
        return False
    match = _REFUSAL.search(candidate.plain[:REFUSAL_WITHIN])
    return match is not None and match[0] not in source.text


def wrong_language(candidate: Candidate, source: Source) -> bool:
    """The output is not in the language of its kind: English or Chinese for the translations, else the prompt's."""
    wanted = {"translation_en": "en", "translation_zh": "zh"}.get(candidate.kind, candidate.language)
    text = candidate.plain
    letters = len(_LETTER.findall(text))
    kana, hiragana, han, latin = (len(script.findall(text)) for script in (_KANA, _HIRAGANA, _HAN, _LATIN))
    if letters < FEW_LETTERS:
        return wanted == "zh" and hiragana > 0
    if wanted == "zh":  # names may stay as they are
        return hiragana > 0.02 * letters or han < 0.15 * letters
    if wanted == "en":
        foreign = hiragana > 0.02 * letters or latin < 0.6 * letters
        prose = letters >= 200 and candidate.kind != "kg_extraction"  # triples are names, in no language
        return foreign or (prose and not _is_english(text))
    name = latin > 0.8 * letters and letters < LONG_NAME
    return kana < 0.03 * letters and not name and not (candidate.kind == "kg_extraction" and han)


def _is_english(text: str) -> bool:
    import py3langid

    return bool(py3langid.classify(_NOT_LATIN.sub("", text[:4000]))[0] == "en")


def repetition(candidate: Candidate, source: Source) -> bool:
    """The output goes round in circles: a phrase four times in a row, one line again and again, or little else."""
    text = candidate.output[:LOOKED_AT]
    if any(len(letters_of(match[1])) >= 3 for match in _LOOP.finditer(text)):
        return True
    lines = [line.strip() for line in text.split("\n") if len(line.strip()) > 8]
    if len(lines) >= 4 and len(set(lines)) <= len(lines) / 2:
        return True
    raw = text.encode("utf-8", "replace")
    return len(raw) >= 600 and len(zlib.compress(raw, 9)) < PACKED * len(raw)


def needs_paper(candidate: Candidate, source: Source) -> bool:
    """The instruction makes sense only with the paper at hand: it points at a figure, or names no paper."""
    if _POINTS.search(candidate.instruction.replace(source.title, "") if source.title else candidate.instruction):
        return True
    named = bool(source.title) and letters_of(source.title) in letters_of(candidate.instruction)
    return not named and bool(_DEICTIC.search(candidate.instruction))
