"""Small packs of fictional papers for the recipes' tests."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.several import run
from tests import forks


@pytest.fixture(scope="session")
def packs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `concat`, `anchored`, `raw` and `instruction`, windows of 64 tokens."""
    folder = tmp_path_factory.mktemp("packs")
    tokenizer = [f"tokenizer={folder}/tokenizer", "seq_length=64"]
    sources = [f"corpus={folder}/corpus", f"synthetic={folder}/synthetic"]
    code = run(
        [
            ["demo-world", f"out={folder}/world", "papers=6", "base_papers=4"],
            ["corpus", f"input={folder}/world/own/documents.jsonl", f"out={folder}/corpus", "heldout_fraction=0.25"],
            ["synthesize", sources[0], f"facts={folder}/world/own/facts.jsonl", f"out={folder}/synthetic"],
            ["sft-data", *sources, "samples=40", f"out={folder}/sft"],
            ["demo-tokenizer", *sources, f"out={folder}/tokenizer", "vocab_size=1024"],
            ["pack", "mode=concat", *tokenizer, *sources, f"out={folder}/concat"],
            ["pack", "mode=anchored", *tokenizer, *sources, f"out={folder}/anchored"],
            ["pack", "mode=raw", *tokenizer, sources[0], f"out={folder}/raw"],
            [
                "pack",
                "mode=instruction",
                *tokenizer,
                f"sft={folder}/sft/all_included.jsonl",
                f"out={folder}/instruction",
            ],
        ]
    )
    assert code == 0
    return folder


@pytest.fixture(scope="session")
def trained(packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a short pretraining; test_llama.py starts one as a user does, by the console script."""
    folder = tmp_path_factory.mktemp("trained")
    factory = f"kcpt_tiny(pack='{packs}/concat',dir='{folder}',epochs=0.5)"
    forks.command(["nemo", "llm", "pretrain", "--factory", factory, "--yes"], log=folder.with_suffix(".log"))
    return folder
