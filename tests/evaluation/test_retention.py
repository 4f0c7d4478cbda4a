"""Retention: the questions that come with the project, what is a share of what, and kcpt score on answers of models."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions import stage as questions_stage
from nemo_kcpt.evaluation.questions.duplicates import drop_duplicates
from nemo_kcpt.evaluation.questions.own import GENERAL, general_questions, retention_questions
from nemo_kcpt.evaluation.scoring.exact_match import exact_match
from nemo_kcpt.evaluation.scoring.retention import retention_row, words
from nemo_kcpt.evaluation.scoring.stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.records.inputs import read_questions
from nemo_kcpt.stats.retention import LEAST, retained
from nemo_kcpt.stats.statistics import wilson_interval


def _knowledge(language: str) -> list[dict[str, Any]]:
    return [one for one in retention_questions(language) if one["kind"] == "general"]


@pytest.mark.parametrize("language", ["en", "ja"])
def test_the_general_questions(language: str) -> None:
    found = _knowledge(language)
    assert len(found) >= 300
    assert len({one["question_id"] for one in found}) == len(found)
    _, dropped = drop_duplicates([*found, *general_questions(language)], {}, 0.7)
    assert [one["question"] for one in dropped] == [], "another question is the same, or nearly"
    categories = Counter(one["category"] for one in found)
    assert len(categories) >= 10 and max(categories.values()) <= 0.2 * len(found) and min(categories.values()) >= 15
    levels = Counter(one["level"] for one in found)
    assert set(levels) == {"easy", "hard"} and levels["hard"] >= 80 and levels["easy"] >= 200
    sentence = "答えは{}です。" if language == "ja" else "The answer is {}."
    for one in found:
        assert one["accepted"] and len(set(one["accepted"])) == len(one["accepted"])
        assert not exact_match(one["question"], one["accepted"]), f"{one['question']} tells its answer"
        for form in one["accepted"]:
            assert exact_match(form, one["accepted"]) and exact_match(sentence.format(form), one["accepted"]), form
        assert not exact_match("分かりません。" if language == "ja" else "I do not know.", one["accepted"])


def test_the_stage_writes_what_every_reader_of_questions_takes(tmp_path: Path) -> None:
    sizes = {}
    for language in ("ja", "en", "both"):
        questions_stage.run(questions_stage.Config(out=tmp_path / language, retention=language))
        found = read_questions(tmp_path / language)
        sizes[language] = len(found)
        assert {one["language"] for one in found.values()} == ({"ja", "en"} if language == "both" else {language})
        assert Counter(one["kind"] for one in found.values()).keys() == {"general", "instruction"}
    assert sizes["both"] == sizes["ja"] + sizes["en"]
    files = [list(read_jsonl(GENERAL / name)) for name in ("en.jsonl", "ja.jsonl", "instructions.jsonl")]
    assert sizes["both"] == sum(map(len, files))
    with pytest.raises(BadInput, match="retention= and corpus= contradict each other"):
        questions_stage.run(questions_stage.Config(out=tmp_path / "x", retention="ja", corpus=tmp_path))
    with pytest.raises(ValueError, match="retention: 'fr' is not ja, en or both"):
        questions_stage.Config(out=tmp_path, retention="fr")
    with pytest.raises(ValueError, match="general and retention: give one of them"):
        questions_stage.Config(out=tmp_path, retention="ja", general="ja")


def test_what_is_a_share_of_what() -> None:
    before = {"a": 1.0, "b": 1.0, "c": 0.0, "d": 0.0, "only before": 1.0}
    found = retained(before, {"a": 1.0, "b": 0.0, "c": 1.0, "d": 0.0, "only after": 1.0})
    assert (found.n, found.of, found.kept, found.gained, found.share) == (4, 2, 1, 1, 0.5)
    assert found.ci95 == wilson_interval(1, 2) and not found.enough
    seeds = retained(before, {"a": 1.0, "b": 0.5, "c": 0.5, "d": 0.0})
    assert seeds.share == 0.75 and seeds.gained == 0.5 and seeds.ci95 is not None
    nothing = retained({"a": 0.0}, {"a": 1.0})
    assert nothing.share is None and nothing.ci95 is None and not nothing.enough and nothing.gained == 1
    with pytest.raises(ValueError, match="'a' has 0.5"):
        retained({"a": 0.5}, {"a": 1.0})


@given(st.dictionaries(st.integers(0, 80), st.tuples(st.booleans(), st.booleans()), min_size=1))
def test_what_was_gained_makes_up_for_nothing(answers: dict[int, tuple[bool, bool]]) -> None:
    before = {str(key): float(one) for key, (one, _) in answers.items()}
    after = {str(key): float(other) for key, (_, other) in answers.items()}
    found = retained(before, after)
    without = retained(before, {key: value if before[key] else 0.0 for key, value in after.items()})
    assert found.share == without.share and found.ci95 == without.ci95
    assert found.kept + found.gained == sum(after.values()) and found.of == sum(before.values())
    assert found.enough == (found.of >= LEAST)
    if found.share is not None and found.ci95 is not None:
        assert 0 <= found.ci95[0] <= found.share <= found.ci95[1] <= 1
    same = retained(before, before)
    assert same.share in (None, 1.0) and same.gained == 0


def _answers(folder: Path, shares: dict[str, float]) -> None:
    """Answers of models that answer the first so many of each kind right, and write nothing that is asked to others."""
    records = []
    questions = retention_questions("both")
    for kind in ("general", "instruction"):
        asked = [one for one in questions if one["kind"] == kind]
        for place, one in enumerate(asked):
            for model, share in shares.items():
                text = one["answer"] if place < share * len(asked) else "!"
                records.append({"question_id": one["question_id"], "model": model, "answer": text})
    write_jsonl(folder / "questions.jsonl", questions)
    write_jsonl(folder / "answers.jsonl", records)


def _config(folder: Path, **more: Any) -> Config:
    given = {"questions": folder / "questions.jsonl", "answers": folder / "answers.jsonl", "encoder": "none"}
    return Config(**{"out": folder / "out", "fact_checks": False} | given | more)


def test_score_tells_what_was_kept(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _answers(tmp_path, {"base": 0.5, "trained": 0.25, "better": 0.75})
    with caplog.at_level("INFO"):
        run(_config(tmp_path))
    scores = list(read_jsonl(tmp_path / "out" / "scores.jsonl"))
    questions = {one["question_id"]: one for one in retention_questions("both")}
    for record in scores:
        general = questions[record["question_id"]]["kind"] == "general"
        assert (record["instruction"] is None, record["exact_match"] is None) == (general, not general)
    found = {row["name"]: row for row in read_json(tmp_path / "out" / "retention.json")["models"]}
    for part in ("knowledge", "instructions"):
        base, trained, better = (found[name][part] for name in ("base", "trained", "better"))
        assert base["retention"] == better["retention"] == 1.0 and base["of"] == base["right"]
        assert trained["retention"] == pytest.approx(0.5, abs=0.02) and trained["enough"]
        assert trained["ci95"] == [*wilson_interval(int(trained["kept"]), trained["of"])]
        assert better["gained"] == pytest.approx(0.5 * base["of"], abs=2) and trained["gained"] == 0
    english = found["trained"]["knowledge"]["languages"]["en"]  # the first quarter of all is the first half of English
    assert english["retention"] == pytest.approx(0.5, abs=0.01) and english["asked"] == len(_knowledge("en"))
    assert found["trained"]["knowledge"]["languages"]["ja"]["retention"] is None
    assert "score: trained: retention: knowledge 50.0 % (" in caplog.text
    assert "retention.json" in read_json(tmp_path / "out" / "manifest.json")["outputs"]


def test_too_little_to_be_kept_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    _answers(tmp_path, {"base": 0.02, "trained": 0.01})
    with caplog.at_level("INFO"):
        run(_config(tmp_path))
    rows = {row["name"]: row for row in read_json(tmp_path / "out" / "retention.json")["models"]}
    assert 0 < rows["trained"]["knowledge"]["of"] < LEAST and not rows["trained"]["knowledge"]["enough"]
    assert "too few to tell" in caplog.text
    assert words({"retention": None, "n": 9}) == "not measured: the starting model answers none of 9 right"
    assert words(None) == "not measured"


def test_without_the_starting_model_there_is_no_retention(tmp_path: Path) -> None:
    _answers(tmp_path, {"start": 0.5, "trained": 0.25})
    run(_config(tmp_path))
    assert not (tmp_path / "out" / "retention.json").exists()
    run(_config(tmp_path, base="start", out=tmp_path / "named"))
    assert read_json(tmp_path / "named" / "retention.json")["base"] == "start"


def test_bad_checks_end_the_stage_before_it_scores(tmp_path: Path) -> None:
    _answers(tmp_path, {"base": 0.5})
    questions = retention_questions("both")
    questions[-1]["checks"] = [{"check": "polite"}]
    write_jsonl(tmp_path / "questions.jsonl", questions)
    with pytest.raises(BadInput, match=f"question '{questions[-1]['question_id']}': checks: no check 'polite'"):
        run(_config(tmp_path))
    assert not (tmp_path / "out" / "scores.jsonl").exists()


def test_seeds_of_one_training_count_as_their_mean() -> None:
    questions = {f"q{n}": {"question_id": f"q{n}", "kind": "general"} for n in range(4)}
    right = {"base": (1, 1, 1, 0), "a@1": (1, 1, 0, 1), "a@2": (1, 0, 0, 1)}
    scores = {(f"q{n}", name): {"exact_match": row[n]} for name, row in right.items() for n in range(4)}
    row = retention_row("a", ["a@1", "a@2"], "base", questions, scores)
    assert row["knowledge"]["retention"] == 0.5 and row["knowledge"]["of"] == 3 and row["knowledge"]["gained"] == 1
    assert row["instructions"] is None and row["models"] == ["a@1", "a@2"]
