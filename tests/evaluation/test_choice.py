"""Papers set aside to choose by, and `kcpt choose`: the rule, and that it never sees a test question."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.cli import main
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions import stage as questions_stage
from nemo_kcpt.evaluation.questions.validation import validation_papers
from nemo_kcpt.evaluation.scoring.choice_stage import Config, choose, read_choice, run
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl

HELDOUT = [f"p{number}" for number in range(8)]


def finished(folder: Path, name: str, **config: Any) -> Path:
    outputs = {path.name: {"bytes": path.stat().st_size, "sha256": ""} for path in folder.iterdir()}
    manifest = {"format": 1, "stage": name, "fingerprint": name, "config": config, "inputs": {}, "outputs": outputs}
    write_json(folder / "manifest.json", manifest)
    return folder


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Two papers to train on and eight held out."""
    folder = tmp_path / "corpus"
    ids = ["a", "b", *HELDOUT]
    write_jsonl(folder / "papers.jsonl", [{"paper_id": name, "title": name, "text": name} for name in ids])
    write_json(folder / "split.json", {"seed": 0, "train": ["a", "b"], "heldout": HELDOUT})
    return finished(folder, "corpus")


def asked(out: Path, corpus: Path, **keys: Any) -> list[dict[str, Any]]:
    pairs = [
        {
            "paper_id": paper,
            "kind": "qa_easy",
            # The last question is the same of every paper.
            "pairs": [
                {"instruction": one, "output": "x"} for one in (f"What is {paper}?", f"Why {paper}?", "Which one?")
            ],
        }
        for paper in ("a", "b", *HELDOUT)
    ]
    synthetic = corpus.parent / "synthetic.jsonl"
    write_jsonl(synthetic, pairs)
    questions_stage.run(questions_stage.Config(out=out, corpus=corpus, synthetic=synthetic, n=0, filter="none", **keys))
    return list(read_jsonl(out / "questions.jsonl"))


@pytest.mark.parametrize(("share", "papers"), [(0.25, 2), (0.01, 1), (0.99, 7)])
def test_no_paper_and_no_question_is_in_both_parts(share: float, papers: int, corpus: Path, tmp_path: Path) -> None:
    whole = asked(tmp_path / "whole", corpus)
    test = asked(tmp_path / "test", corpus, validation=share)
    aside = asked(tmp_path / "aside", corpus, validation=share, part="validation")
    sides = [{one["paper_id"] for one in part if one["split"] == "test"} for part in (test, aside)]
    assert not sides[0] & sides[1] and sides[0] | sides[1] == set(HELDOUT)
    assert len(sides[1]) == papers and {one["split"] for one in aside} == {"test"}
    assert not {one["question"] for one in test} & {one["question"] for one in aside}
    ids = [one["question_id"] for one in (*test, *aside)]
    assert sorted(ids) == sorted(one["question_id"] for one in whole)


def test_which_papers_are_set_aside_depends_on_them_alone(tmp_path: Path) -> None:
    chosen = validation_papers(HELDOUT, 0.5, tmp_path)
    assert chosen == validation_papers(HELDOUT[::-1], 0.5, tmp_path) and len(chosen) == 4
    more = validation_papers([*HELDOUT, "new"], 0.5, tmp_path)
    assert len(chosen & more) >= 3
    assert validation_papers(HELDOUT, 0, tmp_path) == set()
    with pytest.raises(BadInput, match="1 papers are held out; at least two are needed"):
        validation_papers(["only"], 0.5, tmp_path)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"validation": 1.0}, "validation: 1.0 is not a share"),
        ({"validation": -0.1}, "validation: -0.1 is not a share"),
        ({"part": "validation"}, "part: validation needs validation=SHARE"),
        ({"part": "dev", "validation": 0.5}, "part: 'dev' is not one of test, validation"),
    ],
)
def test_bad_keys_of_questions(keys: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=message):
        questions_stage.Config(out=tmp_path, **keys)


def row(alpha: float, knowledge: float, retention: float | None) -> dict[str, Any]:
    return {"model": f"~{alpha}", "alpha": alpha, "knowledge": knowledge, "retention": retention}


@pytest.mark.parametrize(
    ("rows", "alpha"),
    [
        ([row(0.25, 0.2, 0.99), row(0.5, 0.4, 0.9), row(1.0, 0.9, 0.1)], 0.5),  # the best that keeps enough
        ([row(0.25, 0.4, 0.95), row(0.5, 0.4, 0.92)], 0.25),  # equal knowledge: what keeps more
        ([row(0.25, 0.4, 0.95), row(0.5, 0.4, 0.95)], 0.25),  # equal in both: nearer to the base
        ([row(0.25, 0.1, 0.7), row(0.5, 0.8, 0.3)], 0.25),  # none keeps enough: what keeps most
        ([row(0.25, 0.4, None), row(0.5, 0.8, None)], 0.5),  # nothing general was asked
    ],
)
def test_the_rule(rows: list[dict[str, Any]], alpha: float) -> None:
    assert choose(rows, 0.9)["alpha"] == alpha == choose(rows[::-1], 0.9)["alpha"]


