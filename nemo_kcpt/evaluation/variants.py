"""Answers that are right or wrong by construction, to find out what a score is worth (tools/bench/evaluation.py).

From a question with its right answer come right variants (reworded, longer, a number in another notation) and wrong
ones (a number changed, a name swapped for one of another paper, negated, fluent nonsense: the right answer to another
question). Right and wrong ones have the same frames and lengths, so that neither tells which is which.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

RIGHT = ("reworded", "longer", "notation")
WRONG = ("number", "name", "negated", "nonsense")

_NUMBER = re.compile(r"\d[\d,]*(?:\.\d+)?")
_ENDS = re.compile(r"[。．.?？!！\s]+$")
_ASKED_JA = re.compile(
    r"^(?P<stem>.+は)、?(?:何|なに|なん|誰|だれ|どこ|どちら|いつ|いくつ|いくら|どれ|どの|どんな)[^、。]{0,14}[?？。]*$"
)
_FRAMES = {
    "ja": (
        "{a}です。",
        "答えは{a}です。",
        "{stem}{a}です。",
        "正解は{a}となります。",
        "{a}だと思います。",
        "{stem}{a}である。",
    ),
    "en": ("{a}.", "It is {a}.", "The answer is {a}.", "That would be {a}.", "I believe it is {a}."),
}
_NEGATED = {
    "ja": (
        "{a}ではありません。",
        "答えは{a}ではない。",
        "{stem}{a}ではありませんでした。",
        "{a}ということはありません。",
    ),
    "en": ("It is not {a}.", "The answer is not {a}.", "That was never {a}."),
}
_KANJI = "〇一二三四五六七八九"


@dataclass(frozen=True, kw_only=True)
class Item:
    """A question with its right answer."""

    question_id: str
    paper_id: str
    question: str
    answer: str
    """A short right answer, or a sentence."""
    language: str
    """ja or en."""
    kind: str = ""
    """Answers of one kind can replace each other: Person, Location, first_author, …"""
    retold: tuple[str, ...] = ()
    """Other sentences that are right, if there are any."""
    context: tuple[str, ...] = ()
    """True sentences of the paper."""
    other: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """Sentences that are wrong, by kind of error, if the maker knows any."""


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One answer."""

    question_id: str
    text: str
    right: bool
    kind: str
    """One of `RIGHT` or `WRONG`."""
    long: bool
    """Whether a true sentence of the paper follows."""


def variants(items: Sequence[Item], seed: int = 0) -> list[Variant]:
    """Every variant that the items allow: up to three right and four wrong ones of each, by seed."""
    of_kind: dict[tuple[str, str], list[Item]] = {}
    for item in items:
        of_kind.setdefault((item.language, item.kind), []).append(item)
    result: list[Variant] = []
    for item in items:
        rng = random.Random(f"{seed}-{item.question_id}")
        made: list[tuple[str, bool, str]] = [(_framed(item, item.answer, rng), True, "reworded")]
        if item.retold:
            made[0] = (rng.choice(item.retold), True, "reworded")
        if item.context:
            made.append((_framed(item, item.answer, rng), True, "longer"))
        if (again := renotate(item.answer, item.language, rng)) != item.answer:
            made.append((_framed(item, again, rng), True, "notation"))
        if known := [(kind, text) for kind, texts in item.other.items() for text in texts]:
            kind, text = rng.choice(known)
            made.append((text, False, kind))
        if (changed := change_number(item.answer, item.question, rng)) != item.answer:
            made.append((_framed(item, changed, rng), False, "number"))
        elif swapped := _swapped(item, of_kind[item.language, item.kind], rng):
            made.append((_framed(item, swapped, rng), False, "name"))
        made.append((_negated(item, rng), False, "negated"))
        if nonsense := _elsewhere(item, items, rng):
            made.append((nonsense, False, "nonsense"))
        for text, right, kind in made:
            long = bool(item.context) and (kind == "longer" or (kind != "reworded" and rng.random() < 0.4))
            if long:
                text = _longer(item, text, right, rng)
            result.append(Variant(question_id=item.question_id, text=text, right=right, kind=kind, long=long))
    return result


