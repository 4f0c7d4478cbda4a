"""`kcpt judge` against servers and models that misbehave: verdicts are right or invalid, never guessed."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import KcptError
from nemo_kcpt.evaluation.judging.config import Config
from nemo_kcpt.evaluation.judging.stage import run
from nemo_kcpt.files import read_jsonl, write_jsonl
from nemo_kcpt.llm import openai as client
from nemo_kcpt.runs import read_manifest
from tests.evaluation.judge.test_reading import MALFORMED
from tests.evaluation.judge.test_stage import shown, verdict
from tests.evaluation.test_asking import PASSING
from tests.synthesis.fake_server import Answer, FakeServer, ok


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.005)
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", "x")


def write_numbered(folder: Path, number: int) -> None:
    write_jsonl(folder / "papers.jsonl", [{"paper_id": "p", "text": "手法は良い。"}])
    write_jsonl(
        folder / "questions.jsonl",
        [
            {"question_id": f"q{n}", "split": "test", "paper_id": "p", "kind": "k", "question": "何番?", "answer": "0"}
            for n in range(number)
        ],
    )
    write_jsonl(
        folder / "answers.jsonl", [{"question_id": f"q{n}", "model": "m", "answer": f"{n}"} for n in range(number)]
    )


def judge(folder: Path, answer: Answer, **fields: Any) -> FakeServer:
    with FakeServer(answer) as server:
        run(
            Config(
                out=folder / "out",
                questions=folder / "questions.jsonl",
                answers=folder / "answers.jsonl",
                papers=folder / "papers.jsonl",
                judge="stub",
                base_url=server.url,
                structured="json_schema",
                **fields,
            )
        )
    return server


def asked(body: dict[str, Any]) -> int:
    return int(shown(body)["ANSWER"])


def test_malformed_replies_are_counted_as_invalid(tmp_path: Path) -> None:
    """Every second judgement is malformed, each in another way; those between are 0 and 1 in turn."""
    replies = list(MALFORMED.values())
    write_numbered(tmp_path, 2 * len(replies))

    def answer(body: dict[str, Any], place: int) -> Any:
        number = asked(body)
        return ok(replies[number // 2] if number % 2 else verdict(number // 2 % 2))

    server = judge(tmp_path, answer, reply_retries=1, max_invalid=0.5)
    assert len(server.bodies) == 3 * len(replies)  # the malformed ones were asked for again
    records = list(read_jsonl(tmp_path / "out" / "verdicts.jsonl"))
    assert [record["judge"] for record in records] == [
        None if number % 2 else number // 2 % 2 for number in range(2 * len(replies))
    ]
    assert all(bool(record["judge_fault"]) == (record["judge"] is None) for record in records)
    named = {record["judge_fault"].partition(": ")[0] for record in records[1::2]}
    assert named == {"unreadable", "unfinished_thought", "placeholder"}
    counts = read_manifest(tmp_path / "out")["counts"]
    assert counts["invalid"] == len(replies) >= 70 and counts["verdicts"] == 2 * len(replies)
    assert counts["factual"] + counts["not_factual"] == len(replies)
    invalid = list(read_jsonl(tmp_path / "out" / "invalid.jsonl"))
    assert [one["question_id"] for one in invalid] == [f"q{number}" for number in range(1, 2 * len(replies), 2)]


def test_one_more_than_accepted_is_too_many(tmp_path: Path) -> None:
    write_numbered(tmp_path, 10)
    with pytest.raises(KcptError, match="3 of 10 judgements"):
        judge(tmp_path, lambda body, n: ok("no" if asked(body) < 3 else verdict(1)), reply_retries=0, max_invalid=2)
    judge(tmp_path, lambda body, n: ok(verdict(1)), reply_retries=0, max_invalid=3)
    assert read_manifest(tmp_path / "out")["counts"]["invalid"] == 3  # what was unreadable stays so


def test_a_server_that_fails_half_the_time_changes_no_verdict(tmp_path: Path) -> None:
    write_numbered(tmp_path, 60)
    generator = random.Random(5)
    faults = [*PASSING.values(), ok("no JSON"), ok("")]
    planned = [generator.choice(faults) if generator.random() < 0.5 else "good" for _ in range(5000)]

    def answer(body: dict[str, Any], place: int) -> Any:
        return ok(verdict(asked(body) % 2)) if planned[place] == "good" else planned[place]

    server = judge(tmp_path, answer, retries=20, reply_retries=10, max_invalid=0)
    assert len(server.bodies) > 90
    assert [record["judge"] for record in read_jsonl(tmp_path / "out" / "verdicts.jsonl")] == [0, 1] * 30


def test_another_model_that_answers_ends_the_run_and_what_is_there_is_kept(tmp_path: Path) -> None:
    write_numbered(tmp_path, 20)
    exact = {"concurrency": 1, "served_model": "exact"}
    with pytest.raises(KcptError, match=r"stub was asked, other answered\. Give that name as judge="):
        judge(tmp_path, lambda body, n: ok(verdict(1), model="stub" if n < 8 else "other"), **exact)
    with pytest.raises(KcptError, match="other answered 1 times"):
        judge(tmp_path, lambda body, n: ok(verdict(1)), **exact)
    server = judge(tmp_path, lambda body, n: ok(verdict(0)))
    assert len(server.bodies) == 11, "the reply under the other name was paid for and counts now"
    records = list(read_jsonl(tmp_path / "out" / "verdicts.jsonl"))
    assert sorted(record["judge"] for record in records) == [0] * 11 + [1] * 9
    assert read_manifest(tmp_path / "out")["counts"]["served_models"] == {"other": 1}


def test_a_reply_that_was_cut_off_says_so(tmp_path: Path) -> None:
    write_numbered(tmp_path, 1)
    cut = {
        "choices": [
            {"index": 0, "finish_reason": "length", "message": {"role": "assistant", "content": '{"reason": "'}}
        ],
        "usage": {"prompt_tokens": 9, "completion_tokens": 1024, "total_tokens": 1033},
    }
    with pytest.raises(KcptError, match="1 of 1"):
        judge(tmp_path, lambda body, n: ok("", **cut))
    (one,) = read_jsonl(tmp_path / "out" / "invalid.jsonl")
    assert one["fault"].endswith("(cut off: give more max_tokens=)") and one["reply"] == '{"reason": "'
