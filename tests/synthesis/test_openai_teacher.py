"""The OpenAI-compatible teacher against a server that misbehaves: each case ends in a right result or a named fault."""

from __future__ import annotations

import asyncio
import email.utils
import json
import logging
import socket
import time
import traceback
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm import openai as module
from nemo_kcpt.llm.faults import is_model
from nemo_kcpt.llm.limits import PerMinute
from nemo_kcpt.llm.neutral import NEUTRAL
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import TeacherFault, TeacherReply, TeacherRequest
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.synthesis.config import Config
from tests.synthesis.fake_server import Answer, FakeServer, completion, ok, problem

CANARY = "sk-canary-7f3a9b52c1"
SCHEMA = {"type": "object", "properties": {"output": {"type": "string"}}, "required": ["output"]}
REQUEST = TeacherRequest("p0", "summary", "ja", ({"role": "user", "content": "要約して"},), seed=5, schema=SCHEMA)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(module, "LONGEST_WAIT", 0.05)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def config(url: str, **fields: Any) -> Llm:
    given = {"model": "stub", "structured": "json_schema", "timeout": 5, "retries": 3, **fields}
    return Config(corpus=Path("c"), out=Path("o"), teacher="openai", base_url=url, **given).llm()


def ask(answer: Answer, **fields: Any) -> tuple[TeacherReply | TeacherFault, FakeServer]:
    async def once() -> TeacherReply | TeacherFault:
        teacher = OpenAITeacher(config(server.url, **fields))
        try:
            await teacher.prepare()
            return await teacher.complete(REQUEST)
        except TeacherFault as fault:
            return fault
        finally:
            await teacher.close()

    with FakeServer(answer) as server:
        return asyncio.run(once()), server


def first(*answers: Any) -> Answer:
    """These answers one after another, then good ones."""
    return lambda body, number: answers[number] if number < len(answers) else ok()


def test_a_request_is_as_it_was_configured() -> None:
    reply, server = ask(first(), temperature=0.3, top_p=0.9, max_tokens=77, extra_body={"top_k": 20})
    assert isinstance(reply, TeacherReply)
    assert (reply.text, reply.finish_reason) == ('{"output": "ok"}', "stop")
    assert reply.usage == {"prompt_tokens": 120, "completion_tokens": 12, "cached_tokens": 96}
    (body,) = server.bodies
    assert body["response_format"]["json_schema"] == {"name": "reply", "schema": SCHEMA, "strict": True}
    wanted = {"model": "stub", "seed": 5, "temperature": 0.3, "top_p": 0.9, "max_tokens": 77, "top_k": 20}
    assert {name: body[name] for name in wanted} == wanted
    assert body["messages"] == [{"role": "user", "content": "要約して"}]
    assert server.keys == {f"Bearer {CANARY}"}


CUT = (200, {"x-length": "5000"}, json.dumps(completion("x")).encode()[:60])
PASSING = {
    "429": problem(429, "slow down"),
    "429 with Retry-After": problem(429, "slow down", {"retry-after": "0.2"}),
    "500": problem(500, "oops"),
    "503 that is no JSON": (503, {"content-type": "text/html"}, b"<h1>down</h1>"),
    "408": problem(408),
    "409": problem(409),
    "hung up": None,
    "dropped in the middle of the body": CUT,
    "a body that is no JSON": (200, {}, b'{"choices": ['),
    "a body that is text": (200, {"content-type": "text/plain"}, b"hello"),
    "empty choices": (200, {}, json.dumps({**completion("x"), "choices": []}).encode()),
    "no choices": (200, {}, json.dumps({"error": "x"}).encode()),
    "no content": ok(None),
    "a body of another form": (200, {}, b"[1, 2]"),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=list(PASSING))
def test_what_passes_is_tried_again(answer: Any) -> None:
    reply, server = ask(first(answer, answer))
    assert isinstance(reply, TeacherReply), reply
    assert reply.text == '{"output": "ok"}' and len(server.bodies) == 3


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("429", "rate_limited"),
        ("500", "server_error"),
        ("503 that is no JSON", "server_error"),
        ("408", "timeout"),
        ("hung up", "connection"),
        ("dropped in the middle of the body", "connection"),
        ("a body that is no JSON", "invalid_reply"),
        ("empty choices", "empty_reply"),
        ("no content", "empty_reply"),
    ],
)
def test_what_does_not_pass_is_a_named_fault(case: str, name: str) -> None:
    fault, server = ask(lambda body, number: PASSING[case], retries=2)
    assert isinstance(fault, TeacherFault)
    assert fault.name == name and not fault.fatal and len(server.bodies) == 3


