"""Asking by batches: rounds of all calls that are open, until none is or the retries are used up."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from nemo_kcpt.llm.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.llm.rows import SAID, Cost
from nemo_kcpt.logs import LOG
from nemo_kcpt.synthesis.collect import Tally
from nemo_kcpt.synthesis.plan import Plan

if TYPE_CHECKING:
    from nemo_kcpt.llm.batch import BatchTeacher

TOKENS = ("prompt_tokens", "completion_tokens", "cached_tokens")
GROUP = 200
"""Rows of one transaction."""


class _Ledger:
    """The journal as batches see it: replies in groups, and notes that are dropped only once these are on disk."""

    def __init__(self, journal: Journal, model: str, cost: Cost, tally: Tally) -> None:
        self._model = model
        self.failed: set[str] = set()
        """Keys that this run could not get answered; the next run asks for them."""
        self._journal = journal
        self._cost = cost
        self._tally = tally
        self._group: list[Row] = []

    def deliver(self, key: str, about: Sequence[Any], answer: TeacherReply | TeacherFault) -> None:
        """Take an answer; whether it can be read is seen when the plan asks how far its call is."""
        paper_id, kind, part, attempt = about
        row = Row(key, str(paper_id), str(kind), int(part), int(attempt), FAILED)
        if isinstance(answer, TeacherFault) and answer.reply is None:
            self.failed.add(key)
            row = replace(row, fault=f"{answer.name}: {answer}"[:SAID])
        elif isinstance(answer, TeacherFault):  # paid for, and no reply to be read
            kept = answer.reply.text if answer.reply is not None else ""
            row = replace(row, status=UNREADABLE, fault=f"{answer.name}: {answer}"[:SAID], reply=kept)
            self._tally.add(row)
        else:
            usage: dict[str, Any] = {name: int(answer.usage.get(name, 0)) for name in TOKENS}
            reply = answer.text.encode("utf-8", "replace").decode()
            row = replace(
                row,
                status=DONE,
                reply=reply,
                finish_reason=answer.finish_reason,
                cost=self._cost(answer.usage),
                asked=self._model if answer.served else "",
                served=answer.served,
                **usage,
            )
            self._tally.add(row)
            self._tally.done += 1
        self._group.append(row)
        if len(self._group) >= GROUP:
            self.flush()

    def flush(self) -> None:
        """Put what was delivered on disk."""
        if self._group:
            self._journal.add(self._group)
            self._group = []
            self._tally.changed(self._tally)

    def note(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        self._journal.note(name, value)

    def notes(self, prefix: str = "") -> dict[str, Any]:
        """The values whose names begin so."""
        return self._journal.notes(prefix)

    def forget(self, name: str) -> None:
        """Drop a note, after what was delivered is on disk."""
        self.flush()
        self._journal.forget(name)


async def collect_batches(plan: Plan, journal: Journal, teacher: BatchTeacher, cost: Cost, tally: Tally) -> None:
    """Ask for every call of the plan that the journal does not answer, in rounds: an unreadable reply goes into the
    next round with another seed.

    Raises:
        KcptError: the server refuses the batches, or the journal cannot be written.
    """
    tally.calls = plan.number()
    ledger = _Ledger(journal, teacher.model, cost, tally)
    for _ in range(plan.retries + 1):
        asked = await teacher.complete_all(_open(plan, journal, ledger), ledger, ledger.deliver, _watch)
        ledger.flush()
        if not asked:
            break
    states = [plan.state(call, journal).done for paper in plan.records() for call in plan.calls(paper)]
    tally.calls, tally.done = len(states), sum(states)
    tally.failed = tally.calls - tally.done
    tally.changed(tally)


def _open(plan: Plan, journal: Journal, ledger: _Ledger) -> Iterator[tuple[str, TeacherRequest, list[Any]]]:
    """Key, request and row's head of every call that is open, but those that failed in this run."""
    ledger.flush()
    for paper in plan.records():
        for call in plan.calls(paper):
            state = plan.state(call, journal)
            if state.attempt >= 0 and state.key not in ledger.failed:
                request = state.request
                yield state.key, request, [request.paper_id, request.kind, request.part, state.attempt]


def _watch(what: str) -> None:
    LOG.info("synthesize: %s", what)
