"""Any server with OpenAI's chat completions, through the `openai` client.

The client's own retries are off: ours know which faults pass, obey `Retry-After`, and end in a `TeacherFault` with a
name. The key is read from the environment and is in no message: a server's words are passed on without it.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from nemo_kcpt.llm.connection import api_key, connect
from nemo_kcpt.llm.faults import is_model, passing, retry_after
from nemo_kcpt.llm.limits import PerMinute
from nemo_kcpt.llm.messages import _thought_of, content_of
from nemo_kcpt.llm.neutral import NEUTRAL, follows_rules
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.llm.sampling import Asking
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG

if TYPE_CHECKING:
    pass


FIRST_WAIT, LONGEST_WAIT = 0.5, 60.0
"""Seconds before the second attempt, doubled each time, and at most, unless the server says another time."""
LONGEST_OBEYED = 3600.0
"""Seconds of a `Retry-After` that are waited for; a server that says more is not coming back today."""
LOST, LOST_FOR = 20, 60.0
"""Requests in a row without a connection, retries included, and seconds since the first of them, after which there is
no server. Both: 64 requests under way fail at once when a server is started again."""
TOLD = 3
"""Requests in a row without a connection after which a message says that the server is being waited for."""
SHOWN = 300
"""Characters of a server's words that are passed on."""
LIMITS = ("max_completion_tokens", "max_tokens")
"""Fields of a request that limit the reply."""
TOKEN = 3
"""Bytes of a prompt that count as a token of the limit until the server says how many it was."""


