"""What a teacher is: the interface of the LLM that writes pairs from papers, and the loop that asks it.

A teacher answers one request per paper and kind with a JSON object, as an LLM with structured output does. The loop
keeps up to `concurrency` requests under way and yields records in a fixed order (papers, then kinds), whichever reply
comes first, so the output is the same bytes at every concurrency. The price: a slow reply holds back those behind it,
up to four times `concurrency` of them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from nemo_kcpt.synthesis.kinds import KINDS

Messages = tuple[Mapping[str, str], ...]
_LOOKAHEAD = 4


@dataclass(frozen=True)
class TeacherRequest:
    """One call of a teacher: one paper, one kind."""

    paper: Mapping[str, Any]
    """A record of `papers.jsonl`."""
    kind: str
    language: str
    seed: int = 0
    messages: Messages = ()
    """The prompt in OpenAI's chat form; the template teacher needs none."""


@dataclass(frozen=True)
class TeacherReply:
    """A teacher's answer."""

    text: str
    """A JSON object `{"pairs": [{"instruction": …, "output": …}, …]}`; see `read_pairs`."""
    finish_reason: str
    usage: Mapping[str, int]
    """Tokens, by OpenAI's names: prompt_tokens, completion_tokens."""


class Teacher(Protocol):
    """Anything that answers requests."""

    @property
    def model(self) -> str:
        """The name that goes into the records."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Sampling parameters and whatever else shapes the replies; JSON-ready."""
        ...

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """Answer one request."""
        ...


def read_pairs(text: str) -> list[dict[str, str]]:
    """The pairs of a reply; ValueError that names the fault when the reply has another form."""
    try:
        reply = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"the teacher's reply is not JSON ({error}); it begins with {text[:80]!r}") from error
    pairs = reply.get("pairs") if isinstance(reply, dict) else None
    if not isinstance(pairs, list) or not pairs:
        raise ValueError(f'the teacher\'s reply has no pairs: expected {{"pairs": [...]}}, found {text[:80]!r}')
    return [_read_pair(pair, place) for place, pair in enumerate(pairs)]


def _read_pair(pair: object, place: int) -> dict[str, str]:
    if not isinstance(pair, dict):
        raise ValueError(f"pair {place} of the teacher's reply is {type(pair).__name__}, expected an object")
    read = {}
    for field in ("instruction", "output"):
        value = pair.get(field)
        if not isinstance(value, str) or not value.strip():
            raise ValueError(
                f"pair {place} of the teacher's reply: {field!r} is {value!r}, expected a non-empty string"
            )
        read[field] = value.strip()
    return read


def request_sha256(model: str, params: Mapping[str, Any], request: TeacherRequest) -> str:
    """The fingerprint of a request: sha256 over canonical JSON of everything that shapes the reply."""
    payload = {
        "model": model,
        "params": dict(params),
        "paper": dict(request.paper),
        "kind": request.kind,
        "language": request.language,
        "seed": request.seed,
        "messages": [dict(message) for message in request.messages],
    }
    canonical = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode()).hexdigest()


async def synthesize(
    papers: Iterable[Mapping[str, Any]],
    kinds: Sequence[str],
    teacher: Teacher,
    concurrency: int,
    done: frozenset[tuple[str, str]] = frozenset(),
    *,
    seed: int = 0,
    prompt: Callable[[Mapping[str, Any], str, str], Messages] | None = None,
) -> AsyncIterator[dict[str, Any]]:
    """Ask `teacher` for every kind of every paper and yield records of `synthetic.jsonl`, papers in order, then kinds.

    `done` holds the (paper_id, kind) to skip. `prompt` makes the messages from paper, kind and language. A paper's
    language is its `meta.language`, or ja. Raises ValueError with paper and kind when a reply can't be read; the
    requests that are still under way are cancelled then, and also when the caller stops early.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency is {concurrency}, expected at least 1")
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown:
        raise ValueError(f"unknown kinds {', '.join(unknown)}: expected some of {', '.join(KINDS)}")
    gate = asyncio.Semaphore(concurrency)

    async def ask(request: TeacherRequest) -> dict[str, Any]:
        async with gate:
            reply = await teacher.complete(request)
        return _record(teacher, request, reply)

    waiting: deque[asyncio.Task[dict[str, Any]]] = deque()
    try:
        for paper in papers:
            language = (paper.get("meta") or {}).get("language", "ja")
            for kind in kinds:
                if (paper["paper_id"], kind) in done:
                    continue
                messages = prompt(paper, kind, language) if prompt else ()
                waiting.append(asyncio.ensure_future(ask(TeacherRequest(paper, kind, language, seed, messages))))
                if len(waiting) >= _LOOKAHEAD * concurrency:
                    yield await waiting.popleft()
        while waiting:
            yield await waiting.popleft()
    finally:
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


def _record(teacher: Teacher, request: TeacherRequest, reply: TeacherReply) -> dict[str, Any]:
    paper_id = request.paper["paper_id"]
    try:
        pairs = read_pairs(reply.text)
    except ValueError as error:
        raise ValueError(
            f"paper {paper_id}, kind {request.kind}, finish_reason {reply.finish_reason}: {error}"
        ) from error
    return {
        "paper_id": paper_id,
        "kind": request.kind,
        "pairs": pairs,
        "teacher": {"model": teacher.model, "params": dict(teacher.params)},
        "request_sha256": request_sha256(teacher.model, teacher.params, request),
    }
