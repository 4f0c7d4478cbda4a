"""Asking an LLM short questions with short, structured answers: the judge's and the context filter's common part.

Requests go through the teachers of `kcpt synthesize` and into the same kind of journal: each is on disk before it
counts as done, so that nothing is asked or paid for twice but what was under way when a run was killed. A reply that
cannot be read is asked for again with another seed and, since a greedy model heeds no seed, a reminder, then a higher
temperature; one that stays unreadable is told as such, never as a verdict. Equal requests are made once, whatever they
are called.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.llm import Llm
from nemo_kcpt.logs import LOG

if TYPE_CHECKING:
    from nemo_kcpt.synthesis.attempts import Attempt
    from nemo_kcpt.synthesis.collect import Committer
    from nemo_kcpt.synthesis.journal import Journal, Row
    from nemo_kcpt.synthesis.stage import Config
    from nemo_kcpt.synthesis.teacher import Messages, Teacher, TeacherFault, TeacherRequest


@dataclass(frozen=True, kw_only=True)
class Inquiry:
    """One thing to ask."""

    name: str
    """Unique among those asked together; stands in the journal and in messages."""
    kind: str
    """What it is asked for, as `judge`."""
    messages: Messages | Callable[[], Messages]
    """The prompt, or what makes it when it is needed: thousands of papers' prompts need not be in memory at once."""
    schema: Mapping[str, Any]
    """JSON schema of the reply."""
    read: Callable[[str], Any]
    """Reply -> its meaning; raises UnreadableReply where it has another form."""
    reminder: str = ""
    """What is added to the last message when a reply could not be read."""

    def means(self, reply: str, finish_reason: str = "") -> Any:
        """The reply's meaning, under the name that the journal's rows are made with."""
        return self.read(reply)

    def first(self) -> Messages:
        """The prompt."""
        return self.messages() if callable(self.messages) else self.messages

    def tries(self, seed: int, number: int, teacher: Teacher) -> list[Attempt]:
        """The request, and those to make where replies cannot be read: `number` in all."""
        from nemo_kcpt.synthesis.attempts import attempts
        from nemo_kcpt.synthesis.teacher import TeacherRequest

        name = self.name.encode("utf-8", "replace").decode()  # half a UTF-16 character cannot be stored
        first = self.first()
        *before, last = first
        again = (*before, {**last, "content": last["content"] + self.reminder}) if self.reminder else ()
        request = TeacherRequest(name, self.kind, "", first, seed=seed, schema=self.schema)
        return attempts(request, number, teacher, again=again)


@dataclass(frozen=True, kw_only=True)
class Answered:
    """What came of an inquiry."""

    value: Any = None
    """What `read` made of the reply; None if there is no readable one."""
    fault: str = ""
    """Why there is no value."""
    reply: str = ""
    """Raw, of the last request."""


@dataclass(kw_only=True)
class Totals:
    """What asking took, over all runs that the journal knows; what several inquiries share counts once."""

    requests: int = 0
    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    cost: float = 0.0
    shortened: int = 0
    """Replies that the server cut off before max_tokens were used up."""
    served_models: dict[str, int] = field(default_factory=dict)
    """Names other than the one asked for under which replies came, and how many."""

    def __str__(self) -> str:
        money = f", cost {self.cost:.2f}" if self.cost else ""
        return f"{(self.prompt_tokens + self.completion_tokens) / 1e6:.2f} M tokens{money}"

    def count(self, row: Row, max_tokens: int) -> None:
        """Count a request whose reply may have had `max_tokens`."""
        from nemo_kcpt.synthesis.teacher import is_shortened

        self.requests += 1
        self.prompt_tokens += row.prompt_tokens
        self.cached_tokens += row.cached_tokens
        self.completion_tokens += row.completion_tokens
        self.cost += row.cost
        self.shortened += is_shortened(row.finish_reason, row.completion_tokens, max_tokens)
        if row.served:
            self.served_models[row.served] = self.served_models.get(row.served, 0) + 1

    def add(self, other: Totals) -> None:
        """Count another model's as well."""
        for known in fields(self):
            mine, theirs = getattr(self, known.name), getattr(other, known.name)
            if isinstance(mine, dict):
                setattr(self, known.name, dict(Counter(mine) + Counter(theirs)))
            else:
                setattr(self, known.name, mine + theirs)


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
    from nemo_kcpt.synthesis import teachers

    return teachers.make(_teacher_config(llm, folder))


