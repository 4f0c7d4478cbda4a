"""A child ends with its parent, even when that is killed; what it prints is in the log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt import processes
from tests.conftest import ROOT
from tests.waiting import is_running, wait_for


def test_output_and_environment(tmp_path: Path) -> None:
    program = "import os, sys; print(os.environ['KCPT_TEST']); print('error', file=sys.stderr)"
    for _ in range(2):
        child = processes.start([sys.executable, "-c", program], tmp_path / "logs" / "log", {"KCPT_TEST": "given"})
        assert child.wait() == 0
    assert sorted((tmp_path / "logs" / "log").read_text().split()) == ["error", "error", "given", "given"]


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux")
def test_a_killed_parent_leaves_no_child(tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from nemo_kcpt import processes\n"
        "child = processes.start([sys.executable, '-c', 'import time; time.sleep(300)'], Path(sys.argv[1]))\n"
        "print(child.pid, flush=True); child.wait()\n"
    )
    parent = subprocess.Popen(
        [sys.executable, "-c", program, str(tmp_path / "log")], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert parent.stdout is not None
    with parent.stdout:
        child = int(parent.stdout.readline())
        assert is_running(child)
        parent.kill()
        parent.wait()
    wait_for(lambda: not is_running(child))
