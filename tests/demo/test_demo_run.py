"""The demo itself, in small: killed in its trainings it ends with the result of a run that was never killed.

That a kill at any other step costs that step alone is shown of the runner, in tests/grid/test_runner.py.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.config import conf_folder, load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment import demo_stage as demo
from nemo_kcpt.experiment.experiment import Config as Experiment
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.files import read_json, sha256_file, write_json
from tests.waiting import survivors, wait_for

SMOKE = conf_folder() / "demo" / "smoke.yaml"
NODES = Graph(demo.experiment_of(demo.Config(out=Path("x")))).nodes
STEPS = list(NODES)
TRAININGS = [name for name, node in NODES.items() if node.launch]
INTERRUPTED, KILLED = "base-documents", "pretrain-trained"
"""The step that is interrupted as it begins, and the training that is killed behind its checkpoint in the middle."""
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1"}
"""Two demos run at once, on a core each; and sums are to be made in the same order."""


def command(out: Path, *words: str) -> list[str]:
    return [
        sys.executable,
        "-m",
        "nemo_kcpt.cli",
        "demo",
        "--config",
        str(SMOKE),
        f"out={out}",
        "engine=transformers",
        *words,
    ]


def finish(out: Path, *words: str) -> str:
    done = subprocess.run(command(out, *words), capture_output=True, text=True, timeout=1500, env=ENVIRONMENT)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def manifest(out: Path, name: str) -> Path:
    return out / "nodes" / name / "manifest.json"


def losses(out: Path, training: str) -> list[bytes]:
    """The lines of a training's own record, one a step."""
    path = out / "train" / training / "metrics.jsonl"
    return path.read_bytes().splitlines() if path.is_file() else []


def is_behind_the_middle(lines: list[bytes]) -> bool:
    """Whether a training has done a step after its checkpoint in the middle."""
    return bool(lines) and len(lines) > json.loads(lines[0])["max_steps"] // 2


def tensors(out: Path, training: str) -> dict[str, torch.Tensor]:
    """All tensors of a training's newest checkpoint, the optimizer's too."""
    reader = CheckpointReader(find_checkpoint(out / "train" / training))
    return {name: reader.tensor(name) for name, meta in reader._metadata.items() if hasattr(meta, "properties")}


def results(out: Path) -> dict[str, Any]:
    """What a run found, without times and places."""
    report = read_json(out / "report.json")
    kept = {name: report[name] for name in ("models", "examples", "packs", "by_fact", "by_wording", "differences")}
    # The others hold times: of metrics.jsonl, and of a checkpoint's files.
    timeless = {name for name in report["fingerprints"] if name in ("questions", "papers", "facts") or "pack" in name}
    assert len(timeless) >= 4
    kept["fingerprints"] = {name: report["fingerprints"][name] for name in sorted(timeless)}
    learnt = {
        path.name: [json.loads(line)["loss"] for line in losses(out, path.name)] for path in sorted(out.glob("train/*"))
    }
    models = {path.parent.name: sha256_file(path) for path in sorted(out.glob("hf/*/model.safetensors"))}
    answers = sorted((out / "answers").rglob("answers.jsonl"))[0].read_text()
    found = {"report": kept, "losses": learnt, "models": models, "answers": answers}
    return json.loads(json.dumps(found).replace(str(out), "RUN"))


