"""A base model for where none is given: pretrained and tuned on fictional papers of its own, as the demo does."""

from __future__ import annotations

from pathlib import Path

from nemo_kcpt.experiment.experiment import Config
from nemo_kcpt.experiment.nodes import Node, kcpt
from nemo_kcpt.experiment.sections import words_of


def base_documents(config: Config, run: Path) -> Node:
    """Other fictional papers, and instruction data about them: what the base model knows already."""
    folder = run / "base-world"
    commands = [
        [
            "corpus",
            f"input={run}/world/base/documents.jsonl",
            f"out={folder}/corpus",
            "heldout_fraction=0",
            "near_duplicates=0",
            "same_side=0",
        ],
        [
            "synthesize",
            f"corpus={folder}/corpus",
            f"facts={run}/world/base/facts.jsonl",
            *words_of({key: config.synthesize[key] for key in ("kinds",) if key in config.synthesize}),
            f"out={folder}/synthetic",
        ],
        [
            "sft-data",
            f"corpus={folder}/corpus",
            f"synthetic={folder}/synthetic",
            *([f"samples={config.base_samples}"] if config.base_samples else []),
            f"out={folder}/sft",
        ],
    ]
    return Node(
        name="base-documents",
        kind="documents",
        command=kcpt(*commands),
        products=[folder / "synthetic/synthetic.jsonl"],
        folders=[folder],
        after=["world"],
        expected=5,
    )


def base_packs(run: Path, tokenizer: Path, seq_length: int, mode: str) -> tuple[Node, Path, Path]:
    """A tokenizer made from what :func:`base_documents` gives, and packs; with the packs of pretraining and tuning."""
    folder = run / "base-world"
    made = [f"corpus={folder}/corpus", f"synthetic={folder}/synthetic"]
    packs = run / "packs/base", run / "packs/base-tuning"
    length = f"seq_length={seq_length}"
    commands = [
        ["demo-tokenizer", *made, f"out={tokenizer}"],
        ["pack", f"mode={mode}", length, f"tokenizer={tokenizer}", *made, f"out={packs[0]}"],
        [
            "pack",
            "mode=instruction",
            length,
            f"tokenizer={tokenizer}",
            f"sft={folder}/sft/all_included.jsonl",
            f"out={packs[1]}",
        ],
    ]
    node = Node(
        name="base-packs",
        kind="pack",
        command=kcpt(*commands),
        products=[pack / "manifest.json" for pack in packs],
        folders=[tokenizer, *packs],
        after=["base-documents"],
    )
    return node, *packs
