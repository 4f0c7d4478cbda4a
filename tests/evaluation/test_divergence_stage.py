"""kcpt divergence: against torch's own KL on whole distributions, what is read of an answer, resuming, other models."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.answers import stage as generate
from nemo_kcpt.evaluation.scoring import divergence_stage
from nemo_kcpt.evaluation.scoring.divergence_stage import Config, divergence, draw, measure, run
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from nemo_kcpt.hf.load import load_causal_lm, stop_ids
from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests.evaluation.small import make_model, questions

LONGEST = 12


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Three random models, and what the first answers greedily to four questions."""
    root = tmp_path_factory.mktemp("divergence")
    models = {name: str(make_model(root / name, seed)) for seed, name in enumerate(("base", "trained", "other"))}
    write_jsonl(root / "questions.jsonl", questions())
    asked = {"questions": root / "questions.jsonl", "engine": "transformers", "max_new_tokens": LONGEST}
    generate.run(generate.Config(out=root / "answers", models={"base": models["base"]}, **asked))
    return {"models": models, "questions": root / "questions.jsonl", "answers": root / "answers"}


def _config(out: Path, world: dict[str, Any], **more: Any) -> Config:
    return Config(**{"out": out, **world} | more)


def test_it_is_the_kl_of_torch_over_the_whole_vocabulary(tmp_path: Path, world: dict[str, Any]) -> None:
    run(_config(tmp_path, world))
    found = {(one["question_id"], one["model"]): one for one in read_jsonl(tmp_path / "divergence.jsonl")}
    answers = {one["question_id"]: one for one in read_jsonl(world["answers"] / "answers.jsonl")}
    base = Path(world["models"]["base"])
    tokenizer, ends = PackTokenizer(base), stop_ids(base)
    nets = {name: load_causal_lm(Path(folder)) for name, folder in world["models"].items()}
    for question in questions():
        answer = answers[question["question_id"]]
        asked = [{"role": "user", "content": question["question"]}]
        prompt = tokenizer.prompt_ids(asked)
        whole = tokenizer.chat_ids([*asked, {"role": "assistant", "content": answer["answer"]}]).ids.tolist()
        end = next(place for place in range(len(prompt), len(whole)) if whole[place] in ends)
        ids = whole[: end + (answer["finish_reason"] == "stop")]
        with torch.inference_mode():
            logits = {name: net(torch.tensor([ids])).logits[0, len(prompt) - 1 : -1] for name, net in nets.items()}
        p = logits["base"].double().log_softmax(-1)
        for name in ("trained", "other"):
            q = logits[name].double().log_softmax(-1)
            record = found[question["question_id"], name]
            assert record["tokens"] == len(ids) - len(prompt) > 0
            expected = float(torch.nn.functional.kl_div(q, p, reduction="sum", log_target=True))
            assert record["nats"] == pytest.approx(expected, rel=1e-4) and expected > 0
            assert record["same_top"] == int((p.argmax(-1) == q.argmax(-1)).sum())
    rows = read_json(tmp_path / "divergence.json")["models"]
    assert [row["model"] for row in rows] == ["trained", "other"]
    for row in rows:
        assert row["kl_ci95"][0] <= row["kl"] <= row["kl_ci95"][1] and row["answers"] == 4


