"""All tests as they were and as they are, after set-up: minutes, and their ratio.

    .venv/bin/python tools/bench/suite.py               # on a quiet machine, about an hour
    .venv/bin/python tools/bench/suite.py --busy 2 --only-now

Each as `make test` ran or runs them; "as they were" is the commit in tools/bench/baseline.py.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time

from baseline import Tree, busy, machine, trees

BEFORE: list[str] = []
NOW = ["-n", "auto", "--dist", "loadfile", "--no-loadscope-reorder"]
"""As in the Makefile."""


def minutes(tree: Tree, words: list[str]) -> tuple[float, str]:
    """How long the tests took, and pytest's last line."""
    begun = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *words],
        cwd=tree.root,
        env=dict(tree.environment),
        capture_output=True,
        text=True,
    )
    return (time.monotonic() - begun) / 60, done.stdout.strip().splitlines()[-1]


def main() -> None:
    """Print a row for each tree and the ratio."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--busy", type=int, default=0, help="processes that compute beside them")
    parser.add_argument("--only-now", action="store_true", help="leave the old tests out")
    given = parser.parse_args()
    print(f"{machine()}; {given.busy} busy processes beside them")
    times: list[float] = []
    with trees() as (before, now), busy(given.busy):
        for tree, words in ((now, NOW),) if given.only_now else ((now, NOW), (before, BEFORE)):
            took, line = minutes(tree, words)
            times.append(took)
            print(f"{tree.name}: {took:.1f} minutes; {line}", flush=True)
    if len(times) == 2:
        print(f"ratio: {times[0] / times[1]:.2f}")


if __name__ == "__main__":
    main()
