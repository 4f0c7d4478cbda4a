"""The Slurm array: what a dry run shows is a script that bash reads, with one shard a task; nothing is submitted."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

TOOL = Path(__file__).resolve().parents[2] / "tools" / "slurm_synthesis.py"


def dry_run(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "NEMORUN_HOME": str(folder / "home"), "PATH": f"{folder / 'bin'}:{os.environ['PATH']}"}
    command = [sys.executable, str(TOOL), "--account", "acct", "--partition", "gpu", *words]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, timeout=200)


@pytest.mark.timeout(300)
def test_a_dry_run_shows_the_job(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name, text in (("sbatch", "touch submitted"), ("kcpt", 'printf "%s\\n" "$@"; pwd; exit 3')):  # stubs
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    keys = ["corpus=my corpus", "out=runs/synthetic", "model=Qwen/Qwen2.5-72B-Instruct", "tensor_parallel=8"]
    done = dry_run(tmp_path, "--shards", "8", "--gpus", "8", "--kcpt", str(tmp_path / "bin" / "kcpt"), *keys)
    assert done.returncode == 0, done.stderr
    shown = re.sub(r"^ {0,27}(?:\S+\.py:\d+)?", "", done.stdout, flags=re.M)
    for directive in (
        "--account=acct",
        "--array=0-7",
        "--gpus-per-node=8",
        "--nodes=1",
        "--ntasks-per-node=1",
        "--partition=gpu",
    ):
        assert re.search(rf"#SBATCH {re.escape(directive)}\b", done.stdout), directive
    sbatch = shown[shown.index("#!/bin/bash") : shown.index("# EACH TASK RUNS")]
    checked = subprocess.run(["bash", "-n"], input=sbatch, capture_output=True, text=True)
    assert checked.returncode == 0, checked.stderr
    assert "srun" in sbatch and "synthesize.sh" in sbatch
    inner = done.stdout.split("# EACH TASK RUNS\n#----------------\n")[1].split("#-----")[0]
    ran = subprocess.run(
        ["bash", "-c", inner], env={**os.environ, "SLURM_ARRAY_TASK_ID": "5"}, capture_output=True, text=True
    )
    assert ran.returncode == 3, ran.stderr  # kcpt's own code
    assert ran.stdout.splitlines() == [
        "synthesize", f"corpus={tmp_path}/my corpus", f"out={tmp_path}/runs/synthetic",
        "model=Qwen/Qwen2.5-72B-Instruct", "tensor_parallel=8", "teacher=vllm", "--shard", "5/8", str(tmp_path),
    ]  # fmt: skip
    assert not (tmp_path / "submitted").exists() and "nothing was submitted" in done.stdout


STUBS = {
    # Runs what is submitted, as task 1 of its array.
    "sbatch": 'echo "sbatch $*" >> calls; export SLURM_ARRAY_TASK_ID=1 SLURM_JOB_ID=7 SLURM_JOB_NODELIST=n0; '
    'bash "${@: -1}" > job.log 2>&1; echo "job ended with $?" >> calls; echo 7',
    "srun": 'while [[ "$1" == -* ]]; do case "$1" in --output|--error|-w) shift 2;; --chdir) cd "$2" || exit 9; '
    'shift 2;; *) shift;; esac; done; exec "$@"',
    "scontrol": '[ "$1" = show ] && echo n0',
    "squeue": "true",
    "sacct": "true",
    "kcpt": 'echo "kcpt $*" >> calls; exit 3',
}
"""Stand-ins for Slurm and kcpt: stubs."""


@pytest.mark.timeout(300)
def test_what_is_submitted_runs_a_shard_and_ends_with_its_code(tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    for name, text in STUBS.items():
        (tmp_path / "bin" / name).write_text(f"#!/bin/bash\n{text.replace('calls', str(tmp_path / 'calls'))}\n")
        (tmp_path / "bin" / name).chmod(0o755)
    done = dry_run(tmp_path, "--shards", "4", "--kcpt", str(tmp_path / "bin" / "kcpt"), "--submit", "corpus=c", "out=o")
    assert done.returncode == 0, done.stderr
    submitted, asked, ended = (tmp_path / "calls").read_text().splitlines()
    assert submitted.startswith("sbatch ") and Path(submitted.split()[-1]).is_file()
    assert asked == f"kcpt synthesize corpus={tmp_path}/c out={tmp_path}/o teacher=vllm --shard 1/4"
    assert ended == "job ended with 3"


def test_keys_that_the_tool_gives_are_refused(tmp_path: Path) -> None:
    done = dry_run(tmp_path, "--shards", "2", "corpus=c", "shard=0/2")
    assert done.returncode != 0 and "shard and teacher are given by this tool" in done.stderr
    assert dry_run(tmp_path, "--shards", "0", "corpus=c").returncode == 2
