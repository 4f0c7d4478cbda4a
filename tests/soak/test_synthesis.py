"""Killed sixty times at random moments, a run ends with the bytes of one that never was, and pays little twice."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.soak.synthesis_run import CONCURRENCY
from tests.synthesis.papers import corpus, paper

SCRIPT = Path(__file__).with_name("synthesis_run.py")
KILLS = 60


def start(folder: Path, out: Path) -> subprocess.Popen[str]:
    command = [sys.executable, str(SCRIPT), str(folder), str(out), str(out.with_suffix(".calls"))]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_sixty_kills(tmp_path: Path) -> None:
    seed = int(os.environ.get("KCPT_KILL_SEED", "20261124"))
    generator = random.Random(seed)
    folder = corpus(tmp_path / "corpus", [paper(number) for number in range(14)])
    begun = time.monotonic()
    process = start(folder, tmp_path / "whole")
    printed, _ = process.communicate(timeout=120)
    seconds = time.monotonic() - begun
    assert process.returncode == 0, printed
    wanted = {name: (tmp_path / "whole" / name).read_bytes() for name in ("synthetic.jsonl", "synthesis.json")}
    once = Counter((tmp_path / "whole.calls").read_text().splitlines())
    assert set(once.values()) == {1} and len(once) == 14 * 16 + 2  # two replies were cut off and asked for again
    kills = runs = 0
    while kills < KILLS:
        out = tmp_path / f"run{runs}"
        runs += 1
        here = 0
        while True:
            process = start(folder, out)
            try:
                printed, _ = process.communicate(timeout=generator.uniform(0.3, 1.0) * seconds)
            except subprocess.TimeoutExpired:
                process.send_signal(signal.SIGKILL)
                process.communicate()
                here += 1
                continue
            assert process.returncode == 0, f"seed {seed}, run {runs}, kill {here}: {printed}"
            break
        kills += here
        for name, content in wanted.items():
            assert (out / name).read_bytes() == content, f"seed {seed}, run {runs}, {name}"
        calls = Counter(out.with_suffix(".calls").read_text().splitlines())
        assert set(calls) == set(once)
        twice = sum(calls.values()) - len(calls)
        assert twice <= CONCURRENCY * here, f"seed {seed}, run {runs}: {twice} calls twice after {here} kills"
    print(f"{kills} kills in {runs} runs (seed {seed})")
