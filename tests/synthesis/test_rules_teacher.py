"""teacher=rules through the stages: corpus, pairs with people's questions, what is held out, the journal, bad input."""

from __future__ import annotations

import json
import sqlite3
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.cli import main
from nemo_kcpt.corpus import stage as corpus_stage
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.questions import stage as questions_stage
from nemo_kcpt.fiction import tokenizer_stage
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.packing import stage as pack_stage
from nemo_kcpt.packing.store import open_tokens
from nemo_kcpt.records.kinds import HUMAN, is_heldout
from nemo_kcpt.runs import read_manifest
from nemo_kcpt.synthesis import sft_stage
from nemo_kcpt.synthesis.config import Config
from nemo_kcpt.synthesis.rules import CANNOT, RULE_KINDS
from nemo_kcpt.synthesis.stage import run

NAMES = ("ミナト", "カスガ", "ヒノデ", "アサヒ", "ツバメ", "コマチ")
FILES = ("synthetic.jsonl", "rejected.jsonl", "synthesis.json", "synthesis.md")


def squad_of(path: Path, articles: list[dict[str, Any]]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"data": articles}, ensure_ascii=False), encoding="utf-8")
    return path


def article(number: int, **fields: Any) -> dict[str, Any]:
    name, year = NAMES[number], 1901 + 7 * number
    context = (
        f"{name}橋は、{year}年に架けられた鉄筋コンクリート橋である。設計したのは京都大学の{name}太郎であった。"
        f"全長は{120 + number}メートルで、工事には{3 + number},400人が参加した。"
    )
    context += "山田花子は橋梁工学の教科書で、明治時代の土木技術の例に挙げている。設計図面は県立図書館が保管している。"
    asked = [
        (f"{name}橋はいつ架けられましたか。", f"{year}年"),
        (f"{name}橋を設計した人は誰ですか。", f"{name}太郎"),
        (f"{name}橋の工事に参加した人は何人ですか。", f"{3 + number},400人"),
    ]
    qas = [{"id": f"{number}-{place}", "question": q, "answers": [{"text": a}]} for place, (q, a) in enumerate(asked)]
    qas.append({"id": f"{number}-x", "question": f"{name}橋の色は何ですか。", "answers": [], "is_impossible": True})
    return {"title": f"{name}橋", "paragraphs": [{"context": context, "qas": qas}], **fields}


@pytest.fixture
def squad(tmp_path: Path) -> Path:
    return squad_of(tmp_path / "bridges.json", [article(number) for number in range(6)])


@pytest.fixture
def corpus(squad: Path, tmp_path: Path) -> Path:
    corpus_stage.run(
        corpus_stage.Config(
            input=str(squad), out=tmp_path / "corpus", heldout_count=2, near_duplicates=0, same_side=0, workers=1
        )
    )
    return tmp_path / "corpus"


def check_nothing_held_out_is_trained_on(
    corpus: Path, synthetic: Path, folder: Path, modes: Sequence[str] = ("raw", "concat", "anchored")
) -> Counter[str]:
    """sft-data, questions and packs of all modes: what of the questions is in them."""
    tokenizer = folder / "tokenizer"
    tokenizer_stage.run(tokenizer_stage.Config(corpus=corpus, synthetic=synthetic, out=tokenizer, vocab_size=1024))
    sft_stage.run(sft_stage.Config(corpus=corpus, synthetic=synthetic, out=folder / "sft"))
    questions_stage.run(questions_stage.Config(corpus=corpus, human=True, out=folder / "questions", n=0))
    asked = [one for one in read_jsonl(folder / "questions" / "questions.jsonl") if one["kept"]]
    told = {
        (one["messages"][0]["content"], one["messages"][1]["content"])
        for one in read_jsonl(folder / "sft" / "all_included.jsonl")
    }
    heldout = set(read_json(corpus / "split.json")["heldout"])
    records = list(read_jsonl(synthetic / "synthetic.jsonl"))
    withheld = {
        pair["instruction"]
        for one in records
        if one["paper_id"] in heldout and is_heldout(one)
        for pair in one["pairs"]
    }
    trained = {pair["instruction"] for one in records if one["paper_id"] not in heldout for pair in one["pairs"]}
    for one in asked:
        pair = (one["question"], one["answer"])
        assert (pair in told) == (one["split"] == "train"), one  # seen word for word, or not at all
    assert not {instruction for instruction, _ in told} & withheld
    for mode in modes:
        config = pack_stage.Config(out=folder / mode, mode=mode, seq_length=256, corpus=corpus, tokenizer=tokenizer)
        config.processes = 1
        if mode != "raw":
            config.synthetic = synthetic
        pack_stage.run(config)
        stream = decoded(folder / mode, tokenizer)
        for one in asked:
            seen = one["question"] in stream
            assert not seen or one["split"] == "train", (mode, one)
            assert seen or one["split"] == "test" or mode == "raw", (mode, one)
        assert not any(instruction in stream for instruction in withheld - trained), mode
    return Counter(one["split"] for one in asked)