@pytest.fixture
def validation(tmp_path: Path) -> Path:
    """Four questions on two papers."""
    records = [
        {"question_id": f"q{n}", "split": "test", "paper_id": f"p{n % 2}", "kind": "qa_easy", "question": "?"}
        | {"answer": "x", "kept": True}
        for n in range(4)
    ]
    write_jsonl(tmp_path / "validation/questions.jsonl", records)
    return finished(tmp_path / "validation", "questions", part="validation", validation=0.25)


def scored(folder: Path, values: dict[str, list[float]]) -> Path:
    records = [
        {"question_id": f"q{n}", "model": model, "exact_match": value}
        for model, each in values.items()
        for n, value in enumerate(each)
    ]
    write_jsonl(folder / "scores.jsonl", records)
    return finished(folder, "score")


def test_a_choice(validation: Path, tmp_path: Path) -> None:
    scores = scored(tmp_path / "scores", {"half": [1, 1, 0, 0], "trained": [1, 1, 1, 1], "quarter": [0, 0, 0, 1]})
    # The trained model has one of the three that the base had right, and one more, which makes up for nothing.
    values = {"base": [1, 1, 1, 0], "half": [1, 1, 1, 0], "trained": [1, 0, 0, 1], "quarter": [1, 1, 1, 0]}
    general = scored(tmp_path / "general", values)
    words = ["choose", f"questions={validation}", f"scores={scores}", f"general_scores={general}"]
    words += ["candidates={half: 0.5, trained: 1, quarter: 0.25}", f"out={tmp_path / 'choice'}"]
    assert main(words) == 0
    choice = read_choice(tmp_path / "choice")
    assert (choice["chosen"], choice["alpha"], choice["met"]) == ("half", 0.5, True)
    assert [one["alpha"] for one in choice["rows"]] == [0.25, 0.5, 1.0]
    assert [one["knowledge"] for one in choice["rows"]] == [0.25, 0.5, 1.0]
    assert [one["retention"] for one in choice["rows"]] == [1.0, 1.0, pytest.approx(1 / 3)]
    assert "retention of at least 0.9" in choice["rule"] and choice["papers"] == 2
    assert main([*words[:-1], f"out={tmp_path / 'free'}", "retention=0"]) == 0
    assert read_choice(tmp_path / "free/choice.json")["chosen"] == "trained"


def test_none_keeps_enough(validation: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scores = scored(tmp_path / "scores", {"half": [1, 1, 0, 0], "trained": [1, 1, 1, 1]})
    general = scored(tmp_path / "general", {"base": [1, 1, 1, 1], "half": [1, 1, 0, 0], "trained": [0, 0, 0, 0]})
    given = {"questions": validation, "scores": str(scores), "general_scores": [str(general)]}
    run(Config(**given, candidates={"half": 0.5, "trained": 1.0}, out=tmp_path / "choice"))
    choice = read_json(tmp_path / "choice/choice.json")
    assert (choice["chosen"], choice["met"]) == ("half", False)


@pytest.mark.parametrize("right", [29, 30])
def test_a_base_that_answers_too_few_is_told(
    right: int, validation: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    general = scored(tmp_path / "general", {"base": [1] * right + [0] * 40, "half": [1] * right + [0] * 40})
    given = {"questions": validation, "scores": str(scored(tmp_path / "scores", {"half": [1, 1, 0, 0]}))}
    with caplog.at_level("WARNING"):
        run(Config(**given, general_scores=str(general), candidates={"half": 0.5}, out=tmp_path / "choice"))
    assert ("'base' answers 29 general questions right, fewer than 30" in caplog.text) == (right == 29)


def test_what_cannot_be_chosen_from(validation: Path, tmp_path: Path) -> None:
    scores = scored(tmp_path / "scores", {"half": [1, 1, 0], "trained": [1, 1, 1, 1]})
    general = scored(tmp_path / "general", {"trained": [1, 1, 1, 1]})
    base = scored(tmp_path / "other", {"base": [1, 1, 1, 1]})

    def chosen(message: str, **more: Any) -> None:
        keys = {"questions": validation, "scores": str(scores), "out": tmp_path / "choice", **more}
        with pytest.raises(BadInput, match=message):
            run(Config(**keys))

    chosen("of 'half' there is no exact_match for 1 of 4", candidates={"half": 0.5})
    chosen("no scores of the base 'base'", candidates={"trained": 1.0}, general_scores=str(general))
    chosen("no scores of 'trained'", candidates={"trained": 1.0}, general_scores=str(base))
    finished(validation, "questions", validation=0.25)  # the test questions
    chosen("not the questions of papers that were set aside", candidates={"trained": 1.0})
    for keys, message in (
        ({"candidates": {}}, "candidates: none given"),
        ({"candidates": {"x": 1.5}}, "x: 1.5 is not a share"),
        ({"candidates": {"x": 1.0}, "retention": 2.0}, "retention: 2.0"),
    ):
        with pytest.raises(ValueError, match=message):
            Config(**{"questions": validation, "scores": "x", "out": tmp_path, **keys})
