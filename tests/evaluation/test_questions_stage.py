"""kcpt questions: from pairs and from fact sheets; train and test kept apart."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions.stage import Config, run
from nemo_kcpt.files import read_jsonl, write_json, write_jsonl
from nemo_kcpt.records.inputs import read_questions


def _finished(folder: Path, name: str) -> None:
    """Give a folder the manifest of a finished stage."""
    outputs = {path.name: {"bytes": path.stat().st_size, "sha256": ""} for path in folder.iterdir()}
    manifest = {"format": 1, "stage": name, "fingerprint": name, "config": {}, "inputs": {}, "outputs": outputs}
    write_json(folder / "manifest.json", manifest)


def _pair(question: str, answer: str = "答え") -> dict[str, str]:
    return {"instruction": question, "output": answer}


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """Papers a and b to train on, c held out."""
    folder = tmp_path / "corpus"
    write_jsonl(folder / "papers.jsonl", [{"paper_id": name, "title": name, "text": name} for name in "abc"])
    write_json(folder / "split.json", {"seed": 0, "train": ["a", "b"], "heldout": ["c"]})
    _finished(folder, "corpus")
    return folder


@pytest.fixture
def synthetic(tmp_path: Path) -> Path:
    """Ten questions a paper, a summary, and a question that stands in a train and a held-out paper."""
    path = tmp_path / "synthetic.jsonl"
    records: list[dict[str, Any]] = []
    for paper in "abc":
        pairs = [_pair(f"{paper}について{index}?") for index in range(10)]
        records.append({"paper_id": paper, "kind": "qa_easy", "pairs": pairs})
        records.append({"paper_id": paper, "kind": "summary", "pairs": [_pair("要約して")]})
    records.append({"paper_id": "c", "kind": "keywords", "pairs": [_pair("共通の質問?", "c")]})
    records.append({"paper_id": "a", "kind": "keywords", "pairs": [_pair("共通の質問？", "a")]})
    write_jsonl(path, records)
    return path


def test_splits_kinds_and_duplicates(tmp_path: Path, corpus: Path, synthetic: Path) -> None:
    run(Config(out=tmp_path / "out", corpus=corpus, synthetic=synthetic, n=0))
    records = list(read_jsonl(tmp_path / "out" / "questions.jsonl"))
    assert {(record["split"], record["paper_id"]) for record in records} == {
        ("train", "a"),
        ("train", "b"),
        ("test", "c"),
    }
    assert {record["kind"] for record in records} == {"qa_easy", "keywords"}
    common = [record["split"] for record in records if "共通" in record["question"]]
    assert common == ["train"]  # the full-width question mark is no difference
    assert len({record["question_id"] for record in records}) == len(records)
    assert all(record["kept"] is True and record["filter"]["by"] == "rules" for record in records)


def test_a_question_in_both_splits_is_no_test_question(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "synthetic.jsonl"
    same = [{"paper_id": paper, "kind": "qa_easy", "pairs": [_pair("同じ質問?")]} for paper in "ca"]
    write_jsonl(path, same)
    run(Config(out=tmp_path / "out", corpus=corpus, synthetic=path))
    assert [record["split"] for record in read_jsonl(tmp_path / "out" / "questions.jsonl")] == ["train"]


def test_draw_depends_on_seed_alone(tmp_path: Path, corpus: Path, synthetic: Path) -> None:
    drawn = {}
    for name, seed in (("one", 1), ("again", 1), ("other", 2)):
        run(Config(out=tmp_path / name, corpus=corpus, synthetic=synthetic, n=5, seed=seed))
        drawn[name] = (tmp_path / name / "questions.jsonl").read_bytes()
        splits = [record["split"] for record in read_jsonl(tmp_path / name / "questions.jsonl")]
        assert (splits.count("train"), splits.count("test")) == (5, 5)
    assert drawn["one"] == drawn["again"] != drawn["other"]


def test_questions_from_fact_sheets(tmp_path: Path) -> None:
    from nemo_kcpt.fiction.facts import make_sheets

    sheets = make_sheets(6, 0, "ja", "p")
    ids = [sheet.paper_id for sheet in sheets]
    corpus = tmp_path / "corpus"
    write_jsonl(corpus / "papers.jsonl", [{"paper_id": name, "text": "-"} for name in ids])
    write_json(corpus / "split.json", {"seed": 0, "train": ids[:4], "heldout": ids[4:]})
    _finished(corpus, "corpus")
    write_jsonl(tmp_path / "facts.jsonl", [sheet.to_dict() for sheet in sheets])
    run(Config(out=tmp_path / "out", corpus=corpus, facts=tmp_path / "facts.jsonl", n=0))
    records = list(read_jsonl(tmp_path / "out" / "questions.jsonl"))
    assert {record["paper_id"] for record in records if record["split"] == "test"} == set(ids[4:])
    assert all(record["accepted"] and record["fact"] for record in records)
    assert {(record["kept"], record["filter"]["by"]) for record in records} == {(True, "none")}
    assert len(records) == len({record["question"] for record in records}) > 6 * 6


def test_a_second_call_does_nothing_and_other_inputs_are_refused(tmp_path: Path, corpus: Path, synthetic: Path) -> None:
    config = Config(out=tmp_path / "out", corpus=corpus, synthetic=synthetic)
    run(config)
    before = (tmp_path / "out" / "manifest.json").stat().st_mtime_ns
    run(config)
    assert (tmp_path / "out" / "manifest.json").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="seed was 0, now 1"):
        run(Config(out=tmp_path / "out", corpus=corpus, synthetic=synthetic, seed=1))


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([{"paper_id": "z", "kind": "qa_easy", "pairs": []}], "line 1: paper 'z' is not in split.json"),
        ([{"paper_id": "a", "kind": "qa_easy", "pairs": [_pair(" ")]}], "line 1, pair 0: instruction or output"),
        ([{"paper_id": "a", "kind": "qa_easy", "pairs": ["x"]}], "line 1, pair 0: instruction or output"),
        ([{"paper_id": "a", "kind": "summary", "pairs": [_pair("x")]}], "no question in it"),
        ([{"paper_id": "a", "kind": "qa_easy", "pairs": [_pair("x?")]}] * 2, "kind qa_easy of paper 'a' appears twice"),
        (
            [{"paper_id": "a", "kind": "qa_easy", "pairs": [_pair("本論文の目的は何ですか。")]}],
            "the filter 'rules' kept none of 1 questions; .* filter=none",
        ),
    ],
)
def test_bad_synthetic_data(tmp_path: Path, corpus: Path, records: list[dict[str, Any]], message: str) -> None:
    write_jsonl(tmp_path / "synthetic.jsonl", records)
    with pytest.raises(BadInput, match=message):
        run(Config(out=tmp_path / "out", corpus=corpus, synthetic=tmp_path / "synthetic.jsonl"))


def test_synthetic_data_in_another_encoding(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "synthetic.jsonl"
    good = '{"paper_id": "a", "kind": "qa_easy", "pairs": [{"instruction": "問", "output": "答"}]}\n'
    path.write_bytes(good.encode() + good.encode("cp932"))
    with pytest.raises(BadInput, match="line 2: not UTF-8"):
        run(Config(out=tmp_path / "out", corpus=corpus, synthetic=path))


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"n": -1}, "n: -1 is negative"),
        ({"filter": "gpt"}, "filter: 'gpt' is not one of auto, rules, llm, none"),
        ({"near": 1.5}, "near: 1.5 is not a similarity"),
        ({"audit": -5}, "audit: -5 was given; at least 0"),
        ({"engine": "hf"}, "engine: 'hf' is not one of openai, vllm"),
    ],
)
def test_bad_keys(tmp_path: Path, keys: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Config(out=tmp_path, **keys)


def test_kinds_and_sources_that_are_not_there(tmp_path: Path, corpus: Path, synthetic: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(BadInput, match="no question of kind 'qa_esay' in .*did you mean 'qa_easy'"):
        run(Config(out=out, corpus=corpus, synthetic=synthetic, kinds=["qa_esay"]))
    with pytest.raises(BadInput, match="needs synthetic=FOLDER"):
        run(Config(out=out, corpus=corpus))
    with pytest.raises(BadInput, match="needs corpus=FOLDER"):
        run(Config(out=out, synthetic=synthetic))
    with pytest.raises(BadInput, match="contradict each other"):
        run(Config(out=out, corpus=corpus, synthetic=synthetic, facts=synthetic))
    run(Config(out=out, corpus=corpus, synthetic=synthetic, kinds=["keywords"]))
    assert {record["kind"] for record in read_jsonl(out / "questions.jsonl")} == {"keywords"}


def test_a_dropped_question_stays_in_the_file_and_is_passed_over(tmp_path: Path, corpus: Path) -> None:
    path = tmp_path / "synthetic.jsonl"
    asked = [
        *(_pair(f"「カスミ{index}」の正解率は?") for index in range(20)),
        *(_pair(f"表{index}の値は?") for index in range(20)),
    ]
    write_jsonl(
        path, [{"paper_id": paper, "kind": "qa_easy", "pairs": asked[place::3]} for place, paper in enumerate("abc")]
    )
    run(Config(out=tmp_path / "out", corpus=corpus, synthetic=path, n=5))
    records = list(read_jsonl(tmp_path / "out" / "questions.jsonl"))
    assert sum(record["kept"] for record in records) == 10
    dropped = [record for record in records if not record["kept"]]
    assert dropped and all(
        record["filter"]["verdict"] == 0 and "表" in record["filter"]["reason"] for record in dropped
    )
    assert set(read_questions(tmp_path / "out")) == {record["question_id"] for record in records if record["kept"]}


def test_a_paper_in_both_splits_is_refused(tmp_path: Path, corpus: Path, synthetic: Path) -> None:
    write_json(corpus / "split.json", {"seed": 0, "train": ["a", "c"], "heldout": ["c"]})
    with pytest.raises(BadInput, match="paper 'c' is both in train and in heldout"):
        run(Config(out=tmp_path / "out", corpus=corpus, synthetic=synthetic))
