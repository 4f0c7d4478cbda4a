"""Train the demo's small tokenizer on the base model's world."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.config import MISSING
from nemo_kcpt.fiction.tokenizer import train_tokenizer
from nemo_kcpt.records.files import PAPERS, SYNTHETIC
from nemo_kcpt.runs import shaping, stage


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt demo-tokenizer`."""

    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus."""
    synthetic: Path = Path(MISSING)
    """Folder of kcpt synthesize."""
    out: Path = Path(MISSING)
    """Tokenizer folder."""
    vocab_size: int = 4096
    """Entries, added tokens included."""


def _texts(config: Config) -> Iterator[str]:
    for paper in PAPERS.read(config.corpus):
        yield paper["text"]
    for record in SYNTHETIC.read(config.synthetic):
        for pair in record["pairs"]:
            yield pair["instruction"]
            yield pair["output"]


def run(config: Config, redo: bool = False) -> None:
    """Train the tokenizer unless it is there."""
    inputs = {"corpus": config.corpus, "synthetic": config.synthetic}
    with stage("demo-tokenizer", config.out, config=shaping(config), inputs=inputs, redo=redo) as current:
        if not current.done:
            current.add(*train_tokenizer(_texts(config), config.out, config.vocab_size))
