"""Megatron-Bridge's side of the tests, which its own environment runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT

PYTHON = ROOT / ".venv-bridge" / "bin" / "python"
FILES = sorted(path.name for path in (Path(__file__).parent / "inside").glob("test_*.py"))


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_inside(name: str) -> None:
    if not PYTHON.is_file():
        pytest.skip(".venv-bridge is not there: `make setup-bridge` builds it, `make test` does so")
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/bridge/inside/{name}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=800)
    assert done.returncode == 0, f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    assert " passed" in done.stdout
