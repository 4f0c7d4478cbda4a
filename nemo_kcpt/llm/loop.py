"""The one loop that asks: requests in turn until a reply can be read, each on disk before it counts, many at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from nemo_kcpt.llm.journal import DONE, Row
from nemo_kcpt.llm.request import Teacher, TeacherFault, TeacherRequest
from nemo_kcpt.llm.rows import Asked, Committer, Cost, answered_row, failed_row, storable


async def answer(
    asked: Asked,
    attempts: Iterable[tuple[int, str, TeacherRequest]],
    teacher: Teacher,
    committer: Committer,
    cost: Cost,
    seen: Callable[[Row], None],
) -> Row | None:
    """Make requests until a reply can be read; a reply that was under way when this is cancelled is kept, too.

    Args:
        asked: reads the replies.
        attempts: number, key and request of each attempt, in turn.
        teacher: answers them.
        committer: puts the rows on disk.
        cost: price of a request's tokens.
        seen: is called with each row that was answered.

    Returns:
        The last request's row; None if there was nothing to ask.

    Raises:
        TeacherFault: asking anything is pointless; its row is on disk.
    """
    row = None
    for number, key, request in attempts:
        started = time.monotonic()
        try:
            reply = await teacher.complete(request)
        except TeacherFault as fault:
            seconds = time.monotonic() - started
            if fault.reply is None:
                row = failed_row(key, request, number, fault, seconds)
            else:  # paid for
                row = answered_row(key, asked, request, number, fault.reply, seconds, cost, teacher.model)
            await asyncio.shield(committer.commit(storable(row)))
            if fault.fatal:
                raise
            return row
        row = answered_row(key, asked, request, number, reply, time.monotonic() - started, cost, teacher.model)
        await asyncio.shield(committer.commit(storable(row)))  # another's fault must not lose what was answered
        seen(row)
        if row.status == DONE:
            break
    return row


async def side_by_side(work: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
    """Run `work` a number of times at once; where one fails the others are cancelled, and have ended on return."""
    workers = [asyncio.create_task(work()) for _ in range(number)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
