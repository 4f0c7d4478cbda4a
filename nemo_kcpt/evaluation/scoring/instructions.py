"""Was an instruction followed? Checks that a program can make, after IFEval (Zhou et al. 2023, arXiv 2311.07911).

A question of kind `instruction` has `checks`, a list of objects: `check` names a function below, the other fields are
its parameters. An answer follows the instruction if it passes every check and is not empty (IFEval's strict accuracy by
prompt). No check runs an expression that is in a file. The items and the code are this project's own: the packages
that carry IFEval count words between spaces, which Japanese has not, and bring nltk with data to download.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.text.language import language_of

Check = Callable[..., bool]
CHECKS: dict[str, Check] = {}
"""The checks by name; a function's keyword parameters are the fields that it takes."""

_WORD = re.compile(r"[^\W_]+(?:['’.-][^\W_]+)*")
_SENTENCE_END = re.compile(r"[。！？]+|[.!?]+(?=\s|[\"'”’」』)]|$)")
_NUMBERED = re.compile(r"^\s*(\d+)\s*[.．)、]\s*\S")
_BULLETS = "-*•・"
_KANJI = re.compile(r"[㐀-䶿一-鿿々]")
_SCRIPTS = {"hiragana": re.compile(r"[ぁ-ゖー\s]+"), "katakana": re.compile(r"[ァ-ヺー・\s]+")}
_JAPANESE = re.compile(r"[ぁ-ゖァ-ヺ㐀-䶿一-鿿々]")
_EAST_ASIAN = re.compile(r"[ぁ-ゖァ-ヺ㐀-䶿一-鿿가-힣]")
_LATIN = re.compile(r"[A-Za-z]")
_FENCE = re.compile(r"```(?:json)?\s*\n(.*?)\n?```", re.DOTALL)
_FINAL = "。.!！ \n"
"""What may follow a fixed answer, and is not held against it."""


def check(function: Check) -> Check:
    """Enter a check by its name."""
    CHECKS[function.__name__] = function
    return function


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if line.strip()]


def _within(number: int, least: int, most: int | None) -> bool:
    return number >= least and (most is None or number <= most)


@check
def words(text: str, *, least: int = 0, most: int | None = None) -> bool:
    """So many words, as languages with spaces have them."""
    return _within(len(_WORD.findall(text)), least, most)


@check
def characters(text: str, *, least: int = 0, most: int | None = None) -> bool:
    """So many characters, blanks and line breaks not counted."""
    return _within(len(re.sub(r"\s", "", text)), least, most)


@check
def sentences(text: str, *, least: int = 0, most: int | None = None) -> bool:
    """So many sentences; what follows the last full stop is one, too."""
    pieces = [piece for piece in _SENTENCE_END.split(text) if _WORD.search(piece)]
    return _within(len(pieces), least, most)


@check
def paragraphs(text: str, *, least: int = 0, most: int | None = None) -> bool:
    """So many paragraphs with empty lines between them."""
    return _within(len([paragraph for paragraph in re.split(r"\n\s*\n", text) if paragraph.strip()]), least, most)


@check
def lines(text: str, *, n: int | None = None, least: int = 0) -> bool:
    """Exactly `n` lines that are not empty, or at least so many."""
    number = len(_lines(text))
    return number >= least and (n is None or number == n)


@check
def bullets(text: str, *, n: int, mark: str = "") -> bool:
    """Exactly `n` lines that begin with a bullet: `mark`, or any of - * • ・."""
    marks = mark or _BULLETS
    return sum(line[0] in marks and line[1:].strip() != "" and line[:2] != "**" for line in _lines(text)) == n


@check
def numbered(text: str, *, n: int) -> bool:
    """Exactly `n` numbered lines, 1 to n in order."""
    numbers = [int(match[1]) for line in _lines(text) if (match := _NUMBERED.match(line))]
    return numbers == [*range(1, n + 1)]


@check
def separated(text: str, *, n: int, by: str) -> bool:
    """One line of exactly `n` short pieces between separators."""
    pieces = [piece.strip() for piece in text.strip().rstrip(_FINAL).split(by)]
    return len(_lines(text)) == 1 and len(pieces) == n and all(0 < len(piece) <= 30 for piece in pieces)


@check
def json_value(text: str, *, keys: Sequence[str] | None = None, items: int | None = None) -> bool:
    """A JSON object with exactly these keys, or an array of so many items, and nothing beside it but a code fence."""
    fenced = _FENCE.fullmatch(text.strip())
    try:
        value = json.loads(fenced[1] if fenced else text)
    except (ValueError, RecursionError):
        return False
    if keys is not None:
        return isinstance(value, dict) and set(value) == set(keys)
    return isinstance(value, list) and len(value) == items


CHECKS["json"] = CHECKS.pop("json_value")


