"""Names of a text: organisations, people, places, tools, data sets, titles.

In Japanese text a name is what the tagger (Sudachi: Takaoka et al., LREC 2018; its core dictionary) calls a proper noun
or does not know, Latin-script terms, and the katakana or Latin parts that are written together with them; in other text
words with capitals or digits inside, and capitalised words that do not begin a sentence. Quoted titles are names in
both. A name counts as being in a text if it is there as a whole, whatever the tagger makes of that text.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from nemo_kcpt.text.plain import plain
from nemo_kcpt.text.word_borders import cuts_word

_JAPANESE = re.compile(r"[\u3040-\u30ff\u3400-\u9fff]")
_KATAKANA = re.compile(r"[ァ-ヺー・]+")
_LATIN = re.compile(r"[A-Za-zÀ-ÿ][A-Za-zÀ-ÿ0-9]*(?:[-_.+/&'’][A-Za-z0-9À-ÿ]+)*\+*")
_CAPITAL = r"[A-Z0-9](?:[\w.+&'’-]*[\w+])?"
_SEATS = (
    "University|Institute|Department|Ministry|Bank|School|College|Academy|Journal|Association|Bureau|Centre|Center|"
    "Council|Agency|Museum|House|Society|Laboratory|Faculty|Republic|Kingdom|Church"
)
_SEATED = "|".join(f"(?<={word})" for word in _SEATS.split("|"))
_ENGLISH = re.compile(
    rf"{_CAPITAL}(?:(?:(?:{_SEATED}) (?:of|for)(?: the)? |\s+(?:(?:de|van|von|der|di|la) )?){_CAPITAL})*"
)
_QUOTED = re.compile(r"『([^『』]{2,60})』|「([^「」]{2,40})」|“([^“”]{2,60})”|\"([^\"]{2,60})\"")
_WHOLE = (("[a-z0-9à-ÿ]", "(?<![a-z0-9à-ÿ])", "(?![a-z0-9à-ÿ])"), ("[ァ-ヺー]", "(?<![ァ-ヺー])", "(?![ァ-ヺー])"))
_COMMON = frozenset(
    re.findall(
        r"\w+",
        """
        モデル データ データセット システム タスク スコア ベース テスト ベースライン
        アルゴリズム ネットワーク パラメータ パラメーター ファイル プログラム サービス グループ
        チーム プロジェクト メンバー テキスト ユーザー ユーザ クラス レベル ページ コーパス
        センター タイプ シリーズ タイトル
        """,
    )
)
"""Katakana words that join no name beside them."""
_USUAL = frozenset(
    re.findall(
        r"\w+",
        """
        the a an it its this that these those in on at of for from by with to and or but as if when while
        after before since he she they we i you his her their our my there here what which who how why where
        according answer yes no not both each all some many most more one two three four five six seven
        eight nine ten however although though because thus therefore then also january february march april
        may june july august september october november december monday tuesday wednesday thursday friday
        saturday sunday correct answers paper method question is are was were do does did table figure
        section
        """,
    )
)
_SEAT = re.compile(
    r"(?:大学|大学院|研究所|研究院|研究室|研究機関|研究センター|学院|高校|学校|会社|協会|学会|財団|機構|省|庁|銀行|製作所|新聞|放送"
    r"|病院|図書館|博物館|美術館|通信|電機|自動車|製薬|工業|システム|ソフト)$"
)
"""What an organisation's name ends with, where it is made of common nouns."""
_LONGEST = 12_000
"""Characters that the tagger gets at once; it takes 49,149 bytes."""
_TAGGER = threading.local()


@dataclass(frozen=True)
class Name:
    """A name in a text."""

    key: str
    """As it is compared: NFKC, lower case, without spaces between its Latin words' parts and middle dots."""
    start: int
    end: int
    """Place in the text: text[start:end]."""


