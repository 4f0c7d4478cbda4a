"""kcpt score: exact match against the questions' values, BERTScore's failures, records that do not belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.score_stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from tests.evaluation.small import answers, make_tokenizer, questions, write_inputs

TEXTS = {
    "base": ["3,000件", "2021年か2019年", "", "分かりません"],
    "trained": ["12400件です", "2021年です", "3,000", "2019年"],
}


def _config(folder: Path, **more: Any) -> Config:
    given: dict[str, Any] = {"out": folder / "out", "encoder": "none"}
    return Config(**given | {name: folder / f"{name}.jsonl" for name in ("questions", "answers")} | more)


def test_exact_match_knows_the_other_questions_values(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    run(_config(tmp_path))
    scores = {
        (record["question_id"], record["model"]): record for record in read_jsonl(tmp_path / "out" / "scores.jsonl")
    }
    found = {
        model: [scores[question["question_id"], model]["exact_match"] for question in questions()] for model in TEXTS
    }
    # "3,000" without its unit is none of the accepted forms of this small world.
    assert found == {"base": [0, 0, 0, 0], "trained": [1, 1, 0, 1]}
    assert all(record["judge"] is None and record["bertscore_sent"] is None for record in scores.values())


def test_questions_without_accepted_values_have_no_exact_match(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    plain = [{key: value for key, value in record.items() if key not in ("accepted", "fact")} for record in questions()]
    write_jsonl(tmp_path / "questions.jsonl", plain)
    run(_config(tmp_path))
    assert {record["exact_match"] for record in read_jsonl(tmp_path / "out" / "scores.jsonl")} == {None}


def test_all_sheets_values_count_as_wrong_ones(tmp_path: Path) -> None:
    from nemo_kcpt.demo.facts import make_sheets

    write_inputs(tmp_path, {"base": ["-", "2021年と1999年です", "-", "-"]})
    sheets = [sheet.to_dict() for sheet in make_sheets(2, 0, "ja", "p")]
    write_jsonl(tmp_path / "facts.jsonl", [{**sheets[0], "year": 1999}, sheets[1]])
    for name, facts, expected in (("without", None, 1), ("with", tmp_path / "facts.jsonl", 0)):
        run(_config(tmp_path, out=tmp_path / name, facts=facts))
        scores = list(read_jsonl(tmp_path / name / "scores.jsonl"))
        assert scores[1]["exact_match"] == expected


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda records: [*records, {**records[0], "question_id": "z"}],
            "record 9: answers question 'z', which is not",
        ),
        (
            lambda records: [*records, records[0]],
            "record 9: second answer of model 'base' to question 'a:dataset_size'",
        ),
        (lambda records: [{**records[0], "answer": None}], "record 1: answer is NoneType"),
        (lambda records: [], "no answers in it"),
    ],
)
def test_answers_that_do_not_belong(tmp_path: Path, change: Any, message: str) -> None:
    write_inputs(tmp_path, TEXTS)
    write_jsonl(tmp_path / "answers.jsonl", change(answers(TEXTS)))
    with pytest.raises(BadInput, match=f"answers.jsonl.*{message}"):
        run(_config(tmp_path))


def test_a_missing_paper_and_a_missing_encoder(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    write_jsonl(tmp_path / "papers.jsonl", [{"paper_id": "a", "text": "-"}])
    with pytest.raises(BadInput, match=r"papers.jsonl: paper 'b' of question 'b:dataset_size' is not in it"):
        run(_config(tmp_path, papers=tmp_path / "papers.jsonl"))
    with pytest.raises(BadInput, match="no config.json there"):
        run(_config(tmp_path, encoder=str(tmp_path / "nowhere")))
    with pytest.raises(BadInput, match="encoder_tokenizer=FOLDER"):
        run(_config(tmp_path, encoder="placeholder"))


def test_duplicate_questions_are_refused(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    write_jsonl(tmp_path / "questions.jsonl", [questions()[0]] * 2)
    with pytest.raises(BadInput, match="question_id 'a:dataset_size' stands there twice"):
        run(_config(tmp_path))


@pytest.mark.slow
def test_bertscore_with_the_placeholder(tmp_path: Path) -> None:
    from nemo_kcpt.evaluation.bertscore import BertScore

    write_inputs(tmp_path, {"base": ["12,400件", "2021年 " * 900, "", "全く別の文"]})
    make_tokenizer(tmp_path / "tokenizer")
    config = _config(
        tmp_path, encoder="placeholder", encoder_tokenizer=tmp_path / "tokenizer", papers=tmp_path / "papers.jsonl"
    )
    run(config)
    scores = list(read_jsonl(tmp_path / "out" / "scores.jsonl"))
    assert scores[0]["bertscore_sent"] == pytest.approx(1, abs=1e-5)
    assert scores[2]["bertscore_sent"] == scores[2]["bertscore_doc"] == 0
    assert 0 < scores[3]["bertscore_sent"] < 1
    assert all("placeholder" in score["encoder"] for score in scores)
    manifest = read_json(tmp_path / "out" / "manifest.json")
    assert manifest["counts"]["truncated_texts"] == 1

    folder = tmp_path / "out" / scores[0]["encoder"]
    settings = read_json(folder / "tokenizer_config.json")
    del settings["model_max_length"]
    write_json(folder / "tokenizer_config.json", settings)
    unlimited = BertScore(folder)
    again = unlimited.f1(["2021年 " * 900, "12"], ["2021年", "12"])
    assert again[0] == pytest.approx(scores[1]["bertscore_sent"], abs=1e-5)
    assert again[1] == pytest.approx(1, abs=1e-5)  # two tokens or fewer, which bert-score could take for empty
    with pytest.raises(ValueError, match="1 candidates and 2 references"):
        unlimited.f1(["a"], ["a", "b"])
