"""The journal's rows of requests, and how they get to the disk before they count as done."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Protocol

from nemo_kcpt.errors import KcptError
from nemo_kcpt.llm.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest, UnreadableReply, is_shortened

SAID = 500
"""Characters of a fault's message that are kept."""

Cost = Callable[[Mapping[str, int]], float]
"""Tokens of a call -> its price."""


class Asked(Protocol):
    """Whatever a reply can be an answer to."""

    def means(self, reply: str, finish_reason: str = "") -> Any:
        """What the reply says; raises UnreadableReply where it has another form."""
        ...


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


def storable(row: Row) -> Row:
    """The row as SQLite can hold it, whatever a server says: no half characters, no numbers beyond 64 bits."""
    texts = {name: getattr(row, name).encode("utf-8", "replace").decode() for name in ("fault", "finish_reason")}
    numbers = {name: min(getattr(row, name), 2**62) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")}
    return replace(row, **texts, **numbers)