def names(text: str) -> list[Name]:
    """The names of a text in reading order, none inside another."""
    spans = [match.span(group) for match in _QUOTED.finditer(text) for group in range(1, 5) if match[group]]
    spans += _japanese(text) if _JAPANESE.search(text) else _english(text)
    kept: list[tuple[int, int]] = []
    for start, end in sorted(spans, key=lambda span: (span[0], -span[1])):
        if not kept or start >= kept[-1][1]:
            kept.append((start, end))
    candidates = (Name(name_key(text[start:end]), start, end) for start, end in kept)
    return [name for name in candidates if len(name.key) > 1 and not name.key.isdigit()]


@lru_cache(maxsize=4096)
def cached_names(text: str) -> tuple[Name, ...]:
    """As `names`, kept for texts that are asked for again and again."""
    return tuple(names(text))


def name_key(text: str) -> str:
    """A name as it is compared."""
    return re.sub(r"[\s・･=＝\-‐‑–_]+", "", plain(text)[0]).rstrip("ー")


def _tokens(text: str) -> list[tuple[int, int, Any]]:
    """Start, end and morpheme of each token; long texts line by line."""
    tagger = getattr(_TAGGER, "tagger", None)
    if tagger is None:
        from sudachipy import Dictionary, SplitMode

        tagger = _TAGGER.tagger = Dictionary(dict="core").tokenizer(SplitMode.C)
    tokens = []
    start = 0
    while start < len(text):
        end = min(start + _LONGEST, len(text))
        if end < len(text):
            border = max(text.rfind(sign, start, end) for sign in "\n。.、 ")
            end = border + 1 if border > start else end
        tokens += [(start + token.begin(), start + token.end(), token) for token in tagger.tokenize(text[start:end])]
        start = end
    return tokens


def _japanese(text: str) -> list[tuple[int, int]]:
    """Names by the tagger: proper nouns and unknown words, with what is written together with them."""
    parts: list[tuple[int, int, str]] = []  # start, end, and what it is: name, part (joins a name) or nothing
    tokens = [(start, end, token, token.part_of_speech()) for start, end, token in _tokens(text)]
    for start, end, token, speech in tokens:
        surface = text[start:end]
        kind = ""
        if _LATIN.fullmatch(surface):
            kind = "name" if len(surface) > 1 and not surface.islower() else "part"
        elif speech[:2] == ("名詞", "固有名詞") or _unknown(token, speech, surface):
            kind = "name"
        elif surface not in _COMMON and _KATAKANA.fullmatch(surface) and len(surface) > 1 and speech[0] == "名詞":
            kind = "part"
        elif surface in ("-", "・", "‐", "=", "＝", "_", "+", "/", ".") or (surface.isdigit() and surface.isascii()):
            kind = "glue"
        elif speech[0] == "接尾辞" and speech[1] == "名詞的" and speech[2] == "一般":
            kind = "suffix"
        parts.append((start, end, kind))
    spans = [
        (start, end)
        for start, end in _noun_runs([(start, end, speech) for start, end, _, speech in tokens])
        if _SEAT.search(text[start:end])
    ]
    first = 0
    while first < len(parts):
        if parts[first][2] not in ("name", "part"):
            first += 1
            continue
        last = first
        while last + 1 < len(parts) and _joins(parts, last, text):
            last += 1
        while parts[last][2] == "glue" and not text[parts[last][0] : parts[last][1]].isdigit():
            last -= 1
        run = parts[first : last + 1]
        whole = text[run[0][0] : run[-1][1]]
        if any(kind == "name" for *_, kind in run) or (len(run) > 1 and re.search(r"[A-Za-z\d]", whole)):
            spans.append((run[0][0], run[-1][1]))
        first = last + 1
    return spans


