"""`kcpt demo` as it was and as it is, after set-up: seconds, peak memory, what was learnt, and how right its clock was.

    .venv/bin/python tools/bench/demo.py                # on a quiet machine
    .venv/bin/python tools/bench/demo.py --busy 2       # beside two busy processes

"As it was" is the commit in tools/bench/baseline.py. Peak memory is that of all processes of the run together, each
page that they share counted once (proportional set size).
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import psutil
from baseline import Tree, busy, machine, trees

from nemo_kcpt.files import read_json

LEFT = re.compile(r"^\[(\d+)/\d+\].* about (?:(\d+):)?(\d+):(\d+) left in all")


def memory(process: psutil.Process) -> int:
    """Bytes of a process and all below it."""
    total = 0
    for member in [process, *process.children(recursive=True)]:
        try:
            total += member.memory_full_info().pss
        except psutil.Error:
            continue
    return total


@dataclass(frozen=True)
class Found:
    """One run."""

    seconds: float
    peak: int
    """Bytes."""
    heldout: float
    """Exact match, 0 to 1."""
    gain: tuple[float, float]
    """Over the base, 95 % interval."""
    clock: list[float]
    """Each estimate of the whole time from the second step on, over the true one."""


def run_demo(tree: Tree, out: Path) -> Found:
    """Run it to its end, and watch it."""
    command = [sys.executable, "-m", "nemo_kcpt.cli", "demo", f"out={out}"]
    begun, peak = time.monotonic(), 0
    estimates: list[tuple[int, float, float]] = []
    child = subprocess.Popen(
        command, cwd=tree.root, env=dict(tree.environment), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    assert child.stdout is not None

    def read() -> None:
        for line in child.stdout or ():
            if match := LEFT.match(line):
                hours, minutes, seconds = (int(part or 0) for part in match.groups()[1:])
                estimates.append((int(match[1]), time.monotonic() - begun, 3600 * hours + 60 * minutes + seconds))

    reader = threading.Thread(target=read)
    reader.start()
    while child.poll() is None:
        peak = max(peak, memory(psutil.Process(child.pid)))
        time.sleep(1)
    reader.join()
    whole = time.monotonic() - begun
    if child.returncode:
        sys.exit(f"{tree.name}: the demo ended with code {child.returncode}; see {out}/logs")
    report = read_json(out / "report.json")
    rows = {(row["name"], row["split"]): row["exact_match"] for row in report["models"]}
    gain = next(
        row
        for row in report["differences"]
        if row["name"] == "trained" and row["split"] == "test" and row["metric"] == "exact_match"
    )
    return Found(
        seconds=whole,
        peak=peak,
        heldout=rows["trained", "test"],
        gain=tuple(gain["ci95"]),
        clock=[(at + left) / whole for number, at, left in estimates if number >= 2],
    )


def main() -> None:
    """Print a row for each tree and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside it")
    parser.add_argument("--only-now", action="store_true", help="leave the old demo out")
    given = parser.parse_args()
    print(f"{machine()}; {given.busy} busy processes beside it")
    print("| demo | seconds | peak GiB | held-out | gain, 95 % | told whole time / true one |")
    print("| --- | ---: | ---: | ---: | --- | --- |")
    seconds: list[float] = []
    with trees() as (before, now), tempfile.TemporaryDirectory() as folder, busy(given.busy):
        for tree in (now,) if given.only_now else (now, before):
            result = run_demo(tree, Path(folder) / tree.name)
            seconds.append(result.seconds)
            clock = f"{min(result.clock):.2f} to {max(result.clock):.2f}" if result.clock else "not told"
            print(
                f"| {tree.name} | {result.seconds:.0f} | {result.peak / 2**30:.2f} | {result.heldout:.2f} | "
                f"{result.gain[0]:+.2f} to {result.gain[1]:+.2f} | {clock} |",
                flush=True,
            )
    if len(seconds) == 2:
        print(f"ratio: {seconds[0] / seconds[1]:.2f}")


if __name__ == "__main__":
    main()
