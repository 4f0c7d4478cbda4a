"""A small real tokenizer for tests: the demo's, trained on the spot in some milliseconds."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from nemo_kcpt.fiction.tokenizer import train_tokenizer

TEXTS = (
    "カスミNetは、要約生成のための手法である。",
    "学習データは12,400件です。再現率は83.7である。",
    "緋扇大学の白鷺隼人らが2021年に発表した。",
)


def make_tokenizer(folder: Path, texts: Iterable[str] = TEXTS) -> Path:
    """Write the tokenizer's files, with chat template, to `folder`; at most 512 rows."""
    folder.mkdir(parents=True, exist_ok=True)
    train_tokenizer([text for text in texts for _ in range(3)], folder, vocab_size=512)
    return folder