def _teacher_config(llm: Llm, folder: Path) -> Config:
    from nemo_kcpt.synthesis.stage import Config

    try:
        return Config(
            corpus=folder, out=folder, teacher=llm.engine, model=llm.model, base_url=llm.base_url,
            api_key_env=llm.api_key_env, temperature=llm.temperature, top_p=1.0, max_tokens=llm.max_tokens,
            seed=llm.seed, structured=llm.structured, extra_body=dict(llm.extra_body), window=llm.window,
            concurrency=llm.concurrency, requests_per_minute=llm.requests_per_minute,
            served_model=llm.served_model, tokens_per_minute=llm.tokens_per_minute, timeout=llm.timeout,
            retries=llm.retries, reply_retries=llm.reply_retries,
            price_prompt=llm.price_prompt, price_cached=llm.price_cached,
            price_completion=llm.price_completion, gpu_memory=llm.gpu_memory, tensor_parallel=llm.tensor_parallel,
        )  # fmt: skip
    except ValueError as error:
        raise BadInput(str(error)) from None


async def _ask(inquiries: Sequence[Inquiry], llm: Llm, path: Path, title: str) -> tuple[dict[str, Answered], Totals]:
    from nemo_kcpt.synthesis.journal import Journal
    from nemo_kcpt.synthesis.teacher import TeacherFault
    from nemo_kcpt.synthesis.teachers.faults import refuse_names

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
                    raise KcptError(f"{title}: {_told(fault, llm)}") from fault
            if unknown:
                journal.note(noted, getattr(teacher, "structured", ""))
                asking = _Asking(teacher, journal, llm, title)  # the form that was found enters the requests' keys
            await asking.run(inquiries)
            return asking.outcome(inquiries)
    finally:
        await teacher.close()


async def side_by_side(work: Callable[[], Coroutine[Any, Any, None]], number: int) -> None:
    """Run `work` so many times at once; where one fails the others are cancelled, and have ended on return."""
    workers = [asyncio.create_task(work()) for _ in range(number)]
    try:
        await asyncio.gather(*workers)
    finally:
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)


