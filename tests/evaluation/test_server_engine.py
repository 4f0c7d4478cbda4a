"""kcpt generate engine=server: answers from a server that behaves and from one that does not."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.answers.stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.serving.prompts import build_prompts
from tests.evaluation.small import questions, write_stub_model
from tests.synthesis.fake_server import FakeServer, completion, ok, problem


def _usage(prompt: int) -> dict[str, int]:
    return {"prompt_tokens": prompt, "completion_tokens": 3, "total_tokens": prompt + 3}


def _answer(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
    text = f"{body['model']}: {body['messages'][-1]['content']}"
    return 200, {}, json.dumps(completion(text, model=body["model"], usage=_usage(10))).encode()


def _config(folder: Path, server: FakeServer, **more: Any) -> Config:
    given: dict[str, Any] = {"out": folder / "out", "questions": folder / "questions.jsonl", "engine": "server"}
    given |= {"models": {"base": "org/base-1B", "trained": "mine"}, "base_url": server.url, "concurrency": 3}
    return Config(**given | more)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "questions.jsonl", questions())
    return tmp_path


def test_every_question_to_every_model(folder: Path) -> None:
    with FakeServer(_answer) as server:
        run(_config(folder, server, system="短く答える。"))
    records = list(read_jsonl(folder / "out" / "answers.jsonl"))
    assert [(record["question_id"], record["model"]) for record in records] == [
        (question["question_id"], name) for question in questions() for name in ("base", "trained")
    ]
    assert records[0]["answer"] == f"org/base-1B: {questions()[0]['question']}"
    assert {record["engine"] for record in records} == {"server"} and records[0]["prompt_tokens"] == 10
    assert all(body["messages"][0] == {"role": "system", "content": "短く答える。"} for body in server.bodies)
    assert all(body["temperature"] == 0 and "response_format" not in body for body in server.bodies)
    assert read_json(folder / "out" / "manifest.json")["counts"]["completion_tokens"] == 24
    assert not list((folder / "out").glob("journal-*"))


def test_a_run_goes_on_where_the_server_stopped(folder: Path) -> None:
    def sick(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        return _answer(body, number) if number < 3 else problem(400, "out of order")

    said = "5 of 8 questions were not answered, the first: question.*out of order"
    with FakeServer(sick) as server, pytest.raises(KcptError, match=said):
        run(_config(folder, server, concurrency=1))
    with FakeServer(_answer) as server:
        run(_config(folder, server))
        assert len(server.bodies) == 5, "what was answered is not asked again"
    assert len(list(read_jsonl(folder / "out" / "answers.jsonl"))) == 8


def test_nothing_is_penalised_unless_the_server_knows_no_penalties(
    folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    def strict(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        if "repetition_penalty" in body:
            return problem(400, "Unrecognized request argument supplied: repetition_penalty")
        return _answer(body, number)

    with FakeServer(_answer) as server:
        run(_config(folder, server))
    neutral = {"repetition_penalty": 1.0, "presence_penalty": 0.0, "frequency_penalty": 0.0}
    assert all(neutral.items() <= body.items() for body in server.bodies)
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    with FakeServer(strict) as server:
        run(_config(folder, server, out=folder / "other", concurrency=1))
    assert sum("repetition_penalty" in body for body in server.bodies) == 2, "each model's first request alone"
    assert "the server refuses repetition_penalty" in caplog.text and "--generation-config vllm" in caplog.text
    first, second = (list(read_jsonl(folder / name / "answers.jsonl")) for name in ("out", "other"))
    assert first == second


def test_a_wrong_key_ends_it_at_once(folder: Path) -> None:
    said = "refuses the key in OPENAI_API_KEY"
    with FakeServer(lambda body, number: problem(401, "no")) as server, pytest.raises(KcptError, match=said):
        run(_config(folder, server))


def test_an_empty_answer_is_one(folder: Path) -> None:
    with FakeServer(lambda body, number: ok(None, model=body["model"])) as server:
        run(_config(folder, server))
        assert len(server.bodies) == 8
    assert {record["answer"] for record in read_jsonl(folder / "out" / "answers.jsonl")} == {""}


def test_prompts_of_another_length_than_trainings_are_refused(folder: Path) -> None:
    template = write_stub_model(folder / "template")
    asked = {record["question_id"]: record for record in questions()}
    lengths = {
        asked[prompt.question_id]["question"]: len(prompt.prompt_ids)
        for prompt in build_prompts("x", template, asked, 8).prompts
    }

    def counting(body: dict[str, Any], more: int) -> tuple[int, dict[str, str], bytes]:
        number = lengths[body["messages"][-1]["content"]] + more
        return 200, {}, json.dumps(completion("はい", model=body["model"], usage=_usage(number))).encode()

    with FakeServer(lambda body, number: counting(body, 0)) as server:
        run(_config(folder, server, template=template))
    with (
        FakeServer(lambda body, number: counting(body, 7)) as server,
        pytest.raises(BadInput, match=r"the server counts \d+ prompt tokens for model '.*training's chat template"),
    ):
        run(_config(folder, server, out=folder / "other", template=template))
