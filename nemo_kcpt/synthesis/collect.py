"""Asking: calls grouped by paper, a bounded number under way, each on disk before it counts as done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from nemo_kcpt.errors import KcptError
from nemo_kcpt.logs import LOG
from nemo_kcpt.synthesis.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.synthesis.plan import Call, Plan, State
from nemo_kcpt.synthesis.replies import UnreadableReply
from nemo_kcpt.synthesis.teacher import Teacher, TeacherFault, TeacherReply, TeacherRequest, is_shortened

SAID = 500
"""Characters of a fault's message that are kept."""

Cost = Callable[[Mapping[str, int]], float]
"""Tokens of a call -> its price."""


class Asked(Protocol):
    """Whatever a reply can be an answer to."""

    def means(self, reply: str, finish_reason: str = "") -> Any:
        """What the reply says; raises UnreadableReply where it has another form."""
        ...


@dataclass
class Tally:
    """How far a run is; `changed` is called whenever it is further."""

    calls: int = 0
    """In all, as far as is known: papers that are divided add to it when their turn comes."""
    done: int = 0
    """Answered in the form asked for, now or before."""
    before: int = 0
    """Of these, before this run."""
    failed: int = 0
    asked: int = 0
    """Requests made by this run."""
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    started: float = field(default_factory=time.monotonic)
    changed: Callable[[Tally], None] = lambda _: None

    def add(self, row: Row) -> None:
        """Count a request's tokens and cost."""
        self.asked += 1
        self.prompt_tokens += row.prompt_tokens
        self.cached_tokens += row.cached_tokens
        self.completion_tokens += row.completion_tokens
        self.cost += row.cost

    @property
    def forecast(self) -> float:
        """What this run's part of the calls will have cost at its end, at the price so far."""
        now = self.done - self.before
        return self.cost / now * (self.calls - self.before) if now > 0 else 0.0


