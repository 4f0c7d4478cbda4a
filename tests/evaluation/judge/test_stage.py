"""`kcpt judge` as a stage: its records, evidence, panels, limits, and what it says of input that cannot be used."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.cli import main
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.judging.config import Config
from nemo_kcpt.evaluation.judging.stage import run
from nemo_kcpt.files import read_jsonl, write_jsonl
from nemo_kcpt.llm import openai as client
from nemo_kcpt.runs import read_manifest
from nemo_kcpt.text.language import question_language
from tests.evaluation.small import write_inputs
from tests.synthesis.fake_server import FakeServer, ok, problem

ANSWERS = {
    "base": ["12,400件", "わかりません。", "12,400件", "2019年"],
    "new": ["12,400件です。", "2021年です。", "3,000件", "2019年"],
}
FENCED = re.compile(r"<<<([A-Z]+(?: \d+)?) (\w{16})>>>\n(.*?)\n<<<END \1 \2>>>", re.DOTALL)


@pytest.fixture(autouse=True)
def short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(client, "FIRST_WAIT", 0.01)
    monkeypatch.setattr(client, "LONGEST_WAIT", 0.02)
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-the-main-server")
    monkeypatch.delenv("OPENAI_BASE_URL", raising=False)


@pytest.fixture
def inputs(tmp_path: Path) -> Path:
    write_inputs(tmp_path, ANSWERS)
    return tmp_path


def shown(body: dict[str, Any]) -> dict[str, str]:
    """What a request shows, by the name of its fence."""
    return {name: text for name, _, text in FENCED.findall(body["messages"][1]["content"])}


def verdict(judge: Any, reason: str = "理由") -> str:
    return json.dumps({"reason": reason, "verdict": judge}, ensure_ascii=False)


def exact(body: dict[str, Any], place: int) -> Any:
    """A stub that finds an answer right if the reference stands in it."""
    said = shown(body)
    return ok(verdict(int(said["REFERENCE"] in said["ANSWER"]), f"{said['REFERENCE']} が正解"), model=body["model"])


def config(folder: Path, server: FakeServer, **fields: Any) -> Config:
    given = {"judge": ["stub"], "structured": "json_schema", "retries": 1, "out": folder / "out", **fields}
    return Config(
        questions=folder / "questions.jsonl",
        answers=folder / "answers.jsonl",
        papers=folder / "papers.jsonl",
        base_url=server.url,
        **given,
    )


def verdicts(folder: Path) -> list[dict[str, Any]]:
    return list(read_jsonl(folder / "out" / "verdicts.jsonl"))


def test_one_record_for_each_answer_in_their_order(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server, price_prompt=1.0, price_completion=2.0))
    records = verdicts(inputs)
    answers = list(read_jsonl(inputs / "answers.jsonl"))
    assert [(r["question_id"], r["model"]) for r in records] == [(a["question_id"], a["model"]) for a in answers]
    assert [record["judge"] for record in records] == [1, 0, 0, 1, 1, 1, 1, 1]
    assert records[0] == {
        "question_id": "a:dataset_size",
        "model": "base",
        "judge": 1,
        "judge_reason": "12,400件 が正解",
        "judge_fault": "",
        "judges": [{"model": "stub", "judge": 1, "reason": "12,400件 が正解", "fault": ""}],
        "evidence": [{"paper_id": "a", "start": 0, "end": 17}],
        "cut": [],
    }
    assert len(server.bodies) == 7  # of two equal answers one was judged
    counts = read_manifest(inputs / "out")["counts"]
    assert {name: counts[name] for name in ("verdicts", "factual", "not_factual", "invalid", "ties", "requests")} == {
        "verdicts": 8,
        "factual": 6,
        "not_factual": 2,
        "invalid": 0,
        "ties": 0,
        "requests": 7,
    }
    assert counts["cost"] == pytest.approx(7 * (120 + 2 * 12) / 1e6)
    assert (counts["prompt_tokens"], counts["completion_tokens"]) == (840, 84)


def test_the_request_is_as_configured(inputs: Path) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server, temperature=0.5, max_tokens=99, seed=3, extra_body={"top_k": 5}, models=["new"]))
    assert len(server.bodies) == 4 and len(verdicts(inputs)) == 4
    # Requests are sent several at a time and arrive in any order.
    (body,) = [one for one in server.bodies if shown(one)["QUESTION"] == "手法aのdataset_sizeはいくつですか?"]
    assert (body["temperature"], body["max_tokens"], body["seed"], body["top_k"]) == (0.5, 99, 3, 5)
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"]["verdict"] == {"type": "integer", "enum": [0, 1]} and not schema["additionalProperties"]
    assert shown(body) == {
        "PASSAGE 1": "paper_id: a\n手法aは12,400件で学習した。",
        "QUESTION": "手法aのdataset_sizeはいくつですか?",
        "REFERENCE": "12,400件",
        "ANSWER": "12,400件です。",
    }
    assert "base" not in json.dumps(body["messages"])  # the judge does not learn whose answer it is


def test_a_finished_run_is_not_made_again_and_another_is_refused(inputs: Path) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server))
        before = (inputs / "out" / "verdicts.jsonl").read_bytes()
        run(config(inputs, server, concurrency=2, max_invalid=0.5))
        with pytest.raises(BadInput, match="evidence was paper, now corpus"):
            run(config(inputs, server, evidence="corpus"))
        made = len(server.bodies)
        run(config(inputs, server), redo=True)
        assert len(server.bodies) == made == 7 and (inputs / "out" / "verdicts.jsonl").read_bytes() == before


def test_fences_differ_from_run_to_run_and_not_within_one(inputs: Path) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server))
        run(config(inputs, server, out=inputs / "other"))
    nonces = [
        {nonce for body in part for _, nonce, _ in FENCED.findall(body["messages"][1]["content"])}
        for part in (server.bodies[:7], server.bodies[7:])
    ]
    assert nonces[0] and not nonces[0] & nonces[1]


LONG = "本研究では条件を変えて結果を調べた。" * 400


def write_corpus(folder: Path, text: str) -> None:
    write_inputs(folder, {"base": ["81.3%", "2021年", "3,000件", "2019年"]})
    write_jsonl(
        folder / "papers.jsonl",
        [
            {"paper_id": "a", "text": text},
            {"paper_id": "b", "text": "手法bは3,000件で2019年に学習した。"},
            {"paper_id": "c", "text": "後の研究で、手法aの正解率は81.3%と報告された。" + LONG},
        ],
    )


def test_a_long_paper_is_cut_to_its_best_passages(tmp_path: Path) -> None:
    text = LONG + "手法aのdataset_sizeは12,400件である。" + LONG + "正解率は81.3%である。" + LONG
    write_corpus(tmp_path, text)
    with FakeServer(exact) as server:
        run(config(tmp_path, server, paper_tokens=4000))
    record = verdicts(tmp_path)[0]
    assert record["cut"] == ["paper"] and len(record["evidence"]) > 1
    parts = [text[span["start"] : span["end"]] for span in record["evidence"]]
    assert "12,400件である" in "".join(parts) and "81.3%" in "".join(parts)
    assert sum(len(part.encode()) // 2 for part in parts) <= 4000
    (body,) = [body for body in server.bodies if shown(body)["ANSWER"] == "81.3%"]
    said = shown(body)
    assert [said[f"PASSAGE {n}"] for n in range(1, len(parts) + 1)] == [f"paper_id: a\n{part}" for part in parts]
    assert "論文の関連する箇所" in body["messages"][1]["content"]
    assert [record["cut"] for record in verdicts(tmp_path)] == [["paper"], ["paper"], [], []]


def test_evidence_from_the_corpus_names_its_papers(tmp_path: Path) -> None:
    write_corpus(tmp_path, "手法aは12,400件で学習した。")
    with FakeServer(exact) as server:
        run(config(tmp_path, server, evidence="corpus", passages=3))
    first = verdicts(tmp_path)[0]
    assert first["evidence"][0] == {"paper_id": "a", "start": 0, "end": 17}
    place = [(span["paper_id"], span["start"]) for span in first["evidence"]].index(("c", 0))
    (body,) = [body for body in server.bodies if shown(body)["ANSWER"] == "81.3%"]
    text = shown(body)[f"PASSAGE {place + 1}"]
    assert text.startswith("paper_id: c\n後の研究で、手法aの正解率は81.3%と報告された。")
    for record, paper in zip(verdicts(tmp_path), "aabb"):
        assert record["evidence"][0]["paper_id"] == paper and record["cut"] == []


def test_a_panel_decides_by_majority_and_says_how_it_agrees(inputs: Path) -> None:
    def panel(body: dict[str, Any], place: int) -> Any:
        if body["model"] == "yes":
            return ok(verdict(1, "いつも"), model="yes")
        if body["model"] == "broken":
            return ok("1", model="broken")
        return exact(body, place)

    with FakeServer(panel) as server:
        run(config(inputs, server, judge=["stub", "yes", "broken"], max_invalid=8, reply_retries=0))
    records = verdicts(inputs)
    assert [record["judge"] for record in records] == [1, None, None, 1, 1, 1, 1, 1]
    assert [record["judge_fault"] for record in records] == ["", "tie", "tie", "", "", "", "", ""]
    assert [[one["model"], one["judge"]] for one in records[1]["judges"]] == [["stub", 0], ["yes", 1], ["broken", None]]
    assert records[1]["judges"][2]["fault"].startswith("unreadable: ") and records[1]["judge_reason"] is None
    counts = read_manifest(inputs / "out")["counts"]
    assert (counts["ties"], counts["invalid"], counts["requests"]) == (2, 8, 21)
    pairs = [(*pair["judges"], pair["n"], pair["agreement"], pair["kappa"]) for pair in counts["agreement"]]
    assert pairs == [("stub", "yes", 8, 0.75, 0.0), ("stub", "broken", 0, None, None), ("yes", "broken", 0, None, None)]


def test_judges_on_other_servers_do_not_get_the_key(inputs: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY_OWN_1", "sk-own")
    with FakeServer(exact) as server, FakeServer(exact) as other, FakeServer(exact) as third:
        run(config(inputs, server, judge=["stub", f"other={other.url}", f"own-1={third.url}"]))
        assert len(server.bodies) == len(other.bodies) == len(third.bodies) == 7
        assert server.keys == {"Bearer sk-of-the-main-server"}
        assert other.keys == {"Bearer none"} and third.keys == {"Bearer sk-own"}
    assert [one["model"] for one in verdicts(inputs)[0]["judges"]] == ["stub", "other", "own-1"]


def test_too_many_invalid_verdicts_end_the_run_and_everything_is_kept(inputs: Path) -> None:
    def worse(body: dict[str, Any], place: int) -> Any:
        said = shown(body)
        if said["ANSWER"] == "わかりません。":
            return problem(500)
        return ok("判定は1です。") if said["ANSWER"] == "3,000件" else exact(body, place)

    with FakeServer(worse) as server:
        with pytest.raises(KcptError, match=r"2 of 8 judgements have no readable verdict.*max_invalid=2"):
            run(config(inputs, server))
        assert not (inputs / "out" / "verdicts.jsonl").exists() and not (inputs / "out" / "manifest.json").exists()
        invalid = list(read_jsonl(inputs / "out" / "invalid.jsonl"))
        assert [one["fault"].split(":")[0] for one in invalid] == ["server_error", "unreadable"]
        assert invalid[1]["reply"] == "判定は1です。"
        made = len(server.bodies)
        run(config(inputs, server, max_invalid=0.25))
        assert len(server.bodies) == made + 2  # what the server did not answer, twice
    assert [record["judge"] for record in verdicts(inputs)] == [1, None, 0, 1, 1, 1, None, 1]
    counts = read_manifest(inputs / "out")["counts"]
    assert (counts["invalid"], counts["factual"], counts["not_factual"]) == (2, 5, 1)


def test_estimate_asks_nobody_and_writes_nothing(inputs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server, estimate=True, judge=["a", "b"], price_prompt=1000.0))
    said = capsys.readouterr().out
    assert re.search(r"8 answers, 2 judges: 14 requests, [\d,]+ estimated tokens of prompts .* cost \d", said)
    assert not server.bodies and not (inputs / "out").exists()


def test_a_salvaged_journal_goes_on(inputs: Path) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server))
        before = (inputs / "out" / "verdicts.jsonl").read_bytes()
        run(config(inputs, server, salvage=True), redo=True)
        assert len(server.bodies) == 7 and (inputs / "out" / "verdicts.jsonl").read_bytes() == before


@pytest.mark.parametrize(
    ("question", "language"),
    [
        ("手法aの件数はいくつですか?", "ja"),
        ("件数?", "ja"),
        ("BERTとRoBERTaのF1は?", "ja"),
        ("How many layers does it have?", "en"),
        ("What does 「カスミの手法」 achieve?", "en"),
        ("「Attention Is All You Need」の著者は誰ですか。", "ja"),
        ("「題名」", "ja"),
        ("", "ja"),
        ("81.3%", "ja"),
    ],
)
def test_language_of_a_question(question: str, language: str) -> None:
    assert question_language(question) == language


def test_prompts_in_english(inputs: Path) -> None:
    with FakeServer(exact) as server:
        run(config(inputs, server, language="en"))
    system, user = server.bodies[0]["messages"]
    assert system["content"].startswith("You grade") and "Answer to grade" in user["content"]


def change(folder: Path, name: str, place: int, **fields: Any) -> None:
    records = list(read_jsonl(folder / name))
    records[place] |= fields
    (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))


def append(folder: Path, name: str, raw: bytes) -> None:
    with (folder / name).open("ab") as stream:
        stream.write(raw)


BAD: dict[str, tuple[Callable[[Path], Any], str]] = {
    "an answer to an unknown question": (
        lambda f: change(f, "answers.jsonl", 1, question_id="zz"),
        r"answers.jsonl, line 2: answers question 'zz', which is not among the kept questions; give",
    ),
    "a paper that is not there": (
        lambda f: change(f, "questions.jsonl", 2, paper_id="zz"),
        r"papers.jsonl: paper 'zz' of question 'b:dataset_size' is not in it; give the papers",
    ),
    "a paper twice": (
        lambda f: change(f, "papers.jsonl", 1, paper_id="a"),
        r"papers.jsonl, line 2: paper_id 'a' appears twice",
    ),
    "a question twice": (
        lambda f: change(f, "questions.jsonl", 1, question_id="a:dataset_size"),
        r"questions.jsonl: question_id 'a:dataset_size' appears twice",
    ),
    "an answer twice": (
        lambda f: change(f, "answers.jsonl", 1, question_id="a:dataset_size"),
        r"answers.jsonl, line 2: second record of model 'base' for question 'a:dataset_size'",
    ),
    "an answer that is a number": (
        lambda f: change(f, "answers.jsonl", 0, answer=81.3),
        r"answers.jsonl, line 1: answer is float, expected a text",
    ),
    "a paper whose text is a list": (
        lambda f: change(f, "papers.jsonl", 0, text=["x"]),
        r"papers.jsonl, paper 'a': text is list, expected a text",
    ),
    "an answer in Shift_JIS": (
        lambda f: append(f, "answers.jsonl", '{"question_id": "正解"}\n'.encode("shift_jis")),
        r"answers.jsonl, line 9: not UTF-8 at byte",
    ),
    "a paper in UTF-16": (
        lambda f: (f / "papers.jsonl").write_bytes('{"paper_id": "a", "text": "x"}\n'.encode("utf-16")),
        r"papers.jsonl, line 1: not UTF-8 at byte",
    ),
    "half a character in a model's name": (
        lambda f: change(f, "answers.jsonl", 0, model="m\ud800"),
        r"answers.jsonl: model 'm\\ud800' holds half a UTF-16 character",
    ),
    "half a character in a paper's id": (
        lambda f: change(f, "papers.jsonl", 1, paper_id="b\udc00"),
        r"papers.jsonl: paper_id 'b\\udc00' holds half a UTF-16 character",
    ),
    "no answers": (lambda f: (f / "answers.jsonl").write_bytes(b"\n"), r"answers.jsonl: no answers in it; make them"),
    "no file": (lambda f: (f / "answers.jsonl").unlink(), r"answers.jsonl: no such file"),
    "a line that is cut off": (lambda f: append(f, "answers.jsonl", b'{"a": "'), r"line 9, column \d+: not JSON"),
}


@pytest.mark.parametrize(("spoil", "said"), BAD.values(), ids=list(BAD))
def test_input_that_cannot_be_used(inputs: Path, spoil: Callable[[Path], Any], said: str) -> None:
    spoil(inputs)
    with FakeServer(exact) as server, pytest.raises(BadInput, match=said):
        run(config(inputs, server))
    assert not server.bodies


def test_text_of_any_kind_is_judged(inputs: Path) -> None:
    change(inputs, "answers.jsonl", 0, answer="あ" * 200_000)
    change(inputs, "answers.jsonl", 1, answer="\ud800文字化け縺薙ｌ\x00\ufffd")
    change(inputs, "answers.jsonl", 2, answer="")
    change(inputs, "papers.jsonl", 0, text="\udc00本文\u202e")
    change(inputs, "papers.jsonl", 1, text="")
    with FakeServer(exact) as server:
        run(config(inputs, server))
        bodies = list(server.bodies)
        run(config(inputs, server, evidence="corpus", out=inputs / "corpus"))
    records = verdicts(inputs)
    assert records[0]["cut"] == ["answer"] and records[1]["cut"] == []
    (long,) = [body for body in bodies if len(shown(body)["ANSWER"]) > 1000]
    assert "[… 192,000 characters are left out here …]" in shown(long)["ANSWER"]
    assert shown(long)["PASSAGE 1"] == "paper_id: a\n\ufffd本文[U+202E]"


def test_unknown_model_names_the_nearest(inputs: Path) -> None:
    with FakeServer(exact) as server, pytest.raises(BadInput, match=r"models: no answers of 'bas'.*'base'"):
        run(config(inputs, server, models=["bas"]))


@pytest.mark.parametrize(
    ("key", "said"),
    [
        ("evidence=papers", "evidence: 'papers' is not one of paper, corpus"),
        ("engine=template", "engine: 'template' is not one of openai, vllm"),
        ("judge=[]", "judge: give the name of a model"),
        ("judge=[a,a]", "each judge needs a name of its own"),
        ("judge=[a,b=http://h/v1] engine=vllm", "engine=vllm starts its own"),
        ("max_invalid=-1", "max_invalid: -1.0 was given"),
        ("reply_retries=-1", "reply_retries: -1 was given"),
        ("passages=0", "passages: 0 was given"),
        ("evidense=paper", "did you mean 'evidence'?"),
        ("", "required: answers"),
    ],
)
def test_keys_that_cannot_be(key: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    given = [] if not key else ["questions=q", "answers=a", "papers=p", "out=o"]
    assert main(["judge", *given, *key.split()]) == 2
    assert said in capsys.readouterr().err


def only_stub(body: dict[str, Any], place: int) -> Any:
    if body["model"] != "stub":
        return problem(404, "no such model")
    return exact(body, place) if len(body["messages"]) == 2 else ok()  # the first asks what the server offers


def test_as_a_command(inputs: Path, kcpt: Callable[..., subprocess.CompletedProcess[str]]) -> None:
    with FakeServer(only_stub) as server:
        words = [f"{name}={inputs / name}.jsonl" for name in ("questions", "answers", "papers")]
        done = kcpt("judge", *words, f"out={inputs / 'out'}", "judge=stub", f"base_url={server.url}")
        assert done.returncode == 0, done.stderr
        assert "8 answers: 6 factual, 2 not" in done.stderr + done.stdout
        again = kcpt("judge", *words, f"out={inputs / 'out'}", "judge=stub", f"base_url={server.url}")
        assert again.returncode == 0 and "is finished" in again.stderr + again.stdout
        wrong = kcpt("judge", *words, f"out={inputs / 'other'}", "judge=[nobody]", f"base_url={server.url}")
    assert wrong.returncode == 1 and "The server has stub; give one as judge=" in wrong.stderr
