"""A small instruction pack for the data modules' tests."""

from pathlib import Path

import pytest

from nemo_kcpt.files import write_jsonl
from nemo_kcpt.packing import stage as pack_stage
from tests.tiny_tokenizer import make_tokenizer


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
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
