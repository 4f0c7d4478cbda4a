"""Threads that wait for each other sleep soon: measured by the CPU time that a process takes between pieces of work."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from nemo_kcpt import threads

WORK = """
import sys, time
{before}
import torch
torch.set_num_threads(2)
{after}
values = torch.randn(400, 400)
values + values
begun = time.process_time()
for _ in range(40):
    values + values
    time.sleep(0.025)
print(time.process_time() - begun)
"""
SET = "from nemo_kcpt.threads import wait_briefly; wait_briefly()"


def seconds(before: str = "", after: str = "", **environment: str) -> float:
    """CPU seconds of forty pieces of work with a pause after each."""
    kept = {name: value for name, value in os.environ.items() if name not in threads._CHOSEN}
    program = WORK.format(before=before, after=after)
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", program],
        capture_output=True,
        text=True,
        check=True,
        timeout=600,
        env={**kept, "OMP_NUM_THREADS": "2", **environment},
    )
    return float(done.stdout.split()[-1])


@pytest.mark.skipif((os.cpu_count() or 1) < 2, reason="one core: no threads wait for each other")
def test_waiting_threads_sleep_soon_whether_torch_was_there_before_or_not() -> None:
    polling = seconds()
    assert seconds(before=SET) < polling / 4
    assert seconds(after="from nemo_kcpt.threads import settle; settle()") < polling / 4


def test_what_the_user_has_chosen_stays() -> None:
    for name in ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY"):
        environment = {name: "mine"}
        threads.wait_briefly(environment)
        assert environment == {name: "mine"}
    environment = {}
    threads.wait_briefly(environment)
    assert environment == {"GOMP_SPINCOUNT": threads.POLLS}


@pytest.mark.parametrize("start", ["import nemo_kcpt_recipes", "import nemo_kcpt.cli as c; c.main(['--version'])"])
def test_every_way_to_start_sets_it(start: str) -> None:
    """Recipes are imported before torch or after it, by nemo_run; what they start inherits it."""
    kept = {name: value for name, value in os.environ.items() if name not in threads._CHOSEN}
    program = f"import atexit, os; atexit.register(lambda: print('polls', os.environ.get('GOMP_SPINCOUNT'))); {start}"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=180, env=kept)
    assert f"polls {threads.POLLS}" in done.stdout, done.stderr
