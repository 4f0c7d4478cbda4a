from __future__ import annotations

from pathlib import Path

import pytest

from tests.distillation.small import make_all


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `model`, `corpus`, `synthetic.jsonl`, `replay.jsonl` and `pack`."""
    folder = tmp_path_factory.mktemp("distillation")
    make_all(folder)
    return folder
