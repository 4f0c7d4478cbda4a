"""Answers from any server with OpenAI's chat completions, many requests at a time, each on disk when it is there.

Decoding is greedy: beside temperature 0 the request says that no token is penalised, since servers such as vLLM
otherwise follow the rules in the model folder's generation config. The server applies the model's chat template. What
it reports as a prompt's tokens is held against the length that training's template gives, so that a server with another
template, or a system message of its own, is noticed.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.hf.tokenizer import PackTokenizer, with_system
from nemo_kcpt.llm.loop import side_by_side
from nemo_kcpt.llm.neutral import NEUTRAL
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.llm.thinking import fields_for
from nemo_kcpt.logs import LOG


@dataclass(frozen=True)
class Request:
    """A question for one of the server's models."""

    question_id: str
    name: str
    """The model's name in the answers."""
    model: str
    """Its name on the server."""
    question: str


def prompt_lengths(tokenizer: PackTokenizer, system: str, questions: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    """Tokens of each question's prompt by training's chat template."""
    asked = ((name, [{"role": "user", "content": record["question"]}]) for name, record in questions.items())
    return {name: len(tokenizer.prompt_ids(with_system(messages, system))) for name, messages in asked}


def fields_of(tokenizer: PackTokenizer) -> dict[str, Any]:
    """Fields by which a server is asked in the form of a chat template.

    Raises:
        BadInput: no variable of the template leads to the prompt without a thought that training has.
    """
    form = tokenizer.form
    if form.cut:
        raise BadInput(
            f"{tokenizer.folder}: its chat template has no switch for prompts without thoughts, as the model was "
            "trained on, so that a server cannot be asked for them by messages. Give thinking=on for its own prompts, "
            "or engine=vllm or transformers, which are asked by token ids"
        )
    return fields_for(tokenizer.thinking, form.options) if form.thinks else {}


def check_lengths(expected: Mapping[str, int], records: Mapping[Any, Mapping[str, Any]]) -> None:
    """Hold the prompts' lengths that a server reported against training's.

    Raises:
        BadInput: one differs.
    """
    for record in records.values():
        wanted, said = expected.get(record["question_id"]), record["prompt_tokens"]
        if wanted is not None and said and said != wanted:
            raise BadInput(
                f"question '{record['question_id']}': the server counts {said} prompt tokens for model "
                f"'{record['model']}', training's chat template gives {wanted}. Start the server with the model's own "
                "chat template and without a system message, or give the system= that training had"
            )


def _client(llm: Llm, extra: Mapping[str, float] = NEUTRAL) -> OpenAITeacher:
    client = OpenAITeacher(replace(llm, extra_body={**llm.extra_body, **extra}))
    client.empty_is_a_reply = True
    return client


def generate(
    llm: Llm,
    system: str,
    requests: Sequence[Request],
    journal: Path,
    expected: Mapping[str, int],
    progress: Callable[[str], None],
) -> None:
    """Answer every request, appending to `journal`.

    Args:
        llm: how the server is asked; each request names its model.
        system: message before each question; empty: none.
        requests: what to ask.
        journal: file of JSON lines.
        expected: tokens of each question's prompt by training's template, where they are known.
        progress: gets the model's name of each answer.

    Raises:
        KcptError: the server does not answer, or not all; answers so far are in the journal.
        BadInput: a prompt's length differs from training's.
    """
    asyncio.run(_all(llm, system, requests, journal, expected, progress))


class _Asked:
    """A model of the server; it is asked without what its server does not know."""

    def __init__(self, llm: Llm) -> None:
        self._plain = _client(llm, {})
        self._client = _client(llm)

    async def complete(self, request: TeacherRequest) -> TeacherReply:
        """The answer.

        Raises:
            TeacherFault: there is none.
        """
        try:
            return await self._client.complete(request)
        except TeacherFault as fault:
            if fault.name != "bad_request" or self._client is self._plain:
                raise
            try:
                reply = await self._plain.complete(request)
            except TeacherFault:
                raise fault from None
            LOG.warning(
                "generate: the server refuses %s (%s), so it is asked without: if it follows the rules of a "
                "generation_config.json, its answers are not greedy; start it without (vLLM: --generation-config vllm)",
                ", ".join(NEUTRAL),
                fault,
            )
            self._client = self._plain
            return reply

    async def close(self) -> None:
        """Close the connections."""
        for teacher in {self._client, self._plain}:
            await teacher.close()


async def _all(
    llm: Llm,
    system: str,
    requests: Sequence[Request],
    journal: Path,
    expected: Mapping[str, int],
    progress: Callable[[str], None],
) -> None:
    teachers = {
        model: _Asked(replace(llm, model=model)) for model in dict.fromkeys(request.model for request in requests)
    }
    queue, failed = iter(requests), []
    messages = [{"role": "system", "content": system}] if system else []
    with journal.open("a", encoding="utf-8") as stream:

        async def work() -> None:
            for request in queue:
                asked = (*messages, {"role": "user", "content": request.question})
                try:
                    reply = await teachers[request.model].complete(
                        TeacherRequest(request.question_id, "answer", "", asked)
                    )
                except TeacherFault as fault:
                    if fault.fatal:
                        raise KcptError(
                            f"{fault}. Answers so far are kept; rerun the same command to resume"
                        ) from fault
                    failed.append(f"question '{request.question_id}', model '{request.name}': {fault}")
                    continue
                record = {
                    "question_id": request.question_id,
                    "model": request.name,
                    "answer": reply.text.encode("utf-8", "replace").decode().strip(),
                    **({"served_model": reply.served} if reply.served else {}),
                    "finish_reason": reply.finish_reason,
                    "prompt_tokens": reply.usage.get("prompt_tokens", 0),
                    "completion_tokens": reply.usage.get("completion_tokens", 0),
                    **({"thought_characters": reply.thought} if reply.thought else {}),
                    **({"thought_tokens": tokens} if (tokens := reply.usage.get("reasoning_tokens")) else {}),
                    "engine": "server",
                }
                check_lengths(expected, {0: record})
                stream.write(json.dumps(record) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
                progress(request.name)

        try:
            await side_by_side(work, min(llm.concurrency, len(requests)))
        finally:
            for teacher in teachers.values():
                await teacher.close()
    if failed:
        raise KcptError(
            f"{len(failed)} of {len(requests)} questions were not answered, the first: {failed[0]}. "
            "The others are kept; the same command asks for these again"
        )
