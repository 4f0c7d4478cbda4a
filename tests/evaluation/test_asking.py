"""Asking through a journal: what is asked again and what is not, against a server that answers and misbehaves."""

from __future__ import annotations

import json
import logging
import sqlite3
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.llm import openai as client
from nemo_kcpt.llm.ask import ask
from nemo_kcpt.llm.inquiry import Answered, Inquiry, Totals
from nemo_kcpt.llm.request import UnreadableReply
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG
from tests.synthesis.fake_server import Answer, FakeServer, completion, ok, problem
from tests.synthesis.test_openai_teacher import CUT

CANARY = "sk-canary-52ab91c07e"
SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


def read(reply: str) -> int:
    try:
        return int(json.loads(reply)["n"])
    except (ValueError, KeyError, TypeError):
        raise UnreadableReply(f"not a number: {reply[:20]!r}") from None


def inquiry(name: str, text: str = "", **fields: Any) -> Inquiry:
    message = {"role": "user", "content": text or f"How many {name}?"}
    return Inquiry(name=name, kind="test", messages=(message,), schema=SCHEMA, read=read, **fields)


def llm(server: FakeServer, **fields: Any) -> Llm:
    given = {"model": "stub", "structured": "json_schema", "timeout": 3, "retries": 3, **fields}
    return Llm(base_url=server.url, **given)


def run(
    answer: Answer, path: Path, inquiries: list[Inquiry], **fields: Any
) -> tuple[dict[str, Answered], Totals, FakeServer]:
    with FakeServer(answer) as server:
        found, totals = ask(inquiries, llm(server, **fields), path, "test")
    return found, totals, server


def number(body: dict[str, Any], place: int) -> tuple[int, dict[str, str], bytes]:
    return ok(json.dumps({"n": len(body["messages"][-1]["content"])}))


def in_turn(*answers: Any) -> Answer:
    return lambda body, place: answers[place] if place < len(answers) else ok('{"n": 7}')


