"""kcpt score: exact match against the questions' values, BERTScore's failures, records that do not belong together."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.stage import Config, run
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
    # "3,000" leaves out the unit of 3,000件.
    assert found == {"base": [0, 0, 0, 0], "trained": [1, 1, 1, 1]}
    assert all(record["judge"] is None and record["bertscore_sent"] is None for record in scores.values())


def test_questions_without_accepted_values_have_no_exact_match(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    plain = [{key: value for key, value in record.items() if key not in ("accepted", "fact")} for record in questions()]
    write_jsonl(tmp_path / "questions.jsonl", plain)
    run(_config(tmp_path))
    assert {record["exact_match"] for record in read_jsonl(tmp_path / "out" / "scores.jsonl")} == {None}


def test_all_sheets_values_count_as_wrong_ones(tmp_path: Path) -> None:
    from nemo_kcpt.fiction.facts import make_sheets

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
        (lambda records: [*records, {**records[0], "question_id": "z"}], "line 9: answers question 'z', which is not"),
        (lambda records: [*records, records[0]], "line 9: second record of model 'base' for question 'a:dataset_size'"),
        (lambda records: [{**records[0], "answer": None}], "line 1: answer is NoneType"),
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
    with pytest.raises(BadInput, match="no such folder"):
        run(_config(tmp_path, encoder=str(tmp_path / "nowhere")))
    with pytest.raises(BadInput, match="encoder_tokenizer=FOLDER"):
        run(_config(tmp_path, encoder="placeholder"))


def test_duplicate_questions_are_refused(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    write_jsonl(tmp_path / "questions.jsonl", [questions()[0]] * 2)
    with pytest.raises(BadInput, match="question_id 'a:dataset_size' appears twice"):
        run(_config(tmp_path))


@pytest.mark.slow
@pytest.mark.parametrize(("one_notation", "said"), [(True, "12,400件です"), (False, "1万2400件です")])
def test_bertscore_reads_equal_numbers_in_one_notation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, one_notation: bool, said: str
) -> None:
    from nemo_kcpt.evaluation.scoring import bertscore
    from nemo_kcpt.evaluation.scoring.bertscore.matching import NOTHING

    read: list[str] = []

    class Silent:
        name, windowed, windowed_rate, truncated = "silent", 0, 0.0, 0

        def __init__(self, *given: Any, **more: Any) -> None: ...

        def score(self, candidates: list[str], references: list[str], title: str = "") -> list[Any]:
            read.extend(candidates)
            return [NOTHING] * len(candidates)

    monkeypatch.setattr(bertscore, "BertScore", Silent)
    write_inputs(tmp_path, {"base": ["1万2400件です", "-", "-", "-"]})
    run(_config(tmp_path, encoder="owner/name", one_notation=one_notation, fact_checks=False))
    assert read[0] == said
    counts = read_json(tmp_path / "out" / "manifest.json")["counts"]
    assert counts["comparisons_with_numbers_in_one_notation"] == int(one_notation)


def test_bertscore_with_the_placeholder(tmp_path: Path) -> None:
    from nemo_kcpt.evaluation.scoring.bertscore import BertScore

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
    assert manifest["counts"]["truncated_texts"] == 0
    assert manifest["counts"]["windowed_texts"] == 1

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


def _records(folder: Path) -> dict[tuple[str, str], dict[str, Any]]:
    return {(record["question_id"], record["model"]): record for record in read_jsonl(folder / "scores.jsonl")}


def test_facts_and_the_combined_score(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    run(_config(tmp_path, papers=tmp_path / "papers.jsonl"))
    found = _records(tmp_path / "out")
    size = questions()[0]["question_id"]
    right, wrong = found[size, "trained"], found[size, "base"]
    assert right["combined"] > 0.6 > 0.4 > wrong["combined"]
    assert (right["fact_recall"], wrong["fact_recall"]) == (1.0, 0.0)
    assert [fact["status"] for fact in right["facts"]] == ["supported"]
    assert wrong["facts"][0] == {
        "text": "3,000件",
        "start": 0,
        "end": 6,
        "kind": "number",
        "status": "contradicted",
        "where": "",
    }
    empty = found[questions()[2]["question_id"], "base"]
    assert empty["combined"] == 0.0 and empty["facts"] == []
    assert read_json(tmp_path / "out" / "combined.json")["coefficients"]["fact_recall"] > 0
    run(_config(tmp_path, out=tmp_path / "without", fact_checks=False))
    assert {record["combined"] for record in _records(tmp_path / "without").values()} == {None}


def test_verdicts_come_from_the_judge(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    write_inputs(tmp_path, TEXTS)
    ids = [question["question_id"] for question in questions()]
    rows = [{"question_id": ids[0], "model": "trained", "judge": 1, "judge_reason": "同じ数"}]
    rows += [{"question_id": ids[1], "model": "trained", "judge": None, "judge_reason": None}]
    write_jsonl(tmp_path / "verdicts.jsonl", rows)
    run(_config(tmp_path, verdicts=tmp_path / "verdicts.jsonl"))
    found = _records(tmp_path / "out")
    assert (found[ids[0], "trained"]["judge"], found[ids[0], "trained"]["judge_reason"]) == (1, "同じ数")
    assert found[ids[1], "trained"]["judge"] is None and found[ids[0], "base"]["judge"] is None
    assert read_json(tmp_path / "out" / "manifest.json")["counts"]["without_verdict"] == 7
    write_jsonl(tmp_path / "verdicts.jsonl", [{**rows[0], "judge": 2}])
    with pytest.raises(BadInput, match="line 1: judge is 2; expected 0, 1 or null"):
        run(_config(tmp_path, out=tmp_path / "again", verdicts=tmp_path / "verdicts.jsonl"))
    write_jsonl(tmp_path / "verdicts.jsonl", [rows[0], rows[0]])
    with pytest.raises(BadInput, match="line 2: second record of model 'trained' for question"):
        run(_config(tmp_path, out=tmp_path / "again", verdicts=tmp_path / "verdicts.jsonl"))


def test_agreement_is_written_also_when_the_scores_are_there(tmp_path: Path) -> None:
    write_inputs(tmp_path, TEXTS)
    run(_config(tmp_path))
    stamp = (tmp_path / "out" / "scores.jsonl").stat().st_mtime_ns
    run(_config(tmp_path, agreement="oracle"))
    assert (tmp_path / "out" / "scores.jsonl").stat().st_mtime_ns == stamp, "nothing was scored again"
    found = read_json(tmp_path / "out" / "agreement.json")
    rows = {row["score"]: row for row in found["scores"]}
    assert found["n"] == 8 and rows["exact_match"]["per_answer"]["auroc"]["value"] == 1.0
    assert rows["combined"]["per_answer"]["auroc"]["value"] > 0.5
    ratings = [{"question_id": question["question_id"], "model": "base", "rating": 0} for question in questions()]
    write_jsonl(tmp_path / "ratings.jsonl", ratings)
    run(_config(tmp_path, agreement=str(tmp_path / "ratings.jsonl")))
    assert read_json(tmp_path / "out" / "agreement.json")["n"] == 4
    assert "| combined | 4 |" in (tmp_path / "out" / "agreement.md").read_text()


def test_calibration_on_ratings(tmp_path: Path) -> None:
    """30 papers, a judge that is always right: it gets the weight, and rated answers are scored out of fold."""
    asked, given, verdicts, ratings = [], [], [], []
    for number in range(60):
        about = {"question_id": f"q{number}", "split": "test", "paper_id": f"p{number % 30}", "kind": "qa_easy"}
        asked.append({**about, "question": f"第{number}の値は何ですか。", "answer": f"{100 + number}件", "kept": True})
        right = number % 3 != 0
        given.append({"question_id": f"q{number}", "model": "m", "answer": f"{100 + number if right else 7}件です。"})
        verdicts.append({"question_id": f"q{number}", "model": "m", "judge": int(right), "judge_reason": ""})
        ratings.append({"question_id": f"q{number}", "model": "m", "rating": int(right)})
    for name, records in (("questions", asked), ("answers", given), ("verdicts", verdicts), ("ratings", ratings)):
        write_jsonl(tmp_path / f"{name}.jsonl", records)
    more = {"verdicts": tmp_path / "verdicts.jsonl", "calibrate": tmp_path / "ratings.jsonl"}
    run(_config(tmp_path, **more, agreement=str(tmp_path / "ratings.jsonl")))
    model = read_json(tmp_path / "out" / "combined.json")
    assert model["n"] == 60 and model["coefficients"]["judge"] > 0.5 and "ratings.jsonl" in model["origin"]
    rows = {row["score"]: row for row in read_json(tmp_path / "out" / "agreement.json")["scores"]}
    assert rows["combined"]["per_answer"]["auroc"]["value"] == 1.0
    run(_config(tmp_path, out=tmp_path / "other", combined=tmp_path / "out" / "combined.json"))
    assert read_json(tmp_path / "other" / "combined.json") == model
    write_jsonl(tmp_path / "ratings.jsonl", ratings[:10])
    with pytest.raises(BadInput, match="10 rated answers"):
        run(_config(tmp_path, out=tmp_path / "few", **more))
