"""Exact match: does an answer state the one right value of a fact, and no wrong one?

A value that is a number is found as a number, in whatever notation (`nemo_kcpt.text`): 12,400 in 1万2400 and 12.4k, and
neither in 112,400 nor in -12,400, 12,400 million or 12,400〜13,000. It may have a unit where the value has
none, and where both have one they must be the same. No rounding: 83.7 is not in 83.72.

Other values (names, and texts with numbers in them) are found as wholes after NFKC, case folding, dropping thousands
separators and spaces beside Japanese text, the longest first, so that an author is not found in a longer name; a number
in them counts in every notation. 京都 is not found in 東京都 (text/word_borders.py), nor GPT-4 in GPT-4o. The price: a
name that is written in a way that nobody listed counts as not stated.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from nemo_kcpt.text.agreement import equal
from nemo_kcpt.text.plain import normalise
from nemo_kcpt.text.quantities import Quantity, cached_quantities
from nemo_kcpt.text.units import root
from nemo_kcpt.text.word_borders import cuts_word

_BORDERS: tuple[tuple[str, str, str], ...] = (
    # first or last character of a value, what must not precede it, what must not follow it
    (r"\d", r"(?<!\d)(?<!\d[.万億兆千百])", r"(?!\d)(?!\.\d)(?![万億兆])"),
    (r"[a-z]", r"(?<![a-z0-9])", r"(?![a-z0-9])"),
    (r"[ァ-ヺー]", r"(?<![ァ-ヺー])", r"(?![ァ-ヺー])"),
)
_LETTER = re.compile(r"[a-z]")
_ONE_SIGN = str.maketrans("’‘ʼ‐‑‒–—−", "'''------")
"""Apostrophes and dashes that are typed for one another in names."""
_AROUND = re.compile(r"(?:[\s。．.、,，!！?？:：;；()（）「」『』\"'“”$]|約|です)*")
"""What may stand around a number that is a value, without making it a text."""
_NAME = re.compile(r"(?<![A-Za-z])[A-Z][A-Za-z+#.]* ?$")
_NAME_OF_DIGITS = re.compile(r"\s*0\d")
"""007 is no 7."""


@dataclass(frozen=True)
class Mention:
    """A value found in an answer: `answer[start:end]`, and whether it is an accepted one."""

    start: int
    end: int
    right: bool


@dataclass(frozen=True)
class _Values:
    """The values of a fact, by how they are looked for."""

    names: tuple[re.Pattern[str] | None, frozenset[str]]
    """A pattern for those without numbers, in the form of `normalise`, and the right ones."""
    phrases: tuple[re.Pattern[str] | None, frozenset[str]]
    """The same of those with numbers among their words, in the form of `_with_numbers`."""
    numbers: tuple[tuple[tuple[Quantity, ...], bool], ...]
    """Those that are numbers, and whether they are right."""


def _numbers(value: str) -> tuple[Quantity, ...]:
    """The numbers of a value that is nothing else (a date has three); none if it is a text."""
    if _NAME_OF_DIGITS.match(value):
        return ()
    numbers, start = cached_quantities(value), 0
    for number in numbers:
        if not _AROUND.fullmatch(value, start, number.start):
            return ()
        start = number.end
    return numbers if _AROUND.fullmatch(value, start) else ()


def _token(number: Quantity, before: str = "") -> str:
    """A number in `_with_numbers`: private characters, which border on anything.

    Behind a name, and where the number is a version's, a last 0 counts: Python 3.10 is not Python 3.1.
    """
    value = number.value if number.figure != number.figure else number.figure
    parts = [f"{part:.12g}" for part in (value, number.high_figure or number.high, number.spread) if part is not None]
    named = root(number.measure) == "order" or (not number.measure and _NAME.search(before))
    if named and number.step < 0.1 and abs(round(value / number.step)) % 10 == 0:
        parts.append(f"/{number.step:g}")
    return f"\ue000{':'.join(parts)}\ue001"


def _with_numbers(text: str) -> tuple[str, list[int]]:
    """`normalise`'s form with one notation for each number, and the places as there with one for the end."""
    pieces: list[str] = []
    places: list[int] = []
    start = 0
    for number in cached_quantities(text):
        end = number.end if number.figure != number.figure else number.figure_end
        token = _token(number, text[: number.start][-24:])
        pieces += [text[start : number.start], token]
        places += [*range(start, number.start), *[number.start] * (len(token) - 1), end - 1]
        start = end
    form, offsets = _normalised("".join([*pieces, text[start:]]))
    places += range(start, len(text))
    return form, [*(places[offset] for offset in offsets[:-1]), len(text)]


