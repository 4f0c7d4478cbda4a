"""Questions that people asked: ids and split as the corpus has them, all answers accepted, by human= and by squad=."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus.human_questions import from_corpus, from_squad, read_papers
from nemo_kcpt.corpus.stage import Config as CorpusConfig
from nemo_kcpt.corpus.stage import run as make_corpus
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions.stage import Config, run
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl

NAMES = ("アオバ", "カスミ", "ミナモ", "ツバメ")


def article(name: str) -> dict[str, Any]:
    def qa(number: int, question: str, *answers: str, **more: Any) -> dict[str, Any]:
        found = {"question": question, "answers": [{"text": text, "answer_start": 0} for text in answers], **more}
        return found | ({"id": f"{name}-{number}"} if name != "ツバメ" else {})

    return {
        "title": f"{name}川の歴史",
        "paragraphs": [
            {
                "context": f"{name}川は{len(name)}00年前に{name}山の雪から生まれた長い川である。" * 3,
                "qas": [
                    qa(0, f"{name}川は何から生まれましたか。", f"{name}山の雪", "雪", "雪"),
                    qa(1, "この川の長さはどのくらいですか。", "長い"),
                    qa(2, f"{name}川の色は何色ですか。", is_impossible=True),
                    qa(3, f"{name}川はいつ生まれましたか。"),
                ],
            },
            {"context": f"{name}の橋", "qas": [qa(4, f"{name}川の橋の名前は何ですか。", f"{name}の橋")]},
        ],
    }


def written(path: Path) -> Path:
    path.parent.mkdir()
    path.write_text(json.dumps({"version": "1", "data": [article(name) for name in NAMES]}, ensure_ascii=False))
    return path


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    return written(tmp_path / "in" / "rivers.json")


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made from an equal file."""
    out = tmp_path_factory.mktemp("made")
    file = written(out / "in" / "rivers.json")
    make_corpus(CorpusConfig(input=str(file), out=out / "corpus", heldout_count=1, workers=1, near_duplicates=0))
    return out / "corpus"


def test_human_questions(tmp_path: Path, corpus: Path, squad: Path) -> None:
    run(Config(out=tmp_path / "out", corpus=corpus, squad=squad))
    records = list(read_jsonl(tmp_path / "out" / "questions.jsonl"))
    heldout = set(read_json(corpus / "split.json")["heldout"])
    assert all((one["split"] == "test") == (one["paper_id"] in heldout) for one in records)
    assert {one["kind"] for one in records} == {"human"}
    first = next(one for one in records if one["question"] == "カスミ川は何から生まれましたか。")
    assert (first["answer"], first["accepted"], first["kept"]) == ("カスミ山の雪", ["カスミ山の雪", "雪"], True)
    assert [one["question"] for one in records if not one["kept"]] == ["この川の長さはどのくらいですか。"]
    counts = read_json(tmp_path / "out" / "manifest.json")["counts"]
    assert (counts["unanswered"], counts["duplicates"], counts["context_dependent"]) == (8, 3, 1)
    of_corpus = {one["question_id"]: one["split"] for one in read_jsonl(corpus / "questions.jsonl")}
    ours = [*records, *read_jsonl(tmp_path / "out" / "dropped.jsonl")]
    assert {one["question_id"]: one["split"] for one in ours} == of_corpus


