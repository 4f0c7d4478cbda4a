"""The tiny experiment, killed ten times at random moments: it ends with the report of one that nobody killed."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import pytest

from tests.grid.test_grid_run import finish, report, start
from tests.waiting import survivors

KILLS = 10


def kill(process: subprocess.Popen[str]) -> None:
    """Kill the runner alone; what it had started has to end with it."""
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    alive = survivors(family)
    assert not alive, f"orphans: {alive}"


def killed(out: Path) -> int:
    """Start and kill it again and again, then let it end; how many kills came before its end."""
    generator, done = random.Random(20261126), 0
    for _ in range(KILLS):
        process = start(out)
        deadline = time.monotonic() + generator.uniform(2, 40)
        while time.monotonic() < deadline and process.poll() is None:
            time.sleep(0.05)
        if process.poll() is None:
            kill(process)
            done += 1
    finish(out)
    return done


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_killed_ten_times_it_ends_with_the_same_report(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        undisturbed = both.submit(finish, tmp_path / "calm/run")
        kills = both.submit(killed, tmp_path / "hard/run")
        undisturbed.result()
        assert kills.result() >= KILLS - 1  # the last one may come late
    assert report(tmp_path / "hard/run") == report(tmp_path / "calm/run")