def test_a_model_does_not_diverge_from_itself(tmp_path: Path, world: dict[str, Any]) -> None:
    base = world["models"]["base"]
    run(_config(tmp_path, world, models={"base": base, "same": base}))
    (row,) = read_json(tmp_path / "divergence.json")["models"]
    assert row["kl"] == 0 and row["same_top"] == 1


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 200), st.integers(2, 50), st.integers(0, 9))
def test_pieces_give_what_the_whole_gives(positions: int, vocabulary: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    first, second = (torch.randn(positions, vocabulary, generator=generator) * 3 for _ in range(2))
    nats, same = divergence(first, second)
    p, q = first.double().log_softmax(-1), second.double().log_softmax(-1)
    assert nats == pytest.approx(float((p.exp() * (p - q)).sum()), rel=1e-4, abs=1e-5) and nats > -1e-5
    assert 0 <= same <= positions
    assert divergence(first, first + 7)[0] == pytest.approx(0, abs=1e-3), "logits are known up to a constant"


def test_a_long_answer_is_read_without_what_the_base_did_not_write(tmp_path: Path, world: dict[str, Any]) -> None:
    lengths = {}
    for reason in ("stop", "length"):
        records = [one | {"finish_reason": reason} for one in read_jsonl(world["answers"] / "answers.jsonl")]
        write_jsonl(tmp_path / f"{reason}.jsonl", records)
        run(_config(tmp_path / reason, world, answers=tmp_path / f"{reason}.jsonl"))
        lengths[reason] = [one["tokens"] for one in read_jsonl(tmp_path / reason / "divergence.jsonl")]
    assert [one - other for one, other in zip(lengths["stop"], lengths["length"])] == [1] * len(lengths["stop"])


def test_a_killed_run_goes_on_with_the_next_answer(
    tmp_path: Path, world: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    run(_config(tmp_path / "whole", world))
    compare, calls = divergence_stage._compare, []

    def failing(config: Config, folder: Path, answer: Any, readers: Any) -> dict[str, Any]:
        calls.append((folder, answer.question_id))
        if len(calls) == 6:
            raise KeyboardInterrupt
        return compare(config, folder, answer, readers)

    monkeypatch.setattr(divergence_stage, "_compare", failing)
    with pytest.raises(KeyboardInterrupt):
        run(_config(tmp_path / "killed", world))
    run(_config(tmp_path / "killed", world))
    assert len(calls) == 2 * 4 + 1 and len(set(calls)) == 8, "only the answer under way is read again"
    for name in ("divergence.jsonl", "divergence.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()
    run(_config(tmp_path / "killed", world))
    assert len(calls) == 9, "finished before"


def test_the_draw_takes_the_same_ones_whatever_else_is_asked() -> None:
    ids = [f"q{n}" for n in range(50)]
    few = draw(ids, 10, 0)
    assert len(few) == 10 and few == [one for one in ids if one in few] and set(few) <= set(draw(ids, 20, 0))
    assert draw(ids, 0, 0) == ids and draw(ids, 10, 1) != few
    assert set(draw(ids[::-1], 10, 0)) == set(few)


def test_other_models_and_answers_are_refused(tmp_path: Path, world: dict[str, Any]) -> None:
    base = world["models"]["base"]
    with pytest.raises(BadInput, match="'base' and at least one other model are needed"):
        run(_config(tmp_path / "a", world, models={"base": base}))
    with pytest.raises(BadInput, match="no answers of 'start' .found: base."):
        run(_config(tmp_path / "b", world, base="start", models={"start": base, "trained": base}))
    other = make_model(tmp_path / "other words", 3)
    tokenizer = read_json(other / "tokenizer.json")
    words = tokenizer["model"]["vocab"]
    last = max(words, key=words.__getitem__)
    words["kasumi"] = words.pop(last)
    tokenizer["model"]["merges"] = [one for one in tokenizer["model"]["merges"] if "".join(one) != last]
    write_json(other / "tokenizer.json", tokenizer)
    with pytest.raises(BadInput, match="tokenizer of 'trained' is not that of the base .*: .* and .*Compare models"):
        run(_config(tmp_path / "c", world, models={"base": base, "trained": str(other)}))
    with pytest.raises(ValueError, match="dtype: 'auto' is not one of float32, bfloat16, float16"):
        Config(dtype="auto")
    with pytest.raises(ValueError, match="n: -1 is negative"):
        Config(n=-1)


def test_intervals_are_over_answers() -> None:
    records = [
        {"question_id": f"q{n}", "model": "a", "tokens": 10, "nats": 1.0 + n % 2, "same_top": 5} for n in range(20)
    ]
    (row,) = measure(records)
    assert row["kl"] == pytest.approx(0.15) and row["same_top_ci95"] == [0.5, 0.5]
    assert row["kl_ci95"][0] < 0.15 < row["kl_ci95"][1] and math.isfinite(row["kl_ci95"][1])
