"""Runs of generate, perplexity and judge that die at any of their writes end like one that did not, and pay little
twice."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from nemo_kcpt.evaluation.answers.stage import Config, run
from nemo_kcpt.evaluation.judging import stage as judge
from nemo_kcpt.evaluation.scoring import perplexity_stage
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.llm import openai as client
from nemo_kcpt.serving import transformers_engine
from tests.crash import KILL, crash_everywhere
from tests.evaluation.judge.test_stage import shown
from tests.evaluation.small import questions, write_inputs, write_stub_model
from tests.synthesis.fake_server import FakeServer, completion, ok

CONCURRENCY = 2


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "x")
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.01)


class Paying:
    """A stub of a server's model; each request that it answers costs."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def note(self, what: Any) -> None:
        with (self._folder / "paid").open("a") as stream:
            stream.write(json.dumps(what, ensure_ascii=False) + "\n")

    def answer(self, body: dict[str, Any], number: int) -> Any:
        text = body["messages"][-1]["content"]
        self.note([body["model"], text])
        return 200, {}, json.dumps(completion(f"{body['model']}: {text}", model=body["model"])).encode()

    def judge(self, body: dict[str, Any], number: int) -> Any:
        said = shown(body)
        self.note([body["model"], said["QUESTION"], said["ANSWER"], body["seed"]])
        if body["model"] == "second" and said["ANSWER"].endswith("1") and not body["seed"]:
            return ok('{"reason": "x", "verdict": 1', model=body["model"])  # unreadable at first
        return ok(json.dumps({"reason": said["ANSWER"], "verdict": len(said["ANSWER"]) % 2}), model=body["model"])


@pytest.fixture
def paying(tmp_path: Path) -> Iterator[Paying]:
    yield Paying(tmp_path)


def test_answers_of_a_server(tmp_path: Path, paying: Paying) -> None:
    write_jsonl(tmp_path / "questions.jsonl", questions()[:3])
    with FakeServer(paying.answer) as server:
        config = Config(
            out=tmp_path / "out",
            questions=tmp_path / "questions.jsonl",
            engine="server",
            base_url=server.url,
            models={"base": "org/base-1B", "trained": "mine"},
            concurrency=CONCURRENCY,
        )
        crash_everywhere(tmp_path / "out", lambda: run(config), paid=tmp_path / "paid", under_way=CONCURRENCY, least=16)


def test_answers_of_transformers(tmp_path: Path, paying: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    """The loop around the model: each batch is on disk before it counts."""
    write_jsonl(tmp_path / "questions.jsonl", questions()[:3])
    models = {"base": str(write_stub_model(tmp_path / "base"))}
    monkeypatch.setattr(transformers_engine, "BATCH", 1)

    class Model:
        """Says the last token of its prompt again."""

        def __init__(self) -> None:
            self.generation_config = SimpleNamespace(eos_token_id=(0,), pad_token_id=0)

        def to(self, *_: Any) -> Model:
            return self

        eval = to

        def generate(self, ids: Any, **_: Any) -> Any:
            paying.note(ids.tolist())
            return torch.cat([ids, ids[:, -1:]], dim=1)

    monkeypatch.setattr(transformers_engine, "load_causal_lm", lambda *_, **more: Model())
    config = Config(
        out=tmp_path / "out",
        questions=tmp_path / "questions.jsonl",
        models=models,
        engine="transformers",
        max_new_tokens=8,
    )
    crash_everywhere(tmp_path / "out", lambda: run(config), paid=tmp_path / "paid", under_way=1, least=15)


def test_perplexity(tmp_path: Path, paying: Paying, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jsonl(tmp_path / "texts.jsonl", [{"text": f"文{number}。"} for number in range(3)])
    models = {name: str(write_stub_model(tmp_path / name)) for name in ("base", "trained")}

    class Model:
        def __init__(self, folder: Path, *_: Any) -> None:
            self.name = folder.name

        def nats(self, text: str) -> tuple[int, float]:
            paying.note([self.name, text])
            return len(text), len(text + self.name) / 7

    monkeypatch.setattr(perplexity_stage, "_Model", Model)
    config = perplexity_stage.Config(out=tmp_path / "out", models=models, text=tmp_path / "texts.jsonl")
    crash_everywhere(
        tmp_path / "out", lambda: perplexity_stage.run(config), paid=tmp_path / "paid", under_way=1, least=20
    )


def test_verdicts(tmp_path: Path, paying: Paying) -> None:
    write_inputs(tmp_path, {"base": ["1件", "1", "", "2019年"]})
    with FakeServer(paying.judge) as server:
        config = judge.Config(
            questions=tmp_path / "questions.jsonl",
            answers=tmp_path / "answers.jsonl",
            papers=tmp_path / "papers.jsonl",
            out=tmp_path / "out",
            judge=["stub", "second"],
            base_url=server.url,
            structured="json_schema",
            concurrency=CONCURRENCY,
            max_invalid=0.5,
            reply_retries=1,
            evidence="corpus",
        )
        crash_everywhere(
            tmp_path / "out",
            lambda: judge.run(config),
            paid=tmp_path / "paid",
            under_way=CONCURRENCY,
            ways=(KILL,),
            leave_out=("journal.sqlite*",),
            least=30,
        )
