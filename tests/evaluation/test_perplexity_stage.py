"""kcpt perplexity: against transformers' own loss, windows, resuming, intervals; the general questions."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions import stage as questions_stage
from nemo_kcpt.evaluation.scoring import perplexity_stage
from nemo_kcpt.evaluation.scoring.exact_match import exact_match
from nemo_kcpt.evaluation.scoring.perplexity_stage import GENERAL, Config, measure, run, windows
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.records.inputs import read_questions
from tests.evaluation.small import make_model

TEXTS = ["手法aは12,400件で学習した。" * 3, "東京大学が2021年に提案した手法である。", "a short one"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    folder = tmp_path_factory.mktemp("models")
    return {name: str(make_model(folder / name, seed)) for seed, name in enumerate(("base", "trained"))}


def _config(folder: Path, models: dict[str, str], **more: Any) -> Config:
    write_jsonl(folder / "texts.jsonl", [{"text": text} for text in TEXTS])
    return Config(**{"out": folder / "out", "models": models, "text": folder / "texts.jsonl"} | more)


def test_nats_are_the_loss_of_transformers(tmp_path: Path, models: dict[str, str]) -> None:
    import torch
    from transformers import AutoModelForCausalLM

    run(_config(tmp_path, models))
    for record in read_jsonl(tmp_path / "out" / "perplexity.jsonl"):
        folder = Path(models[record["model"]])
        tokenizer, text = PackTokenizer(folder), TEXTS[int(record["question_id"].split()[1]) - 1]
        ids = torch.tensor([[tokenizer.token_id("bos_token"), *tokenizer.text_ids([text])[0]]])
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        with torch.inference_mode():
            loss = float(model(ids, labels=ids).loss)
        assert record["tokens"] == ids.shape[1] - 1 and record["bytes"] == len(text.encode())
        assert record["nats"] == pytest.approx(loss * record["tokens"], rel=1e-5)
    found = read_json(tmp_path / "out" / "perplexity.json")["models"]
    assert [row["model"] for row in found] == ["base", "trained"]
    for row in found:
        assert row["perplexity_ci95"][0] <= row["perplexity"] <= row["perplexity_ci95"][1]
    assert found[0]["difference"] is None
    apart = found[1]["bits_per_byte"] - found[0]["bits_per_byte"]
    assert found[1]["difference"] == pytest.approx(apart, abs=1e-9)


@given(st.integers(1, 300), st.integers(2, 64))
def test_every_token_is_scored_once_with_enough_before_it(tokens: int, window: int) -> None:
    found = windows(tokens, window)
    scored = [place for start, end, first in found for place in range(first, end)]
    assert scored == list(range(1, tokens))
    for start, end, first in found:
        assert 0 <= start < end <= tokens and end - start <= window
        assert start == 0 or first - start >= window // 2


def test_windows_give_nearly_the_numbers_of_one_pass(tmp_path: Path, models: dict[str, str]) -> None:
    for name, window in (("whole", 512), ("halves", 32)):
        run(_config(tmp_path, models, out=tmp_path / name, window=window))
    whole, halves = (list(read_jsonl(tmp_path / name / "perplexity.jsonl")) for name in ("whole", "halves"))
    assert [record["tokens"] for record in whole] == [record["tokens"] for record in halves]
    assert any(record["tokens"] > 32 for record in whole)
    for one, other in zip(whole, halves):
        assert other["nats"] == pytest.approx(one["nats"], rel=0.05)


def test_a_killed_run_goes_on_with_the_next_text(
    tmp_path: Path, models: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(_config(tmp_path, models, out=tmp_path / "whole"))
    score, calls = perplexity_stage._Model.nats, []

    def failing(self: Any, text: str) -> tuple[int, float]:
        calls.append(text)
        if len(calls) == 5:
            raise KeyboardInterrupt
        return score(self, text)

    monkeypatch.setattr(perplexity_stage._Model, "nats", failing)
    with pytest.raises(KeyboardInterrupt):
        run(_config(tmp_path, models))
    run(_config(tmp_path, models))
    assert len(calls) == 2 * len(TEXTS) + 1, "only the text under way is scored again"
    for name in ("perplexity.jsonl", "perplexity.json"):
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_a_model_that_is_worse_on_every_text_differs_clearly() -> None:
    rows = [
        {"question_id": f"t{n}", "model": model, "tokens": 100 + n, "bytes": 400 + n, "nats": nats + n}
        for n in range(10)
        for model, nats in (("base", 300.0), ("trained", 330.0))
    ]
    base, trained = measure(rows, "base")
    assert base["perplexity"] == pytest.approx(
        math.exp(sum(300 + n for n in range(10)) / sum(100 + n for n in range(10)))
    )
    assert 0 < trained["difference_ci95"][0] <= trained["difference"] <= trained["difference_ci95"][1]


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ([{"text": "  "}], "record 1: text is empty"),
        ([{"text": 3}], "record 1: text is empty or no text"),
        ([{"text": "a", "paper_id": "x"}, {"text": "b", "paper_id": "x"}], "record 2: paper_id 'x' appears twice"),
        ([{"title": "a"}], "field text is missing"),
        ([], "no text in it"),
    ],
)
def test_bad_texts_are_named(tmp_path: Path, models: dict[str, str], lines: list[Any], said: str) -> None:
    config = _config(tmp_path, models)
    (tmp_path / "texts.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    with pytest.raises(BadInput, match=said):
        run(config)


def test_the_projects_own_texts_and_questions(tmp_path: Path, models: dict[str, str]) -> None:
    run(Config(out=tmp_path / "ja", models={"base": models["base"]}, language="ja"))
    (row,) = read_json(tmp_path / "ja" / "perplexity.json")["models"]
    assert row["texts"] == 12
    assert len({record["text"] for record in read_jsonl(GENERAL / "texts.jsonl")}) == 24
    for language, number in (("ja", 40), ("en", 40), ("both", 80)):
        questions_stage.run(questions_stage.Config(out=tmp_path / language / "questions", general=language))
        found = read_questions(tmp_path / language / "questions")
        assert len(found) == number
        assert all(exact_match(f"{one['answer']}です", one["accepted"]) for one in found.values() if language == "ja")
        assert all(
            exact_match(f"It is {one['answer']}.", one["accepted"]) for one in found.values() if language == "en"
        )
    with pytest.raises(BadInput, match="general= and corpus= contradict each other"):
        questions_stage.run(questions_stage.Config(out=tmp_path / "x", general="ja", corpus=tmp_path))
    with pytest.raises(ValueError, match="general: 'fr' is not ja, en or both"):
        questions_stage.Config(out=tmp_path, general="fr")
