"""kcpt generate: configuration, prompts, journal, the worker's process; real vLLM in tests/test_real_vllm.py."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.answers import from_folders
from nemo_kcpt.evaluation.answers.stage import Config, run
from nemo_kcpt.files import read_jsonl, write_jsonl
from nemo_kcpt.serving import vllm_engine
from nemo_kcpt.serving.models import parse_models
from nemo_kcpt.serving.prompts import Journal, ModelRequest, Prompt, build_prompts, kv_cache_bytes
from tests.conftest import ROOT
from tests.evaluation.small import make_tokenizer, questions, write_stub_model
from tests.waiting import is_running, wait_for

FAKE_WORKER = """
import json, os, signal, sys
request = json.load(open(sys.argv[1]))
print(json.dumps({"event": "import", "seconds": 0.1, "version": "fake"}), flush=True)
stop_after = STOP_AFTER
done = 0
with open(request["journal"], "a") as journal:
    for model in request["models"]:
        print(json.dumps({"event": "engine", "model": model["name"], "seconds": 0.1}), flush=True)
        for question in model["questions"]:
            if done == stop_after:
                journal.write('{"question_id": "tor')
                journal.close()
                print("the worker's last words", file=sys.stderr, flush=True)
                os.kill(os.getpid(), signal.SIGKILL)
            record = {"question_id": question["question_id"], "model": model["name"], "finish_reason": "stop"}
            record |= {"token_ids": question["prompt_ids"][-3:], "engine": "vllm"}
            journal.write(json.dumps(record) + "\\n")
            journal.flush()
            print(json.dumps({"event": "answers", "model": model["name"], "count": 1}), flush=True)
            done += 1
