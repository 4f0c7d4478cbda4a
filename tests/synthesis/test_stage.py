"""`kcpt synthesize` as a user runs it, against a stub server over HTTP and with the template teacher."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.cli import main
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.llm import openai as module
from nemo_kcpt.records.kinds import KINDS
from nemo_kcpt.runs import Shard, read_manifest
from nemo_kcpt.synthesis.config import Config
from nemo_kcpt.synthesis.stage import run
from tests.synthesis.fake_server import FakeServer, ok, problem, reply_to
from tests.synthesis.papers import corpus, paper
from tests.synthesis.test_prompts import prompt_file

CANARY = "sk-canary-0c4d1e77aa"
KINDS_ASKED = ["summary", "qa_easy"]


@pytest.fixture()
def papers(tmp_path: Path) -> Path:
    return corpus(tmp_path / "corpus", [paper(number) for number in range(6)])


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "FIRST_WAIT", 0.01)
    monkeypatch.setenv("OPENAI_API_KEY", CANARY)


def config(server: FakeServer, papers: Path, out: Path, **fields: Any) -> Config:
    given = {"model": "stub", "kinds": KINDS_ASKED, "retries": 1, "concurrency": 3, **fields}
    return Config(corpus=papers, out=out, teacher="openai", base_url=server.url, **given)


def files_of(out: Path) -> dict[str, bytes]:
    names = ("synthetic.jsonl", "failed.jsonl", "rejected.jsonl", "synthesis.json", "synthesis.html", "synthesis.md")
    return {name: (out / name).read_bytes() for name in names}


def test_a_run_its_page_and_its_second_call(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        run(config(server, papers, tmp_path / "out", price_prompt=2.0, price_cached=1.0, price_completion=10.0))
        asked = len(server.bodies)
        run(config(server, papers, tmp_path / "out", concurrency=9, price_prompt=3.0))
        assert len(server.bodies) == asked == 12 + 1  # one to find out what the server offers
        with pytest.raises(BadInput, match=r"temperature was 0\.7, now 0\.1"):
            run(config(server, papers, tmp_path / "out", temperature=0.1))
    records = list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))
    assert [(one["paper_id"], one["kind"]) for one in records] == [
        (f"p{n}", kind) for n in range(6) for kind in KINDS_ASKED
    ]
    counts = read_manifest(tmp_path / "out")["counts"]
    assert counts["pairs"] == {"summary": 6, "qa_easy": 6} and counts["failed"] == 0
    # (24 fresh prompt tokens at 2, 96 cached ones at 1, 12 written at 10) a million, twelve times
    assert counts["cost"] == pytest.approx(12 * (24 * 2 + 96 * 1 + 12 * 10) / 1e6)
    page = (tmp_path / "out" / "synthesis.html").read_text(encoding="utf-8")
    assert "summary" in page and "<svg" in page and "カスミ" in page and "<script" not in page
    assert read_json(tmp_path / "out" / "synthesis.json")["totals"]["kept"] == 12


def test_more_kinds_later_ask_only_for_these(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        run(config(server, papers, tmp_path / "out"))
        before = len(server.bodies)
        run(config(server, papers, tmp_path / "out", kinds=[*KINDS_ASKED, "keywords"]), redo=True)
        assert len(server.bodies) == before + 6  # and the form that the server takes is known from the journal


def test_failures_end_the_run_and_are_gone_on_with(papers: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"

    def answer(body: dict[str, Any], number: int) -> Any:
        text = body["messages"][-1]["content"]
        if "カスミ2の研究" in text and broken:
            return ok("no JSON at all")
        return problem(500) if "カスミ3の研究" in text and broken else ok(reply_to(body))

    broken = True
    with FakeServer(answer) as server:
        with pytest.raises(KcptError, match=r"4 calls have no readable answer; .*failed\.jsonl.*max_failed=4"):
            run(config(server, papers, out, reply_retries=1))
        assert not (out / "synthetic.jsonl").exists() and not (out / "manifest.json").exists()
        failed = list(read_jsonl(out / "failed.jsonl"))
        assert sorted(one["fault"].split(":")[0] for one in failed) == ["server_error"] * 2 + ["unreadable"] * 2
        assert {one["reply"] for one in failed} == {"", "no JSON at all"}
        assert read_json(out / "synthesis.json")["faults"] == {"server_error": 2, "unreadable": 2}
        before = len(server.bodies)
        broken = False
        with pytest.raises(KcptError, match="2 calls have no readable answer"):
            run(config(server, papers, out, reply_retries=1))
        assert len(server.bodies) == before + 2  # unreadable replies were paid for and are not asked for again
        run(config(server, papers, out, reply_retries=1, max_failed=2))
        assert len(list(read_jsonl(out / "synthetic.jsonl"))) == 10
        run(config(server, papers, out, reply_retries=2), redo=True)
        assert len(list(read_jsonl(out / "synthetic.jsonl"))) == 12


def test_shards_give_the_same_files(papers: Path, tmp_path: Path) -> None:
    with FakeServer() as server:
        run(config(server, papers, tmp_path / "whole"))
        one = tmp_path / "sharded"
        with pytest.raises(BadInput, match="no shards"):
            run(config(server, papers, one, merge=True))
        run(config(server, papers, one, shard="0/3"))
        with pytest.raises(BadInput, match=r"shards 1/3, 2/3 are missing"):
            run(config(server, papers, one, merge=True))
        for index in (1, 2):
            run(config(server, papers, one, shard=f"{index}/3"))
        asked = len(server.bodies)
        run(config(server, papers, one, merge=True))
        assert len(server.bodies) == asked
    assert files_of(one) == files_of(tmp_path / "whole")
    assert sum(Shard(index, 3).holds(f"p{n}") for index in range(3) for n in range(1000)) == 1000


def test_a_shard_that_did_not_end_is_a_gap(papers: Path, tmp_path: Path) -> None:
    dead = [False]

    def answer(body: dict[str, Any], number: int) -> Any:
        return problem(401) if dead[0] and number > 10 else ok(reply_to(body))

    with FakeServer(answer) as server:
        run(config(server, papers, tmp_path / "out", shard="0/2"))
        dead[0] = True
        with pytest.raises(KcptError, match="refuses the key"):
            run(config(server, papers, tmp_path / "out", shard="1/2", concurrency=1))
        with pytest.raises(KcptError, match=r"were never made \(the first: p\d"):
            run(config(server, papers, tmp_path / "out", merge=True))
        dead[0] = False
        run(config(server, papers, tmp_path / "out", shard="1/2"))
        run(config(server, papers, tmp_path / "out", merge=True))
    assert len(list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))) == 12


def test_a_request_made_by_two_shards_is_told(papers: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with FakeServer() as server:
        for index in (0, 1):
            run(config(server, papers, tmp_path / "out", shard=f"{index}/2"))
        folders = [tmp_path / "out" / "shards" / f"000{index}-of-0002" for index in (0, 1)]
        from nemo_kcpt.llm.journal import NAME, Journal

        with Journal(folders[0] / NAME) as first, Journal(folders[1] / NAME) as second:
            row = next(first.rows())
            second.add([type(row)(**{**vars(row), "reply": row.reply + " "})])
        caplog.clear()
        run(config(server, papers, tmp_path / "out", merge=True))
    assert "1 requests were made by two shards" in caplog.text


def test_status_while_and_after(papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="no run has begun"):
        run(Config(corpus=papers, out=tmp_path / "none", status=True))
    some = FakeServer(lambda body, number: ok(reply_to(body)) if number < 7 else problem(401))
    with some as server, pytest.raises(KcptError):
        run(config(server, papers, tmp_path / "out", concurrency=1, price_prompt=100.0))
    capsys.readouterr()
    run(Config(corpus=papers, out=tmp_path / "out", status=True))
    told = capsys.readouterr().out
    assert "6 of 12 calls answered (50.0 %), 1 failed" in told
    cost, forecast = map(float, re.findall(r"[\d.]+", told.splitlines()[-1]))
    assert cost == pytest.approx(0.07, abs=0.011) and forecast == pytest.approx(2 * cost, abs=0.02)


def test_prefix_report(papers: Path, tmp_path: Path, shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(BadInput, match="give the teacher's tokenizer="):
        run(Config(corpus=papers, out=tmp_path / "o", teacher="openai", prefix_report=True))
    (tokenizer,) = (path for path in shared_data.rglob("tokenizer.json"))
    run(Config(corpus=papers, out=tmp_path / "o", teacher="openai", prefix_report=True, tokenizer=tokenizer.parent))
    told = capsys.readouterr().out
    assert re.search(r"\d+\.\d % of the prompt tokens are in full blocks of 16", told)
    assert not (tmp_path / "o").exists()


def test_a_kind_of_ones_own_is_one_file(papers: Path, tmp_path: Path) -> None:
    folder = prompt_file(tmp_path / "own", "haiku.ja.j2", heldout="true")
    prompt_file(folder, "haiku.en.j2", heldout="true")
    with FakeServer(lambda body, number: ok('{"output": "古池や蛙飛びこむ水の音です。"}')) as server:
        run(config(server, papers, tmp_path / "out", prompts=folder, kinds=["haiku"]))
        with pytest.raises(BadInput, match="input prompts has other content"):
            prompt_file(folder, "haiku.ja.j2", heldout="false")
            run(config(server, papers, tmp_path / "out", prompts=folder, kinds=["haiku"]))
    records = list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))
    assert [one["kind"] for one in records] == ["haiku"] * 6 and all(one["heldout"] for one in records)


def test_all_sixteen_kinds_by_default(tmp_path: Path) -> None:
    with FakeServer() as server:
        run(config(server, corpus(tmp_path / "c", [paper()]), tmp_path / "out", kinds=[], without=["all"]))
    assert [one["kind"] for one in read_jsonl(tmp_path / "out" / "synthetic.jsonl")] == list(KINDS)


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"teacher": "gpt"}, "not one of openai"),
        ({"kinds": ["poem"]}, "poem is not one of"),
        ({"kinds": ["summary", "summary"]}, "once"),
        ({"concurrency": 0}, "at least 1"),
        ({"shard": "3/3"}, "counted from 0"),
        ({"shard": "0/2", "merge": True}, "first every shard"),
        ({"without": ["languages"]}, "did you mean 'wrong_language'|no filter 'languages'"),
        ({"window": 100, "max_tokens": 100}, "nothing is left"),
        ({"structured": "xml"}, "json_schema"),
    ],
)
def test_keys_that_cannot_be(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(corpus=Path("c"), out=Path("o"), **keys)


def test_the_template_teacher_needs_facts(papers: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"facts=FILE.*teacher=openai base_url="):
        run(Config(corpus=papers, out=tmp_path / "out"))


def test_the_key_is_nowhere(papers: Path, tmp_path: Path) -> None:
    """A whole run and a failing one as processes; then every file, and all that was printed, is searched."""
    environment = {**os.environ, "OPENAI_API_KEY": CANARY, "OPENAI_LOG": "debug"}

    def kcpt(url: str, out: str) -> subprocess.CompletedProcess[str]:
        words = ["synthesize", f"corpus={papers}", f"out={tmp_path / out}", "teacher=openai", "model=stub", "retries=0"]
        words += [f"base_url={url}", "kinds=[summary]", f"--log={tmp_path / out}.log"]
        return subprocess.run(
            [sys.executable, "-m", "nemo_kcpt.cli", *words],
            env=environment,
            capture_output=True,
            text=True,
            timeout=600,
        )

    with FakeServer() as good:
        done = kcpt(good.url, "good")
        assert done.returncode == 0, done.stderr
        assert good.keys == {f"Bearer {CANARY}"}
    with FakeServer(lambda body, number: problem(401, f"bad key {CANARY}")) as bad:
        failed = kcpt(bad.url, "bad")
        assert failed.returncode == 1 and "refuses the key" in failed.stderr
    told = [done.stdout, done.stderr, failed.stdout, failed.stderr]
    files = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert len(files) > 8
    assert not any(CANARY in text for text in told) and not any(CANARY.encode() in content for content in files)


def test_a_second_process_is_refused(papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from nemo_kcpt.runs import exclusive

    with exclusive(tmp_path / "out"):
        words = [f"corpus={papers}", f"out={tmp_path / 'out'}", "teacher=openai", "base_url=http://127.0.0.1:9/v1"]
        assert main(["synthesize", *words]) == 2
    assert f"pid {os.getpid()}" in capsys.readouterr().err


def test_a_damaged_journal_is_salvaged_and_gone_on_with(
    papers: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    with FakeServer() as server:
        run(config(server, papers, out))
        wanted = files_of(out)
        (out / "manifest.json").unlink()
        journal = out / "journal.sqlite"
        journal.write_bytes(journal.read_bytes()[: journal.stat().st_size // 2])
        keys = ["corpus=" + str(papers), f"out={out}", "teacher=openai", f"base_url={server.url}", "model=stub"]
        keys += ["retries=1", "concurrency=3", f"kinds={json.dumps(KINDS_ASKED)}"]
        assert main(["synthesize", *keys]) == 1
        assert "--salvage" in capsys.readouterr().err
        assert main(["synthesize", *keys, "--salvage"]) == 0
    assert files_of(out) == wanted
    assert list(out.glob("journal.sqlite.damaged-1"))