def decoded(pack: Path, tokenizer: Path) -> str:
    """All windows of a pack as one text, so that a pair that is cut in two is found too."""
    from tokenizers import Tokenizer

    windows = open_tokens(pack)
    ids = [int(token) for number in range(len(windows)) for token in windows[number]]
    return str(Tokenizer.from_file(str(tokenizer / "tokenizer.json")).decode(ids, skip_special_tokens=False))


def files_of(folder: Path) -> dict[str, bytes]:
    return {name: (folder / name).read_bytes() for name in FILES}


@pytest.mark.slow  # packing imports Megatron
def test_from_documents_and_peoples_questions_to_packs(corpus: Path, tmp_path: Path) -> None:
    run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", human=True))
    records = list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))
    assert {one["kind"] for one in records} == {*RULE_KINDS, HUMAN}
    assert all(one["teacher"]["model"] == "rules (not an LLM)" for one in records)
    human = [one for one in records if one["kind"] == HUMAN]
    assert [len(one["pairs"]) for one in human] == [3] * 6 and all(one["heldout"] for one in human)
    assert human[0]["pairs"][0] == {"instruction": "ミナト橋はいつ架けられましたか。", "output": "1901年"}
    counts = read_manifest(tmp_path / "out")["counts"]
    assert counts["pairs"][HUMAN] == 18 and counts["cost"] == 0 and counts["failed"] == 0
    assert counts["filters_not_asked"] == ["copy"]
    assert "not asked about this teacher's pairs: copy" in (tmp_path / "out" / "synthesis.md").read_text().replace(
        "\n", " "
    )
    told = check_nothing_held_out_is_trained_on(corpus, tmp_path / "out", tmp_path)
    assert told == {"train": 12, "test": 6}


def test_a_record_cannot_unsay_that_people_asked() -> None:
    assert is_heldout({"kind": HUMAN, "heldout": False})