@dataclass(frozen=True)
class Undisturbed:
    """A demo that nobody kills, called thrice, beside the one that is killed. Each call is a test's to look at."""

    out: Path
    first: Future[dict[str, Any]]
    """Its results."""
    second: Future[tuple[str, set[str]]]
    """What the second call said, and the files that it changed."""
    raw: Future[set[str]]
    """The models in the report after the raw arm."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Undisturbed]:
    out = tmp_path_factory.mktemp("demo") / "run"

    def first() -> dict[str, Any]:
        finish(out)
        return results(out)

    def second() -> tuple[str, set[str]]:
        files = [path for path in out.rglob("*") if path.is_file() and "report" not in path.name]
        before = {path: path.stat().st_mtime_ns for path in files}
        output = finish(out)
        return output, {path.name for path in files if path.stat().st_mtime_ns != before[path]}

    def raw() -> set[str]:
        finish(out, "--arm", "raw")
        return {row["name"] for row in read_json(out / "report.json")["models"]}

    with ThreadPoolExecutor(1) as one_after_the_other:
        submit = one_after_the_other.submit
        yield Undisturbed(out, first=submit(first), second=submit(second), raw=submit(raw))
        one_after_the_other.shutdown(cancel_futures=True)


def kill_during(out: Path, name: str, number: int, moment: Callable[[], bool]) -> bool:
    """Start the demo, send signal `number` at a `moment` after step `name` began, wait until nothing of it runs.

    Returns:
        Whether the step was killed; else it had ended by then.
    """
    log = out / "logs" / f"{name}.log"
    size = log.stat().st_size if log.is_file() else -1
    # A shell's background jobs, and what they start, have Ctrl-C ignored; this one must not.
    process = subprocess.Popen(
        command(out),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env=ENVIRONMENT,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )

    def over() -> bool:
        return process.poll() is not None or manifest(out, name).is_file()

    wait_for(lambda: over() or (log.is_file() and log.stat().st_size > size), 900)
    wait_for(lambda: over() or moment(), 900)
    if process.poll() is not None:
        assert manifest(out, name).is_file(), f"it failed by itself: {process.communicate()[0]}"
    family = psutil.Process(process.pid).children(recursive=True) if process.poll() is None else []
    process.send_signal(number)
    output, _ = process.communicate(timeout=120)
    if number == signal.SIGINT and process.returncode != 0:
        assert process.returncode == 130, output
        assert "interrupted" in output
    alive = survivors(family)
    assert not alive, f"orphans after killing {name}: {alive}"
    return not manifest(out, name).is_file()


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_killed_in_its_trainings_it_ends_with_the_same_result(undisturbed: Undisturbed, tmp_path: Path) -> None:
    # On a fast machine the step may end before the signal comes: another folder, then.
    tries = (tmp_path / str(number) for number in range(6))
    out = next(path for path in tries if kill_during(path, INTERRUPTED, signal.SIGINT, lambda: True))
    assert kill_during(out, KILLED, signal.SIGKILL, lambda: is_behind_the_middle(losses(out, KILLED)))
    recorded = losses(out, KILLED)
    finish(out)
    assert results(out) == undisturbed.first.result()
    # Times and speeds up to the checkpoint are still the killed process's: it was resumed, not done again.
    resumed = losses(out, KILLED)
    middle = len(resumed) // 2
    assert middle < len(recorded) < len(resumed)
    assert resumed[:middle] == recorded[:middle] and resumed[middle] != recorded[middle]
    for training in TRAININGS:
        ours, theirs = tensors(out, training), tensors(undisturbed.out, training)
        assert ours.keys() == theirs.keys() and any(name.startswith("optimizer") for name in ours)
        assert all(torch.equal(ours[name], theirs[name]) for name in ours), training


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_second_call_does_nothing_and_the_first_one_shows_its_way(undisturbed: Undisturbed) -> None:
    output, changed = undisturbed.second.result()
    assert output.count("finished before") == len(STEPS)
    assert re.search(r"logits differ from Megatron's by at most \d\.\de[+-]\d+ at \d+ positions", output)
    assert re.search(r"report: \S+/report\.html\s*$", output)
    assert changed <= {".lock", "experiment.yaml"}
    parity = read_json(undisturbed.out / "hf/trained/parity.json")
    assert parity["max_abs_diff"] <= 1e-4 and parity["argmax_equal"] == parity["positions"] > 0


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_the_raw_arm_joins_the_report(undisturbed: Undisturbed) -> None:
    assert undisturbed.raw.result() == {"base", "trained", "raw"}


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_step_that_fails_says_what_its_log_says(undisturbed: Undisturbed, tmp_path: Path) -> None:
    undisturbed.raw.exception()  # waits: it is the last one that writes there
    out = tmp_path / "run"
    shutil.copytree(undisturbed.out, out, ignore=shutil.ignore_patterns("train", "hf"))
    shutil.rmtree(out / "nodes" / "pack-trained")
    (out / "packs/trained/manifest.json").write_text("{}")
    done = subprocess.run(command(out), capture_output=True, text=True, timeout=900)
    assert done.returncode == 2
    assert (
        "step pack-trained ended with code 2" in done.stderr
        and "manifest.json" in done.stderr
        and "whole log:" in done.stderr
    )


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_of_other_keys_is_refused(undisturbed: Undisturbed) -> None:
    undisturbed.raw.exception()
    with pytest.raises(BadInput, match=r"step world was made .*was papers=8, now papers=9.*more.*CLEAN=1"):
        demo.run(demo.Config(out=undisturbed.out, papers=9, base_papers=12))


def test_without_keys_the_experiment_is_the_file_s(tmp_path: Path) -> None:
    file = conf_folder() / "experiment/demo.yaml"
    assert demo.experiment_of(demo.Config(out=tmp_path, arm="raw")) == load_config(
        Experiment, file=file, overrides=[f"out={tmp_path}", "report.command=make demo ARM=raw"]
    )


def test_every_key_of_the_demo_changes_what_runs(tmp_path: Path) -> None:
    """Each in the steps that it is about, beside those that come after them."""

    def commands(**keys: Any) -> dict[str, list[str]]:
        nodes = Graph(demo.experiment_of(demo.Config(out=tmp_path, arm="raw", **keys))).nodes
        return {name: list(node.command) for name, node in nodes.items()}

    same = commands()
    values = {"papers": 9, "base_papers": 9, "seq_length": 128, "base_epochs": 9.5, "epochs": 9.5, "tuning_epochs": 9.5}
    values |= {"samples": 9, "processes": 2, "language": "en", "engine": "vllm", "seed": 9, "backend": "bridge"}
    known = {field.name for field in fields(demo.Config)}
    assert set(values) == known - {"out", "arm"}
    steps = {"seq_length": "base-packs", "base_epochs": "base-pretraining", "epochs": "pretrain-raw"}
    steps |= {"tuning_epochs": "base-tuning", "samples": "base-documents", "processes": "base-pretraining"}
    steps |= {"backend": "base-pretraining"}
    for key, value in values.items():
        changed = [name for name, command in commands(**{key: value}).items() if command != same.get(name)]
        assert changed[0] == steps.get(key, "answers-base-raw-trained" if key == "engine" else "world"), key


def test_a_run_of_another_version_is_refused(tmp_path: Path) -> None:
    config = demo.Config(out=tmp_path / "run")
    (tmp_path / "run").mkdir()
    demo._open_run(config, redo=False)
    (tmp_path / "run/steps").mkdir()
    with pytest.raises(BadInput, match="an earlier version of nemo_kcpt made this demo, .* cannot be resumed"):
        demo._open_run(config, redo=False)
    write_json(tmp_path / "run/run.json", {"format": 99})
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
        done = subprocess.run(command(tmp_path / "run"), capture_output=True, text=True, timeout=600)
    assert done.returncode == 2
    assert f"pid {os.getpid()}" in done.stderr
