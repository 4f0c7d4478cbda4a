"""Killed at random moments, a run ends with the bytes of one that never was, and judges little twice."""

from __future__ import annotations

import hashlib
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.files import read_jsonl, write_jsonl
from nemo_kcpt.runs import read_manifest
from tests.evaluation.judge.test_stage import shown
from tests.synthesis.fake_server import FakeServer, ok

SCRIPT = Path(__file__).with_name("judged_run.py")
CONCURRENCY = 4
KILLS = 24
PAPERS, QUESTIONS = 4, 20
DELAY = 0.004


def write_many(folder: Path) -> None:
    questions = [
        {"question_id": f"q{n}", "split": "test", "paper_id": f"p{n % PAPERS}", "kind": "qa_easy"}
        | {"question": f"手法{n}の正解率はいくつですか。", "answer": f"{n}%"}
        for n in range(QUESTIONS)
    ]
    write_jsonl(folder / "questions.jsonl", questions)
    write_jsonl(
        folder / "answers.jsonl",
        [
            {"question_id": f"q{n}", "model": model, "answer": f"{model}によれば{n * k}%です。"}
            for k, model in ((1, "base"), (2, "new"))
            for n in range(QUESTIONS)
        ],
    )
    texts = ["".join(f"手法{n}の正解率は{n}%である。" * 9 for n in range(p, QUESTIONS, PAPERS)) for p in range(PAPERS)]
    write_jsonl(folder / "papers.jsonl", [{"paper_id": f"p{p}", "text": text} for p, text in enumerate(texts)])


class Judges:
    """A stub of two judges that note what they are asked; by the content alone, whatever the fences' nonces."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self._lock = threading.Lock()

    def __call__(self, body: dict[str, Any], place: int) -> Any:
        said = shown(body)
        content = json.dumps([body["model"], said, body["seed"]], ensure_ascii=False, sort_keys=True)
        with self._lock:
            self.asked.append(content)
        time.sleep(DELAY)
        number = int(hashlib.sha256(json.dumps([body["model"], said["ANSWER"]]).encode()).hexdigest()[:6], 16)
        if number % 10 == 0 or (number % 10 == 1 and not body["seed"]):
            return ok('{"reason": "x", "verdict": 1', model=body["model"])  # unreadable, for good or at first
        return ok(json.dumps({"reason": said["ANSWER"], "verdict": number // 10 % 2}), model=body["model"])


class Runner:
    """The process that forks the runs."""

    def __init__(self) -> None:
        root = Path(__file__).resolve().parents[2]
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(root), "OPENAI_API_KEY": "x"},
        )

    def __call__(self, inputs: Path, out: Path, url: str, kill_after: float = 0) -> int:
        """Run, and kill it after so many seconds (0: not); its exit code."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(f"{inputs} {out} {url} {kill_after}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def close(self) -> None:
        self._process.communicate(timeout=10)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_two_dozen_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("KCPT_KILL_SEED", "20261126"))
    generator = random.Random(seed)
    write_many(tmp_path)
    judges = Judges()
    run = Runner()
    with FakeServer(judges) as server:
        assert run(tmp_path, tmp_path / "warm", server.url) == 0
        judges.asked.clear()
        begun = time.monotonic()
        assert run(tmp_path, tmp_path / "whole", server.url) == 0
        seconds = time.monotonic() - begun
        wanted = {name: (tmp_path / "whole" / name).read_bytes() for name in ("verdicts.jsonl", "invalid.jsonl")}
        once = Counter(judges.asked)
        records = list(read_jsonl(tmp_path / "whole" / "verdicts.jsonl"))
        assert len(records) == 2 * QUESTIONS and set(once.values()) == {1}
        assert {one["judge"] for record in records for one in record["judges"]} == {0, 1, None}
        kills = runs = twice_in_all = 0
        while kills < KILLS:
            out = tmp_path / f"run{runs}"
            runs += 1
            here = 0
            judges.asked.clear()
            while (code := run(tmp_path, out, server.url, generator.uniform(0.05, 0.6) * seconds)) != 0:
                assert code == -signal.SIGKILL, f"seed {seed}, run {runs}: exit code {code}"
                here += 1
                if here >= 8:  # a kill comes too soon for much to be done by then: let it end
                    assert run(tmp_path, out, server.url) == 0
                    break
            kills += here
            for name, content in wanted.items():
                assert (out / name).read_bytes() == content, f"seed {seed}, run {runs}, {name}"
            asked = Counter(judges.asked)
            assert set(asked) == set(once)
            twice = sum(asked.values()) - len(asked)
            twice_in_all += twice
            assert twice <= CONCURRENCY * here, f"seed {seed}, run {runs}: {twice} judged twice after {here} kills"
            counts = read_manifest(out)["counts"]
            assert counts["requests"] == len(once) and counts == read_manifest(tmp_path / "whole")["counts"]
    run.close()
    print(f"{kills} kills in {runs} runs (seed {seed}): {twice_in_all} of {runs * len(once)} requests made twice")
