"""Asking an LLM short questions with short, structured answers: the judge's and the context filter's common part.

Requests go through the clients and into the kind of journal that `kcpt synthesize` has: each is on disk before it
counts as done, so that nothing is asked or paid for twice but what was under way when a run was killed. A reply that
cannot be read is asked for again with another seed and, since a greedy model heeds no seed, a reminder, then a higher
temperature; one that stays unreadable is reported as such, never as a verdict. Equal requests are made once, whatever
they are called.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nemo_kcpt.errors import KcptError
from nemo_kcpt.llm.attempts import Attempt, find
from nemo_kcpt.llm.clients import make
from nemo_kcpt.llm.faults import refuse_names
from nemo_kcpt.llm.inquiry import Answered, Inquiry, Totals
from nemo_kcpt.llm.journal import DONE, FAILED, UNREADABLE, Journal, Row
from nemo_kcpt.llm.loop import answer, side_by_side
from nemo_kcpt.llm.request import Teacher, TeacherFault, TeacherRequest, UnreadableReply, request_sha256
from nemo_kcpt.llm.rows import Committer
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress


def ask(inquiries: Sequence[Inquiry], llm: Llm, journal: Path, title: str) -> tuple[dict[str, Answered], Totals]:
    """Ask for whatever the journal does not answer yet.

    Args:
        inquiries: with different names.
        llm: whom to ask.
        journal: SQLite file; made if it is not there. Several models may share one.
        title: of the progress bar and of messages.

    Returns:
        What came of each inquiry, by its name, in their order; and tokens and cost of these inquiries.

    Raises:
        KcptError: nothing can be asked (no server, a wrong key) or the journal cannot be used; answers are kept.
        ValueError: two inquiries have one name.
    """
    twice = [name for name, number in Counter(inquiry.name for inquiry in inquiries).items() if number > 1]
    if twice:
        raise ValueError(f"two inquiries are called {twice[0]}")
    if not inquiries:
        return {}, Totals()
    return asyncio.run(_ask(inquiries, llm, journal, title))


def make_teacher(llm: Llm, folder: Path) -> Teacher:
    """The client of `llm`; `folder` takes the log of a server that is started.

    Raises:
        BadInput: a value that cannot be, no address or key where one is needed, or no serve environment.
    """
    return make(replace(llm, log=folder / "vllm.log"))


async def _ask(inquiries: Sequence[Inquiry], llm: Llm, path: Path, title: str) -> tuple[dict[str, Answered], Totals]:
    teacher = make_teacher(llm, path.parent)
    try:
        with Journal(path) as journal:
            if damaged := journal.damaged():
                LOG.warning("%s: %s: %d damaged rows; they are asked for again", title, path, damaged)
            noted = f"structured {llm.model}"
            mode = journal.notes(noted).get(noted)
            if mode and getattr(teacher, "structured", "") == "auto":
                teacher.structured = mode  # type: ignore[attr-defined]
            refuse_names(journal, llm.model, llm.served_model, llm.key)
            asking = _Asking(teacher, journal, llm, title)
            unknown = getattr(teacher, "structured", "") == "auto"
            if unknown or asking.waiting(inquiries):
                try:
                    await teacher.prepare()
                except TeacherFault as fault:
                    raise KcptError(f"{title}: {_said(fault, llm)}") from fault
            if unknown:
                journal.note(noted, getattr(teacher, "structured", ""))
                asking = _Asking(teacher, journal, llm, title)  # the form that was found enters the requests' keys
            await asking.run(inquiries)
            return asking.outcome(inquiries)
    finally:
        await teacher.close()


class _Asking:
    """One run of `ask`."""

    def __init__(self, teacher: Teacher, journal: Journal, llm: Llm, title: str) -> None:
        self._teacher, self._journal, self._llm, self._title = teacher, journal, llm, title
        self._known: dict[str, str] = {}
        self._now = Totals()

    def _tries(self, inquiry: Inquiry) -> list[Attempt]:
        return inquiry.tries(self._llm.seed, self._llm.reply_retries + 1, self._teacher)

    def _key(self, request: TeacherRequest) -> str:
        return request_sha256(self._teacher.model, self._teacher.params, request)

    def _first_key(self, inquiry: Inquiry) -> str:
        if inquiry.name not in self._known:
            self._known[inquiry.name] = self._key(self._tries(inquiry)[0].request)
        return self._known[inquiry.name]

    def _rows(self, inquiry: Inquiry) -> list[Row]:
        """What the journal has of an inquiry, attempt by attempt, up to the first readable reply or failure."""
        rows: list[Row] = []
        for attempt in self._tries(inquiry):
            row = find(self._journal, attempt, self._key, lambda row: _readable(inquiry, row.reply))
            if row is None:
                break
            if row.status == DONE and not _readable(inquiry, row.reply):
                row = replace(row, status=UNREADABLE, fault="unreadable: by this version's reading")
            rows.append(row)
            if row.status in (DONE, FAILED):
                break
        if not rows or rows[-1].status != DONE:  # what an earlier version could not read is not paid for again
            for number, row in enumerate(rows):
                if row.status == UNREADABLE and _readable(inquiry, row.reply):
                    return [*rows[:number], replace(row, status=DONE, fault="")]
        return rows

    def next_attempt(self, inquiry: Inquiry) -> int | None:
        """Number of the request to make next, from 0; None if there is nothing left to ask."""
        rows = self._rows(inquiry)
        if rows and rows[-1].status == DONE:
            return None
        if rows and rows[-1].status == FAILED:
            return len(rows) - 1  # the server did not answer it: the same request again
        return len(rows) if len(rows) <= self._llm.reply_retries else None

    def waiting(self, inquiries: Sequence[Inquiry]) -> list[Inquiry]:
        """One inquiry for each request that is still to be made."""
        open_ones = (inquiry for inquiry in inquiries if self.next_attempt(inquiry) is not None)
        return list({self._first_key(inquiry): inquiry for inquiry in open_ones}.values())

    async def run(self, inquiries: Sequence[Inquiry]) -> None:
        """Ask what is open, a bounded number at once."""
        waiting, different = self.waiting(inquiries), len({self._first_key(inquiry) for inquiry in inquiries})
        if len(waiting) < different:
            LOG.info("%s: %d of %d are in the journal already", self._title, different - len(waiting), different)
        committer = Committer(self._journal)
        queue = iter(waiting)
        with progress() as bar:
            task = bar.add_task(self._title, total=different, completed=different - len(waiting))

            async def work() -> None:
                for inquiry in queue:
                    await self._run_inquiry(inquiry, committer)
                    bar.update(task, advance=1, description=f"{self._title} ({self._now})")

            try:
                await side_by_side(work, min(self._llm.concurrency, len(waiting)))
            finally:
                await committer.close()

    async def _run_inquiry(self, inquiry: Inquiry, committer: Committer) -> None:
        tries = list(enumerate(self._tries(inquiry)))[self.next_attempt(inquiry) :]
        attempts = ((number, self._key(attempt.request), attempt.request) for number, attempt in tries)

        def seen(row: Row) -> None:
            self._now.count(row, self._llm.max_tokens)

        try:
            await answer(inquiry, attempts, self._teacher, committer, self._llm.cost, seen)
        except TeacherFault as fault:
            raise KcptError(
                f"{self._title}: {_said(fault, self._llm)}. Answers so far are kept; rerun the same command to resume"
            ) from fault

    def outcome(self, inquiries: Sequence[Inquiry]) -> tuple[dict[str, Answered], Totals]:
        """What the journal says of each."""
        totals, answered = Totals(), {}
        counted: set[str] = set()
        for inquiry in inquiries:
            rows = self._rows(inquiry)
            for row in rows:
                if row.key in counted:
                    continue
                counted.add(row.key)
                totals.count(row, self._llm.max_tokens)
            last = rows[-1] if rows else None
            if last is not None and last.status == DONE:
                answered[inquiry.name] = Answered(value=inquiry.read(last.reply), reply=last.reply)
            else:
                answered[inquiry.name] = Answered(
                    fault=last.fault if last else "never asked", reply=last.reply if last else ""
                )
        if totals.shortened:
            LOG.warning(
                "%s: %d replies were cut off by the server before max_tokens=%d were used up: prompt and reply do not "
                "fit its window",
                self._title,
                totals.shortened,
                self._llm.max_tokens,
            )
        return answered, totals


def _said(fault: TeacherFault, llm: Llm) -> str:
    """What a teacher says, with the key by which the user names the model."""
    return str(fault).replace("model=", f"{llm.key}=")


def _readable(inquiry: Inquiry, reply: str) -> bool:
    try:
        inquiry.read(reply)
    except UnreadableReply:
        return False
    return True
