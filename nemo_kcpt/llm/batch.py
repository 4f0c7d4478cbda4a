"""OpenAI's Batch API: half the price, within a day. Requests go up as files; a lost process finds its batches again.

What is submitted is noted in the journal before the upload, after it, and after the submission. A process lost in
between finds the batch by the note's name, which is in its metadata, or by its file, and so does one whose
connection was lost before the server's answer came: the same file is never submitted twice. Whatever a batch brings is
kept in the journal, and what was answered (status 200) counts as asked, even where it cannot be read or bears no id.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import random
import secrets
import time
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

from nemo_kcpt.errors import KcptError
from nemo_kcpt.llm.connection import connect
from nemo_kcpt.llm.faults import passing
from nemo_kcpt.llm.openai import FIRST_WAIT, LIMITS, LONGEST_OBEYED, LONGEST_WAIT, OpenAITeacher
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG

ENDPOINT = "/v1/chat/completions"
MOST_REQUESTS = 50_000
MOST_BYTES = 180_000_000
"""A little under the 200 MB that a file may have."""
ENDED = ("completed", "failed", "expired", "cancelled")
LOOKED_BACK = 500
"""Batches of the account that are looked through for a lost one, at least."""
EARLIER = 86_400
"""Seconds before the note of a submission: a batch that is older is not the one that is looked for."""
STRAY = "stray replies of "
"""Note with the lines of a batch's result that cannot be assigned to a request."""
NOTE = "batch "

Request = tuple[str, TeacherRequest, list[Any]]
"""Key, request, and what whoever asks wants to be told with the answer (JSON)."""
Deliver = Callable[[str, Sequence[Any], "TeacherReply | TeacherFault"], None]
"""(key, what was to be told with it, what came of it)."""


class Notes(Protocol):
    """What survives a lost process: the journal's notes."""

    def note(self, name: str, value: Any) -> None:
        """Keep a JSON value under a name."""
        ...

    def notes(self, prefix: str = "") -> dict[str, Any]:
        """The values whose names begin so."""
        ...

    def forget(self, name: str) -> None:
        """Drop a note."""
        ...


