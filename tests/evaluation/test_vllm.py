"""Real vLLM in the serve environment: the same tokens as transformers, prompts checked, a killed worker resumed."""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.environments import serve_python
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.generate_stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.packing.tokenise import PackTokenizer
from tests.evaluation.small import decoding_rules, make_model, questions, write_template

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(serve_python() is None, reason="no serve environment; make setup-serve"),
]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two tiny Llamas and 24 questions; one has rules of decoding and a template that writes today's date."""
    folder = tmp_path_factory.mktemp("vllm")
    for seed, name in enumerate(("base", "trained")):
        make_model(folder / name, seed)
    decoding_rules(folder / "trained", [7, 8, 10])
    write_template(folder / "trained")
    more = [
        {**record, "question_id": f"{record['question_id']}:{index}"} for index in range(6) for record in questions()
    ]
    for index, record in enumerate(more):
        record["question"] += f" {index}"
    write_jsonl(folder / "questions.jsonl", more)
    return folder


def _config(world: Path, out: str, **more: Any) -> Config:
    models = {name: str(world / name) for name in ("base", "trained")}
    given = {"out": world / out, "questions": world / "questions.jsonl", "models": models, "max_new_tokens": 24}
    return Config(**given | more)


def _tokens(out: Path) -> list[tuple[Any, ...]]:
    fields = ("question_id", "model", "answer", "finish_reason", "prompt_tokens", "completion_tokens")
    return [tuple(record[field] for field in fields) for record in read_jsonl(out / "answers.jsonl")]


def _kill_worker_after(out: Path, answers: int) -> threading.Thread:
    """Kill the vLLM worker, which is this process's child, once that many answers are in the journal."""

    def watch() -> None:
        deadline = time.monotonic() + 80
        while time.monotonic() < deadline:
            journals = list(out.glob("journal-*.jsonl"))
            if journals and journals[0].read_bytes().count(b"\n") >= answers:
                for child in Path(f"/proc/{os.getpid()}/task").glob("*/children"):
                    for pid in child.read_text().split():
                        if b"vllm_worker.py" in Path(f"/proc/{pid}/cmdline").read_bytes():
                            os.kill(int(pid), signal.SIGKILL)
                            return
            time.sleep(0.02)

    thread = threading.Thread(target=watch)
    thread.start()
    return thread


def test_vllm_and_transformers_agree_and_a_kill_is_resumed(world: Path) -> None:
    killer = _kill_worker_after(world / "vllm", 4)
    with pytest.raises(KcptError, match="exit code -9"):
        run(_config(world, "vllm", engine="vllm", batch_size=4))
    killer.join()
    before = sum(1 for _ in read_jsonl(next((world / "vllm").glob("journal-*.jsonl"))))
    assert 4 <= before < 48
    run(_config(world, "vllm", engine="vllm", batch_size=4))
    run(_config(world, "transformers", engine="transformers"))
    assert read_json(world / "vllm/manifest.json")["counts"]["rules_left_aside"]["trained"]["repetition_penalty"] == 5.0
    assert _tokens(world / "vllm") == _tokens(world / "transformers")
    assert len({answer for _, _, answer, *_ in _tokens(world / "vllm")}) > 24  # the answers say something
    start_up = read_json(world / "vllm" / "manifest.json")["counts"]["start_up_seconds"]
    print(json.dumps(start_up))


def test_prompts_that_vllm_reads_differently_are_refused(world: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    original = PackTokenizer.prompt_ids
    monkeypatch.setattr(PackTokenizer, "prompt_ids", lambda self, messages: original(self, messages)[1:])
    with pytest.raises(BadInput, match="model 'base', question 'a:dataset_size:0': vLLM's environment tokenises"):
        run(_config(world, "mismatch", engine="vllm"))
    assert not (world / "mismatch" / "answers.jsonl").exists()