class Committer:
    """Writes rows in groups: while one group is on its way to the disk the next one gathers."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._waiting: list[tuple[Row, asyncio.Future[None]]] = []
        self._wake = asyncio.Event()
        self._writing: asyncio.Future[None] | None = None
        self._task = asyncio.create_task(self._work())

    async def commit(self, row: Row) -> None:
        """Return when the row is on disk.

        Raises:
            JournalFault: it could not be written.
        """
        future = asyncio.get_running_loop().create_future()
        self._waiting.append((row, future))
        self._wake.set()
        await future

    async def close(self) -> None:
        """Stop; rows that wait are written first."""
        self._task.cancel()
        await asyncio.gather(self._task, *filter(None, [self._writing]), return_exceptions=True)
        if rows := [row for row, future in self._waiting if not future.cancelled()]:
            self._journal.add(rows)

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            group, self._waiting = self._waiting, []
            try:
                rows = [row for row, _ in group]
                self._writing = asyncio.ensure_future(asyncio.to_thread(self._journal.add, rows))
                await asyncio.shield(self._writing)  # a thread cannot be called back
            except KcptError as error:
                for _, future in group:
                    if not future.done():
                        future.set_exception(error)
            else:
                for _, future in group:
                    if not future.done():
                        future.set_result(None)


async def collect(plan: Plan, journal: Journal, teacher: Teacher, concurrency: int, cost: Cost, tally: Tally) -> None:
    """Ask for every call of the plan that the journal does not answer.

    A reply of another form is asked for again with the next seed, up to the plan's retries. What cannot be answered is
    journaled as failed and the rest goes on.

    Raises:
        KcptError: the teacher cannot answer anything (wrong key, no server), or the journal cannot be written; what was
            answered before is kept.
    """
    calls: asyncio.Queue[tuple[Call, State]] = asyncio.Queue(maxsize=max(concurrency, 16))
    committer = Committer(journal)
    tally.calls = plan.number()

    async def produce() -> None:
        for paper in plan.records():
            added = -len(plan.kinds)
            for call in plan.calls(paper):
                added += 1
                state = plan.state(call, journal)
                if state.attempt >= 0:
                    await calls.put((call, state))
                else:
                    tally.done += state.done
                    tally.before += state.done
                    tally.failed += not state.done
                    tally.changed(tally)
            tally.calls += added
            await asyncio.sleep(0)

    async def work() -> None:
        while True:
            call, state = await calls.get()
            done = await _answer(plan, call, state, teacher, committer, cost, tally)
            tally.done += done
            tally.failed += not done
            tally.changed(tally)
            calls.task_done()

    async def all_of_it() -> None:
        await produce()
        await calls.join()

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    everything = asyncio.create_task(all_of_it())
    try:
        finished, _ = await asyncio.wait([everything, *workers], return_when=asyncio.FIRST_COMPLETED)
        for task in finished:
            task.result()  # a worker ends only by an error
    except TeacherFault as fault:
        raise KcptError(f"{fault}. What was answered is kept in {journal.path}; the same command goes on") from fault
    finally:
        for task in (everything, *workers):
            task.cancel()
        await asyncio.gather(everything, *workers, return_exceptions=True)
        await committer.close()


async def _answer(
    plan: Plan, call: Call, state: State, teacher: Teacher, committer: Committer, cost: Cost, tally: Tally
) -> bool:
    """Ask until a reply can be read; True if one could."""
    for number in range(state.attempt, plan.retries + 1):
        key, request = (state.key, state.request) if number == state.attempt else call.attempt(number)
        started = time.monotonic()
        try:
            reply = await teacher.complete(request)
        except TeacherFault as fault:
            seconds = time.monotonic() - started
            if fault.reply is not None:
                row = answered_row(key, call, request, number, fault.reply, seconds, cost, call.model)
            else:
                row = failed_row(key, request, number, fault, seconds)
            await committer.commit(row)
            if fault.fatal:
                raise
            LOG.debug("synthesize: %s: %s", call.name, fault)
            return False
        row = answered_row(key, call, request, number, reply, time.monotonic() - started, cost, call.model)
        await committer.commit(row)
        tally.add(row)
        if row.status == DONE:
            return True
        LOG.debug("synthesize: %s: %s", call.name, row.fault)
    return False


def _why_cut(reply: TeacherReply) -> str:
    used = int(reply.usage.get("completion_tokens", 0))
    if is_shortened(reply.finish_reason, used, reply.max_tokens):
        return f" (the server cut it off after {used} of {reply.max_tokens} tokens: the prompt leaves no more room)"
    return " (cut off: give more max_tokens=)" if reply.finish_reason == "length" else ""


def failed_row(key: str, request: TeacherRequest, number: int, fault: TeacherFault, seconds: float) -> Row:
    """The journal's row of a request that was not answered."""
    row = Row(key, request.paper_id, request.kind, request.part, number, FAILED)
    return replace(row, fault=f"{fault.name}: {fault}"[:SAID], seconds=round(seconds, 3))


def answered_row(
    key: str,
    call: Asked,
    request: TeacherRequest,
    number: int,
    reply: TeacherReply,
    seconds: float,
    cost: Cost,
    model: str,
) -> Row:
    """The journal's row of a request that was answered, readable or not."""
    text = reply.text.encode("utf-8", "replace").decode()  # half a UTF-16 character cannot be stored
    fault = ""
    try:
        call.means(text, reply.finish_reason)
    except UnreadableReply as error:
        fault = f"{error.fault}{_why_cut(reply)}"[:SAID]
    row = Row(key, request.paper_id, request.kind, request.part, number, UNREADABLE if fault else DONE)
    return replace(
        row,
        reply=text,
        finish_reason=reply.finish_reason,
        fault=fault,
        seconds=round(seconds, 3),
        cost=cost(reply.usage),
        prompt_tokens=int(reply.usage.get("prompt_tokens", 0)),
        completion_tokens=int(reply.usage.get("completion_tokens", 0)),
        cached_tokens=int(reply.usage.get("cached_tokens", 0)),
        asked=model if reply.served else "",
        served=reply.served,
    )
