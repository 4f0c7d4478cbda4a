"""White space inside Japanese words, as character recognition and some PDF fonts leave it: "自 然 言 語 処 理".

Japanese is written without spaces, but some are there on purpose: between a chapter's number and its title, in lists
("東京 大阪 名古屋"), between family and given name, in the segmented examples of linguists. So a space goes only on
evidence: three or more single characters apart from each other, a line most of whose neighbours are apart, or the same
four characters written together elsewhere in the document. A document is noisy as a whole if its spaces also stand
where no word can begin, before ー or a small ょ; nobody puts one there, chance does. In doubt a space stays, and so do
two in a row and those next to Latin letters and digits.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from operator import itemgetter

from nemo_kcpt.cleaning.changed import Changed
from nemo_kcpt.cleaning.line_kinds import has_columns
from nemo_kcpt.cleaning.regions import Line, Span, lines_of, protected_spans
from nemo_kcpt.cleaning.scripts import JAPANESE, JAPANESE_PUNCTUATION

SHARE = 0.7
"""Share of the neighbouring Japanese characters of a line that are apart, from which on all gaps are noise. An
example in words ("すもも も もも も もも の うち") has about half."""
EXAMPLE = 0.25
"""The share from which on it may be such an example, and what is written elsewhere is no evidence."""
FEWEST = 4
"""Gaps a line must have for its share to mean anything."""
SINGLE = 0.25
"""Share of a noisy line's pieces that are a single character; a list of names or words has fewer."""
NOISE = 0.05
"""Share of the characters that begin no word which follows a space in a noisy document."""
FEWEST_NOISE = 3
SENTENCE = 20
"""Characters that a line of a noisy document must have to be more than a list of names."""

_SPACE = " \xa0\u2002-\u200a\u202f\u205f\u3000"
_WRITING = f"[{JAPANESE}{JAPANESE_PUNCTUATION}]"
_GAP = re.compile(f"[{_SPACE}](?={_WRITING})(?<={_WRITING}.)")
_SINGLES = re.compile(f"(?<!{_WRITING}){_WRITING}([{_SPACE}]){_WRITING}(?:\\1{_WRITING})+(?!{_WRITING})")
_NO_BEGINNING = "(?:[ぁぃぅぇぉゃゅょァィゥェォャュョッンー々]|っ(?![てぽす]))"
_TORN = re.compile(f"(?<={_WRITING})[{_SPACE}]{_NO_BEGINNING}")
_WHOLE = re.compile(f"(?<={_WRITING}){_NO_BEGINNING}")
_NEIGHBOURS = re.compile(f"{_WRITING}(?={_WRITING})")
_SINGLE = re.compile(f"(?<![^{_SPACE}]){_WRITING}(?![^{_SPACE}])")
_STOP = re.compile("[、。，．]")
_LETTER = re.compile(f"[{JAPANESE}]")
_FOUR = re.compile(f"[{JAPANESE}]{{4,}}")
_KEYWORDS = re.compile(r"[ \t\u3000]*(?:キーワード|索引語|Key ?words)", re.I)
_SERIES = """
アイウエオカキクケコサシスセソ あいうえおかきくけこさしすせそ イロハニホヘト いろはにほへと 一二三四五六七八九十
日月火水木金土日 甲乙丙丁戊 子丑寅卯辰巳午未申酉戌亥 春夏秋冬 東西南北 上中下 大中小
"""
"""What is counted off one by one: labels of choices, heads of columns."""


def ocr_spaces(text: str) -> Changed:
    """Remove white space inside Japanese words where the line or the document shows that it is noise."""
    if not _GAP.search(text):
        return Changed(text, 0)
    lines, gaps = _lines_with_gaps(text)
    torn = len(_TORN.findall(text))
    noisy = torn >= FEWEST_NOISE and torn > NOISE * (torn + len(_WHOLE.findall(text)))
    noise = [gap for line, own in zip(lines, gaps) for gap in _noise(line, own, noisy)]
    if noise:
        text = _without(text, noise)
        lines, gaps = _lines_with_gaps(text)
    known = [gap for line, own in zip(lines, gaps) if not _is_on_purpose(line, own) for gap in own]
    together = _written_together(text, known) if known else []
    return Changed(_without(text, together) if together else text, len(noise) + len(together))


def _lines_with_gaps(text: str) -> tuple[list[Line], list[list[int]]]:
    """The lines that hold a single space between two Japanese characters, and where, as offsets in `text`."""
    spans = protected_spans(text)
    lines, gaps = [], []
    for line in lines_of(text):
        if line.protected or not _GAP.search(line.text) or has_columns(line.text):
            continue
        own = [line.start + match.start() for match in _GAP.finditer(line.text)]
        if spans:
            own = [gap for gap in own if not _is_inside(gap, spans)]
        if own:
            lines.append(line)
            gaps.append(own)
    return lines, gaps