def test_the_corpus_holds_what_the_file_holds(
    tmp_path: Path, corpus: Path, squad: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same questions, ids, draw and verdicts by the key of today and by the one that goes."""
    run(Config(out=tmp_path / "old", corpus=corpus, squad=squad, n=3))
    assert "questions: squad= goes with the next release: human=true takes the same questions" in caplog.text
    caplog.clear()
    run(Config(out=tmp_path / "new", corpus=corpus, human=True, n=3))
    assert "squad" not in caplog.text
    for name in ("questions.jsonl", "dropped.jsonl"):
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "old" / name).read_bytes()
    with pytest.raises(BadInput, match=r"holds the result of another run of questions: human was True, now absent"):
        run(Config(out=tmp_path / "new", corpus=corpus, synthetic=written_pairs(tmp_path), n=3))


def test_without_people_s_questions_human_is_refused(tmp_path: Path, corpus: Path) -> None:
    (tmp_path / "notes").mkdir()
    for name in NAMES:
        (tmp_path / "notes" / f"{name}.txt").write_text(f"{name}川は{name}山の雪から生まれた。" * 5)
    keys = {"heldout_count": 1, "workers": 1, "near_duplicates": 0, "same_side": 0}
    make_corpus(CorpusConfig(input=str(tmp_path / "notes"), out=tmp_path / "plain", **keys))
    with pytest.raises(BadInput, match=r"plain: no questions\.jsonl in it, so its documents came without questions"):
        run(Config(out=tmp_path / "out", corpus=tmp_path / "plain", human=True))
    with pytest.raises(ValueError, match="human and squad: give human=true alone"):
        Config(human=True, squad=tmp_path / "rivers.json")
    with pytest.raises(BadInput, match="general= and human= contradict each other"):
        run(Config(out=tmp_path / "out", general="ja", human=True))


def test_a_corpus_of_an_earlier_version_has_the_first_answers_alone(tmp_path: Path, corpus: Path, squad: Path) -> None:
    shutil.copytree(corpus, tmp_path / "corpus")
    records = [*read_jsonl(corpus / "questions.jsonl")]
    for record in records:
        del record["accepted"]
    write_jsonl(tmp_path / "corpus/questions.jsonl", records)
    with pytest.raises(BadInput, match=r"questions\.jsonl, line 1: no field accepted .* --redo, or give squad=FILE"):
        run(Config(out=tmp_path / "out", corpus=tmp_path / "corpus", human=True))
    run(Config(out=tmp_path / "out", corpus=tmp_path / "corpus", squad=squad))


def written_pairs(folder: Path) -> Path:
    pairs = [{"instruction": f"アオバ川の支流{index}はどこですか。", "output": "北"} for index in range(6)]
    write_jsonl(folder / "synthetic.jsonl", [{"paper_id": "rivers-0000", "kind": "qa_easy", "pairs": pairs}])
    return folder / "synthetic.jsonl"


def test_human_and_synthetic_questions_together(tmp_path: Path, corpus: Path, squad: Path) -> None:
    run(Config(out=tmp_path / "out", corpus=corpus, squad=squad.parent, synthetic=written_pairs(tmp_path)))
    assert {one["kind"] for one in read_jsonl(tmp_path / "out" / "questions.jsonl")} == {"human", "qa_easy"}
    run(Config(out=tmp_path / "new", corpus=corpus, human=True, synthetic=written_pairs(tmp_path)))
    assert (tmp_path / "new/questions.jsonl").read_bytes() == (tmp_path / "out/questions.jsonl").read_bytes()


def test_a_file_in_another_encoding(tmp_path: Path, corpus: Path, squad: Path) -> None:
    squad.write_bytes(squad.read_text().encode("utf-16"))
    run(Config(out=tmp_path / "out", corpus=corpus, squad=squad))
    assert len(list(read_jsonl(tmp_path / "out" / "questions.jsonl"))) == 9


def rewritten(squad: Path, change: Callable[[dict[str, Any]], object]) -> Path:
    content = json.loads(squad.read_text())
    change(content)
    squad.write_text(json.dumps(content, ensure_ascii=False))
    return squad


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda c: c["data"].append(article("ハヤセ")), r"data\[4\]: article 'rivers-0004' is not in .*corpus"),
        (lambda c: c["data"].reverse(), r"data\[0\]: its title is 'ツバメ川の歴史', but the corpus's paper"),
        (lambda c: c.pop("data"), "expected SQuAD-style JSON"),
        (lambda c: c.update(data=[]), "with at least one article"),
        (lambda c: c["data"][0]["paragraphs"][0].update(qas={}), None),
    ],
)
def test_files_that_are_not_the_corpus_s(
    tmp_path: Path, corpus: Path, squad: Path, change: Callable[[dict[str, Any]], object], message: str | None
) -> None:
    config = Config(out=tmp_path / "out", corpus=corpus, squad=rewritten(squad, change))
    if message is None:
        run(config)
        return
    with pytest.raises(BadInput, match=message):
        run(config)


@pytest.mark.parametrize(
    ("change", "left", "malformed"),
    [
        (lambda article: article["paragraphs"][0]["qas"][0].pop("question"), 2, 1),
        (lambda article: article["paragraphs"][0]["qas"][0].update(question=" "), 2, 1),
        (lambda article: article["paragraphs"][0]["qas"][0].update(answers=[{"text": 7}]), 2, 1),
        (lambda article: article["paragraphs"][0]["qas"][0].update(answers=["雪"]), 2, 1),
        (lambda article: article["paragraphs"][0]["qas"][0]["answers"].append({"text": None}), 3, 1),
        (lambda article: article["paragraphs"][0].update(qas=3), 1, 1),
        (lambda article: article["paragraphs"][1].update(context=None), 2, 1),
        (lambda article: article.update(paragraphs=[]), 0, 0),
    ],
)
def test_what_is_malformed_goes_alone_as_in_the_corpus(
    tmp_path: Path,
    squad: Path,
    caplog: pytest.LogCaptureFixture,
    change: Callable[[dict[str, Any]], object],
    left: int,
    malformed: int,
) -> None:
    rewritten(squad, lambda content: change(content["data"][3]))  # its questions have no ids of their own
    make_corpus(
        CorpusConfig(input=str(squad), out=tmp_path / "corpus", heldout_count=1, workers=1, max_bad=1, same_side=0)
    )
    counts: Counter[str] = Counter()
    papers = read_papers(tmp_path / "corpus")
    with caplog.at_level("WARNING"):
        found = list(from_squad(squad, papers, counts))
    assert found == list(from_corpus(papers))
    assert sum(one["paper_id"] == "rivers-0003" for one in found) == left
    assert counts["malformed"] == malformed
    assert ("are malformed and left out: " in caplog.text) == bool(malformed)


def test_files_that_are_not_there_or_not_text(tmp_path: Path, corpus: Path, squad: Path) -> None:
    with pytest.raises(BadInput, match="no such file or folder"):
        run(Config(out=tmp_path / "out", corpus=corpus, squad=tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="no SQuAD-style JSON file in it"):
        run(Config(out=tmp_path / "out", corpus=corpus, squad=corpus))
    squad.write_bytes(b'{"data": ' + bytes([0x80, 0x81, 0xFF]) * 9)
    with pytest.raises(BadInput, match=r"rivers\.json"):
        run(Config(out=tmp_path / "out", corpus=corpus, squad=squad))


def test_questions_about_papers_that_the_corpus_left_out_are_counted(tmp_path: Path, squad: Path) -> None:
    rewritten(squad, lambda content: content["data"].append(content["data"][0]))
    make_corpus(CorpusConfig(input=str(squad), out=tmp_path / "corpus", heldout_count=1, workers=1, near_duplicates=0))
    run(Config(out=tmp_path / "out", corpus=tmp_path / "corpus", squad=squad))
    assert read_json(tmp_path / "out" / "manifest.json")["counts"]["of_dropped_papers"] == 5


def test_jaquad(tmp_path: Path, shared_data: Path) -> None:
    """Real questions that people asked with a paragraph at hand; nearly all of them stand alone."""
    file = shared_data / "jaquad" / "jaquad_train_0000.json"
    make_corpus(CorpusConfig(input=str(file), out=tmp_path / "corpus", workers=1))
    run(Config(out=tmp_path / "out", corpus=tmp_path / "corpus", human=True, n=0))
    assert list(from_corpus(papers := read_papers(tmp_path / "corpus"))) == list(from_squad(file, papers, Counter()))
    records = list(read_jsonl(tmp_path / "out" / "questions.jsonl"))
    kept = sum(one["kept"] for one in records)
    assert len(records) > 900 and 0.95 < kept / len(records) < 1
    assert {one["question_id"] for one in records} <= {
        one["question_id"] for one in read_jsonl(tmp_path / "corpus" / "questions.jsonl")
    }


def test_answers_of_questions_with_one_id_in_two_files_stay_apart(tmp_path: Path) -> None:
    for name, answers in (("a", ["北", "北側"]), ("b", ["南", "南側"])):
        qas = [{"id": "1", "question": f"{name}の橋はどこですか。", "answers": [{"text": text} for text in answers]}]
        paragraphs = [{"context": f"{name}の橋は{answers[0]}にある。" * 20, "qas": qas}]
        content = {"data": [{"title": f"{name}の橋", "paragraphs": paragraphs}]}
        (tmp_path / "in").mkdir(exist_ok=True)
        (tmp_path / f"in/{name}.json").write_text(json.dumps(content, ensure_ascii=False))
    make_corpus(CorpusConfig(input=str(tmp_path / "in"), out=tmp_path / "out", heldout_count=1, near_duplicates=0))
    asked = {one["answer"]: one["accepted"] for one in read_jsonl(tmp_path / "out/questions.jsonl")}
    assert asked == {"北": ["北", "北側"], "南": ["南", "南側"]}
