"""kcpt generate with models that think: in which form they are asked, what is left of a thought, what is counted."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.answers.stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import TeacherRequest
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.runs import read_manifest
from tests.evaluation.small import questions
from tests.synthesis.fake_server import FakeServer, completion
from tests.thinking_models import save_tokenizer


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "questions.jsonl", questions())
    return tmp_path


def asked(folder: Path, template: str, thinking: str, message: dict[str, Any] | None = None) -> list[dict[str, Any]]:
    """What a server gets, and the answers if it replies with this message."""
    tokenizer = save_tokenizer(folder / "tokenizer", "qwen", template) if template else None

    def reply(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        usage: dict[str, Any] = {"prompt_tokens": 0, "completion_tokens": 20, "total_tokens": 20}
        usage["completion_tokens_details"] = {"reasoning_tokens": 5 if message else 0}
        found = completion("はい", model=body["model"], usage=usage)
        found["choices"][0]["message"] |= message or {}
        return 200, {}, json.dumps(found).encode()

    given: dict[str, Any] = {"out": folder / "out", "questions": folder / "questions.jsonl", "engine": "server"}
    with FakeServer(reply) as server:
        run(Config(**given, models={"m": "m"}, base_url=server.url, template=tokenizer, thinking=thinking))
    return list(server.bodies)


@pytest.mark.parametrize(
    ("template", "thinking", "fields"),
    [
        ("", "", {}),
        ("", "off", {"chat_template_kwargs": {"enable_thinking": False, "thinking": False}}),
        ("", "low", {"reasoning_effort": "low"}),
        ("chatml", "", {}),
        ("qwen3", "", {"chat_template_kwargs": {"enable_thinking": False}}),
        ("qwen3", "on", {"chat_template_kwargs": {"enable_thinking": True}}),
        ("qwen3", "64", {"chat_template_kwargs": {"enable_thinking": True}, "thinking_token_budget": 64}),
        ("deepseek-v3.1", "off", {"chat_template_kwargs": {"thinking": False}}),
        ("harmony", "high", {"chat_template_kwargs": {"reasoning_effort": "high"}, "reasoning_effort": "high"}),
    ],
)
def test_how_a_server_is_asked(template: str, thinking: str, fields: dict[str, Any], folder: Path) -> None:
    known = ("chat_template_kwargs", "reasoning_effort", "thinking_token_budget")
    bodies = asked(folder, template, thinking)
    assert bodies and all({name: body[name] for name in known if name in body} == fields for body in bodies)


@pytest.mark.parametrize("template", ["harmony", "deepseek-r1"])
def test_a_form_that_no_message_leads_to_is_refused(template: str, folder: Path) -> None:
    with pytest.raises(BadInput, match="no switch for prompts without thoughts"):
        asked(folder, template, "")


@pytest.mark.parametrize(
    ("message", "answer", "characters"),
    [
        ({"content": "42", "reasoning_content": "hm, hm"}, "42", 6),
        ({"content": "<think>hm</think>42"}, "42", 17),
        ({"content": None, "reasoning_content": "hm, hm"}, "", 13),
    ],
)
def test_a_servers_thoughts_are_left_out_and_counted(
    message: dict[str, Any], answer: str, characters: int, folder: Path
) -> None:
    asked(folder, "", "", message)
    rows = list(read_jsonl(folder / "out/answers.jsonl"))
    assert {row["answer"] for row in rows} == {answer}
    assert {(row["thought_characters"], row["thought_tokens"]) for row in rows} == {(characters, 5)}
    counts = read_json(folder / "out/manifest.json")["counts"]
    assert counts["thought_tokens"] == 5 * len(rows) and counts["longest_thought_tokens"] == 5
    assert counts["unfinished_thoughts" if not answer else "thoughts_left_out"] == len(rows)
    assert all(("fault" in row) == (not answer) for row in rows)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model of random weights whose prompt opens the thought."""
    from tests.conversion.hf_models import save_model

    sizes: dict[str, Any] = {"vocab_size": 540, "max_position_embeddings": 256, "head_dim": 16}
    return save_tokenizer(save_model(tmp_path / "model", **sizes), "qwen", "deepseek-r1")


def generated(folder: Path, model: Path, name: str, **more: Any) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    given: dict[str, Any] = {"questions": folder / "questions.jsonl", "models": {"m": model}, "engine": "transformers"}
    run(Config(**given, out=folder / name, max_new_tokens=8, **more))
    return list(read_jsonl(folder / name / "answers.jsonl")), read_manifest(folder / name)


def test_a_model_is_asked_without_thoughts_with_them_and_up_to_a_limit(folder: Path, model: Path) -> None:
    question = [{"role": "user", "content": questions()[0]["question"]}]
    off, manifest = generated(folder, model, "off")
    assert off[0]["prompt_tokens"] == len(PackTokenizer(model).prompt_ids(question))
    assert manifest["counts"]["answers"] == 4 and "unfinished_thoughts" not in manifest["counts"]
    on, thought = generated(folder, model, "on", thinking="on")
    assert {(row["answer"], row["fault"]) for row in on} == {("", "unfinished_thought")}
    assert all(row["thought_tokens"] == row["completion_tokens"] for row in on)
    assert thought["counts"]["unfinished_thoughts"] == 4
    assert thought["counts"]["thought_tokens"] == sum(row["completion_tokens"] for row in on)
    limited, cut = generated(folder, model, "limited", thinking="5")
    ended = [row for row in limited if row.get("thought_cut")]
    assert ended and all(row["thought"] and "fault" not in row for row in ended)
    assert all(5 < row["thought_tokens"] < row["completion_tokens"] for row in ended)
    assert all(row["fault"] == "unfinished_thought" for row in limited if row not in ended), "it ended itself"
    assert cut["counts"]["thoughts_cut"] == cut["counts"]["thoughts_left_out"] == len(ended)
    assert len({one["fingerprint"] for one in (manifest, thought, cut)}) == 3


def test_positions_hold_the_thought_too(folder: Path, model: Path) -> None:
    with pytest.raises(BadInput, match="max_new_tokens=8, thinking=250 exceed the 256 positions"):
        generated(folder, model, "out", thinking="250")


def test_a_value_that_is_none_is_refused(folder: Path) -> None:
    with pytest.raises(ValueError, match="neither off, on, a number of tokens"):
        Config(out=folder, questions=folder, models="m=m", thinking="a lot")


@pytest.mark.parametrize("thinking", ["", "off", "on", "64", "low"])
def test_teachers_and_judges_are_told_by_the_same_key(thinking: str) -> None:
    given: dict[str, Any] = {"chat_template_kwargs": {"thinking": True, "other": 1}, "top_k": 5}
    llm = Llm(model="m", thinking=thinking, base_url="http://localhost:1/v1", extra_body=given)
    body = OpenAITeacher(llm).body(TeacherRequest("p", "k", "ja", ({"role": "user", "content": "?"},)))
    switch = {"enable_thinking": thinking != "off"} if thinking in ("off", "on", "64") else {}
    assert body["chat_template_kwargs"] == {**switch, "thinking": True, "other": 1}, "extra_body stands above the key"
    assert body["top_k"] == 5
    assert body.get("reasoning_effort") == ("low" if thinking == "low" else None)
    assert body.get("thinking_token_budget") == (64 if thinking == "64" else None)