class BatchTeacher(OpenAITeacher):
    """Answers many requests at once, in a day."""

    def __init__(self, llm: Llm) -> None:
        super().__init__(llm)
        if self.structured == "auto":
            self.structured = "json_schema"  # there is nobody to ask before the batch is in

    @property
    def _asked(self) -> dict[str, Any]:
        """What a reply's name and length are held against."""
        return {
            **self._sampling,
            "model": self.model,
            **{name: self._extra[name] for name in LIMITS if name in self._extra},
        }

    async def prepare(self) -> None:
        """Connect."""
        if self._client is None:
            self._client = connect(self._llm)

    async def complete_all(
        self, requests: Iterable[Request], notes: Notes, deliver: Deliver, watch: Callable[[str], None]
    ) -> int:
        """Answer the requests, those of earlier batches first; returns the number delivered.

        Args:
            requests: asked for once the batches of an earlier process are collected.
            notes: survives a lost process.
            deliver: called once for each key, good or bad.
            watch: called with what is being waited for.

        Raises:
            KcptError: the server refuses the batches.
        """
        await self.prepare()
        delivered = await self._collect(notes, deliver, watch)
        for lines, about in _files(requests, self.body):
            await self._submit(lines, about, notes)
        return delivered + await self._collect(notes, deliver, watch)

    async def _submit(self, lines: bytes, about: Mapping[str, list[Any]], notes: Notes) -> None:
        # A name of its own for each submission: an expired batch may have had the same content.
        mark = f"{hashlib.sha256(lines).hexdigest()[:32]}-{secrets.token_hex(4)}"
        name = f"{NOTE}{mark}"
        note: dict[str, Any] = {"about": about, "id": None, "at": int(time.time())}
        notes.note(name, note)
        uploaded = await self._call(
            "files.create", lambda: self._client.files.create(file=("kcpt.jsonl", io.BytesIO(lines)), purpose="batch")
        )
        note["file"] = uploaded.id
        notes.note(name, note)

        async def create() -> Any:
            return await self._client.batches.create(
                input_file_id=uploaded.id, endpoint=ENDPOINT, completion_window="24h", metadata={"kcpt": mark}
            )

        created = await self._call("batches.create", create, instead=lambda: self._listed(mark, note))
        notes.note(name, {**note, "id": created.id})
        LOG.info("teacher: batch %s submitted with %d requests", created.id, len(about))

    async def _collect(self, notes: Notes, deliver: Deliver, watch: Callable[[str], None]) -> int:
        """Wait for every noted batch and deliver what came of it."""
        delivered = 0
        open_batches = notes.notes(NOTE)
        for name, note in open_batches.items():
            if note["id"] is None and (note := await self._find(name, note, notes)) is None:
                continue
            delivered += await self._wait(name, note, notes, deliver, watch)
        return delivered

    async def _find(self, name: str, note: dict[str, Any], notes: Notes) -> dict[str, Any] | None:
        """The batch of a file that was to be submitted when the process was lost; None if it never was."""
        batch = await self._call("batches.list", lambda: self._listed(name[len(NOTE) :], note))
        if batch is None:
            notes.forget(name)
            return None
        updated = {**note, "id": batch.id}
        notes.note(name, updated)
        return updated

    async def _listed(self, mark: str, note: Mapping[str, Any]) -> Any:
        """The account's batch that bears a mark or was made of the note's file, or None. The newest come first."""
        seen, file, since = 0, note.get("file"), note.get("at", 0) - EARLIER
        async for batch in self._client.batches.list(limit=100):
            seen += 1
            if (batch.metadata or {}).get("kcpt") == mark or (file and batch.input_file_id == file):
                return batch
            if seen >= LOOKED_BACK and (since < 0 or (batch.created_at or 0) < since):
                break
        return None

    async def _wait(
        self, name: str, note: dict[str, Any], notes: Notes, deliver: Deliver, watch: Callable[[str], None]
    ) -> int:
        while True:
            batch = await self._call("batches.retrieve", lambda: self._client.batches.retrieve(note["id"]))
            counts = batch.request_counts
            done = f"{counts.completed + counts.failed:,} of {counts.total:,}" if counts else ""
            watch(f"batch {batch.id}: {batch.status} {done}".strip())
            if batch.status in ENDED:
                break
            await asyncio.sleep(self._llm.poll)
        waiting = dict(note["about"])
        strays: list[str] = []
        for file in (batch.output_file_id, batch.error_file_id):
            if file:
                content = await self._call("files.content", partial(self._client.files.content, file))
                for key, answer in self._answers(content.text, note["about"], strays):
                    if key in waiting:
                        deliver(key, waiting.pop(key), answer)
        if strays:
            self._assign(batch, strays, waiting, notes, deliver)
        if not batch.output_file_id and not batch.error_file_id and batch.status == "failed":
            reasons = "; ".join(error.message or "" for error in (batch.errors.data if batch.errors else None) or [])
            notes.forget(name)
            raise KcptError(f"batch {batch.id} was refused: {self._said(reasons or 'no reason given')}")
        if waiting:  # expired or cancelled: asked for again by the next call
            LOG.warning("teacher: batch %s: %d requests were not answered (%s)", batch.id, len(waiting), batch.status)
            for key in sorted(waiting):
                fault = TeacherFault(f"batch_{batch.status}", f"batch {batch.id} ended as {batch.status}")
                deliver(key, waiting[key], fault)
        notes.forget(name)
        return len(note["about"])

    def _assign(
        self, batch: Any, strays: list[str], waiting: dict[str, list[Any]], notes: Notes, deliver: Deliver
    ) -> None:
        """Keep lines that bear no id of ours. They were paid for, so that the requests which are still waiting are not
        made again as they were; a single line can only belong to the single request that waits."""
        notes.note(f"{STRAY}{batch.id}", strays)
        LOG.warning(
            "teacher: batch %s: %d lines of its result bear no id of ours; they are kept in the journal's notes",
            batch.id,
            len(strays),
        )
        if len(strays) == len(waiting) == 1:
            line = _with_id(strays[0], next(iter(waiting)))
            for key, answer in list(self._answers(line, list(waiting), [])):
                deliver(key, waiting.pop(key), answer)
        for key in sorted(waiting) if len(strays) >= len(waiting) else ():
            said = f"batch {batch.id} answered it in a line without its id; the lines are in the journal's notes"
            kept = TeacherReply("", "", {})
            deliver(key, waiting.pop(key), TeacherFault("stray_reply", said, reply=kept))

    def _answers(
        self, text: str, known: Container[str], strays: list[str]
    ) -> Iterator[tuple[str, TeacherReply | TeacherFault]]:
        """What a result's lines say; those that bear none of the known ids are added to `strays`, errors aside."""
        from openai.types.chat import ChatCompletion

        for line in text.split("\n"):  # not splitlines: replies may hold U+2028, U+0085 and their like
            if not line.strip():
                continue
            try:
                record = json.loads(line)
                key, response, error = str(record.get("custom_id")), record.get("response"), record.get("error")
            except (ValueError, TypeError, AttributeError):
                strays.append(line)
                continue
            response = response if isinstance(response, dict) else {}
            body = response.get("body")
            if key not in known:
                strays += [line] if response.get("status_code") == 200 else []
                continue
            if error or response.get("status_code") != 200:
                said = error or (isinstance(body, dict) and body.get("error")) or response.get("status_code")
                yield key, TeacherFault("batch_error", self._said(said))
                continue
            kept = TeacherReply(json.dumps(body, ensure_ascii=False), "", {})
            try:
                reply = self._read(ChatCompletion.model_construct(**_nested(body)), self._asked)
                if self._llm.served_model == "any":
                    self._tell_name(reply)
                yield key, reply
            except TeacherFault as fault:
                yield key, TeacherFault(fault.name, str(fault), reply=kept)
            except (TypeError, KeyError, AttributeError) as error:
                yield key, TeacherFault("invalid_reply", self._said(error), reply=kept)

    async def _call(
        self, what: str, call: Callable[[], Awaitable[Any]], instead: Callable[[], Awaitable[Any]] | None = None
    ) -> Any:
        """An API call with the teacher's retries; before one, `instead` may find what a lost answer told."""
        import openai

        for attempt in range(self._llm.retries + 1):
            try:
                if attempt and instead and (result := await instead()) is not None:
                    return result
                return await call()
            except openai.APIStatusError as error:
                fault = await self._status(error)
            except openai.OpenAIError as error:
                fault = passing("connection", self._said(error))
            if not fault.passes or attempt == self._llm.retries or fault.wait > LONGEST_OBEYED:
                raise KcptError(f"{what}: {fault}. Rerun the same command to resume") from None
            await asyncio.sleep(fault.wait or random.uniform(0.5, 1) * min(FIRST_WAIT * 2**attempt, LONGEST_WAIT))
        raise AssertionError


