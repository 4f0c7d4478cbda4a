"""The tiny experiment itself, with a broken arm.

That a kill costs no more than what was under way is shown of the runner in test_crashes.py, of its trainings in
tests/demo/test_demo_run.py, and of this experiment, ten times, in tests/soak/test_grid.py.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.config import conf_folder
from nemo_kcpt.files import read_json
from nemo_kcpt.report.build import without_times

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
"""Sums are to be made in the same order in every run."""


def start(out: Path, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "nemo_kcpt.cli", "grid", "--config", str(TINY), f"out={out}", *WORDS, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=ENVIRONMENT)


def finish(out: Path, *words: str) -> str:
    """Run it to its end, which is a bad one: one arm is broken."""
    process = start(out, *words)
    said, _ = process.communicate(timeout=1500)
    assert process.returncode == 2, said
    assert "1 steps failed: pack-broken. The others are finished" in said, said
    return said


def report(out: Path) -> dict[str, Any]:
    text = json.dumps(without_times(read_json(out / "report/report.json")))
    found: dict[str, Any] = json.loads(text.replace(str(out), "RUN"))
    return found


@pytest.mark.slow
def test_the_tiny_experiment_with_a_broken_arm(tmp_path: Path) -> None:
    run = tmp_path / "run"
    said = finish(run, "general=")
    assert said.count("base-pretraining: running") == said.count("corpus: running") == 1
    calm = report(run)

    # What was asked for is there, and the broken arm with its reason.
    assert [row["name"] for row in calm["models"] if row["split"] == "test"] == ["base", "concat-64", "anchored-64@1"]
    states = {cell["name"]: cell["state"] for cell in calm["cells"]}
    assert states == {"base": "done", "concat-64": "done", "anchored-64@1": "done", "broken": "failed"}
    reason = next(cell["reason"] for cell in calm["cells"] if cell["name"] == "broken")
    assert reason.startswith("pack-broken: kcpt pack: ") and "no record of 'no_such_kind'" in reason
    assert "pretrain-broken: blocked: pack-broken failed" in said
    page = (run / "report/report.html").read_text(encoding="utf-8")
    assert "broken" in page and "anchored-64" in page
    # Checkpoints are gone, but for what the broken arm still needs.
    assert list(run.glob("train/*/checkpoints")) == [run / "train/base-tuning/checkpoints"]
    assert (run / "hf/concat-64/model.safetensors").is_file()

    # The same command once more does the broken step and nothing else.
    before = {
        path: path.stat().st_mtime_ns for path in run.glob("*/*/manifest.json") if "nodes/report" not in str(path)
    }
    again = finish(run, "general=")
    assert "pretrain-concat-64: finished before" in again and "report: finished before" in again
    assert before == {path: path.stat().st_mtime_ns for path in before}

    status = subprocess.run(
        [sys.executable, "-m", "nemo_kcpt.cli", "grid", "--config", str(run / "experiment.yaml"), "--status"],
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert status.returncode == 0, status.stderr
    assert "✗ failed" in status.stdout and "1 failed" in status.stdout and "blocked by them" in status.stdout
