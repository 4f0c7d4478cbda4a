"""NeMo and Megatron-Bridge side by side: the demo's continual pretraining from the same weights on the same pack.

    .venv/bin/python tools/bench/backends.py [--rounds 2] [--steps 150]

Run after `make demo`, whose pack and base model it takes, and `make setup-bridge`. Both are `kcpt train`, in turns, in
float32. It prints how far their losses are apart, and of each: tokens a second (median over the steps after the first
ones), peak memory, and the time from the command to the end of the first step, as the clock has it and in seconds of a
core. Figures are the best of the rounds.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from baseline import machine

from nemo_kcpt.environments import package_path
from nemo_kcpt.experiment.backends import BACKENDS, BRIDGE, NEMO
from nemo_kcpt.files import read_jsonl

RUN = Path("runs/demo")
PACK, BASE = RUN / "packs/trained", RUN / "train/base-tuning"
SKIPPED = 20
POLL_SECONDS = 0.02
STEPS = {NEMO: "trainer.max_steps", BRIDGE: "train.train_iters"}
SAVE = {NEMO: "log.ckpt.every_n_train_steps", BRIDGE: "checkpoint.save_interval"}


@dataclass(frozen=True)
class Training:
    """What one training did."""

    losses: dict[int, float]
    """By step."""
    tokens_per_second: float
    memory_gib: float
    first_step: float
    """Seconds from the command to the end of the first step."""
    first_step_cpu: float
    """Seconds of a core until then, of the command and all that it started."""


def _cpu_seconds(process: int) -> float:
    """User and system seconds of a process and its descendants that are alive, and of those that it has waited for."""
    stat = Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    own = sum(map(int, stat[11:15])) / os.sysconf("SC_CLK_TCK")
    children = Path(f"/proc/{process}/task/{process}/children").read_text().split()
    return own + sum(_cpu_seconds(int(child)) for child in children)


def trained(backend: str, restore: Path, folder: Path, steps: int) -> Training:
    """Train so many steps.

    Raises:
        SystemExit: it failed; with the end of its output.
    """
    keys = [f"backend={backend}", f"pack={PACK}", f"restore={restore}", f"dir={folder}", "epochs=20"]
    words = [*keys, f"{STEPS[backend]}={steps}", f"{SAVE[backend]}={steps}"]
    command = [sys.executable, "-m", "nemo_kcpt.cli", "train", "kcpt_demo", *words]
    started, metrics = time.perf_counter(), folder / "metrics.jsonl"
    first, cpu = 0.0, 0.0
    with tempfile.TemporaryFile("w+") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, env={**os.environ, **package_path()})
        while process.poll() is None:
            if not first and metrics.is_file() and metrics.stat().st_size:
                first, cpu = time.perf_counter() - started, _cpu_seconds(process.pid)
            time.sleep(POLL_SECONDS)
        output.seek(0)
        if process.returncode:
            sys.exit(f"{' '.join(command)}\n{output.read()[-3000:]}")
    lines = list(read_jsonl(metrics))
    return Training(
        losses={line["step"]: line["loss"] for line in lines},
        tokens_per_second=statistics.median(line["tokens_per_second"] for line in lines[SKIPPED:]),
        memory_gib=max(line["memory_gib"] for line in lines),
        first_step=first,
        first_step_cpu=cpu,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=150)
    given = parser.parse_args()
    if not (PACK.is_dir() and BASE.is_dir()):
        sys.exit(f"{PACK} or {BASE} is missing; run `make demo` first")
    trainings: dict[str, list[Training]] = {name: [] for name in BACKENDS}
    with tempfile.TemporaryDirectory() as temporary:
        folder, bases = Path(temporary), {NEMO: BASE.resolve(), BRIDGE: Path(temporary) / "base"}
        switch = ["convert", "switch", str(BASE), "--to", str(bases[BRIDGE])]
        subprocess.run([sys.executable, "-m", "nemo_kcpt.cli", *switch], check=True)
        for number in range(given.rounds):
            for name in BACKENDS:
                trainings[name].append(trained(name, bases[name], folder / f"{name}-{number}", given.steps))
    losses = [trainings[name][0].losses for name in BACKENDS]
    apart = {step: abs(loss / losses[0][step] - 1) for step, loss in losses[1].items()}
    print(f"{machine()}; {given.steps} steps of kcpt_demo, best of {given.rounds} rounds")
    print(f"losses of {len(apart)} steps, from {losses[0][1]:.4f} to {losses[0][given.steps]:.4f}: at most ", end="")
    print(
        f"{max(list(apart.values())[:50]):.1e} apart, relative, in the first 50 steps, {max(apart.values()):.1e} in all"
    )
    rows = {
        "tokens a second": [max(training.tokens_per_second for training in trainings[name]) for name in BACKENDS],
        "peak memory, GiB": [min(training.memory_gib for training in trainings[name]) for name in BACKENDS],
        "first step ends after, s": [min(training.first_step for training in trainings[name]) for name in BACKENDS],
        "the same in seconds of a core": [
            min(training.first_step_cpu for training in trainings[name]) for name in BACKENDS
        ],
    }
    print("\n| | NeMo | Megatron-Bridge | ratio |\n| --- | ---: | ---: | ---: |")
    for name, (nemo, bridge) in rows.items():
        print(f"| {name} | {nemo:,.2f} | {bridge:,.2f} | {bridge / nemo:.2f} |")
    print(json.dumps({name: [training.first_step for training in trainings[name]] for name in BACKENDS}))


if __name__ == "__main__":
    main()
