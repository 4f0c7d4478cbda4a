"""A small instruction pack of samples that never change, whatever the demo's world and templates become."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.files import write_jsonl
from nemo_kcpt.packing import stage as pack_stage
from tests.tiny_tokenizer import make_tokenizer


def make_pack(folder: Path) -> Path:
    """`folder`/pack: 40 questions and answers in windows of 32 tokens."""
    samples = [
        {
            "messages": [{"role": "user", "content": f"問{i}は何ですか？"}, {"role": "assistant", "content": f"答{i}"}],
            "origin": "zero_shot",
            "paper_id": None,
        }
        for i in range(40)
    ]
    make_tokenizer(folder / "tokenizer", [sample["messages"][0]["content"] for sample in samples])
    write_jsonl(folder / "sft.jsonl", samples)
    config = pack_stage.Config(
        mode="instruction", seq_length=32, tokenizer=folder / "tokenizer", sft=folder / "sft.jsonl", out=folder / "pack"
    )
    pack_stage.run(config)
    return folder / "pack"
