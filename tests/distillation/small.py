"""A small model, papers with pairs about their sentences, and packs of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.files import write_json, write_jsonl
from nemo_kcpt.packing import stage as pack_stage
from tests.evaluation.small import make_model

SENTENCES = (
    "カスミNetは、要約生成のための手法である。",
    "学習データは12,400件です。",
    "再現率は83.7である。",
    "緋扇大学の白鷺隼人らが2021年に発表した。",
)


def write_sources(folder: Path) -> None:
    """`papers.jsonl` with `split.json`, `synthetic.jsonl` and `replay.jsonl`."""
    papers, records = [], []
    for number in range(3):
        sentences = [sentence.replace("は", f"{number}は") for sentence in SENTENCES]
        papers.append({"paper_id": f"p{number}", "title": f"論文{number}", "text": "\n\n".join(sentences)})
        pairs = [{"instruction": f"{sentence[:6]}とは？", "output": sentence} for sentence in sentences]
        records.append({"paper_id": f"p{number}", "kind": "qa_easy", "pairs": pairs})
    (folder / "corpus").mkdir(parents=True, exist_ok=True)
    write_jsonl(folder / "corpus/papers.jsonl", papers)
    write_json(folder / "corpus/split.json", {"seed": 0, "heldout": [], "train": [one["paper_id"] for one in papers]})
    write_jsonl(folder / "synthetic.jsonl", records)
    write_jsonl(folder / "replay.jsonl", [{"text": "一般の文章である。" * 4} for _ in range(20)])


def make_pack(folder: Path, name: str = "pack", **more: Any) -> Path:
    """A pack of those sources, anchored at 96 tokens unless `more` says otherwise."""
    given: dict[str, Any] = {
        "mode": "anchored",
        "seq_length": 96,
        "passage_tokens": 24,
        "tokenizer": folder / "model",
        "corpus": folder / "corpus/papers.jsonl",
        "synthetic": folder / "synthetic.jsonl",
        "out": folder / name,
    }
    pack_stage.run(pack_stage.Config(**given | more))
    return folder / name


def make_all(folder: Path) -> Path:
    """`model`, the sources, and `pack` with a fifth of replay."""
    make_model(folder / "model", 0)
    write_sources(folder)
    return make_pack(folder, replay=folder / "replay.jsonl", replay_share=0.2)
