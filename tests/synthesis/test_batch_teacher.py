"""The Batch API against a stub of it: rounds, limits, expired batches, and a process lost at every step."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import read_jsonl
from nemo_kcpt.llm import batch as module
from nemo_kcpt.llm.journal import Journal
from nemo_kcpt.runs import read_manifest
from nemo_kcpt.synthesis.config import Config
from nemo_kcpt.synthesis.stage import run
from tests.synthesis.fake_server import FakeServer, completion, problem, reply_to
from tests.synthesis.papers import corpus, paper


class Batches:
    """The API's files and batches, in memory (a stub)."""

    def __init__(self, server: FakeServer) -> None:
        self.files: dict[str, str] = {}
        self.batches: list[dict[str, Any]] = []
        self.polls = 0
        self.kill_at = ""
        self.status = "completed"
        self.answer = lambda body: reply_to(body)
        self.pid = 0
        for method, path, handle in (
            ("POST", "/v1/files", self.upload),
            ("GET", "/v1/files/", self.content),
            ("POST", "/v1/batches", self.create),
            ("GET", "/v1/batches/", self.retrieve),
            ("GET", "/v1/batches", self.list),
        ):
            server.routes[method, path] = self._at(handle)

    def _at(self, handle: Any) -> Any:
        def handled(given: Any) -> Any:
            found = handle(given)
            if self.kill_at == handle.__name__ and self.pid:
                os.kill(self.pid, signal.SIGKILL)
                self.pid = 0
            return 200, {}, found if isinstance(found, bytes) else json.dumps(found).encode()

        return handled

    def upload(self, given: Any) -> Any:
        lines = re.search(rb"\r\n\r\n(\{.*\})\n", given[1], re.DOTALL)
        assert lines
        self.files[name := f"file-{len(self.files)}"] = lines[1].decode()
        return {
            "id": name,
            "object": "file",
            "bytes": 1,
            "created_at": 0,
            "filename": "f",
            "purpose": "batch",
            "status": "processed",
        }

    def create(self, given: Any) -> Any:
        asked = json.loads(given[1])
        assert asked["endpoint"] == "/v1/chat/completions" and asked["completion_window"] == "24h"
        self.batches.append(
            {
                "id": f"batch-{len(self.batches)}",
                "object": "batch",
                "endpoint": asked["endpoint"],
                "created_at": 0,
                "input_file_id": asked["input_file_id"],
                "completion_window": "24h",
                "status": "in_progress",
                "metadata": asked["metadata"],
                "output_file_id": None,
                "error_file_id": None,
            }
        )
        return self.batches[-1]

    def retrieve(self, given: Any) -> Any:
        self.polls += 1
        found = next(one for one in self.batches if one["id"] == given[0].rsplit("/", 1)[1])
        if self.polls > 1 and found["status"] == "in_progress":
            found["status"] = self.status
            if self.status == "completed":
                found["output_file_id"] = f"out-{found['id']}"
                self.files[found["output_file_id"]] = self.answers(self.files[found["input_file_id"]])
            if self.status == "failed":
                found["errors"] = {"object": "list", "data": [{"message": "the file has too many lines"}]}
        return found

    def answers(self, asked: str) -> str:
        lines = []
        for line in asked.splitlines():
            record = json.loads(line)
            body = completion(self.answer(record["body"]))
            lines.append(json.dumps({"custom_id": record["custom_id"], "response": {"status_code": 200, "body": body}}))
        return "\n".join(["not json", "", *reversed(lines)])

    def list(self, given: Any) -> Any:
        return {"object": "list", "data": self.batches[::-1], "has_more": False}

    def content(self, given: Any) -> Any:
        return self.files[given[0].split("/")[3]].encode()


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-x")


@pytest.fixture()
def papers(tmp_path: Path) -> Path:
    return corpus(tmp_path / "corpus", [paper(number) for number in range(3)])


def config(server: FakeServer, papers: Path, out: Path, **fields: Any) -> Config:
    given = {"model": "stub", "kinds": ["summary", "qa_easy"], "poll": 0.01, "retries": 1, **fields}
    return Config(corpus=papers, out=out, teacher="batch", base_url=server.url, **given)


def test_half_the_price_and_the_same_pairs(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)
        run(config(server, papers, tmp_path / "out", price_prompt=2.0, price_completion=10.0))
        assert len(api.batches) == 1 and server.bodies == []
        asked = [json.loads(line) for line in api.files["file-0"].splitlines()]
    assert len(asked) == 6 and asked[0]["body"]["response_format"]["type"] == "json_schema"
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 6
    counts = read_manifest(tmp_path / "out")["counts"]
    assert counts["cost"] == pytest.approx(6 * (120 * 2 + 12 * 10) / 2 / 1e6)


