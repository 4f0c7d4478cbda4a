"""Asking: calls grouped by paper, a bounded number under way, each on disk before it counts as done."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import chain

from nemo_kcpt.errors import KcptError
from nemo_kcpt.llm.journal import DONE, Journal, Row
from nemo_kcpt.llm.loop import answer
from nemo_kcpt.llm.request import Teacher, TeacherFault
from nemo_kcpt.llm.rows import Committer, Cost
from nemo_kcpt.logs import LOG
from nemo_kcpt.synthesis.plan import Call, Plan, State


@dataclass
class Tally:
    """How far a run is; `changed` is called whenever it is further."""

    calls: int = 0
    """In all, as far as is known: papers that are divided add to it when their turn comes."""
    done: int = 0
    """Answered in the form asked for, now or before."""
    before: int = 0
    """Those of them that were answered before this run."""
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


async def collect(plan: Plan, journal: Journal, teacher: Teacher, concurrency: int, cost: Cost, tally: Tally) -> None:
    """Ask for every call of the plan that the journal does not answer.

    A reply of another form is asked for again with the next seed, up to the plan's retries. What cannot be answered is
    journaled as failed and the rest continues.

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
        kept = f"What was answered is kept in {journal.path}; rerun the same command to resume"
        raise KcptError(f"{fault}. {kept}") from fault
    finally:
        for task in (everything, *workers):
            task.cancel()
        await asyncio.gather(everything, *workers, return_exceptions=True)
        await committer.close()


async def _answer(
    plan: Plan, call: Call, state: State, teacher: Teacher, committer: Committer, cost: Cost, tally: Tally
) -> bool:
    """Ask until a reply can be read; True if one could."""
    again = ((number, *call.attempt(number)) for number in range(state.attempt + 1, plan.retries + 1))
    row = await answer(
        call, chain([(state.attempt, state.key, state.request)], again), teacher, committer, cost, tally.add
    )
    if row is not None and row.status == DONE:
        return True
    LOG.debug("synthesize: %s: %s", call.name, row and row.fault)
    return False
