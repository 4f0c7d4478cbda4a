"""The demo itself, in small: killed at every step it ends with the result of a run that was never killed."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest

from nemo_kcpt.config import conf_folder
from nemo_kcpt.demo import stage as demo
from nemo_kcpt.demo.runner import Clock, clock_time
from nemo_kcpt.demo.steps import Budget, Layout, Step, steps_for_arm
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json

SMOKE = conf_folder() / "demo" / "smoke.yaml"
STEPS = [step.name for step in steps_for_arm(Layout(run=Path("x"), budget=Budget()), "full", "ja", 1, "auto", ["full"])]


def command(out: Path, *words: str) -> list[str]:
    return [sys.executable, "-m", "nemo_kcpt.cli", "demo", "--config", str(SMOKE), f"out={out}", *words]


def finish(out: Path, *words: str) -> str:
    done = subprocess.run(command(out, *words), capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def started(out: Path, name: str) -> bool:
    return (out / "logs" / f"{name}.log").is_file() or (out / "steps" / name / "manifest.json").is_file()


def results(out: Path) -> dict[str, Any]:
    """What a run found, without times and places."""
    report = read_json(out / "report.json")
    kept = {name: report[name] for name in ("models", "examples", "packs", "by_fact", "by_wording", "differences")}
    # The others hold times: of metrics.jsonl, and of a checkpoint's files.
    timeless = {name for name in report["fingerprints"] if name in ("questions", "papers", "facts") or "pack" in name}
    assert len(timeless) >= 4
    kept["fingerprints"] = {name: report["fingerprints"][name] for name in sorted(timeless)}
    losses = {
        path.parent.name: [json.loads(line)["loss"] for line in path.read_text().splitlines()]
        for path in sorted(out.glob("train/*/metrics.jsonl"))
    }
    answers = sorted((out / "answers").rglob("answers.jsonl"))[0].read_text()
    return json.loads(json.dumps({"report": kept, "losses": losses, "answers": answers}).replace(str(out), "RUN"))


def kill_during(out: Path, name: str, number: int, delay: float) -> None:
    """Start the demo, send signal `number` `delay` seconds after step `name` began, wait until nothing of it runs."""
    # A shell's background jobs, and what they start, have Ctrl-C ignored; this one must not.
    process = subprocess.Popen(
        command(out), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )  # fmt: skip
    deadline = time.monotonic() + 300
    while not started(out, name) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    time.sleep(delay)
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(number)
    output, _ = process.communicate(timeout=60)
    if number == signal.SIGINT and process.returncode not in (0, None):
        assert process.returncode == 130, output
        assert "interrupted" in output
    _, alive = psutil.wait_procs(family, timeout=30)
    assert not alive, f"orphans after killing {name}: {alive}"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("demo") / "run"
    finish(out)
    return out


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_at_every_step_it_ends_with_the_same_result(reference: Path, tmp_path: Path) -> None:
    seed = int(os.environ.get("KCPT_KILL_SEED", "20261123"))
    generator = random.Random(seed)
    seconds = {path.parent.name: read_json(path)["seconds"] for path in reference.glob("steps/*/manifest.json")}
    out = tmp_path / "run"
    for index, name in enumerate(STEPS):
        number = signal.SIGINT if index % 4 == 3 else signal.SIGKILL
        kill_during(out, name, number, generator.uniform(0.0, 0.8) * seconds[name])
    finish(out)
    assert results(out) == results(reference), f"seed {seed}"


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_second_call_does_nothing_and_the_first_one_shows_its_way(reference: Path) -> None:
    before = {
        path: path.stat().st_mtime_ns for path in reference.rglob("*") if path.is_file() and "report" not in path.name
    }
    output = finish(reference)
    assert output.count("finished before") == len(STEPS)
    assert re.search(r"logits differ from Megatron's by at most \d\.\de-\d+ at \d+ positions", output)
    assert re.search(r"report: \S+/report\.html\s*$", output)
    after = {path: path.stat().st_mtime_ns for path in before}
    changed = [path.name for path in before if before[path] != after[path] and path.name != "timings.json"]
    assert changed == [] or set(changed) <= {".lock"}
    parity = read_json(reference / "hf/trained/parity.json")
    assert parity["max_abs_diff"] <= 1e-4 and parity["argmax_equal"] == parity["positions"] > 0


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_raw_arm_joins_the_report(reference: Path) -> None:
    finish(reference, "--arm", "raw")
    names = {row["name"] for row in read_json(reference / "report.json")["models"]}
    assert names == {"base", "trained", "raw"}


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_step_that_fails_says_what_its_log_says(reference: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    shutil.copytree(reference, out, ignore=shutil.ignore_patterns("train", "hf"))
    shutil.rmtree(out / "steps" / "packs")
    (out / "packs/concat-64/manifest.json").write_text("{}")
    done = subprocess.run(command(out), capture_output=True, text=True, timeout=300)
    assert done.returncode == 2
    assert (
        "step packs ended with code 2" in done.stderr and "manifest.json" in done.stderr and "whole log:" in done.stderr
    )


def test_a_run_of_another_version_or_of_other_keys_is_refused(tmp_path: Path) -> None:
    config = demo.Config(out=tmp_path / "run")
    (tmp_path / "run").mkdir()
    demo._open_run(config, redo=False)
    with pytest.raises(BadInput, match="papers: 48, now 9|papers: 9|papers"):
        demo._open_run(demo.Config(out=tmp_path / "run", papers=9), redo=False)
    write_json(tmp_path / "run/run.json", {"format": 99, "config": {}})
    with pytest.raises(BadInput, match=r"another version of nemo_kcpt \(format 99.*CLEAN=1"):
        demo._open_run(config, redo=False)


def test_starting_over_deletes_only_what_a_demo_made(tmp_path: Path) -> None:
    stranger = tmp_path / "mine"
    stranger.mkdir()
    (stranger / "thesis.txt").write_text("years of work")
    with pytest.raises(BadInput, match=r"not a demo's run folder \(no run\.json, but thesis\.txt\)"):
        demo._open_run(demo.Config(out=stranger), redo=True)
    assert (stranger / "thesis.txt").read_text() == "years of work"
    ours = tmp_path / "ours"
    ours.mkdir()
    demo._open_run(demo.Config(out=ours), redo=False)
    (ours / "hf").mkdir()
    demo._open_run(demo.Config(out=ours, papers=9), redo=True)
    assert sorted(path.name for path in ours.iterdir()) == ["run.json"]


def test_a_second_process_in_the_same_run_folder_is_refused(tmp_path: Path) -> None:
    from nemo_kcpt.runs import exclusive

    with exclusive(tmp_path / "run"):
        done = subprocess.run(command(tmp_path / "run"), capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert f"pid {os.getpid()}" in done.stderr


def test_what_is_left_follows_the_measured_pace() -> None:
    steps = [
        Step(name=name, title=name, expected=expected, command=[])
        for name, expected in (("a", 10), ("b", 20), ("c", 30))
    ]
    clock = Clock(steps)
    assert clock.left(0, 0.0, None) == 60
    clock.finish(steps[0], 20.0)
    assert clock.left(1, 10.0, None) == (40 - 10) + 60
    assert clock.left(1, 10.0, 0.1) == (100 - 10) + 60
    assert clock_time(125) == "2:05"
