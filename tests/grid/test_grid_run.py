"""The tiny experiment itself: killed ten times it ends with the report of one that nobody killed; a broken arm too."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil
import pytest

from nemo_kcpt.config import conf_folder
from nemo_kcpt.files import read_json
from nemo_kcpt.report.build import without_times
from tests.waiting import survivors

TINY = conf_folder() / "experiment" / "tiny.yaml"
ARMS = (
    "[{name: anchored-64, mode: anchored, seq_length: 64, seeds: [1]},"
    " {name: broken, mode: anchored, seq_length: 64, kinds: [no_such_kind]}]"
)
WORDS = (
    f"trainings={ARMS}",
    "base_epochs=0.2",
    "epochs=0.3",
    "sft_data.samples=30",
    "generate.engine=transformers",
    "generate.max_new_tokens=8",
    "keep_checkpoints=false",
)
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
"""Two grids run at once, on a core each; and sums are to be made in the same order."""
KILLS = 10


def start(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nemo_kcpt.cli", "grid", "--config", str(TINY), f"out={out}", *WORDS, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)


def finish(out: Path) -> str:
    """Run it to its end, which is a bad one: one arm is broken."""
    process = start(out)
    said, _ = process.communicate(timeout=1500)
    assert process.returncode == 2, said
    assert "1 steps failed: pack-broken. The others are finished" in said, said
    return said


def report(out: Path) -> dict[str, Any]:
    text = json.dumps(without_times(read_json(out / "report/report.json")))
    found: dict[str, Any] = json.loads(text.replace(str(out), "RUN"))
    return found


def kill(out: Path, seconds: float) -> bool:
    """Start the grid and kill it after some time; false if it had ended."""
    process = start(out)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
    if process.poll() is not None:
        return False
    family = psutil.Process(process.pid).children(recursive=True)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=60)
    alive = survivors(family)
    assert not alive, f"orphans: {alive}"
    return True


def killed(out: Path) -> int:
    generator, done = random.Random(20261126), 0
    for _ in range(KILLS):
        done += kill(out, generator.uniform(2, 40))
    finish(out)
    return done


@pytest.mark.slow
def test_killed_ten_times_it_ends_with_the_same_report(tmp_path: Path) -> None:
    with ThreadPoolExecutor(2) as both:
        undisturbed = both.submit(finish, tmp_path / "calm/run")
        kills = both.submit(killed, tmp_path / "hard/run")
        said = undisturbed.result()
        assert kills.result() >= KILLS - 1  # the last one may come late
    calm = report(tmp_path / "calm/run")
    assert report(tmp_path / "hard/run") == calm

    # What was asked for is there, and the broken arm with its reason.
    assert [row["name"] for row in calm["models"] if row["split"] == "test"] == ["base", "concat-64", "anchored-64@1"]
    states = {cell["name"]: cell["state"] for cell in calm["cells"]}
    assert states == {"base": "done", "concat-64": "done", "anchored-64@1": "done", "broken": "failed"}
    reason = next(cell["reason"] for cell in calm["cells"] if cell["name"] == "broken")
    assert reason.startswith("pack-broken: kcpt pack: ") and "no record of 'no_such_kind'" in reason
    assert "pretrain-broken: blocked: pack-broken failed" in said
    page = (tmp_path / "calm/run/report/report.html").read_text(encoding="utf-8")
    assert "broken" in page and "anchored-64" in page
    # Shared work was done once: one corpus, one base. Checkpoints are gone, but for what the broken arm still needs.
    run = tmp_path / "calm/run"
    assert said.count("base-pretraining: running") == said.count("corpus: running") == 1
    assert list(run.glob("train/*/checkpoints")) == [run / "train/base-tuning/checkpoints"]
    assert (run / "hf/concat-64/model.safetensors").is_file()

    # The same command once more does the broken step and nothing else.
    before = {
        path: path.stat().st_mtime_ns for path in run.glob("*/*/manifest.json") if "nodes/report" not in str(path)
    }
    again = finish(run)
    assert "pretrain-concat-64: finished before" in again and "report: finished before" in again
    assert before == {path: path.stat().st_mtime_ns for path in before}

    status = subprocess.run(
        [sys.executable, "-m", "nemo_kcpt.cli", "grid", "--config", str(run / "experiment.yaml"), "--status"],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert status.returncode == 0, status.stderr
    assert "✗ failed" in status.stdout and "1 failed" in status.stdout and "blocked by them" in status.stdout
