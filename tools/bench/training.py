"""The demo's recipe with one process and with two (data or tensor parallel), side by side: tokens a second.

Run with `make bench` after `make demo`, whose pack it trains on. Each arm is `nemo llm pretrain --factory kcpt_tiny`
as a user starts it; the first steps of each are left out.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from nemo_kcpt.experiment.nodes import NEMO

PACK = Path("runs/demo/packs/trained")
STEPS, SKIPPED = 60, 20
ARMS = {
    "1 process, 2 threads": {"processes": 1, "tensor_parallel": 1},
    "2 processes, data parallel": {"processes": 2, "tensor_parallel": 1},
    "2 processes, tensor parallel": {"processes": 2, "tensor_parallel": 2},
}


def tokens_per_second(folder: Path, processes: int, tensor_parallel: int) -> float:
    """Median over the steps after the first `SKIPPED`."""
    factory = f"kcpt_tiny(pack='{PACK}',dir='{folder}',processes={processes},tensor_parallel={tensor_parallel})"
    command = [NEMO, "llm", "pretrain", "--factory", factory, "--yes", f"trainer.max_steps={STEPS}"]
    threads = max(1, (os.cpu_count() or 1) // processes)
    if processes > 1:
        command += ["run.executor=kcpt_torchrun", f"run.executor.ntasks_per_node={processes}"]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    metrics = folder / "metrics.jsonl"
    if not metrics.is_file():
        sys.exit(f"{factory} failed:\n{done.stdout[-2000:]}{done.stderr[-2000:]}")
    lines = [json.loads(line) for line in metrics.read_text().splitlines()]
    return statistics.median(line["tokens_per_second"] for line in lines[SKIPPED:])


def main() -> None:
    """Print tokens a second and ratios."""
    if not PACK.is_dir():
        sys.exit(f"{PACK} is missing; run `make demo` first")
    with tempfile.TemporaryDirectory() as folder:
        speeds = {
            name: tokens_per_second(Path(folder) / str(index), **arm) for index, (name, arm) in enumerate(ARMS.items())
        }
    reference = next(iter(speeds.values()))
    print(f"kcpt_tiny on {PACK}, {os.cpu_count()} cores, median of {STEPS - SKIPPED} steps")
    for name, speed in speeds.items():
        print(f"  {name:30s} {speed:8.0f} tokens/s   {speed / reference:5.2f} x")


if __name__ == "__main__":
    main()