def _with_id(line: str, key: str) -> str:
    """A result's line with an id; as it is if it is no JSON object."""
    try:
        record = json.loads(line)
        return json.dumps({**record, "custom_id": key}, ensure_ascii=False)
    except (ValueError, TypeError):
        return line


def _nested(body: Any) -> dict[str, Any]:
    """A completion's JSON as objects with attributes, as the client gives them."""
    from types import SimpleNamespace

    def made(value: Any) -> Any:
        if isinstance(value, dict):
            return SimpleNamespace(**{str(key): made(item) for key, item in value.items()})
        return [made(item) for item in value] if isinstance(value, list) else value

    return {key: made(value) for key, value in body.items()}


def _files(
    requests: Iterable[Request], body: Callable[[TeacherRequest], dict[str, Any]]
) -> Iterator[tuple[bytes, dict[str, list[Any]]]]:
    """The requests as files of JSON lines within the API's limits, each with what is to be told by key."""
    lines: list[bytes] = []
    by_key: dict[str, list[Any]] = {}
    size = 0
    for key, request, about in requests:
        record = {"custom_id": key, "method": "POST", "url": ENDPOINT, "body": body(request)}
        line = json.dumps(record, ensure_ascii=False).encode("utf-8", "replace") + b"\n"
        if lines and (len(lines) == MOST_REQUESTS or size + len(line) > MOST_BYTES):
            yield b"".join(lines), by_key
            lines, by_key, size = [], {}, 0
        lines.append(line)
        by_key[key] = about
        size += len(line)
    if lines:
        yield b"".join(lines), by_key
