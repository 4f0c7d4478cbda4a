"""SQuAD-style JSON: an article is a document, its questions become a human question set.

The text is the article's paragraphs joined by blank lines, its id `<file>-<number>` unless it has one. A question
without an answer (`is_impossible`, or none given) is left out and counted in the field `unanswered`. One that is
malformed (blank, or with a number for an answer) is left out alone and named, and so is a paragraph without text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.base import Flaw, Found, Piece, Place, Question, one_file, too_large
from nemo_kcpt.readers.base import Reader
from nemo_kcpt.readers.json_values import Twice, distinct, exact, twice_in
from nemo_kcpt.text.encodings import UnknownEncoding, decode

WHOLE = 512 << 20
"""Bytes up to which a JSON file is read as a whole; its values take several times as much memory."""
HEAD = 1 << 16
QUESTIONS, ANSWERS, PARAGRAPHS = "questions left out", "answers left out", "paragraphs left out"
"""Kinds of flaws."""
_SCALARS = r'(?:\s*"[^"]*"\s*:\s*(?:"[^"]*"|[-\d.]+|null|true|false)\s*,)*'
_DATA = re.compile(r"\s*\{" + _SCALARS + r'\s*"data"\s*:\s*\[')


class Malformed(Exception):
    """A part of a file is not as it should be; names the part, and what was expected there."""


def head_of(path: Path) -> str:
    """The beginning of a JSON file, good enough to tell what it holds; empty if it cannot be read."""
    try:
        with path.open("rb") as stream:
            head = stream.read(HEAD)
    except OSError:
        return ""
    # of no matter in which encoding: keys and brackets are ASCII
    return head.replace(b"\x00", b"").decode("ascii", "ignore").lstrip("\ufeff")


def is_squad(path: Path) -> bool:
    """True if a file holds `{"data": […`, after other simple keys, or with paragraphs and contexts near by."""
    head = head_of(path)
    keys = ('"data"', '"paragraphs"', '"context"')
    return bool(_DATA.match(head)) or (
        head.lstrip()[:1] == "{" and all(key in head for key in keys) and "\n{" not in head
    )


def load_whole(place: Place, path: Path) -> Any:
    """The value of a JSON file; an object in it that has a key twice is a `Twice`.

    Raises:
        Malformed: it is too large to be read as a whole, or is not JSON.
    """
    if (size := path.stat().st_size) > WHOLE:
        raise Malformed(
            f"{size >> 20:,} MiB of JSON in one value, more than the limit of {WHOLE >> 20} MiB; write one object a "
            "line instead (.jsonl), for instance with jq -c"
        )
    try:
        text = decode(path.read_bytes(), place.encoding).text
    except UnknownEncoding as error:
        raise Malformed(str(error)) from None
    if not text.strip():
        raise Malformed("the file is empty")
    try:
        return json.loads(text, object_pairs_hook=distinct, parse_float=exact)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON that can be read ({error})") from None


def once(value: Any) -> Any:
    """A value, unless it is an object that has a key twice.

    Raises:
        Malformed: it is one; names the key.
    """
    if isinstance(value, Twice):
        raise Malformed(str(value))
    return value


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The articles of a file; one of which nothing can be read is a problem that names its first bad part."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        content = once(load_whole(place, path))
        articles = content.get("data") if isinstance(content, dict) else None
        if not isinstance(articles, list):
            raise Malformed(
                'expected SQuAD-style JSON, {"data": [{"title": …, "paragraphs": [{"context": …}]}]}; for a list of '
                "objects, or one object a line, give format=json"
            )
        if not articles:
            raise Malformed('there is no article in "data"')
    except Malformed as error:
        yield Found(str(path), source, {}, str(error))
        return
    used: set[str] = set()
    for number, article in enumerate(articles):
        where = f"{path}, data[{number}]"
        paper_id = article_id(article, path, number)
        try:
            known = parse_article(article, paper_id, used, where)
        except Malformed as error:
            yield Found(where, source, {}, str(error))
            continue
        text = "\n\n".join(known.contexts)
        record = {
            "paper_id": paper_id,
            "title": article.get("title") or "",
            "text": text,
            "paragraphs": len(article["paragraphs"]),
            "unanswered": known.unanswered,
        }
        size = len(text.encode("utf-8", "replace"))
        if size > place.max_bytes:
            yield Found(where, source, {}, too_large(size, place))
        else:
            yield Found(where, source, record, questions=known.questions, flaws=known.flaws)


@dataclass
class Article:
    """What an article holds, and what of it is left out."""

    contexts: list[str] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    unanswered: int = 0
    """Questions that the file itself marks as without an answer, or gives none to."""
    flaws: list[Flaw] = field(default_factory=list)


def parse_article(article: Any, paper_id: str, used: set[str], where: str) -> Article:
    """The texts and questions of an article; a question or paragraph that is malformed is left out and named.

    Args:
        article: a member of "data".
        paper_id: the article's id, from which ids of questions without one are made.
        used: the question ids of the file so far; those of this article are added.
        where: the article's place, for messages.

    Raises:
        Malformed: no paragraph of it can be read.
    """
    once(article)
    paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
    if not isinstance(paragraphs, list):
        raise Malformed('expected an article with a list "paragraphs"')
    parsed = Article()
    for number, paragraph in enumerate(paragraphs):
        part = f"paragraphs[{number}]"
        if isinstance(paragraph, Twice):
            parsed.flaws.append(Flaw(PARAGRAPHS, f"{where}.{part}", str(paragraph)))
            continue
        context = paragraph.get("context") if isinstance(paragraph, dict) else None
        if not isinstance(context, str):
            parsed.flaws.append(Flaw(PARAGRAPHS, f"{where}.{part}", f'expected a text in "context", {_was(context)}'))
            continue
        parsed.contexts.append(context.strip())
        qas = paragraph.get("qas") or []
        if not isinstance(qas, list):
            parsed.flaws.append(Flaw(QUESTIONS, f"{where}.{part}", f'expected a list in "qas", {_was(qas)}'))
            continue
        for index, item in enumerate(qas):
            _add_question(parsed, item, paper_id, used, f"{where}.{part}.qas[{index}]")
    if not parsed.contexts and parsed.flaws:
        raise Malformed(f"{parsed.flaws[0].where.removeprefix(f'{where}.')}: {parsed.flaws[0].detail}")
    return parsed


def _add_question(article: Article, item: Any, paper_id: str, used: set[str], where: str) -> None:
    given = item.get("id") if isinstance(item, dict) else None
    named = f"{where} (id {given})" if given else where
    question = item.get("question") if isinstance(item, dict) else None
    try:
        once(twice_in(item))
        if not isinstance(question, str) or not question.strip():
            raise Malformed(f'expected a text in "question", {_was(question)}')
        answers, others = _answers(item)
    except Malformed as error:
        article.flaws.append(Flaw(QUESTIONS, named, str(error)))
        return
    article.flaws += [Flaw(ANSWERS, named, f"expected a text in every answer, {_was(value)}") for value in others]
    if not answers:
        article.unanswered += 1
        return
    wanted = str(given or f"{paper_id}-q{len(article.questions)}")
    article.questions.append(Question(_unused(wanted, used), question, answers[0], answers))


def _answers(item: dict[str, Any]) -> tuple[tuple[str, ...], list[Any]]:
    """The different answers, none if the first is empty or the question has none; and those after it that are no text.

    Raises:
        Malformed: the first is no text.
    """
    answers = item.get("answers")
    if item.get("is_impossible") or answers in (None, [], {}):
        return (), []
    if isinstance(answers, dict):  # as in the data sets of the hub: {"text": […], "answer_start": […]}
        texts = answers.get("text")
        texts = [texts] if isinstance(texts, str) else texts
    else:
        texts = (
            [answer.get("text") if isinstance(answer, dict) else answer for answer in answers]
            if _is_list(answers)
            else None
        )
        if texts and not isinstance(answers[0], dict):
            raise Malformed(f'expected answers of the form [{{"text": …}}], {_was(answers[0])}')
    if texts == []:
        return (), []
    if not isinstance(texts, list):
        raise Malformed(f'expected answers of the form [{{"text": …}}], {_was(answers)}')
    if not isinstance(texts[0], str):
        raise Malformed(f'expected a text in "answers[0].text", {_was(texts[0])}')
    good = [text.strip() for text in texts if isinstance(text, str)]
    others = [text for text in texts if not isinstance(text, str)]
    return tuple(dict.fromkeys(text for text in good if text)) if good[0] else (), others


def _is_list(value: Any) -> bool:
    return isinstance(value, list)


def _was(value: Any) -> str:
    """What was found, short enough for a message."""
    if isinstance(value, str):
        return "found a blank one" if not value.strip() else f"found {value[:40]!r}"
    return "found none" if value is None else f"found {type(value).__name__} {json.dumps(value, default=str)[:40]}"


def article_id(article: Any, file: Path, number: int) -> str:
    """The id of an article: its own, else made from the file's name and its place in it."""
    return str((article.get("id") if isinstance(article, dict) else "") or f"{file.stem}-{number:04d}")


def _unused(wanted: str, used: set[str]) -> str:
    """An id as wanted, or with the first free number after it."""
    name, number = wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}-{number}"
    used.add(name)
    return name


READER = Reader(name="squad", suffixes=(".json",), read=read, recognises=is_squad)
