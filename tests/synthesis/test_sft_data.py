"""The four sets: their sources, sizes and seed; the people's files read with care; held-out questions never in."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_jsonl, write_json, write_jsonl
from nemo_kcpt.runs import read_manifest
from nemo_kcpt.synthesis.ichikara import examples, read_samples
from nemo_kcpt.synthesis.sft_stage import Config, run
from tests.synthesis.papers import corpus, paper


def person(number: int, **fields: Any) -> dict[str, Any]:
    return {"ID": f"i-{number}", "text": f"質問{number}", "output": f"回答{number}", **fields}


def synthetic(folder: Path, pairs: int = 3, name: str = "z") -> Path:
    records = [
        {
            "paper_id": f"p{number}",
            "kind": kind,
            "pairs": [{"instruction": f"{name}{number}{kind}{n}", "output": "答"} for n in range(pairs)],
        }
        for number in range(4)
        for kind in ("summary", "qa_easy", "keywords")
    ]
    write_jsonl(folder / "synthetic.jsonl", records)
    write_json(
        folder / "manifest.json",
        {"format": 1, "stage": "s", "fingerprint": name, "config": {}, "inputs": {}, "outputs": {}},
    )
    return folder


@pytest.mark.parametrize("split", [{"held_out": []}, {"heldout": "p0"}, []])
def test_a_split_of_another_form_is_named(tmp_path: Path, split: Any) -> None:
    folder = corpus(tmp_path / "corpus", [paper(number) for number in range(4)])
    write_json(folder / "split.json", split)
    with pytest.raises(
        BadInput, match="split.json: expected an object with the list heldout; make it with `kcpt corpus`"
    ):
        run(Config(corpus=folder, synthetic=synthetic(tmp_path / "zero"), out=tmp_path / "sft"))


def made(tmp_path: Path, **fields: Any) -> dict[str, list[dict[str, Any]]]:
    out = tmp_path / "sft"
    folder = corpus(tmp_path / "corpus", [paper(number) for number in range(4)])
    run(Config(corpus=folder, synthetic=synthetic(tmp_path / "zero"), out=out, **fields), redo=True)
    return {path.stem: list(read_jsonl(path)) for path in sorted(out.glob("*.jsonl"))}


def test_the_four_sets(tmp_path: Path) -> None:
    people = tmp_path / "ichikara.json"
    people.write_text(json.dumps([person(number) for number in range(30)], ensure_ascii=False))
    sets = made(tmp_path, ichikara=people, one_shot=synthetic(tmp_path / "one", name="o"), samples=10)
    assert sorted(sets) == ["all_included", "ichikara", "one_shot", "zero_shot"]
    assert {name: len(samples) for name, samples in sets.items()} == {
        "ichikara": 10,
        "one_shot": 10,
        "zero_shot": 10,
        "all_included": 30,
    }
    assert Counter(sample["origin"] for sample in sets["all_included"]) == Counter(
        ichikara=10, one_shot=10, zero_shot=10
    )
    assert {sample["paper_id"] for sample in sets["ichikara"]} == {None}
    for name in ("one_shot", "zero_shot"):
        assert {sample["paper_id"] for sample in sets[name]} <= {"p1", "p2", "p3"}  # p0 is held out
        assert not any("summary" in sample["messages"][0]["content"] for sample in sets[name])
    assert [message["role"] for message in sets["ichikara"][0]["messages"]] == ["user", "assistant"]
    assert made(tmp_path, ichikara=people, one_shot=tmp_path / "one", samples=10) == sets
    assert made(tmp_path, ichikara=people, one_shot=tmp_path / "one", samples=10, seed=1) != sets


def test_a_shortfall_is_reported_and_never_padded(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    sets = made(tmp_path, samples=100)
    assert len(sets["zero_shot"]) == 3 * 2 * 3 == len(sets["all_included"])
    assert "zero_shot has 18 samples, 100 were wanted" in caplog.text
    assert "no source was given for ichikara and one_shot" in caplog.text
    assert read_manifest(tmp_path / "sft")["counts"]["short_of"] == {"zero_shot": 82}


def test_single_turns_only(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    folder = tmp_path / "people"
    folder.mkdir()
    (folder / "a.json").write_text(
        json.dumps([person(1), person(2), person(2, text="続き"), person(3, text=["a", "b"])])
    )
    (folder / "b.jsonl").write_text(
        "\n".join(json.dumps(one) for one in (person(4), person(5, output=" "), person(6, more=1)))
    )
    (folder / "README.md").write_text("not data")
    assert [sample.id for sample in read_samples(folder)] == ["i-1", "i-4", "i-6"]
    assert "left out: 3 of conversations, 1 without text or output" in caplog.text


GOOD = json.dumps([person(1), person(2)], ensure_ascii=False)


@pytest.mark.parametrize(
    ("content", "offset", "said"),
    [
        (GOOD[:-20].encode(), len(GOOD[:-20].encode()) - len('"output": "回'.encode()) + 10, "not JSON"),
        (GOOD[:-1].encode(), len(GOOD[:-1].encode()), "the list breaks off here"),
        (b"\xef\xbb\xbf" + GOOD[:-1].encode(), 3 + len(GOOD[:-1].encode()), "the list breaks off here"),
        ((GOOD + "x").encode(), len(GOOD.encode()), "something follows"),
        ('[{"ID": 1, "text": "あ"}]'.encode(), 1, "output is missing"),
        ('[{"ID": 1, "text": "あ", "output": 3}]'.encode(), 1, "output is int"),
        (b"[1]", 1, "found int"),
        ('["あ", '.encode() + b"\xff]", 8, "not UTF-8"),
        (b"", None, "it is empty"),
        (b"[]", None, "it is empty"),
    ],
)
def test_a_malformed_shard_is_named_with_its_byte_offset(
    tmp_path: Path, content: bytes, offset: int | None, said: str
) -> None:
    path = tmp_path / "shard-7.json"
    path.write_bytes(content)
    with pytest.raises(BadInput) as error:
        read_samples(path)
    assert said in str(error.value) and str(path) in str(error.value)
    if offset is not None:
        found = int(str(error.value).split("byte ")[1].split(":")[0])
        assert abs(found - offset) <= 12 and 0 <= found <= len(content)


def test_nothing_there(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no such file"):
        read_samples(tmp_path / "none.json")
    with pytest.raises(BadInput, match=r"no \.json or \.jsonl"):
        read_samples(tmp_path)
    with pytest.raises(ValueError, match="give one of the two"):
        Config(corpus=tmp_path, synthetic=tmp_path, out=tmp_path, general=tmp_path, ichikara=tmp_path)


def test_the_example_of_a_prompt_is_chosen_by_paper_and_seed(tmp_path: Path) -> None:
    path = tmp_path / "people.json"
    path.write_text(json.dumps([person(number) for number in range(40)] + [person(99, output="長" * 5000)]))
    choose = examples(path, 0)
    assert choose("p1", "qa_easy") == examples(path, 0)("p1", "qa_easy")
    chosen = {choose(f"p{number}", "qa_easy") for number in range(200)}
    assert len(chosen) > 20 and not any("長長" in one for one in chosen)
    assert json.loads(choose("p1", "qa_easy")).keys() == {"instruction", "output"}
    assert {examples(path, 1)(f"p{number}", "qa_easy") for number in range(5)} != {
        choose(f"p{number}", "qa_easy") for number in range(5)
    }


def test_the_one_shot_prompt_shows_the_example(tmp_path: Path) -> None:
    from nemo_kcpt.llm.sampling import Asking
    from nemo_kcpt.synthesis.calls import make_plan
    from nemo_kcpt.synthesis.config import Config

    path = tmp_path / "people.json"
    path.write_text(json.dumps([person(1, text="手本の質問")], ensure_ascii=False))
    folder = corpus(tmp_path / "corpus", [paper()])
    config = Config(corpus=folder, out=tmp_path / "out", examples=path, kinds=["qa_easy"], teacher="openai")
    plan = make_plan(config, Asking("m"), len, None)
    (call,) = plan.calls(next(plan.records()))
    content = call.request.messages[1]["content"]
    assert content.index(paper()["text"]) < content.index("手本の質問") < content.index("基本的な問い")
