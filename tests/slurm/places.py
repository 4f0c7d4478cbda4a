"""What the tests of Slurm jobs share: a user's folders, and stand-ins for Slurm and for what jobs start (stubs)."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

from torch.distributed.checkpoint.metadata import Metadata

SECRETS = {"OPENAI_API_KEY": "sk-fake-6f1d", "HF_TOKEN": "hf_fake_77a0"}
STUBS = {
    # Runs what is submitted, as task 1 if it is an array, and gives ids from 101 on.
    "sbatch": 'id=$((101 + $(grep -c ^sbatch "$CALLS"))); echo "sbatch $id: $*" >> "$CALLS"; script="${@: -1}"; '
    'SLURM_JOB_ID=$id SLURM_JOB_NODELIST=n0 SLURM_NODEID=0 SLURM_ARRAY_TASK_ID=1 bash "$script" >> "$LOG" 2>&1; '
    'echo "ended with $?" >> "$CALLS"; echo $id',
    "srun": 'while [[ "$1" == -* ]]; do case "$1" in --output|-w) shift 2;; --chdir) shift 2;; '
    '--chdir=*) cd "${1#*=}" || exit 9; shift;; *) shift;; esac; done; exec "$@"',
    "scontrol": 'case "$1" in show) echo n0;; *) echo "scontrol $*" >> "$CALLS";; esac',
    "hostname": "echo 10.0.0.1",
    "torchrun": 'while [ "$1" != --no-python ]; do options+=" $1"; shift; done; echo "torchrun$options" >> "$CALLS"; '
    'shift; exec "$@"',
    "kcpt": 'printf "<%s>" kcpt "$@" >> "$CALLS"; echo " in $PWD" >> "$CALLS"; exit 3',
    "nemo": 'printf "<%s>" nemo "$@" >> "$CALLS"; echo " in $PWD" >> "$CALLS"',
}
"""Stand-ins for Slurm, torchrun and what they start: stubs."""


def make_place(place: Path) -> Path:
    """A user's folders, with what jobs read; returns the one where the tool is called, with a blank in its name."""
    project = place / "my project"
    for pack in ("anchored 4096", "sft"):
        (project / "packs" / pack).mkdir(parents=True)
        (project / "packs" / pack / "manifest.json").write_text("{}")
    for folder in ("corpus", "base/weights"):
        (project / "runs/13b" / folder).mkdir(parents=True)
    (project / "runs/13b/base/weights/.metadata").write_bytes(pickle.dumps(Metadata({}, storage_data={})))
    (project / "models/llm-jp-3-13b").mkdir(parents=True)
    (place / "venv/bin").mkdir(parents=True)
    stub(place / "venv/bin/kcpt", "")
    return project


def stub(path: Path, text: str) -> None:
    """A stand-in for a program."""
    path.write_text(f"#!/bin/bash\n{text}\n")
    path.chmod(0o755)


def normalised(text: str, place: Path) -> str:
    """Without what differs from run to run: the temporary folder, nemo-run's ids and torchrun's."""
    text = text.replace(str(place), "/home/me")
    return re.sub(r"--rdzv-id \d+", "--rdzv-id N", re.sub(r"_\d{19}\b", "_ID", text))