def _bounded(value: str) -> str:
    before = next((border for kind, border, _ in _BORDERS if re.match(kind, value[0])), "")
    after = next((border for kind, _, border in _BORDERS if re.match(kind, value[-1])), "")
    if _LETTER.search(value):  # GPT-4 is not in GPT-4o, nor C in C++
        before += r"(?<![a-z])" if value[0].isdigit() else ""
        after += r"(?![a-z])" if value[-1].isdigit() else r"(?![+#])" if _LETTER.match(value[-1]) else ""
    return before + re.escape(value) + after


def _pattern(right: frozenset[str], other: set[str]) -> tuple[re.Pattern[str] | None, frozenset[str]]:
    """A pattern for every value, the longest first; a wrong one that is part of a right one is passed over."""
    wrong = set()
    for value in other - right:
        part = re.compile(_bounded(value))
        if not any(part.search(longer) for longer in right):
            wrong.add(value)
    values = sorted(right | wrong, key=lambda value: (-len(value), value))
    return (re.compile("|".join(_bounded(value) for value in values)) if values else None), right


@lru_cache(maxsize=4096)
def _values(accepted: tuple[str, ...], alternatives: tuple[str, ...]) -> _Values:
    names: tuple[set[str], set[str]] = (set(), set())
    phrases: tuple[set[str], set[str]] = (set(), set())
    numbers: list[tuple[tuple[Quantity, ...], bool]] = []
    for side, texts in enumerate((accepted, alternatives)):
        for text in texts:
            if quantities := _numbers(text):
                if side == 0 or not any(_same(quantities, right) for right, _ in numbers):
                    numbers.append((quantities, side == 0))
            elif cached_quantities(text) and not _NAME_OF_DIGITS.match(text):
                phrases[side].add(_with_numbers(text)[0])
            else:
                names[side].add(_normalised(text)[0])
    return _Values(
        _pattern(frozenset(names[0] - {""}), names[1] - {""}),
        _pattern(frozenset(phrases[0] - {""}), phrases[1] - {""}),
        tuple(numbers),
    )


def _same(first: Sequence[Quantity], second: Sequence[Quantity]) -> bool:
    """Whether two runs of numbers are the same, in any order (March 5, 2021)."""
    left = list(second)
    for number in first:
        match = next((index for index, other in enumerate(left) if equal(number, other)), None)
        if match is None:
            return False
        del left[match]
    return not left


def _mentions(answer: str, values: _Values) -> Iterator[Mention]:
    for (pattern, right), form_of in ((values.names, _normalised), (values.phrases, _with_numbers)):
        if pattern is None:
            continue
        text, places = form_of(answer)
        for match in pattern.finditer(text):
            start = places[match.start()]
            end = places[match.end() - 1] + 1 if form_of is _with_numbers else places[match.end()]
            while end > start + 1 and answer[end - 1].isspace():
                end -= 1
            if cuts_word(answer, start, end):
                continue
            yield Mention(start, end, match.group() in right)
    stated = cached_quantities(answer) if values.numbers else ()
    for numbers, is_right in values.numbers:
        for first in range(len(stated) - len(numbers) + 1):
            run = stated[first : first + len(numbers)]
            if _same(run, numbers):
                yield Mention(run[0].start, run[-1].end, is_right)


def _normalised(text: str) -> tuple[str, list[int]]:
    form, offsets = normalise(text)
    return form.translate(_ONE_SIGN), [*offsets, len(text)]


def find_values(answer: str, accepted: Sequence[str], alternatives: Sequence[str] = ()) -> list[Mention]:
    """Every value of the fact that the answer states, right and wrong, in reading order.

    Args:
        answer: what the model wrote.
        accepted: all right forms of the fact.
        alternatives: values of the same fact that are true of other papers; one that is part of an accepted form is
            passed over.
    """
    values = _values(tuple(accepted), tuple(alternatives))
    mentions: list[Mention] = []
    # Of two that overlap the first counts, of two that begin together the longer one, of equals the right one.
    for mention in sorted(
        _mentions(answer, values), key=lambda mention: (mention.start, -mention.end, not mention.right)
    ):
        if not mentions or mention.start >= mentions[-1].end:
            mentions.append(mention)
    return mentions


def exact_match(answer: str, accepted: Sequence[str], alternatives: Sequence[str] = ()) -> bool:
    """True when the answer states an accepted value and no other value of that kind (see `find_values`)."""
    mentions = find_values(answer, accepted, alternatives)
    return bool(mentions) and all(mention.right for mention in mentions)