@check
def table(text: str, *, columns: Sequence[str], least: int) -> bool:
    """A Markdown table with these columns and at least so many rows."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in _lines(text) if "|" in line]
    heads = [[cell.casefold() for cell in row] for row in rows]
    wanted = [column.casefold() for column in columns]
    if wanted not in heads:
        return False
    below = rows[heads.index(wanted) + 1 :]
    return len(below) > least and all(re.fullmatch(r":?-+:?", cell) for cell in below[0])


@check
def heading(text: str, *, level: int) -> bool:
    """A Markdown heading of this level."""
    return any(re.match("#" * level + r" \S", line) for line in _lines(text))


@check
def between(text: str, *, left: str, right: str) -> bool:
    """Somewhere something between these two marks, on one line."""
    return re.search(re.escape(left) + r"[^\n]+?" + re.escape(right), text) is not None


@check
def wrapped(text: str, *, left: str, right: str) -> bool:
    """The whole answer between these two marks."""
    inner = text.strip()
    return len(inner) > len(left + right) and inner.startswith(left) and inner.endswith(right)


@check
def date(text: str) -> bool:
    """A date as 2020-01-31 and nothing else."""
    match = re.fullmatch(r"\d{4}-(\d{2})-(\d{2})", text.strip())
    return match is not None and 1 <= int(match[1]) <= 12 and 1 <= int(match[2]) <= 31


@check
def upper(text: str) -> bool:
    """No small letter, and some letter."""
    return text.upper() == text and _LATIN.search(text) is not None


@check
def lower(text: str) -> bool:
    """No capital letter, and some letter."""
    return text.lower() == text and _LATIN.search(text) is not None


@check
def contains(text: str, *, texts: Sequence[str]) -> bool:
    """Each of these, in any case."""
    return all(phrase.casefold() in text.casefold() for phrase in texts)


@check
def excludes(text: str, *, texts: Sequence[str]) -> bool:
    """None of these, in any case; a word of Latin letters counts with its endings."""
    return not any(phrase.casefold() in text.casefold() for phrase in texts)


@check
def counts(text: str, *, texts: Sequence[str], least: int = 0, most: int | None = None) -> bool:
    """These together so many times, in any case."""
    return _within(sum(text.casefold().count(phrase.casefold()) for phrase in texts), least, most)


@check
def starts(text: str, *, texts: Sequence[str]) -> bool:
    """One of these at the beginning."""
    return text.strip().startswith(tuple(texts))


@check
def finishes(text: str, *, texts: Sequence[str]) -> bool:
    """One of these at the end."""
    return text.strip().endswith(tuple(texts))


@check
def last_line(text: str, *, texts: Sequence[str]) -> bool:
    """The last line, which is not the only one, begins with one of these."""
    nonempty = _lines(text)
    return len(nonempty) > 1 and nonempty[-1].startswith(tuple(texts))


@check
def sentence_ends(text: str, *, ending: str) -> bool:
    """Every sentence ends so, full stop included."""
    stop = ending[-1]
    pieces = [piece.strip() for piece in text.split(stop)]
    return len(pieces) > 1 and not pieces[-1] and all((piece + stop).endswith(ending) for piece in pieces[:-1])


@check
def exactly(text: str, *, texts: Sequence[str]) -> bool:
    """One of these and nothing else; case, and a full stop at the end, do not matter."""
    said = text.strip().rstrip(_FINAL).replace("’", "'").casefold()
    return said in {phrase.rstrip(_FINAL).casefold() for phrase in texts}


@check
def only_digits(text: str) -> bool:
    """A whole number in digits and nothing else."""
    return re.fullmatch(r"\d+", text.strip().rstrip(_FINAL)) is not None


@check
def no_digits(text: str) -> bool:
    """No digit."""
    return not re.search(r"\d", text)


@check
def script(text: str, *, letters: str) -> bool:
    """Only letters of this kind, hiragana or katakana; a full stop at the end does not matter."""
    return _SCRIPTS[letters].fullmatch(text.strip().rstrip(_FINAL)) is not None


@check
def no_kanji(text: str) -> bool:
    """No Chinese character, and some kana."""
    return not _KANJI.search(text) and _JAPANESE.search(text) is not None


@check
def language(text: str, *, code: str) -> bool:
    """Written in English (en) or Japanese (ja): by its letters, and by the words of longer texts."""
    japanese, latin = len(_JAPANESE.findall(text)), len(_LATIN.findall(text))
    if code == "ja":
        return japanese > 0 and latin <= 0.3 * (japanese + latin) and language_of(text) in ("", "ja")
    return latin > 0 and not _EAST_ASIAN.search(text) and language_of(text) in ("", "en")


def follows(answer: str, checks: Sequence[Mapping[str, Any]]) -> bool:
    """Whether an answer passes all checks; an empty one passes none.

    Args:
        answer: what the model wrote.
        checks: of the question, read by `read_checks`.
    """
    return bool(answer.strip()) and all(
        CHECKS[entry["check"]](answer, **{key: value for key, value in entry.items() if key != "check"})
        for entry in checks
    )


def read_checks(question: Mapping[str, Any]) -> list[dict[str, Any]] | None:
    """The checks of a question; None where it has none.

    Raises:
        BadInput: they have another form, or name a check or a parameter that is not known.
    """
    checks = question.get("checks")
    if checks is None:
        return None
    where = f"question '{question['question_id']}': checks"
    if not isinstance(checks, list) or not checks or not all(isinstance(entry, dict) for entry in checks):
        raise BadInput(f'{where}: expected a list of objects as {{"check": "words", "most": 10}}')
    for entry in checks:
        name = entry.get("check")
        if name not in CHECKS:
            raise BadInput(f"{where}: no check {name!r}; {nearest(str(name), sorted(CHECKS))}")
        try:
            CHECKS[name]("probe", **{key: value for key, value in entry.items() if key != "check"})
        except (TypeError, KeyError, ValueError, AttributeError, IndexError) as error:
            raise BadInput(f"{where}: {name}: {error}; see nemo_kcpt/evaluation/scoring/instructions.py") from None
    return checks
