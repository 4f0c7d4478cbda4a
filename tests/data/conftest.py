"""A small instruction pack for the data modules' tests."""

from pathlib import Path

import pytest

from tests.tiny_pack import make_pack


@pytest.fixture(scope="module")
def pack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_pack(tmp_path_factory.mktemp("data"))