@pytest.mark.parametrize(
    ("answer", "name", "fatal", "said"),
    [
        (problem(401, f"Incorrect API key: {CANARY}"), "unauthorized", True, "refuses the key in OPENAI_API_KEY"),
        (problem(403), "unauthorized", True, "403"),
        (problem(404, "The model `stub` does not exist"), "wrong_model", True, "The server has stub"),
        (problem(400, "too long"), "bad_request", False, "too long"),
        (problem(422, "bad"), "bad_request", False, "422"),
        ((429, {}, b'{"error": {"message": "pay", "code": "insufficient_quota"}}'), "no_credit", True, "no credit"),
    ],
)
def test_what_cannot_pass_is_not_tried_again(answer: Any, name: str, fatal: bool, said: str) -> None:
    fault, server = ask(lambda body, number: answer)
    assert isinstance(fault, TeacherFault)
    assert (fault.name, fault.fatal) == (name, fatal) and said in str(fault) and len(server.bodies) == 1


@pytest.mark.parametrize(
    ("asked", "answered", "same"),
    [
        ("gpt-4o", "gpt-4o-2024-08-06", True),
        ("gpt-4", "gpt-4-0613", True),
        ("mistral-large-latest", "mistral-large-2411", True),
        ("gpt-4", "gpt-4o", False),
        ("gpt-4o", "gpt-4", False),
        ("gpt-4o", "gpt-4o-mini-2024-07-18", False),
        ("Qwen/Qwen2.5-72B-Instruct-AWQ", "Qwen/Qwen2.5-72B-Instruct", False),
    ],
)
def test_a_dated_model_is_the_same_model_and_a_sibling_is_not(asked: str, answered: str, same: bool) -> None:
    assert is_model(answered, asked) is same
    reply, server = ask(first(ok("x", model=answered)), model=asked, served_model="exact")
    assert len(server.bodies) == 1
    if same:
        assert isinstance(reply, TeacherReply) and reply.served == answered
    else:
        assert isinstance(reply, TeacherFault) and reply.name == "wrong_model" and reply.fatal
        assert reply.reply is not None and reply.reply.text == "x", "it was paid for"


def test_another_name_is_accepted_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    async def twice() -> list[TeacherReply]:
        teacher = OpenAITeacher(config(server.url, model="my-deployment"))
        replies = [await teacher.complete(REQUEST) for _ in range(2)]
        await teacher.close()
        return replies

    with FakeServer(lambda body, number: ok("x", model="gpt-4o-mini-2024-07-18")) as server:
        replies = asyncio.run(twice())
    assert [reply.served for reply in replies] == ["gpt-4o-mini-2024-07-18"] * 2
    warned = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert len(warned) == 1 and "my-deployment" in warned[0] and "gpt-4o-mini-2024-07-18" in warned[0]


