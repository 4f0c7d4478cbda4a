"""The page to check the filter by eye: half kept, half dropped, escaped, made again at will."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.questions.audit import sample, write_audit
from nemo_kcpt.evaluation.questions.stage import Config, run
from nemo_kcpt.files import read_json, write_json, write_jsonl


def records(kept: int, dropped: int, invalid: int = 0) -> list[dict[str, Any]]:
    return [
        {
            "question_id": f"{name}{number}",
            "split": "train",
            "paper_id": "p",
            "kind": "k",
            "answer": "a",
            "question": f"<b>{name}*{number}</b>",
            "kept": name == "kept",
            "filter": {"by": "rules", "verdict": verdict, "reason": "<i>why</i>"},
        }
        for name, size, verdict in (("kept", kept, 1), ("dropped", dropped, 0), ("invalid", invalid, None))
        for number in range(size)
    ]


@pytest.mark.parametrize(
    ("given", "n", "expected"),
    [
        ((100, 100), 50, {"kept": 25, "dropped": 25}),
        ((100, 100), 51, {"kept": 26, "dropped": 25}),
        ((100, 3), 50, {"kept": 47, "dropped": 3}),
        ((5, 100), 50, {"kept": 5, "dropped": 45}),
        ((100, 10, 20), 50, {"kept": 25, "dropped": 10, "no verdict": 15}),
        ((3, 2), 50, {"kept": 3, "dropped": 2}),
    ],
)
def test_half_and_half_where_possible(given: tuple[int, ...], n: int, expected: dict[str, int]) -> None:
    found = sample(records(*given), n, 0)
    assert Counter(one["group"] for one in found) == expected
    assert found == sample(records(*given), n, 0)
    assert len({one["question_id"] for one in found}) == len(found)


def test_what_stands_in_questions_is_text(tmp_path: Path) -> None:
    page = write_audit(tmp_path, records(2, 2, 1), {"p": "<script>"}, n=50, seed=0, by="<m>", measured=[])
    text = page.read_text()
    assert "<b>" not in text.partition("Kept:")[2] and "<i>" not in text and "<script>" not in text
    assert "&lt;b&gt;kept*0" in text and text.count('type="checkbox"') == 10
    assert "<b>" not in (tmp_path / "audit.md").read_text()


def test_audit_with_the_run_and_on_a_finished_folder(tmp_path: Path) -> None:
    corpus = tmp_path / "corpus"
    write_jsonl(corpus / "papers.jsonl", [{"paper_id": name, "title": name, "text": name} for name in "ab"])
    write_json(corpus / "split.json", {"seed": 0, "train": ["a"], "heldout": ["b"]})
    manifest = {"format": 1, "stage": "corpus", "fingerprint": "f", "config": {}, "inputs": {}, "outputs": {}}
    write_json(corpus / "manifest.json", manifest)
    asked = [{"instruction": f"「雪{index}」とは?", "output": "雪"} for index in range(9)]
    asked.append({"instruction": "本論文の目的は?", "output": "雪"})
    write_jsonl(tmp_path / "synthetic.jsonl", [{"paper_id": "a", "kind": "qa_easy", "pairs": asked}])
    out = tmp_path / "out"
    run(Config(out=out, corpus=corpus, synthetic=tmp_path / "synthetic.jsonl", audit=4))
    found = read_json(out / "audit.json")
    assert Counter(one["group"] for one in found["samples"]) == {"kept": 3, "dropped": 1}
    assert [row["split"] for row in found["measured"]] == ["dev", "test", "test", "test"]
    before = (out / "manifest.json").read_bytes()
    run(Config(out=out, audit=2))
    assert read_json(out / "audit.json")["sampled"] == 2 and (out / "manifest.json").read_bytes() == before
    with pytest.raises(BadInput, match="holds the result of kcpt corpus"):
        run(Config(out=corpus, audit=2))
