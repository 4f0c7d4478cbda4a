"""What a teacher is: the interface of the LLM that writes pairs from papers.

A teacher answers one request at a time with text; whoever asks keeps several under way. What it cannot answer, after
its own attempts, is a `TeacherFault` with a name, so that a report can count them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

Messages = tuple[Mapping[str, str], ...]


@dataclass(frozen=True)
class TeacherRequest:
    """One call of a teacher: one paper or part of it, one kind."""

    paper_id: str
    kind: str
    language: str
    messages: Messages = ()
    """The prompt in OpenAI's chat form; the template teacher needs none."""
    part: int = 0
    seed: int = 0
    """Changes when an unreadable reply is asked for again."""
    schema: Mapping[str, Any] | None = None
    """JSON schema of the reply, for servers with structured output."""
    temperature: float | None = None
    """In place of the teacher's own, where a greedy reply could not be read: the same again would come of it."""
    paper: Mapping[str, Any] | None = None
    """The document itself, for a teacher that reads it instead of a prompt; its reply may have no pairs."""


@dataclass(frozen=True)
class TeacherReply:
    """A teacher's answer."""

    text: str
    finish_reason: str
    """By OpenAI's names: stop, length, content_filter, …"""
    usage: Mapping[str, int]
    """Tokens: prompt_tokens, completion_tokens and, where the server tells, cached_tokens and reasoning_tokens."""
    served: str = ""
    """The model's name as the server tells it, if it is another than the one asked for."""
    max_tokens: int | None = None
    """Tokens that the reply was allowed."""
    thought: int = 0
    """Characters of a thought that the server gave in a field of its own."""


CUT_OFF = ("length", "model_length", "content_filter")
"""Finish reasons of a reply that did not end by itself."""


def is_shortened(finish_reason: str, completion_tokens: int, max_tokens: Any) -> bool:
    """Whether a server ended a reply before the tokens that it was allowed were used up.

    vLLM (0.32) does so, and says nothing, where prompt and reply do not fit the model's window; a limit in the model's
    generation_config.json has the same effect.
    """
    if finish_reason == "model_length":  # Mistral's name for the end of the window
        return True
    return finish_reason == "length" and type(max_tokens) is int and 0 < completion_tokens < max_tokens


class UnreadableReply(ValueError):
    """The reply is not of the form that was asked for."""

    def __init__(self, message: str, name: str = "unreadable") -> None:
        super().__init__(message)
        self.name = name
        """The fault, as reports count it: unreadable, unfinished_thought, control_character, doubtful_escape, …"""

    @property
    def fault(self) -> str:
        """Name and message, as the journal keeps them."""
        return f"{self.name}: {self}"


def distinct(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    """The object that a JSON reader has read as pairs (`object_pairs_hook`), which would keep the last of equal keys.

    Raises:
        UnreadableReply: a key appears twice.
    """
    values = dict(pairs)
    if len(values) < len(pairs):
        raise UnreadableReply(f"a key appears twice: {ascii([key for key, _ in pairs])[:60]}; one of them can be meant")
    return values


class TeacherFault(Exception):
    """A request that the teacher could not answer, after its own attempts."""

    def __init__(
        self,
        name: str,
        message: str,
        *,
        fatal: bool = False,
        passes: bool = False,
        wait: float = 0,
        reply: TeacherReply | None = None,
    ) -> None:
        super().__init__(message)
        self.name = name
        """rate_limited, timeout, server_error, connection, bad_request, wrong_model, unauthorized, empty_reply, …"""
        self.fatal = fatal
        """Asking anything else is pointless: a wrong key, an unknown model, no server."""
        self.passes = passes
        """Worth another attempt."""
        self.wait = wait
        """Seconds after which the server wants to be asked again; 0 if it did not say."""
        self.reply = reply
        """What was answered and paid for all the same; it is kept in the journal."""


class Teacher(Protocol):
    """Anything that answers requests."""

    @property
    def model(self) -> str:
        """The name that goes into the records."""
        ...

    @property
    def params(self) -> Mapping[str, Any]:
        """Sampling parameters and whatever else shapes the replies; JSON-ready; no key and no address."""
        ...

    @property
    def reads_prompts(self) -> bool:
        """False for a stand-in that goes by paper and kind and writes instructions of its own."""
        ...

    async def prepare(self) -> None:
        """Find out what the server can do, before requests are keyed by `params`.

        Raises:
            TeacherFault: there is no server, or it does not have the model.
        """
        ...

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """Answer one request.

        Raises:
            TeacherFault: it cannot.
        """
        ...

    async def close(self) -> None:
        """Close connections and processes."""
        ...


def request_sha256(model: str, params: Mapping[str, Any], request: TeacherRequest) -> str:
    """The identity of a request: SHA-256 over canonical JSON of what shapes the reply, 64 hex digits.

    With messages, that is model, parameters, seed, messages and schema; a teacher without messages goes by paper and
    kind, and one that reads the document itself by its title and text.
    """
    payload: dict[str, Any] = {"model": model, "params": dict(params), "seed": request.seed}
    if request.temperature is not None:
        payload["temperature"] = request.temperature
    if request.messages:
        payload["messages"] = [dict(message) for message in request.messages]
        payload["schema"] = request.schema
    else:
        payload |= {"paper_id": request.paper_id, "kind": request.kind, "language": request.language}
        if request.paper is not None:
            payload["paper"] = [request.paper.get("title") or "", request.paper["text"]]
    canonical = json.dumps(payload, ensure_ascii=False, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()
