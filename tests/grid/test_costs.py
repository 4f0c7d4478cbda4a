"""What a grid will take: the method's own experiment, and that what is there is counted and not assumed."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.judging import stage as judge_stage
from nemo_kcpt.experiment import counts as counting
from nemo_kcpt.experiment.costs import (
    Counts,
    counts_of,
    judging_cost,
    judging_cost_of,
    pack_tokens,
    shown_tokens,
    synthesis_cost,
    synthetic_ratio,
)
from nemo_kcpt.experiment.training_costs import training_cost
from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.llm.counting import token_counter
from nemo_kcpt.llm.journal import DONE, NAME, Journal, Row
from nemo_kcpt.llm.sampling import Asking as Nobody
from nemo_kcpt.records.kinds import KINDS
from nemo_kcpt.synthesis.calls import make_plan
from nemo_kcpt.synthesis.config import Config as Synthesis
from tests.tiny_tokenizer import make_tokenizer

METHOD = Counts(papers=1924, characters=39_000_000)
LENGTHS = (1024, 2048, 4096, 8192, 16384)
PAPERS = [
    {"paper_id": f"p{n}", "title": f"題{n}", "text": f"文{n}。" * (40 + 10 * n), "language": "ja"} for n in range(5)
]


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    write_jsonl(tmp_path / "corpus/papers.jsonl", PAPERS)
    return tmp_path / "corpus"


def synthesis(tmp_path: Path, **keys: Any) -> Synthesis:
    return Synthesis(corpus=tmp_path / "corpus", out=tmp_path / "synthetic", **{"teacher": "openai", **keys})


# ---- trainings


def test_the_methods_lengths_take_equal_steps_on_one_node() -> None:
    size = pack_tokens(None, METHOD, 4096)
    found = [training_cost("llm-jp-3-13b", length, size.step_tokens) for length in LENGTHS]
    assert {one.steps for one in found} == {2 * -(-2 * size.step_tokens // (128 * 4096) // 2)}
    assert {one.tokens for one in found} == {found[0].steps * 128 * 4096}
    hours = [one.hours for one in found]
    assert hours == sorted(hours), "attention costs more in longer windows"
    assert all(one.memory_gb < 80 and one.gpu_hours == pytest.approx(8 * one.hours, rel=0.01) for one in found)
    # By hand: 6 FLOPs a weight and token, at the share of the peak that docs/planner.md shows (0.35 to 0.45).
    least = found[0].tokens * 6 * KNOWN["llm-jp-3-13b"].parameters() / (8 * 989.4e12) / 3600
    assert least / 0.45 < hours[0] < hours[-1] < 2 * least / 0.35
    assert "estimated" in found[0].basis and "0.45 assumed" in found[0].basis


def test_the_planner_says_the_same(tmp_path: Path) -> None:
    from nemo_kcpt.planning import stage as planning

    keys = {"model": "llm-jp-3-13b", "seq_length": 8192, "nodes": 2, "tokens": 5e8, "json": tmp_path / "plan.json"}
    planning.run(planning.Config(**keys))
    plan = json.loads((tmp_path / "plan.json").read_text())
    found = training_cost("llm-jp-3-13b", 8192, 5e8, nodes=2)
    best = plan["plans"][0]
    assert (found.steps, found.layout, found.hours, found.gpu_hours) == (
        plan["steps"],
        best["name"],
        best["hours"],
        best["gpu_hours"],
    )


def test_tuning_takes_64_windows_a_step_and_no_context_parallelism() -> None:
    size = pack_tokens(None, None, 1024, mode="instruction", samples=30_000)
    found = training_cost("llm-jp-3-13b", 1024, size.step_tokens, epochs=1, tuning=True)
    assert found.steps == 2 * -(-size.step_tokens // (64 * 1024) // 2) and "CP" not in found.layout


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"gpus": 1}, "llm-jp-3-13b at 4,096 tokens: no layout fits 1 GPUs"),
        ({"model": "llm-jp-3-13x"}, "did you mean 'llm-jp-3-13b'"),
        ({"gpu": "h100"}, "gpu: 'h100' is not known"),
        ({"tokens": 0}, "tokens: 0 was given"),
        ({"epochs": 0}, "epochs: 0 was given"),
        ({"mfu": 2}, "mfu: 2 was given"),
    ],
)
def test_a_training_that_cannot_be(keys: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        training_cost(**{"model": "llm-jp-3-13b", "seq_length": 4096, "tokens": 1e8, **keys})


# ---- packs


def test_a_pack_that_is_not_there_is_the_corpus_and_so_much_more(tmp_path: Path) -> None:
    assert METHOD.tokens == 21_450_000
    ratio = synthetic_ratio(METHOD)
    raw, concat, anchored = (pack_tokens(tmp_path, METHOD, 1024, mode=mode) for mode in ("raw", "concat", "anchored"))
    assert raw.tokens == METHOD.tokens and concat.tokens == round(METHOD.tokens * (1 + ratio))
    assert anchored.tokens == pytest.approx(concat.tokens / (1 - 0.277), abs=1)
    assert anchored.step_tokens == pytest.approx(anchored.tokens / 0.969, rel=1e-6)
    assert not raw.measured and "assumed" in concat.basis and "JaQuAD" in anchored.basis
    # The docstring's: 48 pairs a paper.
    assert round(ratio * METHOD.tokens / METHOD.papers / 48) == 686


def test_some_kinds_are_a_part_of_all(tmp_path: Path) -> None:
    each = {kind: synthetic_ratio(METHOD, [kind]) for kind in KINDS}
    assert sum(each.values()) == pytest.approx(synthetic_ratio(METHOD)) and min(each.values()) > 0
    two = counts_of(None, {"papers": 1924, "characters": 39_000_000}, kinds=["paraphrase", "summary"])
    assert synthetic_ratio(two) == pytest.approx(each["paraphrase"] + each["summary"])
    assert synthetic_ratio(two, ["summary", "keywords"]) == pytest.approx(each["summary"])
    given = dataclasses.replace(METHOD, synthetic_ratio=1.0)
    assert synthetic_ratio(given) == pytest.approx(1.0)
    assert synthetic_ratio(given, ["paraphrase"]) == pytest.approx(each["paraphrase"] / sum(each.values()))


def test_of_a_pack_that_is_there_the_manifest_counts(tmp_path: Path) -> None:
    counts = {"windows": 10, "tokens": 9000, "replay_windows": 0, "tokenizer_sha256": "x", "vocab_size": 9}
    manifest = {
        "format": 1,
        "stage": "pack",
        "fingerprint": "f",
        "config": {"mode": "anchored", "seq_length": 1024},
        "inputs": {},
        "outputs": {},
        "counts": counts,
        "version": "0",
    }
    write_json(tmp_path / "manifest.json", manifest)
    found = pack_tokens(tmp_path, None, 1024, mode="anchored")
    assert (found.tokens, found.step_tokens, found.measured) == (9000, 10240, True)


def test_nothing_to_estimate_a_pack_from(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no finished pack, and no counts"):
        pack_tokens(tmp_path, None, 1024)
    with pytest.raises(BadInput, match="samples: 0 was given"):
        pack_tokens(tmp_path, None, 1024, mode="instruction")


# ---- the corpus


def test_a_corpus_that_is_there_is_counted(tmp_path: Path, corpus: Path) -> None:
    tokenizer = make_tokenizer(tmp_path / "tokenizer")
    count, _ = token_counter(tokenizer)
    found = counts_of(corpus, {"papers": 9, "characters": 9}, tokenizer=tokenizer)
    assert (found.papers, found.characters) == (5, sum(len(one["text"]) for one in PAPERS))
    assert found.tokens == sum(count(one["text"]) for one in PAPERS) and found.basis == "counted"
    records = [
        {"paper_id": "a", "kind": "summary", "pairs": [{"instruction": "a" * 10, "output": "b" * 40}]},
        {"paper_id": "a", "kind": "qa_easy", "pairs": [{"instruction": "a", "output": "b"}] * 3},
    ]
    write_jsonl(tmp_path / "synthetic/synthetic.jsonl", records)
    found = counts_of(corpus, synthetic=tmp_path / "synthetic")
    assert found == counts_of(corpus, synthetic=tmp_path / "synthetic/synthetic.jsonl")
    assert synthetic_ratio(found) == pytest.approx(56 / found.characters)
    assert synthetic_ratio(found, ["qa_easy"]) == pytest.approx(6 / found.characters)
    assert "measured" in pack_tokens(None, found, 1024).basis


def test_large_corpora_are_sampled_evenly() -> None:
    found = counting.sample(({"n": n} for n in range(1924)), 1924)
    assert 90 <= len(found) <= counting.SAMPLE and found[0]["n"] < 20 and found[-1]["n"] > 1900
    assert len(counting.sample(({"n": n} for n in range(7)), 7)) == 7


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "x: no papers and no characters, and no corpus"),
        ({"papers": 3}, "x: no characters, and no corpus"),
        ({"papers": 3, "characters": 4, "charactres": 3}, "x: unknown key 'charactres'; did you mean 'characters'"),
        ({"papers": 0, "characters": 3}, "x: papers: 0 was given"),
        ({"papers": 3, "characters": "many"}, "x: characters: 'many' was given"),
        ({"papers": 3, "characters": 4, "language": "zh"}, "x: language: 'zh' is not one of ja, en"),
    ],
)
def test_counts_that_cannot_be(given: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        counts_of(tmp_path, given, where="x")


# ---- synthesis


def test_the_methods_synthesis_is_a_call_a_paper_and_kind(tmp_path: Path) -> None:
    counts = dataclasses.replace(METHOD, teacher_tokens_per_character=0.7)
    found = synthesis_cost(synthesis(tmp_path, price_prompt=0.4, price_completion=1.2), counts)
    assert found.requests == 1924 * 16
    assert found.prompt_tokens > 0.7 * 39e6 * 16 and found.prompt_tokens < 1.1 * 0.7 * 39e6 * 16
    assert found.completion_tokens == pytest.approx(0.7 * 39e6 * synthetic_ratio(METHOD), rel=0.01)
    assert found.price == pytest.approx((found.prompt_tokens * 0.4 + found.completion_tokens * 1.2) / 1e6)
    assert "0.7 tokens a character, given" in found.basis and "assumed" in found.basis
    half = synthesis_cost(synthesis(tmp_path, teacher="batch", price_prompt=0.4, price_completion=1.2), counts)
    assert found.price is not None and half.price == pytest.approx(found.price / 2)
    # With the cautious count the stage divides the mean paper, and asks about each part.
    cautious = synthesis_cost(synthesis(tmp_path), METHOD)
    assert cautious.requests == 2 * 1924 * 16 and cautious.price is None


def test_of_a_corpus_that_is_there_the_stages_own_plan_counts(tmp_path: Path, corpus: Path) -> None:
    config = synthesis(tmp_path, kinds=["summary", "qa_easy"])
    plan = make_plan(config, Nobody("x"), token_counter(None)[0], None)
    calls = [call for paper in plan.records() for call in plan.calls(paper)]
    prompts = sum(plan.count(message["content"]) for call in calls for message in call.request.messages)
    found = synthesis_cost(config, counts_of(corpus))
    assert found.requests == len(calls) == 10 and found.prompt_tokens == pytest.approx(prompts, abs=2 * len(calls))
    assert "the plan of 5 of 5 papers, a cautious count" in found.basis


def test_a_run_that_has_begun_says_what_it_takes(tmp_path: Path, corpus: Path) -> None:
    config = synthesis(tmp_path, price_prompt=1.0, price_completion=2.0)
    config.out.mkdir()
    with Journal(config.out / NAME) as journal:
        journal.note("calls", 80)
        row = Row("", "p0", "summary", 0, 0, DONE, "x", prompt_tokens=100, completion_tokens=30)
        journal.add(dataclasses.replace(row, key=f"{number:064x}") for number in range(4))
    found = synthesis_cost(config, counts_of(corpus))
    assert (found.requests, found.prompt_tokens, found.completion_tokens) == (80, 8000, 2400)
    assert found.price == pytest.approx(0.0128) and found.basis == "measured for 4 of 80 calls"


def test_rules_cost_nothing(tmp_path: Path, corpus: Path) -> None:
    found = synthesis_cost(synthesis(tmp_path, teacher="template"), counts_of(corpus))
    assert (found.requests, found.prompt_tokens, found.price, found.basis) == (80, 0, 0.0, "rules, no LLM")


def test_the_teachers_tokenizer_is_used_where_there_is_something_to_count(tmp_path: Path, corpus: Path) -> None:
    config = synthesis(tmp_path, tokenizer=make_tokenizer(tmp_path / "tokenizer"))
    assert "its tokenizer" in synthesis_cost(config, counts_of(corpus)).basis
    (corpus / "papers.jsonl").unlink()
    assert "cautious" in synthesis_cost(config, METHOD).basis


# ---- judging


def test_judging_before_there_are_answers() -> None:
    paper = shown_tokens(METHOD, 32_000)
    assert paper == token_counter(None)[0]("あ" * round(39e6 / 1924)) and shown_tokens(METHOD, 100) == 100
    found = judging_cost(1000, 21, paper_tokens=paper, judges=2, price_prompt=0.15, price_completion=0.6)
    assert found.requests == 42_000 and found.completion_tokens == 42_000 * judge_stage.REPLY_TOKENS
    assert 42_000 * paper < found.prompt_tokens < 42_000 * (paper + 3000)
    assert found.price == pytest.approx((found.prompt_tokens * 0.15 + found.completion_tokens * 0.6) / 1e6)
    assert judging_cost(10, 1, paper_tokens=100, language="en").price is None
    with pytest.raises(BadInput, match="models: 0 was given"):
        judging_cost(10, 0, paper_tokens=100)


def test_judging_of_answers_that_are_there_is_what_the_stage_shows(
    tmp_path: Path, corpus: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = {"split": "test", "kind": "qa_easy", "kept": True, "filter": {"by": "none", "verdict": 1, "reason": ""}}
    questions = [
        {"question_id": f"q{n}", "paper_id": f"p{n}", "question": f"題{n}は何か。", "answer": "文", **asked}
        for n in range(3)
    ]
    write_jsonl(tmp_path / "questions.jsonl", questions)
    answers = [{"question_id": f"q{n}", "model": m, "answer": f"文{m}"} for n in range(3) for m in ("a", "b")]
    write_jsonl(tmp_path / "answers.jsonl", answers)
    config = judge_stage.Config(
        out=tmp_path / "out",
        questions=tmp_path / "questions.jsonl",
        answers=tmp_path / "answers.jsonl",
        papers=corpus,
        price_prompt=100.0,
        price_completion=100.0,
        estimate=True,
    )
    found = judging_cost_of(config)
    judge_stage.run(config)
    shown = capsys.readouterr().out
    assert found.requests == 6 and f"6 requests, {found.prompt_tokens:,} estimated tokens" in shown
    assert f"about {found.completion_tokens:,} tokens of replies, cost {found.price:.2f}" in shown


def test_nothing_heavy_is_imported() -> None:
    program = (
        "import sys; from nemo_kcpt.experiment.costs import *; from nemo_kcpt.experiment.training_costs import *\n"
        "c = counts_of(None, {'papers': 1, 'characters': 100}); pack_tokens(None, c, 1024)\n"
        "training_cost('llm-jp-3-13b', 1024, 1e6); judging_cost(1, 1, paper_tokens=1)\n"
        "assert not {'nemo', 'torch', 'nemo_run', 'transformers', 'megatron'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