def test_the_limits_of_a_file(papers: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_REQUESTS", 4)
    with FakeServer() as server:
        api = Batches(server)
        run(config(server, papers, tmp_path / "out"))
        assert [api.files[f"file-{n}"].count("custom_id") for n in (0, 1)] == [4, 2]
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 6


def test_an_unreadable_reply_goes_into_another_round(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)
        api.answer = lambda body: "nonsense" if body["seed"] < 2 and "カスミ1の" in str(body) else reply_to(body)
        run(config(server, papers, tmp_path / "out"))
        assert [text.count("custom_id") for name, text in sorted(api.files.items()) if name.startswith("file")] == [
            6,
            2,
            2,
        ]
        api.answer = lambda body: "nonsense"
        with pytest.raises(KcptError, match="6 calls have no readable answer"):
            run(config(server, papers, tmp_path / "other", reply_retries=1))
    assert {one["reply"] for one in read_jsonl(tmp_path / "other" / "failed.jsonl")} == {"nonsense"}
    assert all("unreadable: " in one["fault"] for one in read_jsonl(tmp_path / "other" / "failed.jsonl"))


def test_an_expired_batch_is_asked_for_again_by_the_next_run(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)
        api.status = "expired"
        with pytest.raises(KcptError, match="6 calls have no readable answer"):
            run(config(server, papers, tmp_path / "out"))
        assert len(api.batches) == 1
        assert "batch_expired" in (tmp_path / "out" / "failed.jsonl").read_text()
        api.status = "completed"
        run(config(server, papers, tmp_path / "out"))
        assert len(api.batches) == 2


def test_a_refused_batch_says_why(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        Batches(server).status = "failed"
        with pytest.raises(KcptError, match="was refused: the file has too many lines"):
            run(config(server, papers, tmp_path / "out"))
        server.routes["POST", "/v1/files"] = lambda given: problem(401, "no")
        with pytest.raises(KcptError, match=r"files\.create: the server refuses the key"):
            run(config(server, papers, tmp_path / "out"))


def test_a_reply_with_a_line_separator_of_unicode_is_one_line(papers: Path, tmp_path: Path) -> None:
    """JSON allows U+2028 and U+0085 as they are; a reply that was paid for is not lost to them."""

    def answers(asked: str) -> str:
        lines = []
        for record in map(json.loads, asked.splitlines()):
            reply = reply_to(record["body"]).replace("。", "。\u2028\x85")
            response = {"status_code": 200, "body": completion(reply)}
            lines.append(json.dumps({"custom_id": record["custom_id"], "response": response}, ensure_ascii=False))
        return "\n".join(lines)

    with FakeServer() as server:
        api = Batches(server)
        api.answers = answers  # type: ignore[method-assign]
        run(config(server, papers, tmp_path / "out"))
        assert len(api.batches) == 1
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 6


def test_a_batch_whose_answer_was_lost_is_not_submitted_twice(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)

        def create(given: Any) -> Any:
            made = api.create(given)
            return None if len(api.batches) == 1 else (200, {}, json.dumps(made).encode())

        server.routes["POST", "/v1/batches"] = create
        run(config(server, papers, tmp_path / "out"))
        assert len(api.batches) == 1
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 6


def test_lines_of_another_form_are_faults_of_their_calls(papers: Path, tmp_path: Path) -> None:
    def answers(asked: str) -> str:
        keys = [json.loads(line)["custom_id"] for line in asked.splitlines()]
        responses = [
            "x",
            None,
            {"status_code": 200},
            {"status_code": 200, "body": [1]},
            {"status_code": 500, "body": "x"},
            {"status_code": 200, "body": {"choices": []}},
        ]
        lines = [{"custom_id": key, "response": response} for key, response in zip(keys, responses)]
        return "\n".join(map(json.dumps, [[1], *lines]))

    with FakeServer() as server:
        Batches(server).answers = answers  # type: ignore[method-assign]
        with pytest.raises(KcptError, match="6 calls have no readable answer"):
            run(config(server, papers, tmp_path / "out", reply_retries=0))
    names = [record["fault"].partition(":")[0] for record in read_jsonl(tmp_path / "out" / "failed.jsonl")]
    assert sorted(names) == ["batch_error"] * 3 + ["empty_reply"] + ["invalid_reply"] * 2


def test_an_expired_batch_of_the_same_content_is_not_taken_for_a_lost_one(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)
        api.status = "expired"
        with pytest.raises(KcptError, match="6 calls"):
            run(config(server, papers, tmp_path / "out"))
        api.status = "completed"
        create = server.routes["POST", "/v1/batches"]
        server.routes["POST", "/v1/batches"] = lambda given: problem(401, "lost before the batch was made")
        with pytest.raises(KcptError, match=r"batches\.create"):
            run(config(server, papers, tmp_path / "out"))
        server.routes["POST", "/v1/batches"] = create
        run(config(server, papers, tmp_path / "out"))
        assert len(api.batches) == 2


@pytest.mark.parametrize("moment", ["upload", "create", "retrieve", "content"])
def test_a_lost_process_submits_nothing_twice(papers: Path, tmp_path: Path, moment: str) -> None:
    words = [
        f"corpus={papers}",
        f"out={tmp_path / 'out'}",
        "teacher=batch",
        "model=stub",
        "kinds=[summary,qa_easy]",
        "poll=0.05",
    ]
    with FakeServer() as server:
        api = Batches(server)
        api.kill_at = moment
        command = [sys.executable, "-m", "nemo_kcpt.cli", "synthesize", *words, f"base_url={server.url}"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        api.pid = process.pid
        printed, _ = process.communicate(timeout=600)
        assert process.returncode == -signal.SIGKILL, printed
        api.kill_at = ""
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
        assert done.returncode == 0, done.stderr
        assert len(api.batches) == 1  # a file that was only uploaded costs nothing
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 6


def own_name(lines: str, name: str = "gpt-4o-mini-2024-07-18") -> str:
    return lines.replace('"model": "stub"', f'"model": "{name}"')


def test_replies_under_another_name_are_used_and_never_paid_for_again(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)
        plain = api.answers
        api.answers = lambda asked: own_name(plain(asked))  # type: ignore[method-assign]
        with pytest.raises(
            KcptError, match=r"stub was asked, gpt-4o-mini-2024-07-18 answered 6 times .*served_model=any"
        ):
            run(config(server, papers, tmp_path / "out", served_model="exact"))
        with pytest.raises(KcptError, match="answered 6 times"):
            run(config(server, papers, tmp_path / "out", served_model="exact"))
        run(config(server, papers, tmp_path / "out"))
        assert len(api.batches) == 1
    records = list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))
    assert len(records) == 6
    assert {(one["teacher"]["model"], one["teacher"]["served_model"]) for one in records} == {
        ("stub", "gpt-4o-mini-2024-07-18")
    }
    assert read_manifest(tmp_path / "out")["counts"]["served_models"] == {"gpt-4o-mini-2024-07-18": 6}


def test_what_was_paid_for_is_kept_whatever_is_wrong_with_it(papers: Path, tmp_path: Path) -> None:
    """Status 200 without content, of another form, without an id: in the journal, and not submitted again as it was."""

    def answers(asked: str) -> str:
        records = [json.loads(line) for line in asked.splitlines()]
        lines = []
        for number, record in enumerate(records):
            body: Any = completion(reply_to(record["body"]))
            body = [{**body, "choices": []}, "text", body, body, body, body][number]
            line = {"custom_id": record["custom_id"], "response": {"status_code": 200, "body": body}}
            if number == 2:
                del line["custom_id"]
            lines.append(json.dumps(line))
        return "\n".join(lines)

    with FakeServer() as server:
        api = Batches(server)
        api.answers = answers  # type: ignore[method-assign]
        with pytest.raises(KcptError, match="2 calls have no readable answer"):
            run(config(server, papers, tmp_path / "out", reply_retries=0))
        with pytest.raises(KcptError, match="2 calls have no readable answer"):
            run(config(server, papers, tmp_path / "out", reply_retries=0))
        assert len(api.batches) == 1
    faults = {
        record["fault"].partition(":")[0]: record["reply"] for record in read_jsonl(tmp_path / "out" / "failed.jsonl")
    }
    assert set(faults) == {"empty_reply", "invalid_reply"} and '"choices": []' in faults["empty_reply"]


def test_lines_without_ids_are_kept_and_their_requests_not_made_again(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        api = Batches(server)
        plain = api.answers
        api.answers = lambda asked: re.sub('"custom_id": "[^"]*"', '"custom_id": null', plain(asked))  # type: ignore
        with pytest.raises(KcptError, match="6 calls have no readable answer"):
            run(config(server, papers, tmp_path / "out", reply_retries=0))
        with pytest.raises(KcptError, match="6 calls have no readable answer"):
            run(config(server, papers, tmp_path / "out", reply_retries=0))
        assert len(api.batches) == 1
    with Journal(tmp_path / "out" / "journal.sqlite") as journal:
        (lines,) = journal.notes("stray replies of ").values()
    assert sum(
        "カスミ" in json.loads(line)["response"]["body"]["choices"][0]["message"]["content"] for line in lines[1:]
    )
    assert {record["fault"].partition(":")[0] for record in read_jsonl(tmp_path / "out" / "failed.jsonl")} == {
        "stray_reply"
    }


def test_a_lost_batch_is_found_by_its_file_and_among_many(papers: Path, tmp_path: Path) -> None:
    """A server that keeps no metadata, and an account with more batches since than are looked through at least."""
    with FakeServer() as server:
        api = Batches(server)

        def create(given: Any) -> Any:
            made = api.create(given)
            made["metadata"] = None
            made["created_at"] = 2_000_000_000
            others = [{**made, "id": f"other-{n}", "input_file_id": "x"} for n in range(module.LOOKED_BACK + 50)]
            api.batches += others
            return None  # the connection is lost

        server.routes["POST", "/v1/batches"] = create
        run(config(server, papers, tmp_path / "out"))
        assert sum(one["input_file_id"] != "x" for one in api.batches) == 1
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 6
