"""A small real tokenizer for packing tests, trained on the spot."""

from pathlib import Path

import pytest

from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests.tiny_tokenizer import make_tokenizer


@pytest.fixture(scope="session")
def tokenizer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_tokenizer(tmp_path_factory.mktemp("tokenizer"))


@pytest.fixture(scope="session")
def tokenizer(tokenizer_folder: Path) -> PackTokenizer:
    return PackTokenizer(tokenizer_folder)