def test_answers_come_by_name_in_order_and_are_not_asked_for_again(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    asked = [inquiry("x" * size) for size in range(1, 40)]
    found, totals, server = run(number, path, asked, price_prompt=1.0, price_cached=0.5, price_completion=2.0)
    assert list(found) == [one.name for one in asked] and len(server.bodies) == 39
    assert all(answer.value == len(f"How many {name}?") and not answer.fault for name, answer in found.items())
    assert (totals.requests, totals.prompt_tokens, totals.cached_tokens) == (39, 39 * 120, 39 * 96)
    assert totals.cost == pytest.approx(39 * (24 * 1.0 + 96 * 0.5 + 12 * 2.0) / 1e6)
    again = ask(asked, Llm(model="stub", structured="json_schema", base_url=server.url), path, "test")
    assert again == (found, totals)  # the server is gone; nobody missed it
    more, _, server = run(number, path, [*asked, inquiry("new")])
    assert len(server.bodies) == 1 and more["new"].value == len("How many new?")


def test_the_form_that_was_found_is_kept(tmp_path: Path) -> None:
    def no_schema(body: dict[str, Any], place: int) -> Any:
        refused = body.get("response_format", {}).get("type") == "json_schema"
        return problem(400, "json_schema is not supported") if refused else ok('{"n": 7}')

    path = tmp_path / "j"
    found, _, server = run(no_schema, path, [inquiry("a")], structured="auto")
    assert found["a"].value == 7
    assert [body.get("response_format", {}).get("type") for body in server.bodies] == [
        "json_schema",
        *["json_object"] * 2,
    ]
    found, _, server = run(no_schema, path, [inquiry("a")], structured="auto")
    assert found["a"].value == 7 and not server.bodies
    found, _, server = run(no_schema, path, [inquiry("a"), inquiry("b")], structured="auto")
    assert found["b"].value == 7 and len(server.bodies) == 1


def test_what_cannot_be_read_is_asked_again_with_another_seed_and_a_reminder(tmp_path: Path) -> None:
    answers = in_turn(ok("no"), ok('{"m": 1}'))
    asked = [inquiry("a", reminder=" Only JSON!")]
    found, totals, server = run(answers, tmp_path / "j", asked, seed=5, reply_retries=2)
    assert found["a"].value == 7 and totals.requests == 3
    assert [body["seed"] for body in server.bodies] == [5, 6, 7]
    texts = [body["messages"][-1]["content"] for body in server.bodies]
    assert texts == ["How many a?", "How many a? Only JSON!", "How many a? Only JSON!"]


def test_what_stays_unreadable_is_no_answer_and_is_not_paid_for_again(tmp_path: Path) -> None:
    asked = [inquiry("a"), inquiry("b")]

    def bad(body: dict[str, Any], place: int) -> Any:
        return ok("no") if "many a" in body["messages"][-1]["content"] else ok('{"n": 7}')

    found, totals, server = run(bad, tmp_path / "j", asked, reply_retries=1)
    assert found["a"] == Answered(fault="unreadable: not a number: 'no'", reply="no") and found["b"].value == 7
    assert len(server.bodies) == totals.requests == 3
    _, _, server = run(bad, tmp_path / "j", asked, reply_retries=1)
    assert not server.bodies
    found, _, server = run(number, tmp_path / "j", asked, reply_retries=2)
    assert len(server.bodies) == 1 and found["a"].value is not None


def test_a_reply_that_a_newer_version_cannot_read_is_asked_for_again(tmp_path: Path) -> None:
    run(number, tmp_path / "j", [inquiry("a")])

    def strict(reply: str) -> int:
        if reply != '{"n": 7}':
            raise UnreadableReply("not 7")
        return 7

    message = {"role": "user", "content": "How many a?"}
    asked = [Inquiry(name="a", kind="test", messages=(message,), schema=SCHEMA, read=strict)]
    found, _, server = run(in_turn(), tmp_path / "j", asked)
    assert found["a"].value == 7 and [body["seed"] for body in server.bodies] == [1]


PASSING: dict[str, Any] = {
    "429": problem(429, "slow down"),
    "429 with Retry-After": problem(429, "slow down", {"retry-after": "0.1"}),
    "500": problem(500, "oops"),
    "503 in HTML": (503, {"content-type": "text/html"}, b"<h1>down</h1>"),
    "408": problem(408),
    "hung up": None,
    "half a body": CUT,
    "no JSON": (200, {}, b'{"choices": ['),
    "text": (200, {"content-type": "text/plain"}, b"hello"),
    "no choices": (200, {}, json.dumps({**completion("x"), "choices": []}).encode()),
    "no content": ok(None),
    "a list": (200, {}, b"[1, 2]"),
}


@pytest.mark.parametrize("answer", PASSING.values(), ids=list(PASSING))
def test_what_passes_is_tried_again(tmp_path: Path, answer: Any) -> None:
    found, _, server = run(in_turn(answer, answer), tmp_path / "j", [inquiry("a")])
    assert found["a"].value == 7 and len(server.bodies) == 3


@pytest.mark.parametrize(
    ("case", "name"),
    [
        ("429", "rate_limited"),
        ("500", "server_error"),
        ("hung up", "connection"),
        ("no JSON", "invalid_reply"),
        ("no content", "empty_reply"),
        ("half a body", "connection"),
    ],
)
def test_what_does_not_pass_is_a_named_fault_and_asked_again_by_the_next_run(
    tmp_path: Path, case: str, name: str
) -> None:
    asked = [inquiry("a"), inquiry("b")]

    def only_b(body: dict[str, Any], place: int) -> Any:
        return PASSING[case] if "many a" in body["messages"][-1]["content"] else ok('{"n": 7}')

    found, _, _ = run(only_b, tmp_path / "j", asked, retries=1)
    assert found["a"].value is None and found["a"].fault.startswith(f"{name}: ") and found["b"].value == 7
    found, _, server = run(number, tmp_path / "j", asked)
    assert len(server.bodies) == 1 and found["a"].value == len("How many a?") and not found["a"].fault


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (lambda body, place: problem(401, f"bad key {CANARY}"), "refuses the key in OPENAI_API_KEY"),
        (lambda body, place: problem(404, "no such model"), r"The server has stub; give one as judge="),
    ],
)
def test_what_is_pointless_ends_the_run(tmp_path: Path, answer: Answer, said: str) -> None:
    with pytest.raises(KcptError, match=said) as error:
        run(answer, tmp_path / "j", [inquiry(str(n)) for n in range(50)], key="judge", concurrency=2)
    assert CANARY not in str(error.value)


def test_answers_before_a_fatal_fault_are_kept(tmp_path: Path) -> None:
    asked = [inquiry(str(n)) for n in range(20)]
    with pytest.raises(KcptError, match="Answers so far are kept"):
        run(lambda body, place: ok('{"n": 7}') if place < 12 else problem(401), tmp_path / "j", asked, concurrency=1)
    _, totals, server = run(in_turn(), tmp_path / "j", asked)
    assert len(server.bodies) == 8 and totals.requests == 20


def test_equal_requests_are_made_once(tmp_path: Path) -> None:
    asked = [inquiry(f"n{place}", text="the same") for place in range(10)] + [inquiry("other")]
    found, totals, server = run(number, tmp_path / "j", asked, concurrency=11)
    assert len(server.bodies) == totals.requests == 2 and {found[f"n{place}"].value for place in range(10)} == {8}


def test_two_of_one_name_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="called a"):
        ask([inquiry("a"), inquiry("a", text="x")], Llm(model="m"), tmp_path / "j", "test")


def test_nothing_to_ask_needs_nothing(tmp_path: Path) -> None:
    assert ask([], Llm(model="m", base_url="http://127.0.0.1:9"), tmp_path / "j", "test") == ({}, Totals())
    assert not (tmp_path / "j").exists()