class OpenAITeacher(Asking):
    """Asks a server, many requests at a time."""

    def __init__(self, llm: Llm) -> None:
        """
        Args:
            llm: whom to ask, and how.

        Raises:
            BadInput: the address is none, or there is no key where one is needed.
        """
        super().__init__(
            llm.model,
            temperature=llm.temperature,
            top_p=llm.top_p,
            max_tokens=llm.max_tokens,
            extra=llm.extra,
            structured=llm.structured,
        )
        self._llm = llm
        self._key = api_key(llm.api_key_env)
        self._client: Any = None
        self._requests = PerMinute(llm.requests_per_minute)
        self._tokens = PerMinute(llm.tokens_per_minute)
        self._lost, self._lost_since = 0, 0.0
        self.empty_is_a_reply = False
        """Take a reply without content that ended by itself for an empty text, instead of asking again."""
        self._neutral = False
        """The server would follow the model's generation config, and decoding is greedy."""
        self._names: set[str] = set()
        """Names under which the server answered, and which the user has been told."""

    def body(self, request: TeacherRequest) -> dict[str, Any]:
        """The request; a field that `extra_body` sets to null is left out, for models that refuse it."""
        neutral = NEUTRAL if self._neutral and request.temperature is None else {}
        return {name: value for name, value in {**neutral, **super().body(request)}.items() if value is not None}

    async def prepare(self) -> None:
        """Look whether the server has the model, and which structured output it offers."""
        if self._client is None:
            self._client = connect(self._llm)
        if self.is_greedy:
            self._neutral = await follows_rules(self._client)
        if self.structured != "auto":
            return
        schema = {
            "type": "object",
            "properties": {"output": {"type": "string"}},
            "required": ["output"],
            "additionalProperties": False,
        }
        message = {"role": "user", "content": 'Reply with {"output": "ok"}.'}
        for mode in ("json_schema", "json_object", "none"):
            self.structured = mode
            try:
                await self.complete(TeacherRequest("", "", "", (message,), schema=schema), probe=True)
            except TeacherFault as fault:
                self.structured = "auto"
                if fault.name == "empty_reply":  # a model that thinks first has said nothing yet: the form was accepted
                    self.structured = mode
                    break
                if fault.name != "bad_request" or mode == "none":
                    raise
                LOG.info("teacher: the server refuses structured output as %s (%s)", mode, fault)
                continue
            break
        LOG.info("teacher: structured output: %s", self.structured)

    async def complete(self, request: TeacherRequest, *, probe: bool = False) -> TeacherReply:
        """Answer one request, with as many attempts as are configured.

        Raises:
            TeacherFault: named by what happened last.
        """
        if self._client is None:
            self._client = connect(self._llm)
        body = self.body(request)
        if probe and "max_tokens" in body:
            body["max_tokens"] = min(16, body["max_tokens"])
        fault = TeacherFault("server_error", "never asked")
        estimate = sum(len(m["content"].encode()) for m in body["messages"]) // TOKEN if self._tokens.limit else 0
        for attempt in range(self._llm.retries + 1):
            await self._requests.take()
            await self._tokens.take(estimate)
            try:
                reply = await self._once(body)
            except TeacherFault as error:
                fault = error
            else:
                self._check_name(reply)
                if self._tokens.limit:
                    used = reply.usage.get("prompt_tokens", 0) + reply.usage.get("completion_tokens", 0)
                    self._tokens.give_back(estimate - used)
                self._lost = 0
                return reply
            self._count_lost(fault)
            if probe and fault.name == "empty_reply":
                break
            if not fault.passes or attempt == self._llm.retries or fault.wait > LONGEST_OBEYED:
                break
            pause = min(FIRST_WAIT * 2**attempt, LONGEST_WAIT)
            least, most = (fault.wait, 1.1 * fault.wait) if fault.wait else (pause / 2, pause)
            await asyncio.sleep(random.uniform(least, most))
        raise fault

    def _count_lost(self, fault: TeacherFault) -> None:
        if fault.name != "connection":
            self._lost = 0
            return
        if not self._lost:
            self._lost_since = time.monotonic()
        self._lost += 1
        if self._lost == TOLD:
            LOG.warning("teacher: no connection, trying again: %s", fault)
        if self._lost >= LOST and time.monotonic() - self._lost_since >= LOST_FOR:
            raise TeacherFault("connection", f"no server answers: {fault}", fatal=True)

    async def _once(self, body: dict[str, Any]) -> TeacherReply:
        import json

        import httpx
        import openai

        outside = {*self._extra, *NEUTRAL}
        extra = {name: value for name, value in body.items() if name in outside}
        known = {name: value for name, value in body.items() if name not in outside}
        try:
            completion = await self._client.chat.completions.create(**known, extra_body=extra or None)
        except openai.APITimeoutError as error:
            if isinstance(error.__cause__, httpx.ConnectTimeout):
                raise passing("connection", f"{self._client.base_url}: nobody takes the connection") from None
            raise passing("timeout", f"no answer within {self._llm.timeout:g} s (timeout=)") from None
        except openai.APIStatusError as error:
            raise await self._status(error) from None
        except openai.APIResponseValidationError as error:
            raise passing("invalid_reply", f"the server's answer is not a completion: {self._said(error)}") from None
        except openai.APIConnectionError as error:
            raise passing("connection", f"{self._client.base_url}: {self._said(error.__cause__ or error)}") from None
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise passing("invalid_reply", f"the server's answer is not JSON ({self._said(error)})") from None
        except openai.OpenAIError as error:
            raise TeacherFault("client_error", self._said(error)) from None
        return self._read(completion, body)

    def _read(self, completion: Any, body: Mapping[str, Any]) -> TeacherReply:
        """What a completion says, whoever answered.

        Raises:
            TeacherFault: there is no reply in it.
        """
        model = str(body["model"])
        choices = getattr(completion, "choices", None)
        if not isinstance(choices, list) or not choices:
            what = "no choices" if choices in (None, []) else f"choices of type {type(choices).__name__}"
            raise passing("empty_reply", f"the server's answer has {what}")
        answered = getattr(completion, "model", None)
        served = self._said(answered) if isinstance(answered, str) and answered not in ("", model) else ""
        message = getattr(choices[0], "message", None)
        content = content_of(message)
        finish = str(getattr(choices[0], "finish_reason", "") or "")
        if refusal := getattr(message, "refusal", None):
            raise TeacherFault("refused", self._said(refusal))
        if content is None and finish == "stop" and self.empty_is_a_reply:
            content = ""
        if not isinstance(content, str):
            said = f"the server's answer has no content (finish_reason {finish or 'none'})"
            # The same request would be paid for again to end in the same way.
            raise TeacherFault("empty_reply", said, passes=finish not in ("length", "content_filter"))
        reported = getattr(completion, "usage", None)
        details = getattr(reported, "prompt_tokens_details", None)
        counted = {
            "prompt_tokens": getattr(reported, "prompt_tokens", 0),
            "completion_tokens": getattr(reported, "completion_tokens", 0),
            "cached_tokens": getattr(details, "cached_tokens", 0),
        }
        usage = {name: max(0, value) for name, value in counted.items() if isinstance(value, int)}
        thought = getattr(getattr(reported, "completion_tokens_details", None), "reasoning_tokens", None)
        usage |= {"reasoning_tokens": thought} if isinstance(thought, int) and thought > 0 else {}
        allowed = next((body[name] for name in LIMITS if type(body.get(name)) is int), None)
        return TeacherReply(content, finish, usage, served, allowed, len(_thought_of(message)))

    def _check_name(self, reply: TeacherReply) -> None:
        """Refuse a name other than the one asked for, or tell of it.

        Raises:
            TeacherFault: served_model=exact; it holds the reply, which was paid for.
        """
        if not reply.served or is_model(reply.served, self.model):
            return
        if self._llm.served_model == "exact":
            raise TeacherFault(
                "wrong_model",
                f"{self.model} was asked, {reply.served} answered. Give that name as model= if it is the one meant, or "
                "served_model=any to take whatever the server answers with",
                fatal=True,
                reply=reply,
            )
        self._tell_name(reply)

    def _tell_name(self, reply: TeacherReply) -> None:
        """Tell, once, of a name other than the one asked for or its dated release."""
        if reply.served and reply.served not in self._names and not is_model(reply.served, self.model):
            self._names.add(reply.served)
            LOG.warning(
                "teacher: %s was asked, the server answers as %s; taken for the same model (served_model=exact refuses "
                "it), and both names are recorded",
                self.model,
                reply.served,
            )

    async def _status(self, error: Any) -> TeacherFault:
        status, said = error.status_code, self._said(error)
        if status in (401, 403):
            return TeacherFault(
                "unauthorized", f"the server refuses the key in {self._llm.api_key_env} ({status}): {said}", fatal=True
            )
        if status == 404:
            return TeacherFault("wrong_model", f"{self.model}: {said}{await self._models()}", fatal=True)
        if status == 429 and "insufficient_quota" in str(getattr(error, "code", "")):
            return TeacherFault("no_credit", f"the account has no credit left: {said}", fatal=True)
        name = {408: "timeout", 409: "conflict", 429: "rate_limited"}.get(status, "")
        if name or status >= 500:
            return passing(name or "server_error", f"{status}: {said}", retry_after(error.response.headers))
        return TeacherFault("bad_request", f"{status}: {said}")

    async def _models(self) -> str:
        try:
            page = await self._client.models.list()
            names = [model.id for model in page.data][:20]
        except Exception:  # it was only for a better message
            return ""
        return f". The server has {', '.join(names)}; give one as model=" if names else ""

    def _said(self, error: object) -> str:
        text = " ".join(str(error).split()) or type(error).__name__
        text = text.replace(self._key, "[key]") if self._key else text
        return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()
