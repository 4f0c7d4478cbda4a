"""Recipes and data stages of nemo_kcpt on Slurm, through nemo-run.

    kcpt slurm train "kcpt_llmjp3_13b_4k(pack='packs/anchored-4096',dir='runs/x/pretrain',restore='ckpt/base')" \\
        trainer.max_steps=100 --nodes 2 --gpus 8 --account mine --partition gpu
    kcpt slurm stage synthesize corpus=runs/x/corpus out=runs/x/synthetic teacher=vllm --shards 8 --gpus 8
    kcpt slurm chain conf/slurm/chain-13b.yaml

Shows the sbatch scripts and what each task runs, and submits nothing; --submit submits. Call it on the login node, with
the environment's Python, in the folder where relative paths start; all nodes must see that folder. A job that was
preempted or lost its node is queued again by Slurm and resumes where it was, and so does one that is submitted again
with the same command. `kcpt slurm COMMAND --help` lists the options; docs/multi-node.md takes you through a run.
"""

from __future__ import annotations

import argparse
import dataclasses
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from nemo_kcpt.errors import KcptError
from nemo_kcpt.experiment.backends import BACKENDS, NEMO
from nemo_kcpt.experiment.slurm import Job, Resources, Site, launch_graph, stage_jobs, train_job
from nemo_kcpt.experiment.slurm.chain import __doc__ as chain_help
from nemo_kcpt.experiment.slurm.chain import read_chain
from nemo_kcpt.experiment.slurm.site import JOBS, make_site, sbatch_option
from nemo_kcpt.experiment.slurm.train_job import bridge_on_nodes


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return int(text)


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the job")
    group.add_argument("--account", help="Slurm account; default: yours")
    group.add_argument("--partition", help="as sinfo lists them; default: Slurm's")
    group.add_argument(
        "--time", default=Resources.time, help="limit of each job, days-hours:minutes:seconds (%(default)s)"
    )
    group.add_argument("--cpus", type=_positive, help="CPU cores of each node's task; default: Slurm's, often one")
    group.add_argument(
        "--retries",
        type=int,
        default=0,
        help="times a failed job is queued again (%(default)s); "
        "preempted ones always are. All of them resume where they were",
    )
    group.add_argument(
        "--sbatch",
        action="append",
        default=[],
        type=sbatch_option,
        metavar="NAME[=VALUE]",
        help="another option of sbatch, as qos=high or exclusive; can be repeated",
    )
    group = parser.add_argument_group("the environment")
    exclusive = group.add_mutually_exclusive_group()
    exclusive.add_argument(
        "--venv", type=Path, default=Path(sys.prefix), help="virtual environment with kcpt (%(default)s)"
    )
    exclusive.add_argument("--container", metavar="IMAGE", help="image for pyxis, with kcpt in it")
    group.add_argument(
        "--mounts",
        action="append",
        default=[],
        metavar="FOLDER",
        help="seen in the container under its own path (or SRC:DST), beside the current folder; can be repeated",
    )
    group.add_argument(
        "--env",
        action="append",
        default=[],
        metavar="NAME",
        help="variable that the job needs, as OPENAI_API_KEY: its value is inherited from your shell "
        "and written nowhere; can be repeated",
    )
    group = parser.add_argument_group("what to do")
    group.add_argument("--jobs", type=Path, default=JOBS, help="folder for scripts and logs (%(default)s)")
    do = group.add_mutually_exclusive_group()
    do.add_argument("--dryrun", action="store_true", help="show the scripts and submit nothing; the default")
    do.add_argument("--submit", action="store_true", help="submit")


def _job_name(text: str) -> str:
    """Job names are names of files, too."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.")


def _train(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.Namespace, Callable[[], list[Job]]]:
    parser.add_argument("recipe", help="as for nemo llm … --factory: NAME or \"NAME(argument='text',other=1)\"")
    parser.add_argument("overrides", nargs="*", help="path=value, as for NeMo's command line or the Bridge's")
    parser.add_argument("--nodes", type=_positive, help="default: the recipe's")
    parser.add_argument("--gpus", type=_positive, help="of each node; default: the recipe's")
    parser.add_argument("--task", choices=["pretrain", "finetune"], help="for a recipe that is not of this package")
    parser.add_argument("--backend", choices=BACKENDS, default=NEMO, help="what trains it (%(default)s)")
    parser.add_argument("--name", help="of the job; default: made of the recipe's")
    _add_common(parser)
    given = parser.parse_intermixed_args(words)
    given.name = _job_name(given.name or given.recipe.partition("(")[0].removeprefix("kcpt_"))

    def jobs() -> list[Job]:
        size = dataclasses.replace(_resources(given), nodes=given.nodes, gpus=given.gpus)
        bridge = bridge_on_nodes(given.backend, given.container)
        return [train_job(given.name, given.recipe, given.overrides, size, Path.cwd(), task=given.task, bridge=bridge)]

    return given, jobs


def _stage(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.Namespace, Callable[[], list[Job]]]:
    parser.add_argument("stage", help="of kcpt --help")
    parser.add_argument("keys", nargs="*", help="its keys, key=value; words of another form after --")
    parser.add_argument("--config", type=Path, help="YAML file of keys")
    parser.add_argument(
        "--shards",
        type=_positive,
        default=0,
        help="an array, each task with its share of the work on a node of its own, and a job that unites them",
    )
    parser.add_argument("--gpus", type=_positive, help="of each task; default: none")
    parser.add_argument("--name", help="of the job; default: the stage's")
    _add_common(parser)
    given = parser.parse_intermixed_args(words)
    given.name = _job_name(given.name or given.stage)

    def jobs() -> list[Job]:
        size = dataclasses.replace(_resources(given), gpus=given.gpus)
        options = {"shards": given.shards, "config": given.config}
        return stage_jobs(given.name, given.stage, given.keys, size, Path.cwd(), **options)

    return given, jobs


def _chain(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.Namespace, Callable[[], list[Job]]]:
    parser.add_argument("file", type=Path, help="YAML file of jobs, see above")
    _add_common(parser)
    given = parser.parse_args(words)
    given.name = _job_name(given.file.stem)
    return given, lambda: read_chain(given.file, _resources(given), Path.cwd(), given.container)


COMMANDS = {
    "train": (_train, "A recipe, by torchrun across the nodes."),
    "stage": (_stage, "A stage of kcpt: one job, or an array and the job that unites its shards."),
    "chain": (_chain, chain_help),
}


def _resources(given: argparse.Namespace) -> Resources:
    return Resources(cpus=given.cpus, time=given.time, partition=given.partition)


def _site(given: argparse.Namespace) -> Site:
    """The options that all jobs share, checked."""
    return make_site(
        Path.cwd(),
        account=given.account,
        container=given.container,
        mounts=given.mounts,
        venv=given.venv,
        env=given.env,
        jobs=given.jobs,
        retries=given.retries,
        sbatch=dict(given.sbatch),
    )


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool with `words` (default: the process's arguments); returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    parser = argparse.ArgumentParser(
        prog="kcpt slurm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    command = parser.parse_args(words[:1] or ["--help"]).command
    read, description = COMMANDS[command]
    parser = argparse.ArgumentParser(
        prog=f"kcpt slurm {command}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given, make = read(parser, words[1:])
    try:
        jobs = make()
        launch_graph(given.name, jobs, _site(given), submit=given.submit)
    except KcptError as error:
        print(f"kcpt slurm {command}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