def test_prompts_may_be_made_when_they_are_needed(tmp_path: Path) -> None:
    made: list[int] = []

    def make() -> tuple[dict[str, str]]:
        made.append(1)
        return ({"role": "user", "content": "later"},)

    asked = Inquiry(name="a", kind="test", messages=make, schema=SCHEMA, read=read)
    found, _, server = run(number, tmp_path / "j", [asked])
    assert found["a"].value == 5 and server.bodies[0]["messages"][0]["content"] == "later" and made


def test_names_and_replies_of_any_kind(tmp_path: Path) -> None:
    names = ["\ud800", "a\x00b", "改\n行", "x" * 5000, "'; DROP TABLE requests; --"]
    found, _, _ = run(
        lambda body, place: ok('{"n": 7, "x": "\\u0000"}'),
        tmp_path / "j",
        [inquiry(name, text=f"t{place}") for place, name in enumerate(names)],
    )
    assert [answer.value for answer in found.values()] == [7] * 5


@pytest.mark.parametrize(
    "answer",
    [
        problem(400, "\ud800 half a character"),
        ok('{"n": 7}', usage={"prompt_tokens": 10**40, "completion_tokens": -5, "total_tokens": "many"}),
        ok('{"n": 7}', usage={"prompt_tokens": True, "completion_tokens": 1.5}),
        ok('{"n": 7}', usage="none"),
        ok("\ud800"),
        (
            200,
            {},
            json.dumps({**completion('{"n": 7}'), "choices": [{"index": 0, "message": {"content": 5}}]}).encode(),
        ),
    ],
)
def test_what_a_server_says_can_always_be_journaled(tmp_path: Path, answer: Any) -> None:
    found, _, _ = run(lambda body, place: answer, tmp_path / "j", [inquiry("a")], retries=0, price_prompt=1.0)
    assert found["a"].value == 7 or found["a"].fault
    assert (
        ask(
            [inquiry("a")],
            Llm(model="stub", structured="json_schema", base_url="http://127.0.0.1:9", retries=0),
            tmp_path / "j",
            "test",
        )[0]["a"].value
        == found["a"].value
    )


def test_different_models_share_a_journal(tmp_path: Path) -> None:
    asked = [inquiry("a")]
    with FakeServer(lambda body, place: ok(f'{{"n": {place}}}', model=body["model"])) as server:
        first, _ = ask(asked, llm(server, model="one"), tmp_path / "j", "test")
        second, _ = ask(asked, llm(server, model="two"), tmp_path / "j", "test")
        assert first["a"].value == 0 and second["a"].value == 1 and len(server.bodies) == 2
        assert ask(asked, llm(server, model="one"), tmp_path / "j", "test")[0]["a"].value == 0
        assert len(server.bodies) == 2


def test_no_more_than_so_many_are_under_way(tmp_path: Path) -> None:
    import threading
    import time

    lock, now, most = threading.Lock(), [0], [0]

    def slow(body: dict[str, Any], place: int) -> Any:
        with lock:
            now[0] += 1
            most[0] = max(most[0], now[0])
        time.sleep(0.01)
        with lock:
            now[0] -= 1
        return ok('{"n": 7}')

    run(slow, tmp_path / "j", [inquiry(str(n)) for n in range(40)], concurrency=4)
    assert 2 <= most[0] <= 4


def test_a_damaged_row_is_asked_for_again(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asked = [inquiry(str(n)) for n in range(5)]
    run(number, tmp_path / "j", asked)
    with sqlite3.connect(tmp_path / "j") as db:
        db.execute("UPDATE requests SET reply = '{\"n\": 99}' WHERE paper_id = '3'")
    db.close()
    found, _, server = run(in_turn(), tmp_path / "j", asked)
    assert len(server.bodies) == 1 and found["3"].value == 7


def test_the_key_is_nowhere(tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(LOG, "propagate", True)
    caplog.set_level(logging.DEBUG)
    found, _, server = run(lambda body, place: problem(400, f"no, {CANARY}"), tmp_path / "j", [inquiry("a")])
    assert server.keys == {f"Bearer {CANARY}"} and "[key]" in found["a"].fault
    assert CANARY not in caplog.text
    assert all(CANARY.encode() not in path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())


@pytest.mark.parametrize("fields", [{"window": 10, "max_tokens": 20}, {"structured": "xml"}, {"timeout": 0}])
def test_values_that_cannot_be(tmp_path: Path, fields: dict[str, Any]) -> None:
    with pytest.raises(BadInput):
        ask([inquiry("a")], Llm(model="m", base_url="http://127.0.0.1:9", **fields), tmp_path / "j", "test")


def test_a_server_that_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "LOST", 3)
    monkeypatch.setattr(client, "LOST_FOR", 0.0)
    with pytest.raises(KcptError, match="no server answers"):
        ask([inquiry("a")], Llm(model="m", base_url="http://127.0.0.1:9/v1", structured="none"), tmp_path / "j", "test")