class _Asking:
    """One run of `ask`."""

    def __init__(self, teacher: Teacher, journal: Journal, llm: Llm, title: str) -> None:
        self._teacher, self._journal, self._llm, self._title = teacher, journal, llm, title
        self._cost = _teacher_config(llm, Path()).cost
        self._known: dict[str, str] = {}
        self._now = Totals()

    def _tries(self, inquiry: Inquiry) -> list[Attempt]:
        return inquiry.tries(self._llm.seed, self._llm.reply_retries + 1, self._teacher)

    def _key(self, request: TeacherRequest) -> str:
        from nemo_kcpt.synthesis.teacher import request_sha256

        return request_sha256(self._teacher.model, self._teacher.params, request)

    def _first_key(self, inquiry: Inquiry) -> str:
        if inquiry.name not in self._known:
            self._known[inquiry.name] = self._key(self._tries(inquiry)[0].request)
        return self._known[inquiry.name]

    def _rows(self, inquiry: Inquiry) -> list[Row]:
        """What the journal has of an inquiry, attempt by attempt, up to the first readable reply or failure."""
        from nemo_kcpt.synthesis.attempts import find
        from nemo_kcpt.synthesis.journal import DONE, FAILED, UNREADABLE

        found: list[Row] = []
        for attempt in self._tries(inquiry):
            row = find(self._journal, attempt, self._key, lambda row: _readable(inquiry, row.reply))
            if row is None:
                break
            if row.status == DONE and not _readable(inquiry, row.reply):
                row = replace(row, status=UNREADABLE, fault="unreadable: by this version's reading")
            found.append(row)
            if row.status in (DONE, FAILED):
                break
        if not found or found[-1].status != DONE:  # what an earlier version could not read is not paid for again
            for number, row in enumerate(found):
                if row.status == UNREADABLE and _readable(inquiry, row.reply):
                    return [*found[:number], replace(row, status=DONE, fault="")]
        return found

    def next_attempt(self, inquiry: Inquiry) -> int | None:
        """Number of the request to make next, from 0; None if there is nothing left to ask."""
        from nemo_kcpt.synthesis.journal import DONE, FAILED

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
        from nemo_kcpt.progress import progress
        from nemo_kcpt.synthesis.collect import Committer

        waiting, different = self.waiting(inquiries), len({self._first_key(inquiry) for inquiry in inquiries})
        if len(waiting) < different:
            LOG.info("%s: %d of %d are in the journal already", self._title, different - len(waiting), different)
        committer = Committer(self._journal)
        queue = iter(waiting)
        with progress() as bar:
            task = bar.add_task(self._title, total=different, completed=different - len(waiting))

            async def work() -> None:
                for inquiry in queue:
                    await self._one(inquiry, committer)
                    bar.update(task, advance=1, description=f"{self._title} ({self._now})")

            try:
                await side_by_side(work, min(self._llm.concurrency, len(waiting)))
            finally:
                await committer.close()

    async def _one(self, inquiry: Inquiry, committer: Committer) -> None:
        from nemo_kcpt.synthesis.collect import answered_row, failed_row
        from nemo_kcpt.synthesis.journal import DONE
        from nemo_kcpt.synthesis.teacher import TeacherFault

        for number, attempt in list(enumerate(self._tries(inquiry)))[self.next_attempt(inquiry) :]:
            request = attempt.request
            key = self._key(request)
            started = time.monotonic()
            try:
                reply = await self._teacher.complete(request)
            except TeacherFault as fault:
                seconds = time.monotonic() - started
                row = failed_row(key, request, number, fault, seconds)
                if fault.reply is not None:
                    row = answered_row(
                        key, inquiry, request, number, fault.reply, seconds, self._cost, self._teacher.model
                    )
                await asyncio.shield(committer.commit(_storable(row)))
                if fault.fatal:
                    raise KcptError(
                        f"{self._title}: {_told(fault, self._llm)}. Answers so far are kept; the same command goes on"
                    ) from fault
                return
            seconds = time.monotonic() - started
            row = answered_row(key, inquiry, request, number, reply, seconds, self._cost, self._teacher.model)
            await asyncio.shield(committer.commit(_storable(row)))  # another's fault must not lose what was answered
            self._now.count(row, self._llm.max_tokens)
            if row.status == DONE:
                return

    def outcome(self, inquiries: Sequence[Inquiry]) -> tuple[dict[str, Answered], Totals]:
        """What the journal says of each."""
        from nemo_kcpt.synthesis.journal import DONE

        totals, found = Totals(), {}
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
                found[inquiry.name] = Answered(value=inquiry.read(last.reply), reply=last.reply)
            else:
                found[inquiry.name] = Answered(
                    fault=last.fault if last else "never asked", reply=last.reply if last else ""
                )
        if totals.shortened:
            LOG.warning(
                "%s: %d replies were cut off by the server before max_tokens=%d were used up: prompt and reply do not "
                "fit its window", self._title, totals.shortened, self._llm.max_tokens,
            )  # fmt: skip
        return found, totals


def _storable(row: Row) -> Row:
    """The row as SQLite can hold it, whatever a server says: no half characters, no numbers beyond 64 bits."""
    texts = {name: getattr(row, name).encode("utf-8", "replace").decode() for name in ("fault", "finish_reason")}
    numbers = {name: min(getattr(row, name), 2**62) for name in ("prompt_tokens", "cached_tokens", "completion_tokens")}
    return replace(row, **texts, **numbers)


def _told(fault: TeacherFault, llm: Llm) -> str:
    """What a teacher says, with the key by which the user names the model."""
    return str(fault).replace("model=", f"{llm.key}=")


def _readable(inquiry: Inquiry, reply: str) -> bool:
    from nemo_kcpt.synthesis.replies import UnreadableReply

    try:
        inquiry.read(reply)
    except UnreadableReply:
        return False
    return True