THOUGHT = {"role": "assistant", "content": None, "reasoning_content": "まず考える。"}
PARTS = [{"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]}, {"type": "text", "text": "本文"}]


@pytest.mark.parametrize(
    ("message", "text"),
    [
        ({**THOUGHT, "content": "本文"}, "本文"),
        (THOUGHT, "<think>まず考える。"),
        ({"role": "assistant", "content": "", "reasoning": "hm"}, "<think>hm"),
        ({"role": "assistant", "content": PARTS}, "本文"),
        ({"role": "assistant", "content": ""}, ""),
    ],
)
def test_a_thought_in_a_field_of_its_own_is_no_answer(message: dict[str, Any], text: str) -> None:
    choice = {"index": 0, "message": message, "finish_reason": "length"}
    reply, server = ask(first(ok("x", choices=[choice])))
    assert isinstance(reply, TeacherReply) and reply.text == text and len(server.bodies) == 1


def test_what_cannot_end_otherwise_is_paid_for_once() -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": None}, "finish_reason": "length"}
    fault, server = ask(lambda body, number: ok("x", choices=[choice]))
    assert isinstance(fault, TeacherFault) and fault.name == "empty_reply" and "length" in str(fault)
    assert len(server.bodies) == 1


def test_a_model_that_thinks_first_passes_the_probe() -> None:
    reply, server = ask(lambda body, number: ok(None) if body["max_tokens"] == 16 else ok(), structured="auto")
    assert isinstance(reply, TeacherReply) and len(server.bodies) == 2
    assert server.bodies[1]["response_format"]["type"] == "json_schema"


def test_a_field_that_a_model_refuses_can_be_left_out() -> None:
    extra = {"max_tokens": None, "temperature": None, "max_completion_tokens": 50}
    reply, server = ask(first(), extra_body=extra, structured="auto")
    assert isinstance(reply, TeacherReply)
    for body in server.bodies:
        assert body["max_completion_tokens"] == 50 and not {"max_tokens", "temperature"} & set(body)


def test_a_proxy_is_not_asked_for_a_server_on_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    assert isinstance(ask(first())[0], TeacherReply)


def test_a_host_that_says_nothing_is_no_server() -> None:
    """The queue of a listener that accepts nobody is full, so that a connection is neither taken nor refused."""
    with socket.socket() as hole:
        hole.bind(("127.0.0.1", 0))
        hole.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(hole.getsockname())

        async def once() -> None:
            teacher = OpenAITeacher(config(f"http://127.0.0.1:{hole.getsockname()[1]}/v1", timeout=1, retries=0))
            try:
                await teacher.complete(REQUEST)
            finally:
                await teacher.close()

        with pytest.raises(TeacherFault, match="nobody takes the connection") as caught:
            asyncio.run(once())
        assert caught.value.name == "connection"
        for one in waiting:
            one.close()


def test_a_server_that_is_started_again_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """Many requests under way fail in the same moment: that alone does not end a run."""
    monkeypatch.setattr(module, "FIRST_WAIT", 0.2)
    with FakeServer() as gone:
        port = gone.port

    async def all_of_them() -> list[TeacherReply]:
        teacher = OpenAITeacher(config(f"http://127.0.0.1:{port}/v1", retries=10_000))
        calls = [asyncio.create_task(teacher.complete(REQUEST)) for _ in range(3 * module.LOST)]
        while teacher._lost < module.LOST and not any(call.done() for call in calls):
            await asyncio.sleep(0.02)
        assert not any(call.done() for call in calls)
        with FakeServer(lambda body, number: ok(), port=port):
            replies = await asyncio.gather(*calls)
        await teacher.close()
        return replies

    assert len(asyncio.run(all_of_them())) == 3 * module.LOST


def test_a_slow_server_is_given_up_in_time() -> None:
    def slow(body: dict[str, Any], number: int) -> Any:
        time.sleep(0 if number else 1.5)
        return ok()

    reply, server = ask(slow, timeout=1)
    assert isinstance(reply, TeacherReply) and len(server.bodies) == 2
    fault, _ = ask(lambda body, number: time.sleep(1.3), timeout=1, retries=0)
    assert isinstance(fault, TeacherFault) and fault.name == "timeout" and "timeout=" in str(fault)


@pytest.mark.parametrize("header", ["retry-after", "retry-after-ms", "date"])
def test_retry_after_is_obeyed(header: str) -> None:
    value = {
        "retry-after": "0.6",
        "retry-after-ms": "600",
        "date": email.utils.formatdate(time.time() + 2, usegmt=True),
    }
    name = "retry-after" if header == "date" else header
    reply, server = ask(first(problem(429, "later", {name: value[header]})))
    assert isinstance(reply, TeacherReply)
    assert server.times[1] - server.times[0] >= 0.55  # the waits of our own are far shorter here


@pytest.mark.parametrize("value", ["soon", "-3", "nan", "1e999", ""])
def test_a_senseless_retry_after_is_passed_over(value: str) -> None:
    reply, _ = ask(first(problem(429, "later", {"retry-after": value})))
    assert isinstance(reply, TeacherReply)


def test_a_server_that_says_tomorrow_is_not_waited_for() -> None:
    fault, server = ask(first(problem(429, "later", {"retry-after": "90000"})))
    assert isinstance(fault, TeacherFault) and fault.name == "rate_limited" and len(server.bodies) == 1


@pytest.mark.parametrize(
    ("refused", "mode"),
    [((), "json_schema"), (("json_schema",), "json_object"), (("json_schema", "json_object"), "none")],
)
def test_structured_output_is_what_the_server_offers(refused: tuple[str, ...], mode: str) -> None:
    def answer(body: dict[str, Any], number: int) -> Any:
        asked = body.get("response_format", {}).get("type")
        return problem(400, f"response_format {asked} is not supported") if asked in refused else ok()

    async def prepared() -> OpenAITeacher:
        teacher = OpenAITeacher(config(server.url, structured="auto"))
        await teacher.prepare()
        await teacher.complete(REQUEST)
        await teacher.close()
        return teacher

    with FakeServer(answer) as server:
        teacher = asyncio.run(prepared())
    assert teacher.structured == mode == teacher.params["structured"]
    assert server.bodies[-1].get("response_format", {"type": "none"})["type"] == mode


def test_no_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LOST", 3)
    monkeypatch.setattr(module, "LOST_FOR", 0.1)

    async def once() -> None:
        teacher = OpenAITeacher(config("http://127.0.0.1:9/v1", retries=9))
        try:
            await teacher.complete(REQUEST)
        finally:
            await teacher.close()

    with pytest.raises(TeacherFault, match=r"no server answers: http://127\.0\.0\.1:9") as caught:
        asyncio.run(once())
    assert caught.value.fatal and caught.value.name == "connection"


@pytest.mark.parametrize(
    ("url", "key", "said"),
    [
        ("localhost:8000", "k", "http://localhost:8000/v1"),
        ("http://", "k", "http://localhost:8000/v1"),
        ("http://[::1", "k", "http://localhost:8000/v1"),
        ("http://127.0.0.1:99999/v1", "k", "http://localhost:8000/v1"),
        ("", "", "holds no key"),
    ],
)
def test_an_address_or_a_key_is_needed(monkeypatch: pytest.MonkeyPatch, url: str, key: str, said: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(BadInput, match=said):
        module.connect(config(url))


def test_the_key_is_in_no_message(caplog: pytest.LogCaptureFixture) -> None:
    """Every fault, with a server that repeats the key in its answers; traceback and logs at their most talkative."""
    caplog.set_level(logging.DEBUG)
    answers = [problem(status, f"your key is {CANARY}") for status in (400, 401, 404, 429, 500)]
    answers += [(200, {}, CANARY.encode()), ok(None), ok("x", model=f"{CANARY}"), None]
    for answer in answers:
        fault, server = ask(lambda body, number, answer=answer: answer, retries=1, served_model="exact")  # type: ignore[misc]
        assert isinstance(fault, TeacherFault)
        told = "".join(traceback.format_exception(fault)) + str(fault)
        assert CANARY not in told
        assert server.keys == {f"Bearer {CANARY}"}
    assert CANARY not in "".join(f"{record.getMessage()}{record.exc_text}" for record in caplog.records)


@pytest.mark.parametrize("end", ["\r", "\n", " \r\n"])
def test_a_key_with_a_line_end_works_and_is_in_no_message(monkeypatch: pytest.MonkeyPatch, end: str) -> None:
    """httpx refuses such a header with a message that shows the key."""
    monkeypatch.setenv("OPENAI_API_KEY", CANARY + end)
    reply, server = ask(first())
    assert isinstance(reply, TeacherReply) and server.keys == {f"Bearer {CANARY}"}
    fault, _ = ask(lambda body, number: problem(401, f"Incorrect API key: {CANARY}"))
    assert isinstance(fault, TeacherFault) and CANARY not in str(fault) and "[key]" in str(fault)


@pytest.mark.parametrize("inside", ["\n", " ", "é", "\x7f", "鍵"])
def test_a_key_that_cannot_be_sent_is_refused_unseen(monkeypatch: pytest.MonkeyPatch, inside: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f"{CANARY}{inside}{CANARY}")
    with pytest.raises(BadInput, match="OPENAI_API_KEY: the key has") as caught:
        OpenAITeacher(config("http://127.0.0.1:9/v1"))
    assert CANARY not in "".join(traceback.format_exception(caught.value))


def bodies_of(owner: str, request: TeacherRequest = REQUEST, **fields: Any) -> list[dict[str, Any]]:
    async def once() -> None:
        teacher = OpenAITeacher(config(server.url, **fields))
        before = dict(teacher.params)
        await teacher.prepare()
        await teacher.complete(request)
        assert teacher.params == before, "what a request is keyed by stays"
        await teacher.close()

    models = json.dumps({"object": "list", "data": [{"id": "stub", "object": "model", "owned_by": owner}]}).encode()
    with FakeServer() as server:
        server.routes["GET", "/v1/models"] = lambda _: (200, {}, models)
        asyncio.run(once())
    return server.bodies


def test_greedy_is_greedy_on_servers_that_follow_a_generation_config() -> None:
    """vLLM applies the folder's repetition_penalty to every request that does not name one."""
    (body,) = bodies_of("vllm", temperature=0)
    assert NEUTRAL.items() <= body.items()
    (body,) = bodies_of("sglang", temperature=0, extra_body={"repetition_penalty": 1.1, "presence_penalty": None})
    assert body["repetition_penalty"] == 1.1 and "presence_penalty" not in body and body["frequency_penalty"] == 0
    for bodies in (
        bodies_of("vllm", temperature=0.7),
        bodies_of("organization-owner", temperature=0),
        bodies_of("vllm", replace(REQUEST, temperature=0.7), temperature=0),
    ):
        assert not NEUTRAL.keys() & bodies[0].keys()


def test_the_limits_hold() -> None:
    async def take(limit: float, units: float, times: int) -> float:
        bucket = PerMinute(limit)
        started = time.monotonic()
        await asyncio.gather(*(bucket.take(units) for _ in range(times)))
        return time.monotonic() - started

    assert asyncio.run(take(0, 1e9, 100)) < 5
    assert asyncio.run(take(1200, 1, 41)) >= 0.95  # 20 a second, one second's worth at once
    assert asyncio.run(take(60_000, 500, 5)) >= 0.95