def _bare(answer: str) -> str:
    return _ENDS.sub("", answer.strip())


def _framed(item: Item, answer: str, rng: random.Random) -> str:
    """A sentence that gives the answer; an answer that is a sentence stays one."""
    bare = _bare(answer)
    if _is_sentence(bare, item.language):
        return f"{bare}。" if item.language == "ja" else f"{bare}."
    return _in_frame(item, bare, _FRAMES[item.language], rng)


def _in_frame(item: Item, bare: str, frames: Sequence[str], rng: random.Random) -> str:
    asked = _ASKED_JA.match(item.question)
    usable = [frame for frame in frames if asked or "{stem}" not in frame]
    return rng.choice(usable).format(a=bare, stem=asked["stem"] if asked else "")


def _is_sentence(text: str, language: str) -> bool:
    if language == "ja":
        return re.search(r"(です|ます|した|である|だ|する|れる|いる|ある|った)$", text) is not None and len(text) > 14
    return len(text.split()) > 7


def _longer(item: Item, text: str, right: bool, rng: random.Random) -> str:
    """The answer with a true sentence of the paper; after a wrong one it is not one that gives the right answer."""
    usable = item.context if right else [line for line in item.context if _bare(item.answer) not in line]
    more = rng.choice(usable).strip() if usable else ""
    return f"{text}{more}" if item.language == "ja" else f"{text} {more}"


def _negated(item: Item, rng: random.Random) -> str:
    bare = _bare(item.answer)
    if not _is_sentence(bare, item.language):
        return _in_frame(item, bare, _NEGATED[item.language], rng)
    if item.language == "en":
        for verb in (" is ", " was ", " were ", " are ", " has ", " did ", " can "):
            if verb in bare:
                return bare.replace(verb, f"{verb}not ", 1) + "."
        return f"It is not true that {bare[0].lower()}{bare[1:]}."
    for end, negative in (
        ("である", "ではない"),
        ("です", "ではありません"),
        ("ました", "ませんでした"),
        ("した", "しなかった"),
        ("ます", "ません"),
        ("だった", "ではなかった"),
        ("された", "されなかった"),
        ("れた", "れなかった"),
        ("いる", "いない"),
        ("する", "しない"),
    ):
        if bare.endswith(end):
            return f"{bare[: -len(end)]}{negative}。"
    return f"{bare}ということはない。"


def _swapped(item: Item, same: Sequence[Item], rng: random.Random) -> str:
    """The answer of the same kind about another paper; empty if there is none."""
    others = [other for other in same if other.paper_id != item.paper_id and _differs(other.answer, item.answer)]
    return rng.choice(others).answer if others and item.kind else ""


def _elsewhere(item: Item, items: Sequence[Item], rng: random.Random) -> str:
    """A right answer to a question of another kind about another paper."""
    for _ in range(50):
        other = rng.choice(items)
        apart = other.paper_id != item.paper_id and other.language == item.language
        if apart and _differs(other.answer, item.answer) and (other.kind != item.kind or not item.kind):
            return rng.choice(other.retold) if other.retold else _framed(other, other.answer, rng)
    return ""


def _differs(first: str, second: str) -> bool:
    a, b = (re.sub(r"\W", "", text).casefold() for text in (first, second))
    return a not in b and b not in a


def change_number(answer: str, question: str, rng: random.Random) -> str:
    """The answer with one number changed by 3 to 60 %, in the same notation; unchanged where it has none of its own."""
    places = [match for match in _NUMBER.finditer(answer) if match[0] not in question]
    if not places:
        return answer
    match = max(places, key=lambda candidate: len(candidate[0]))
    digits = match[0].replace(",", "")
    decimals = len(digits.partition(".")[2])
    value = float(digits)
    is_year = decimals == 0 and answer[match.end() : match.end() + 1] == "年" and 1000 <= value <= 2100
    for _ in range(100):
        factor = 1 + rng.choice((-1, 1)) * (rng.uniform(1, 30) / value if is_year else rng.uniform(0.03, 0.6))
        other = round(value * factor + (rng.choice((-1, 1)) if value < 20 and not decimals else 0), decimals)
        text = f"{other:,.{decimals}f}" if "," in match[0] else f"{other:.{decimals}f}"
        if other > 0 and text != match[0] and float(text.replace(",", "")) != value:
            return answer[: match.start()] + text + answer[match.end() :]
    return answer