def _is_inside(offset: int, spans: Sequence[Span]) -> bool:
    number = bisect_right(spans, offset, key=itemgetter(0)) - 1
    return number >= 0 and spans[number][0] <= offset < spans[number][1]


def _noise(line: Line, gaps: list[int], noisy: bool) -> list[int]:
    """The gaps that the line itself, in a document of that kind, shows to be noise."""
    joined = len(_NEIGHBOURS.findall(line.text))
    singles = len(_SINGLE.findall(line.text))
    if noisy:
        all_noise = singles > 0 or joined + len(gaps) >= SENTENCE or bool(_STOP.search(line.text))
    else:
        all_noise = len(gaps) >= max(FEWEST, SHARE * (len(gaps) + joined)) and singles > SINGLE * len(gaps)
    in_runs, in_series = _single_characters(line)
    if not all_noise:
        return [gap for gap in gaps if gap in in_runs]
    if "\u3000" not in line.text:
        return [gap for gap in gaps if gap not in in_series] if in_series else gaps
    wide = {gap for gap in gaps if line.text[gap - line.start] == "\u3000"}
    kept = in_series if 2 * len(wide) > len(gaps) else in_series | wide
    return [gap for gap in gaps if gap not in kept]


def _single_characters(line: Line) -> tuple[set[int], set[int]]:
    """Where the spaces of runs of single characters are, and those of runs that count something off."""
    in_runs: set[int] = set()
    in_series: set[int] = set()
    for match in _SINGLES.finditer(line.text):
        letters = match[0].replace(match[1], "")
        start = line.start + match.start()
        if letters in _SERIES:
            in_series.update(range(start + 1, start + len(match[0]), 2))
        elif len(_LETTER.findall(letters)) > 2:
            in_runs.update(range(start + 1, start + len(match[0]), 2))
    return in_runs, in_series


def _is_on_purpose(line: Line, gaps: list[int]) -> bool:
    """Whether the line lists keywords, or is an example in words, which may well stand elsewhere in one piece."""
    many = len(gaps) > 2 and len(gaps) > EXAMPLE * (len(gaps) + len(_NEIGHBOURS.findall(line.text)))
    return many or bool(_KEYWORDS.match(line.text))


def _written_together(text: str, gaps: list[int]) -> list[int]:
    """The gaps whose two characters before and two after stand together elsewhere.

    Taking a space away writes characters together, which may be the evidence for another one; what follows from that is
    followed up at once, so that a second run of the step has nothing left to do.
    """
    open_gaps = set(gaps)
    waiting: dict[str, list[int]] = defaultdict(list)
    for gap in gaps:
        before, after = _letters(text, gap, -1, open_gaps, 2), _letters(text, gap, 1, open_gaps, 2)
        if len(before) == len(after) == 2:
            waiting[before + after].append(gap)
    evidence = list(_found_in(text, waiting))
    taken: set[int] = set()
    while evidence:
        for gap in waiting.pop(evidence.pop(), ()):
            taken.add(gap)
            before, after = _letters(text, gap, -1, taken, 3), _letters(text, gap, 1, taken, 3)
            around = before + after
            for start in range(max(0, len(before) - 3), min(len(before), len(around) - 3)):
                if around[start : start + 4] in waiting:
                    evidence.append(around[start : start + 4])
    return sorted(taken)


def _letters(text: str, offset: int, step: int, gaps: set[int], most: int) -> str:
    """Up to `most` Japanese letters that follow `offset` in one direction, across `gaps`, in the order of the text."""
    letters = ""
    offset += step
    while len(letters) < most and 0 <= offset < len(text):
        if offset not in gaps:
            if not _LETTER.match(text[offset]):
                break
            letters = letters + text[offset] if step > 0 else text[offset] + letters
        offset += step
    return letters


def _found_in(text: str, keys: dict[str, list[int]]) -> Iterator[str]:
    """Those of the keys, four characters each, that occur in the text."""
    if len(keys) <= 32:
        yield from (key for key in keys if key in text)
        return
    seen: set[str] = set()
    for run in _FOUR.findall(text):
        seen.update(run[start : start + 4] for start in range(len(run) - 3))
    yield from (key for key in keys if key in seen)


def _without(text: str, places: list[int]) -> str:
    """`text` without the characters at `places`."""
    characters = list(text)
    for position in places:
        characters[position] = ""
    return "".join(characters)