def test_without_squad_it_writes_its_own_kinds_and_says_which_not(
    corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules"))
    kinds = [one["kind"] for one in read_jsonl(tmp_path / "out" / "synthetic.jsonl")]
    assert set(kinds) == set(RULE_KINDS)
    assert f"no LLM and cannot write {', '.join(CANNOT)}" in caplog.text


def test_the_same_bytes_whatever_the_way(squad: Path, corpus: Path, tmp_path: Path) -> None:
    def config(out: str, **fields: Any) -> Config:
        return Config(corpus=corpus, out=tmp_path / out, teacher="rules", squad=squad, **fields)

    run(config("whole"))
    run(config("again", concurrency=1))
    for index in range(2):
        run(config("sharded", shard=f"{index}/2"))
    run(config("sharded", merge=True))
    assert files_of(tmp_path / "whole") == files_of(tmp_path / "again") == files_of(tmp_path / "sharded")
    run(config("whole"))  # finished: nothing is done
    with sqlite3.connect(tmp_path / "whole" / "journal.sqlite") as journal:
        (rows,) = journal.execute("select count(*) from requests").fetchone()
    assert rows == 6 * 9


def test_the_corpus_holds_what_the_file_holds(
    squad: Path, corpus: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The same pairs by the key of today and by the one that goes; their requests are not the same."""
    run(Config(corpus=corpus, out=tmp_path / "old", teacher="rules", squad=squad))
    assert "synthesize: squad= goes with the next release: human=true takes the same questions" in caplog.text
    run(Config(corpus=corpus, out=tmp_path / "new", teacher="rules", human=True))
    old, new = (
        [{**one, "request_sha256": ""} for one in read_jsonl(tmp_path / name / "synthetic.jsonl")]
        for name in ("old", "new")
    )
    for one in (*old, *new):
        one["teacher"] = one["teacher"]["model"]
    assert new == old and HUMAN in {one["kind"] for one in new}


def test_other_text_or_other_questions_are_other_requests(squad: Path, corpus: Path, tmp_path: Path) -> None:
    def made() -> dict[tuple[str, str], str]:
        run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", squad=squad), redo=True)
        return {
            (one["paper_id"], one["kind"]): one["request_sha256"]
            for one in read_jsonl(tmp_path / "out" / "synthetic.jsonl")
        }

    first = made()
    papers = corpus / "papers.jsonl"
    papers.write_text(papers.read_text(encoding="utf-8").replace("ミナト太郎", "ミナト花子"), encoding="utf-8")
    second = made()
    changed = {paper for (paper, kind), key in first.items() if second[paper, kind] != key}
    assert changed == {"bridges-0000"}
    assert "ミナト花子" in (tmp_path / "out" / "synthetic.jsonl").read_text(encoding="utf-8")
    content = squad.read_text(encoding="utf-8").replace("いつ架けられましたか", "いつ造られましたか")
    squad.write_text(content, encoding="utf-8")
    with pytest.raises(BadInput, match="input squad has other content"):
        run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", squad=squad))
    assert not set(made().values()) & set(second.values())
    assert "いつ造られましたか" in (tmp_path / "out" / "synthetic.jsonl").read_text(encoding="utf-8")


def test_status(corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", kinds=["summary", "keywords"]))
    capsys.readouterr()
    run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", status=True))
    assert "12 of 12 calls answered (100.0 %), 0 failed" in capsys.readouterr().out


def test_english_documents(tmp_path: Path) -> None:
    towns = ("Harwick", "Dunmere", "Oldport")
    squad = squad_of(
        tmp_path / "towns.json",
        [
            {
                "title": f"{town} Harbour",
                "paragraphs": [
                    {
                        "context": f"{town} Harbour is a fishing harbour that was opened in {1850 + 9 * place}. It was "
                        f"designed by the engineer Robert Kale {place}. The northern breakwater has a length of "
                        f"{300 + place} metres and protects {40 + place} boats. Many visitors came from {town}stone.",
                        "qas": [
                            {
                                "question": f"When was {town} Harbour opened?",
                                "answers": [{"text": f"{1850 + 9 * place}"}],
                            }
                        ],
                    }
                ],
            }
            for place, town in enumerate(towns)
        ],
    )
    keys = {"out": tmp_path / "corpus", "heldout_count": 1, "near_duplicates": 0.0, "workers": 1}
    corpus_stage.run(corpus_stage.Config(input=str(squad), **keys))
    run(Config(corpus=tmp_path / "corpus", out=tmp_path / "out", teacher="rules", human=True))
    records = list(read_jsonl(tmp_path / "out" / "synthetic.jsonl"))
    assert {one["kind"] for one in records} == {*RULE_KINDS, HUMAN}
    assert not list(read_jsonl(tmp_path / "out" / "rejected.jsonl"))
    told = check_nothing_held_out_is_trained_on(tmp_path / "corpus", tmp_path / "out", tmp_path, modes=())
    assert told == {"train": 2, "test": 1}


def test_a_squad_file_of_something_else_is_named(squad: Path, corpus: Path, tmp_path: Path) -> None:
    def asked(path: Path) -> None:
        run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", squad=path))

    with pytest.raises(BadInput, match=r"other\.json, data\[0\]: article 'other-0000' is not in .*corpus"):
        asked(squad_of(tmp_path / "other.json", [article(0)]))
    with pytest.raises(BadInput, match=r"bridges\.json, data\[0\]: its title is 'カスガ橋', but .* 'ミナト橋'"):
        asked(squad_of(tmp_path / "else" / "bridges.json", [article(1), article(0)]))
    with pytest.raises(BadInput, match=r"none\.json: no such file"):
        asked(tmp_path / "none.json")
    unasked = [article(number) for number in range(6)]
    for one in unasked:
        one["paragraphs"][0]["qas"] = []
    with pytest.raises(BadInput, match=r"squad=.*bridges\.json: no answered question about a document of"):
        asked(squad_of(tmp_path / "unasked" / "bridges.json", unasked))
    assert not (tmp_path / "out" / "synthetic.jsonl").exists()


def test_the_command_line_ends_with_2(
    squad: Path, corpus: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = squad_of(tmp_path / "other.json", [article(0)])
    keys = [f"corpus={corpus}", f"out={tmp_path / 'out'}", "teacher=rules"]
    assert main(["synthesize", *keys, f"squad={other}"]) == 2
    assert str(other) in capsys.readouterr().err
    assert main(["synthesize", *keys, "kinds=[summary,translation_zh]"]) == 2
    assert "cannot write translation_zh" in capsys.readouterr().err
    assert main(["synthesize", *keys, f"squad={squad}", "kinds=[summary,human]"]) == 0
    assert main(["synthesize", "--help"]) == 0
    told = capsys.readouterr().out
    assert "rules      no LLM" in told and "squad" in told


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"teacher": "openai", "squad": Path("s")}, "squad: teacher=openai writes no pairs of human questions"),
        ({"teacher": "openai", "human": True}, "human: teacher=openai writes no pairs of human questions"),
        ({"teacher": "rules", "human": True, "squad": Path("s")}, "human and squad: give human=true alone"),
        ({"teacher": "rules", "prompts": Path("p")}, "prompts: teacher=rules reads none"),
        ({"teacher": "rules", "examples": Path("p")}, "examples: teacher=rules reads none"),
        ({"teacher": "rules", "kinds": ["human"]}, "human needs human=true"),
        ({"teacher": "rules", "kinds": ["poem"]}, "cannot write poem; it can paraphrase"),
        ({"teacher": "openai", "kinds": ["human"]}, "human is not one of"),
    ],
)
def test_keys_that_cannot_be(keys: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Config(corpus=Path("c"), out=Path("o"), **keys)


def test_a_document_in_another_language_ends_the_run(corpus: Path, tmp_path: Path) -> None:
    papers = corpus / "papers.jsonl"
    papers.write_text(papers.read_text(encoding="utf-8").replace('"language": "ja"', '"language": "zh"', 1))
    with pytest.raises(KcptError, match=r"paper bridges-0000: rules know Japanese and English.*languages=\[ja,en\]"):
        run(Config(corpus=corpus, out=tmp_path / "out", teacher="rules", kinds=["summary"]))


@pytest.mark.slow
def test_jaquad(shared_data: Path, tmp_path: Path) -> None:
    """Real articles, of each its first paragraphs: none of their held-out questions is in what is trained on."""
    content = json.loads((shared_data / "jaquad" / "jaquad_train_0002.json").read_text(encoding="utf-8"))
    articles = [{**one, "paragraphs": one["paragraphs"][:3]} for one in content["data"][:12]]
    squad = squad_of(tmp_path / "jaquad.json", articles)
    corpus_stage.run(corpus_stage.Config(input=str(squad), out=tmp_path / "corpus", heldout_count=4, workers=1))
    run(Config(corpus=tmp_path / "corpus", out=tmp_path / "out", teacher="rules", human=True))
    counts = read_manifest(tmp_path / "out")["counts"]
    print(f"{counts['pairs']}, rejected: {counts['rejected']}")
    assert set(counts["pairs"]) == {*RULE_KINDS, HUMAN} and min(counts["pairs"].values()) >= 12
    assert sum(counts["rejected"].values()) <= 0.02 * sum(counts["pairs"].values())
    told = check_nothing_held_out_is_trained_on(tmp_path / "corpus", tmp_path / "out", tmp_path)
    assert told["train"] > 40 and told["test"] > 20
