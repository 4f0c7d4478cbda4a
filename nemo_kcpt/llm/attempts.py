"""Asking again: how a request changes when its reply could not be read, and under which requests earlier rows stand.

A model that samples is asked again with the next seed. A greedy one heeds no seed: it is given a temperature, so that
something else can come of it (the first request never changes). Earlier versions asked greedy models the same again,
and had another last line in their prompts; what was answered to such a request is still an answer to its successor.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from nemo_kcpt.llm.journal import DONE, FAILED, Journal, Row
from nemo_kcpt.llm.request import Messages, Teacher, TeacherRequest
from nemo_kcpt.llm.sampling import RETRY_TEMPERATURE


@dataclass(frozen=True)
class Attempt:
    """One request of those that may be made until a reply can be read."""

    request: TeacherRequest
    formers: tuple[TeacherRequest, ...] = ()
    """The same as earlier versions made it; any row of it counts."""
    repeats: tuple[TeacherRequest, ...] = ()
    """As earlier versions repeated a greedy request: its row counts if it can be read."""


def attempts(
    first: TeacherRequest, number: int, teacher: Teacher, *, former: Messages = (), again: Messages = ()
) -> list[Attempt]:
    """The first request and those after it, `number` in all.

    Args:
        first: the request.
        number: of attempts.
        teacher: who is asked.
        former: the messages as earlier versions had them, if they were others.
        again: the messages from the second attempt on, if they change (a reminder of the form).
    """
    greedy = bool(getattr(teacher, "is_greedy", False))
    tries = []
    for index in range(number):
        plain = replace(first, seed=first.seed + index, messages=again if index and again else first.messages)
        raised = greedy and index > (1 if again else 0)
        request = replace(plain, temperature=RETRY_TEMPERATURE) if raised else plain
        tries.append(
            Attempt(
                request,
                (replace(request, messages=former),) if former else (),
                (plain, *([replace(plain, messages=former)] if former else [])) if raised else (),
            )
        )
    return tries


def find(
    journal: Journal, attempt: Attempt, key: Callable[[TeacherRequest], str], readable: Callable[[Row], bool]
) -> Row | None:
    """The journal's row of an attempt, or of what an earlier version asked in its place; one that is answered comes
    first."""
    row = journal.get(key(attempt.request))
    if row is not None and row.status != FAILED:
        return row
    for former in _rows(journal, attempt.formers, key):
        if former.status != FAILED:
            return former
    for repeat in _rows(journal, attempt.repeats, key):
        if repeat.status == DONE and readable(repeat):
            return repeat
    return row


def _rows(journal: Journal, requests: Sequence[TeacherRequest], key: Callable[[TeacherRequest], str]) -> Iterable[Row]:
    for request in requests:
        if (row := journal.get(key(request))) is not None:
            yield row
