"""Every fault of tests/mutations/ is noticed by the tests that are named with it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.soak
@pytest.mark.timeout(4 * 3600)
def test_every_fault_is_noticed(root: Path) -> None:
    done = subprocess.run([sys.executable, root / "tests/mutations/run.py"], stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0, "\n".join(line for line in done.stdout.splitlines() if ": noticed (" not in line)