def renotate(answer: str, language: str, rng: random.Random) -> str:
    """The answer with its longest number written otherwise; unchanged if there is none that can be."""
    places = list(_NUMBER.finditer(answer))
    if not places:
        return answer
    match = max(places, key=lambda candidate: len(candidate[0]))
    digits = match[0].replace(",", "")
    before, after = answer[: match.start()], answer[match.end() :]
    if re.search(r"[A-Za-z][-_]?$", before):
        return answer  # GPT-4, H100
    ways: list[Callable[[], str]] = [lambda: _wide(match[0])] if language == "ja" else []
    value = float(digits)
    whole = "." not in digits and len(digits) < 16 and not digits.startswith("0")
    if whole and value >= 1000 and after[:1] != "年":
        ways.append(lambda: f"{int(value):,}" if "," not in match[0] else digits)
        if value >= 10_000 and value % 100 == 0 and after[:1] not in "万億兆千" and language == "ja":
            ways.append(lambda: _myriads(int(value)))
        mantissa = f"{value / 10 ** (len(digits) - 1):g}"
        if len(mantissa) <= 6 and after[:1] not in ("万", "億", "兆"):
            ways.append(lambda: f"{mantissa}×10^{len(digits) - 1}")
    if whole and value < 100 and language == "ja" and after[:1] in tuple("年月日人件個回名枚本点割分秒時台社倍"):
        ways.append(lambda: _kanji(int(value)))
    if whole and 1990 <= value <= 2018 and after[:1] == "年":
        ways.append(lambda: f"平成{int(value) - 1988}")
    if after[:1] in ("%", "％") and language == "ja":
        return f"{before}{match[0]}パーセント{after[1:]}"
    if after[:1] == "%":
        return f"{before}{match[0]} percent{after[1:]}"
    return before + rng.choice(ways)() + after if ways else answer


def _wide(text: str) -> str:
    return text.translate(str.maketrans("0123456789.,", "０１２３４５６７８９．，"))


def _myriads(value: int) -> str:
    upper, lower = divmod(value, 10_000)
    if lower == 0:
        return (
            f"{upper}万"
            if upper < 10_000
            else f"{upper // 10_000}億" + (f"{upper % 10_000}万" if upper % 10_000 else "")
        )
    return f"{upper}万{lower}"


def _kanji(value: int) -> str:
    tens, ones = divmod(value, 10)
    return ("" if tens < 2 else _KANJI[tens]) + ("十" if tens else "") + (_KANJI[ones] if ones or not tens else "")


def simulated_models(
    made: Sequence[Variant], shares: Sequence[float], seed: int = 0
) -> list[tuple[float, list[Variant]]]:
    """One answer to every question by each of several made-up models.

    Args:
        made: of `variants`.
        shares: of each model: how many of its answers are right.
        seed: of the choice. Each model also has a taste of its own for long answers and for kinds of error, so that
            what it is right about is not all that differs.

    Returns:
        For each model the share of its answers that are right, and the answers.
    """
    by_question: dict[str, list[Variant]] = {}
    for variant in made:
        by_question.setdefault(variant.question_id, []).append(variant)
    models = []
    for number, share in enumerate(shares):
        rng = random.Random(f"{seed}-{number}")
        taste = rng.random()
        errors = {kind: rng.random() + 0.1 for kind in WRONG}
        answers = []
        for options in by_question.values():
            right = rng.random() < share
            of_side = [variant for variant in options if variant.right == right] or options
            weights = [
                (taste if variant.long else 1 - taste) * errors.get(variant.kind, 1.0) + 0.01 for variant in of_side
            ]
            answers.append(rng.choices(of_side, weights)[0])
        models.append((sum(answer.right for answer in answers) / len(answers), answers))
    return models
