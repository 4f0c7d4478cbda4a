"""SQuAD-style JSON: an article is a document, its questions become a human question set.

The text is the article's paragraphs joined by blank lines, its id `<file>-<number>` unless it has one. A question
without an answer (`is_impossible`, or none given) is left out and counted in the field `unanswered`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from nemo_kcpt.corpus.encodings import UnknownEncoding, decode
from nemo_kcpt.corpus.readers.base import Found, Piece, Place, Question, Reader, one_file, too_large

WHOLE = 512 << 20
"""Bytes up to which a JSON file is read as a whole; its values take several times as much memory."""
HEAD = 1 << 16
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
    """The value of a JSON file.

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
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Malformed(f"not JSON (line {error.lineno}, column {error.colno}: {error.msg})") from None
    except (ValueError, RecursionError) as error:
        raise Malformed(f"not JSON that can be read ({error})") from None


def read(place: Place, piece: Piece) -> Iterator[Found]:
    """The articles of a file; one that is malformed is a problem that names its first bad part."""
    path = one_file(piece.paths)
    source = place.relative(path)
    try:
        content = load_whole(place, path)
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
        try:
            record, questions = _document(article, f"{path.stem}-{number:04d}", used)
        except Malformed as error:
            yield Found(where, source, {}, str(error))
            continue
        size = len(record["text"].encode("utf-8", "replace"))
        if size > place.max_bytes:
            yield Found(where, source, {}, too_large(size, place))
        else:
            yield Found(where, source, record, questions=questions)


def _document(article: Any, made_id: str, used: set[str]) -> tuple[dict[str, Any], list[Question]]:
    """The record of an article and its questions; `used` holds the question ids of the file so far."""
    paragraphs = article.get("paragraphs") if isinstance(article, dict) else None
    if not isinstance(paragraphs, list):
        raise Malformed('expected an article with a list "paragraphs"')
    paper_id = str(article.get("id") or made_id)
    contexts = []
    questions: list[Question] = []
    unanswered = 0
    for number, paragraph in enumerate(paragraphs):
        context = paragraph.get("context") if isinstance(paragraph, dict) else None
        if not isinstance(context, str):
            raise Malformed(f'paragraphs[{number}]: expected a text in "context"')
        contexts.append(context.strip())
        qas = paragraph.get("qas") or []
        if not isinstance(qas, list):
            raise Malformed(f'paragraphs[{number}]: expected a list in "qas"')
        for place_of, item in enumerate(qas):
            question, answer = _question(item, f"paragraphs[{number}].qas[{place_of}]")
            if not answer:
                unanswered += 1
                continue
            wanted = str(item.get("id") or f"{paper_id}-q{len(questions)}")
            questions.append(Question(_unused(wanted, used), question, answer))
    record = {
        "paper_id": paper_id,
        "title": article.get("title") or "",
        "text": "\n\n".join(contexts),
        "paragraphs": len(paragraphs),
        "unanswered": unanswered,
    }
    return record, questions


def _question(item: Any, part: str) -> tuple[str, str]:
    """A question and its first answer, which is empty if it has none."""
    question = item.get("question") if isinstance(item, dict) else None
    if not isinstance(question, str) or not question.strip():
        raise Malformed(f'{part}: expected a text in "question"')
    answers = item.get("answers")
    if isinstance(answers, dict):  # as in the data sets of the hub: {"text": […], "answer_start": […]}
        answers = [{"text": text} for text in answers.get("text") or []]
    if item.get("is_impossible") or answers in (None, []):
        return question, ""
    if not isinstance(answers, list) or not isinstance(answers[0], dict) or not isinstance(answers[0].get("text"), str):
        raise Malformed(f'{part}: expected a text in "answers[0].text"')
    return question, answers[0]["text"].strip()


def _unused(wanted: str, used: set[str]) -> str:
    """An id as wanted, or with the first free number after it."""
    name, number = wanted, 1
    while name in used:
        number += 1
        name = f"{wanted}-{number}"
    used.add(name)
    return name


READER = Reader(name="squad", suffixes=(".json",), read=read, recognises=is_squad)