print(json.dumps({"event": "done"}), flush=True)
"""


@pytest.fixture
def world(tmp_path: Path) -> dict[str, Path]:
    """questions.jsonl and two folders that look like models."""
    write_jsonl(tmp_path / "questions.jsonl", questions())
    models = {name: write_stub_model(tmp_path / name) for name in ("base", "trained")}
    return {"questions": tmp_path / "questions.jsonl", "out": tmp_path / "out", **models}


def _config(world: dict[str, Path], **more: Any) -> Config:
    models = {name: str(world[name]) for name in ("base", "trained")}
    return Config(
        **{"out": world["out"], "questions": world["questions"], "models": models, "max_new_tokens": 8} | more
    )


def _fake_worker(monkeypatch: pytest.MonkeyPatch, folder: Path, stop_after: int = -1) -> None:
    worker = folder / f"worker{stop_after}.py"
    worker.write_text(FAKE_WORKER.replace("STOP_AFTER", str(stop_after)), encoding="utf-8")
    monkeypatch.setattr(vllm_engine, "WORKER", worker)
    monkeypatch.setenv("KCPT_SERVE_PYTHON", sys.executable)


@pytest.mark.parametrize(
    "given", ["base=a/b,trained=c", ["base=a/b", "trained=c"], {"base": "a/b", "trained": "c"}, " base=a/b, trained=c"]
)
def test_models_in_every_form(given: Any) -> None:
    assert parse_models(given) == {"base": Path("a/b"), "trained": Path("c")}


@pytest.mark.parametrize("given", ["folder", "=x", "a=", "a=x,a=y", {}, 3])
def test_other_forms_of_models_are_refused(given: Any) -> None:
    with pytest.raises(BadInput, match="models: "):
        parse_models(given)


def test_models_from_the_command_line() -> None:
    from nemo_kcpt.config import load_config

    config = load_config(Config, overrides=["out=o", "questions=q", "models=base=a,trained=b/c"])
    assert parse_models(config.models) == {"base": Path("a"), "trained": Path("b/c")}


def test_prompts_are_those_of_transformers_chat_template(tmp_path: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(make_tokenizer(tmp_path))
    (tmp_path / "config.json").write_text(json.dumps({"max_position_embeddings": 512}))
    asked = {record["question_id"]: record for record in questions()}
    for system in ("", "簡潔に答えよ。"):
        for prompt in build_prompts("m", tmp_path, asked, 8, system).prompts:
            message = {"role": "user", "content": asked[prompt.question_id]["question"]}
            messages = [{"role": "system", "content": system}, message] if system else [message]
            assert prompt.messages == messages
            assert prompt.prompt_ids == list(tokenizer.apply_chat_template(messages, add_generation_prompt=True))


def test_a_prompt_too_long_names_the_question(world: dict[str, Path]) -> None:
    write_stub_model(world["base"], positions=9)
    with pytest.raises(
        BadInput, match=r"question 'a:dataset_size': \d+ prompt tokens .* exceed the 9 positions of model 'base'"
    ):
        run(_config(world))


def test_answers_come_in_question_order_with_the_contract_fields(
    world: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_worker(monkeypatch, tmp_path)
    run(_config(world))
    records = list(read_jsonl(world["out"] / "answers.jsonl"))
    assert [(record["question_id"], record["model"]) for record in records] == [
        (question["question_id"], model) for question in questions() for model in ("base", "trained")
    ]
    fields = {"question_id", "model", "answer", "finish_reason", "prompt_tokens", "completion_tokens", "engine"}
    assert all(set(record) == fields and record["completion_tokens"] == 3 for record in records)
    assert not list(world["out"].glob("journal-*"))


def test_a_worker_that_dies_loses_nothing(
    world: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _fake_worker(monkeypatch, tmp_path, stop_after=5)
    with pytest.raises(KcptError, match="(?s)exit code -9.*the worker's last words"):
        run(_config(world))
    assert not (world["out"] / "answers.jsonl").exists()
    _fake_worker(monkeypatch, tmp_path)
    asked: list[int] = []
    original = vllm_engine.worker_request

    def counting(requests: list[ModelRequest], *more: Any) -> dict[str, Any]:
        asked.append(sum(len(request.prompts) for request in requests))
        return original(requests, *more)

    monkeypatch.setattr(vllm_engine, "worker_request", counting)
    run(_config(world))
    assert asked == [3]  # eight in all, five in the journal; the torn line is no answer
    assert len(list(read_jsonl(world["out"] / "answers.jsonl"))) == 8


def test_a_journal_of_other_inputs_is_not_used(tmp_path: Path) -> None:
    first, second = Journal(tmp_path, "a" * 64), Journal(tmp_path, "b" * 64)
    first.path.write_text(json.dumps({"question_id": "q", "model": "m", "token_ids": [1]}) + "\n")
    assert first.read() and not second.read()
    second.remove()
    assert not first.path.exists()


def test_a_torn_line_is_cut_off_so_that_the_next_stands_alone(tmp_path: Path) -> None:
    journal = Journal(tmp_path, "c" * 64)
    whole = json.dumps({"question_id": "q", "model": "m", "token_ids": [1]}) + "\n"
    journal.path.write_text(whole + '{"question_id": "r", "mod')
    assert list(journal.read()) == [("q", "m")]
    with journal.path.open("a") as stream:
        stream.write(whole.replace('"q"', '"r"'))
    assert list(journal.read()) == [("q", "m"), ("r", "m")]


def test_kv_cache_holds_a_whole_batch(tmp_path: Path) -> None:
    write_stub_model(tmp_path)
    prompts = [Prompt(question_id=str(index), messages=[], prompt_ids=[0] * 300) for index in range(10)]
    request = ModelRequest(name="m", folder=tmp_path, prompts=prompts)
    one_token = 2 * 2 * 64 * 4  # keys and values, 2 layers, hidden 64, float32
    found = kv_cache_bytes(request, 100, 64, 4)
    assert found >= one_token * 400 * 10
    assert found <= one_token * (512 + 128) * 10 + (16 << 20)


def test_a_missing_serve_environment(world: dict[str, Path], monkeypatch: pytest.MonkeyPatch, caplog: Any) -> None:
    from nemo_kcpt.serving import transformers_engine

    monkeypatch.setattr(from_folders, "serve_python", lambda: None)
    monkeypatch.setattr(from_folders, "vllm_expected", lambda: True)
    with pytest.raises(KcptError, match="make setup-serve"):
        run(_config(world))
    called: list[str] = []

    def instead(requests: list[ModelRequest], journal: Path, *_: Any) -> None:
        called.append("transformers")
        keys = [(prompt.question_id, request.name) for request in requests for prompt in request.prompts]
        write_jsonl(
            journal,
            [
                {
                    "question_id": key,
                    "model": model,
                    "token_ids": [5],
                    "finish_reason": "stop",
                    "engine": "transformers",
                }
                for key, model in keys
            ],
        )

    monkeypatch.setattr(transformers_engine, "generate", instead)
    monkeypatch.setattr(from_folders, "vllm_expected", lambda: False)
    with caplog.at_level("WARNING", logger="kcpt"):
        run(_config(world))
    assert called == ["transformers"]
    assert "no vLLM for this platform" in caplog.text
    assert {record["engine"] for record in read_jsonl(world["out"] / "answers.jsonl")} == {"transformers"}


def test_a_serve_environment_without_vllm_says_what_to_do(
    world: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KCPT_SERVE_PYTHON", sys.executable)  # the train environment has no vLLM
    monkeypatch.setattr(from_folders, "vllm_expected", lambda: True)
    with pytest.raises(vllm_engine.NoVllm, match="No module named 'vllm'.*make setup-serve"):
        run(_config(world))


def test_a_wrong_serve_python_is_named(world: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KCPT_SERVE_PYTHON", "/no/such/python")
    with pytest.raises(BadInput, match="KCPT_SERVE_PYTHON=/no/such/python: no executable there"):
        run(_config(world))


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")
def test_a_killed_stage_leaves_no_worker(world: dict[str, Path], tmp_path: Path) -> None:
    worker = tmp_path / "worker.py"
    worker.write_text(
        "import os, pathlib, time\n"
        f"pathlib.Path({str(tmp_path / 'pid')!r}).write_text(str(os.getpid()) + '.')\n"
        "time.sleep(300)\n"
    )
    program = (
        "import sys; from pathlib import Path\n"
        "from nemo_kcpt.evaluation.answers import stage as generate_stage\n"
        "from nemo_kcpt.serving import vllm_engine\n"
        f"vllm_engine.WORKER = Path({str(worker)!r})\n"
        f"generate_stage.run(generate_stage.Config(out=Path({str(world['out'])!r}),"
        f" questions=Path({str(world['questions'])!r}), models='base={world['base']}', max_new_tokens=8))\n"
    )
    stage = subprocess.Popen(
        [sys.executable, "-c", program], env={**os.environ, "KCPT_SERVE_PYTHON": sys.executable}, cwd=ROOT
    )
    try:
        pid = int(wait_for(lambda: (tmp_path / "pid").is_file() and (tmp_path / "pid").read_text())[:-1])
    finally:
        stage.kill()
        stage.wait()
    wait_for(lambda: not is_running(pid))


def test_the_worker_environment_drops_what_would_undo_our_options() -> None:
    found = vllm_engine.worker_environment({"VLLM_CPU_KVCACHE_SPACE": "40", "PYTHONPATH": "x", "HOME": "/root"})
    assert "VLLM_CPU_KVCACHE_SPACE" not in found and "PYTHONPATH" not in found
    assert found["HOME"] == "/root" and found["VLLM_ENABLE_V1_MULTIPROCESSING"] == "0"


def test_a_folder_that_is_no_model(world: dict[str, Path]) -> None:
    (world["base"] / "model.safetensors").unlink()
    with pytest.raises(BadInput, match=r"no \*\.safetensors"):
        run(_config(world))
    with pytest.raises(BadInput, match="no such folder"):
        run(_config(world, models={"base": "nowhere"}))


@pytest.mark.parametrize("more", [{"engine": "vlm"}, {"dtype": "fp8"}, {"max_new_tokens": 0}, {"batch_size": 0}])
def test_bad_values(more: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(more))):
        Config(**more)
