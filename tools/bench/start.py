"""How long commands take before they work: CPU seconds of `kcpt`, its stages, and `nemo llm pretrain --help`.

    .venv/bin/python tools/bench/start.py

Each runs several times, as it was (tools/bench/baseline.py) and as it is; the figure is the smallest. `nemo llm
pretrain --help` runs with our recipes and without them.
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path

from baseline import Tree, machine, trees

from nemo_kcpt.experiment.nodes import NEMO
from nemo_kcpt.stages import STAGES

ROUNDS = 3


def cpu_seconds(words: list[str], folder: Path, environment: Mapping[str, str]) -> float:
    """CPU seconds of a command with all that it starts."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(words, cwd=folder, env=dict(environment), capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def least(words: list[str], tree: Tree, **more: str) -> float:
    """The smallest of several runs."""
    return min(cpu_seconds(words, tree.root, {**tree.environment, **more}) for _ in range(ROUNDS))


def main() -> None:
    """Print a row for each command."""
    kcpt = [sys.executable, "-m", "nemo_kcpt.cli"]
    print(machine())
    print("| command | before, s | now, s |\n| --- | ---: | ---: |")
    with trees() as (before, now), tempfile.TemporaryDirectory() as folder:
        for words in [["--help"], *([stage, "--help"] for stage in STAGES)]:
            old, new = (least([*kcpt, *words], tree) for tree in (before, now))
            print(f"| kcpt {' '.join(words)} | {old:.2f} | {new:.2f} |", flush=True)
        nobody = Path(folder) / "nobody/nemo_kcpt_recipes"
        nobody.mkdir(parents=True)
        (nobody / "__init__.py").write_text("")
        words = [NEMO, "llm", "pretrain", "--help"]
        alone = least(words, now, PYTHONPATH=f"{nobody.parent}{os.pathsep}{now.root}")
        print(f"| nemo llm pretrain --help, without our recipes | | {alone:.2f} |")
        print(f"| nemo llm pretrain --help | {least(words, before):.2f} | {least(words, now):.2f} |")


if __name__ == "__main__":
    main()
