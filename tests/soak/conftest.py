"""Long campaigns of kills, for releases: `make soak`. Any other choice of tests leaves this folder out."""

from __future__ import annotations

from pathlib import Path

import pytest


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    return None if "soak" in (config.option.markexpr or "") else True
