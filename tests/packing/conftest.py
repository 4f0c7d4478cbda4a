"""A small real tokenizer for packing tests, trained on the spot."""

from pathlib import Path

import pytest

from nemo_kcpt.demo.tokenizer import train_tokenizer
from nemo_kcpt.packing.tokenise import PackTokenizer

TEXTS = [
    "カスミNetは、要約生成のための手法である。",
    "学習データは12,400件です。再現率は83.7である。",
    "緋扇大学の白鷺隼人らが2021年に発表した。",
]


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tokenizer")
    train_tokenizer(TEXTS * 3, folder, vocab_size=512)
    return folder


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> PackTokenizer:
    return PackTokenizer(tokenizer_folder)
