"""`kcpt synthesize` as a Slurm array through nemo-run: one shard and one vLLM server a node.

    .venv/bin/python tools/slurm_synthesis.py --shards 8 --account mine --partition gpu --gpus 8 \\
        corpus=runs/mine/corpus out=runs/mine/synthetic model=Qwen/Qwen2.5-72B-Instruct tensor_parallel=8

Shows the sbatch script and what each task runs, and submits nothing; `--submit` submits. Each task starts vLLM on its
node (teacher=vllm), asks for its share of the papers and stops it. A task that was killed or requeued goes on where it
was. When all have ended: `kcpt synthesize … --merge`, with the same keys. The folders must be on a file system that all
nodes share; each journal is written by one node only.
"""

from __future__ import annotations

import argparse
import os
import shlex
import sys
from pathlib import Path

PATHS = ("corpus", "out", "prompts", "examples", "tokenizer")


def task_script(keys: list[str], shards: int, folder: Path, kcpt: str) -> str:
    """What one task of the array runs."""
    words = []
    for key in keys:
        name, equals, value = key.partition("=")
        if not equals or name in ("shard", "merge", "teacher"):
            raise SystemExit(f"'{key}': keys of kcpt synthesize as key=value; shard and teacher are given by this tool")
        words.append(f"{name}={(folder / value).resolve()}" if name in PATHS else key)
    command = " ".join(map(shlex.quote, [kcpt, "synthesize", *words, "teacher=vllm"]))
    return "\n".join(
        [
            "set -euo pipefail",
            f"cd {shlex.quote(str(folder))}",
            f'exec {command} --shard "$SLURM_ARRAY_TASK_ID/{shards}"',
        ]
    )


def main() -> None:
    """Show the job, or submit it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--shards", type=int, required=True, help="tasks of the array, one node each")
    parser.add_argument("--account", required=True)
    parser.add_argument("--partition", required=True)
    parser.add_argument("--gpus", type=int, default=8, help="GPUs a node has")
    parser.add_argument("--time", default="24:00:00")
    parser.add_argument("--jobs", type=Path, default=Path("runs/slurm"), help="folder for scripts and logs")
    parser.add_argument("--kcpt", default=str(Path(sys.executable).with_name("kcpt")))
    parser.add_argument("--submit", action="store_true", help="submit; without it nothing leaves this process")
    parser.add_argument("keys", nargs="+", help="keys of kcpt synthesize, key=value")
    given = parser.parse_args()
    if given.shards < 1:
        parser.error(f"--shards {given.shards}: at least 1 is needed")
    inner = task_script(given.keys, given.shards, Path.cwd(), given.kcpt)

    os.environ.setdefault("COLUMNS", "250")  # nemo-run wraps what it shows
    import nemo_run as run

    executor = run.SlurmExecutor(
        account=given.account,
        partition=given.partition,
        nodes=1,
        ntasks_per_node=1,
        gpus_per_node=given.gpus,
        time=given.time,
        array=f"0-{given.shards - 1}",
        # nemo-run 0.11 writes the script under base_dir/experiments and submits the one under the tunnel's job_dir.
        tunnel=run.LocalTunnel(job_dir=str(given.jobs.resolve() / "experiments")),
        packager=run.Packager(),
    )
    with run.Experiment("kcpt-synthesize", base_dir=str(given.jobs.resolve())) as experiment:
        experiment.add(run.Script(inline=inner), executor=executor, name="synthesize")
        if given.submit:
            experiment.run(detach=True)
            return
        experiment.dryrun()
    print("\n#----------------\n# EACH TASK RUNS\n#----------------")
    print(inner)
    print("#----------------\nnothing was submitted; --submit does")


if __name__ == "__main__":
    main()
