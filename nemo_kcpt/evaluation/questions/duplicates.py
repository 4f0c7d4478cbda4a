"""Questions that appear twice, in the same words or nearly so.

Near duplicates have the same subject: the same document named in them, the same numbers, names (Latin words, katakana
terms) and quotes in the same order, and the same other words of content (kanji, interrogatives, negations; English
words without their endings). And their sets of three letters in a row are alike (Jaccard, computed exactly). So "What
is the accuracy of A on X?" and the same of B are two questions. Since the subject must be equal, it serves as a hash
key: only questions of one subject are compared, which needs no sketch and misses none, in seconds for 40,000 questions.

Of two, the one in train stays, else the one that was read first.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from nemo_kcpt.evaluation.questions.rules import is_japanese, names_title
from nemo_kcpt.text.raised import nfkc

GRAM = 3

_QUOTED = re.compile(r"『[^』]+』|「[^」]+」|\"[^\"]+\"|“[^”]+”")
_NAME = re.compile(r"[A-Za-z][A-Za-z0-9+#.-]*|\d[\d.,]*%?|[ァ-ヴー]{2,}")
_KANJI = re.compile(r"[一-鿿々〆]+")
_WORDS = re.compile(
    r"ない|なかっ|ません|ずに|せず|いつ|どこ|どれ|どの|どちら|どっち|どんな|どう|どのよう|なぜ|いくつ|いくら|だれ|なに|より|から|まで"
)
"""Words in hiragana that make another question of one."""
_ENDING = re.compile(
    r"(?:を|について)?(?:教えて|説明して|述べて|答えて|示して)(?:ください|下さい|くれますか)?[。?!\s]*$"
    r"|(?:でしょうか|ですか|なのか|なの|か)?[。?!\s]*$"
)
_STOP = frozenset(
    re.findall(
        r"\S+",
        "a an the of in on at for to from by with and or is are was were be been do does did has have had can could "
        "would you me i please tell what's it its that this which what",
    )
)


def same(text: str) -> str:
    """A question as it is compared for being the same: width, spaces and case aside."""
    return " ".join(nfkc(text).split()).casefold()


def drop_duplicates(
    records: Iterable[Mapping[str, Any]], titles: Mapping[str, str], near: float
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """The records without those that another one makes superfluous, train first; and these, for dropped.jsonl.

    Args:
        records: questions.
        titles: paper_id -> title; a title in a question says which document it is about.
        near: Jaccard similarity from which two questions are one; 0: only the same words are.
    """
    first: dict[str, dict[str, Any]] = {}
    alike: defaultdict[Any, list[tuple[frozenset[str], dict[str, Any]]]] = defaultdict(list)
    kept: list[dict[str, Any]] = []
    dropped: list[dict[str, Any]] = []
    for record in sorted(records, key=lambda record: record["split"] == "test"):
        text = same(record["question"])
        if stays := first.get(text):
            dropped.append(_dropped(record, "duplicate", "the same words", stays, 1.0))
            continue
        first[text] = dict(record)
        if near:
            key, grams = subject(record["question"], str(record["paper_id"]), titles.get(record["paper_id"], ""))
            closest = max(((_jaccard(grams, other), prior) for other, prior in alike[key]), key=_first, default=None)
            if closest and closest[0] >= near:
                dropped.append(_dropped(record, "near duplicate", "nearly the same words", closest[1], closest[0]))
                continue
            alike[key].append((grams, first[text]))
        kept.append(first[text])
    return kept, dropped


def _first(pair: tuple[float, Any]) -> float:
    return pair[0]


def _dropped(
    record: Mapping[str, Any], fate: str, reason: str, stays: Mapping[str, Any], similarity: float
) -> dict[str, Any]:
    fields = ("question_id", "split", "paper_id", "kind", "question", "answer")
    return {
        **{name: record[name] for name in fields},
        "fate": fate,
        "reason": f"{reason} as a {stays['split']} question",
        "kept": stays["question_id"],
        "similarity": round(similarity, 3),
    }


def subject(question: str, paper_id: str, title: str) -> tuple[Any, frozenset[str]]:
    """What a question is about, equal for questions that may be near duplicates; and its three letters in a row."""
    text = nfkc(question).strip()
    named = ""
    if names_title(question, title):
        named = paper_id
        text = text.replace(nfkc(title).strip(), " ")
    japanese = is_japanese(text)
    names = [match[0].casefold() for match in _QUOTED.finditer(text)]
    rest = _QUOTED.sub(" ", text)
    if japanese:
        names += [match[0].casefold() for match in _NAME.finditer(rest)]
        content = [match[0] for match in _KANJI.finditer(_ENDING.sub("", rest))]
        content += [match[0] for match in _WORDS.finditer(rest)]
    else:
        words = re.findall(r"\w[\w+#.-]*\w|\w", rest)
        names += [word.casefold() for position, word in enumerate(words) if _is_name(word, position)]
        content = [_stem(word.casefold()) for word in words if word.casefold() not in _STOP]
    letters = re.sub(r"[\W_]+", "" if japanese else " ", _ENDING.sub("", text).casefold()).strip()
    grams = frozenset(letters[start : start + GRAM] for start in range(max(1, len(letters) - GRAM + 1)))
    return (named, tuple(names), tuple(sorted(content))), grams


def _is_name(word: str, position: int) -> bool:
    return any(sign.isdigit() for sign in word) or word[1:] != word[1:].lower() or (position > 0 and word[0].isupper())


def _stem(word: str) -> str:
    for ending in ("ies", "ing", "ed", "es", "s", "e"):
        if word.endswith(ending) and len(word) - len(ending) > 2:
            return word[: -len(ending)]
    return word


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)