@lru_cache(maxsize=4096)
def compounds(text: str) -> tuple[Name, ...]:
    """Technical terms of Japanese text: at least two nouns, four characters, written together; none in other text."""
    if not _JAPANESE.search(text):
        return ()
    runs = _noun_runs([(start, end, token.part_of_speech()) for start, end, token in _tokens(text)])
    return tuple(Name(name_key(text[start:end]), start, end) for start, end in runs if end - start >= 4)


def _noun_runs(parts: list[tuple[int, int, tuple[str, ...]]]) -> list[tuple[int, int]]:
    """Spans of two or more nouns that are written together; numbers and counters are left out."""
    spans: list[tuple[int, int]] = []
    first, number, last = 0, 0, -1
    for start, end, speech in [*parts, (-2, -2, ("", ""))]:
        noun = speech[0] == "名詞" and speech[1] != "数詞"
        noun = noun or (number > 0 and speech[0] == "接尾辞" and speech[1] == "名詞的")
        if noun and start == last:
            number, last = number + 1, end
            continue
        if number > 1:
            spans.append((first, last))
        first, number, last = (start, 1, end) if noun else (end, 0, -1)
    return spans


def _unknown(token: Any, speech: tuple[str, ...], surface: str) -> bool:
    """A noun with katakana that the dictionary does not have."""
    return token.is_oov() and speech[0] == "名詞" and speech[1] != "数詞" and _KATAKANA.search(surface) is not None


def _joins(parts: list[tuple[int, int, str]], last: int, text: str) -> bool:
    """Whether the next part belongs to the name that `last` is of."""
    (start, end, kind), (following, stop, other) = parts[last], parts[last + 1]
    if following != end:
        return False
    if other == "glue":
        # 3-gram and GPT-4 go together, 東京2020年 does not.
        if text[following:stop] == "・":
            return kind in ("name", "part")
        return kind != "suffix" and text[start:end].isascii()
    if kind == "glue":
        return other in ("name", "part") and (text[following:stop].isascii() or text[start:end] == "・")
    if other == "suffix":
        return kind == "name"
    return other in ("name", "part")


def _english(text: str) -> list[tuple[int, int]]:
    """Capitalised words but for a sentence's first, and words with capitals or digits inside."""
    spans = []
    for match in _ENGLISH.finditer(text):
        start, end = match.span()
        words = list(re.finditer(r"\S+", match[0]))
        while words and (words[0][0].lower().strip(".") in _USUAL or words[0][0][0].isdigit()):
            words.pop(0)
        while words and (words[-1][0].lower() in _USUAL or (words[-1][0][0].isdigit() and len(words) == 1)):
            words.pop()
        if not words:
            continue
        start, end = start + words[0].start(), start + words[-1].end()
        name = text[start:end]
        first = not text[:start].rstrip() or text[:start].rstrip()[-1] in ".!?:\n"
        telling = re.search(r"[A-Z\d]", name[1:]) is not None
        if telling or not first:
            spans.append((start, end))
    return spans


class NameText:
    """A text in which names are looked up."""

    def __init__(self, text: str) -> None:
        self._key = name_key(text)
        self._spaced = plain(text)[0]

    def holds(self, key: str) -> bool:
        """Whether the name is there as a whole: `BERT` is not in `RoBERTa`, `京都` not in `東京都`; `東京` is in
        `東京大学`."""
        if key not in self._key:
            return False
        before = next((border for kind, border, _ in _WHOLE if re.match(kind, key[0])), "")
        after = next((border for kind, _, border in _WHOLE if re.match(kind, key[-1])), "")
        if not before and not after:
            return any(not cuts_word(self._key, start, start + len(key)) for start in _places(self._key, key))
        # Latin words run together without their spaces: look with them.
        pieces = r"[\s・=\-‐‑–_]*".join(map(re.escape, key))
        return re.search(before + pieces + r"ー?" + after, self._spaced) is not None


def _places(text: str, part: str) -> Iterator[int]:
    start = text.find(part)
    while start >= 0:
        yield start
        start = text.find(part, start + 1)
