"""A child ends with its parent, even when that is killed; what it prints is in the log."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt import processes
from nemo_kcpt.experiment.process import ERRORS
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


@pytest.mark.parametrize(
    ("lines", "shown"),
    [
        (["AttributeError: of a library, which went on", "kcpt train: the weights are of another model", "bye"], [1]),
        (["step 1", "ValueError: bad", "bye"], [1]),
        (["step 1", "bye"], [0, 1]),
    ],
)
def test_of_a_log_what_a_user_needs_to_see(lines: list[str], shown: list[int], tmp_path: Path) -> None:
    log = tmp_path / "log"
    log.write_text("\n".join(["kcpt train: of an earlier run", *lines]))
    assert processes.tail(log, start=30, prefer=ERRORS).splitlines() == [
        f"{'  ' if number else ''}{lines[index]}" for number, index in enumerate(shown)
    ]
