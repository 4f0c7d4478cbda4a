"""Megatron-Bridge's side of the tests, which its own environment runs: all files at once, after one import of it."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.conftest import ROOT

PYTHON = ROOT / ".venv-bridge" / "bin" / "python"
FILES = sorted(path.stem for path in (Path(__file__).parent / "inside").glob("test_*.py"))
SECONDS = 3600
"""For all of it, beside whatever else the machine does."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, list[ElementTree.Element]]:
    """The results of each file's tests, as pytest tells them."""
    if not PYTHON.is_file():
        pytest.skip(".venv-bridge is not there: `make setup-bridge` builds it, `make test` does so")
    told = tmp_path_factory.mktemp("inside") / "told.xml"
    command = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junit-xml={told}", "tests/bridge/inside"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=SECONDS)
    assert told.is_file(), f"{done.stdout[-8000:]}\n{done.stderr[-2000:]}"
    found: dict[str, list[ElementTree.Element]] = {}
    for case in ElementTree.parse(told).iter("testcase"):
        found.setdefault(case.get("classname", "").rpartition(".")[2], []).append(case)
    return found


@pytest.mark.slow
@pytest.mark.timeout(SECONDS + 60)
@pytest.mark.parametrize("name", FILES)
def test_inside(name: str, outcomes: Mapping[str, list[ElementTree.Element]]) -> None:
    cases = outcomes.get(name, [])
    failed = [
        f"{case.get('name')}: {(wrong.text or wrong.get('message') or '')[-4000:]}"
        for case in cases
        for wrong in case
        if wrong.tag in ("failure", "error")
    ]
    assert not failed, "\n\n".join(failed)
    assert any(case.find("skipped") is None for case in cases), f"no test of it ran: {sorted(outcomes)}"
