"""Recipes and data stages of nemo_kcpt on Slurm, through nemo-run.

    tools/slurm.py train "kcpt_llmjp3_13b_4k(pack='packs/anchored-4096',dir='runs/x/pretrain',restore='ckpt/base')" \\
        trainer.max_steps=100 --nodes 2 --gpus 8 --account mine --partition gpu
    tools/slurm.py stage synthesize corpus=runs/x/corpus out=runs/x/synthetic teacher=vllm --shards 8 --gpus 8
    tools/slurm.py chain conf/slurm/chain-13b.yaml

Shows the sbatch scripts and what each task runs, and submits nothing; --submit submits. Call it on the login node, with
the environment's Python, in the folder where relative paths start; all nodes must see that folder. A job that was
preempted or lost its node is queued again by Slurm and goes on where it was, and so does one that is submitted again
with the same command. `tools/slurm.py COMMAND --help` lists the options; docs/multi-node.md takes you through a run.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import functools
import importlib.util
import os
import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from slurm_chain import __doc__ as chain_help
from slurm_chain import read_chain
from slurm_jobs import RUNS_DIRECTORY, Job, Resources, quote, stage_jobs, train_job
from slurm_recipes import recipes_folder

from nemo_kcpt.errors import BadInput, KcptError


@dataclass(frozen=True, kw_only=True)
class Site:
    """What all jobs of a call share."""

    account: str | None
    container: str | None
    mounts: tuple[str, ...]
    venv: Path
    env: tuple[str, ...]
    jobs: Path
    retries: int
    sbatch: dict[str, Any]


@functools.cache
def _executors() -> Any:
    """recipes/executors.py by its path: the package would import NeMo."""
    specification = importlib.util.spec_from_file_location("kcpt_executors", recipes_folder() / "executors.py")
    assert specification is not None and specification.loader is not None
    executors = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(executors)
    return executors


def executor_config(job: Job, site: Site) -> Any:
    """The job's run.Config of a SlurmExecutor, made of the same `kcpt_slurm` that NeMo's command line offers."""
    import nemo_run as run

    size = job.resources
    config = _executors().kcpt_slurm(
        account=site.account,
        partition=size.partition,
        nodes=size.nodes,
        gpus=size.gpus,
        time=size.time,
        container_image=site.container,
    )
    if not job.torchrun:
        config.launcher, config.ntasks_per_node = None, 1
    if job.shards:
        config.array = f"0-{job.shards - 1}"
    config.cpus_per_task = size.cpus
    config.srun_args = [f"--cpus-per-task={size.cpus}"] if size.cpus else None  # srun does not inherit it
    if site.container:
        config.container_image = quote(site.container)  # nemo-run does not
        config.container_mounts = [quote(mount) for mount in site.mounts]
        config.container_env = list(site.env) or None
    else:
        config.setup_lines = f'export PATH={quote(str(site.venv / "bin"))}:"$PATH"'
    config.additional_parameters = {
        **({"export": ",".join(("ALL", *site.env))} if site.env else {}),
        **({"kill_on_invalid_dep": "yes"} if job.after else {}),  # else they wait for ever for a job that failed
        **site.sbatch,
    }
    config.retries = site.retries
    # nemo-run 0.11 writes a script under base_dir/experiments and submits the one under the tunnel's job_dir.
    config.tunnel = run.Config(run.LocalTunnel, job_dir=str(site.jobs / "experiments"))
    config.poll_estimated_start_time = False
    return config


def launch(title: str, jobs: Sequence[Job], site: Site, *, submit: bool) -> None:
    """Print the scripts, and with `submit` what was submitted instead.

    Raises:
        KcptError: Slurm refused a job.
    """
    import fiddle
    import nemo_run as run

    with contextlib.ExitStack() as stack:
        base = str(site.jobs) if submit else stack.enter_context(tempfile.TemporaryDirectory())
        # Its messages would stand among the scripts.
        silence = stack.enter_context(open(os.devnull, "w"))
        experiment = run.Experiment(
            title, base_dir=base, log_level="ERROR", clean_mode=True, enable_goodbye_message=False,
            threadpool_workers=1, skip_status_at_exit=True, serialize_metadata_for_scripts=False,
        )  # fmt: skip
        with contextlib.redirect_stdout(silence), experiment:
            for job in jobs:
                executor = fiddle.build(executor_config(job, site))
                task = run.Script(inline=job.script)
                experiment.add(task, executor=executor, name=job.name, dependencies=list(job.after) or None)
            if submit:
                _submit(experiment)
            else:
                experiment.dryrun(log=False, delete_exp_dir=False)
        show = _show_submitted if submit else _show_scripts
        show(experiment, jobs)


def _submit(experiment: Any) -> None:
    from invoke.exceptions import UnexpectedExit

    try:
        experiment.run(detach=True)
    except UnexpectedExit as error:
        message = f"Slurm refused a job: {error.result.stderr.strip() or error.result.command}"
        submitted = [_job_id(job) for job in experiment.jobs if job.handle]
        if submitted:
            message += f"\nthose before it are queued; to take them back: scancel {' '.join(submitted)}"
        raise KcptError(message) from None


def _job_id(job: Any) -> str:
    """Slurm's id, from nemo-run's handle `slurm_tunnel://session/id/…`."""
    return str(job.handle.partition("://")[2].split("/")[1])


def _show_submitted(experiment: Any, jobs: Sequence[Job]) -> None:
    for job, submitted in zip(jobs, experiment.jobs):
        after = f", after {', '.join(job.after)}" if job.after else ""
        print(f"{_job_id(submitted)}  {job.name}{after}; log in {_place(submitted)}/{job.name}/")
    print(f"watch: squeue --me; take back: scancel {' '.join(map(_job_id, experiment.jobs))}")


def _place(submitted: Any) -> str:
    return str(submitted.executor.tunnel.job_dir)


def _show_scripts(experiment: Any, jobs: Sequence[Job]) -> None:
    for number, (job, planned) in enumerate(zip(jobs, experiment.jobs), start=1):
        written = Path(planned.executor.experiment_dir)
        ids = ":".join(f"${_variable(one)}" for one in job.after)
        dependency = f"--dependency=afterok:{ids} " if ids else ""
        tasks = f", {job.shards} tasks" if job.shards else ""
        print(f"# ======== {number} of {len(jobs)}: {job.name}{tasks}")
        submission = f"sbatch --requeue --parsable {dependency}{_place(planned)}/{job.name}_sbatch.sh"
        print(f"# {_variable(job.name)}=$({submission})")
        print((written / f"{job.name}_sbatch.sh").read_text(encoding="utf-8"))
        inner = written / job.name / "scripts" / f"{job.name}.sh"
        print(f"# -------- {_place(planned)}/{job.name}/scripts/{job.name}.sh")
        print(inner.read_text(encoding="utf-8"))
    print("# nothing was submitted; --submit does")


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", name)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is not a number above 0")
    return int(text)


def _sbatch_option(text: str) -> tuple[str, str | bool]:
    key, equals, value = text.lstrip("-").partition("=")
    return key.replace("-", "_"), value if equals else True


def _add_common(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("the job")
    group.add_argument("--account", help="Slurm account; default: yours")
    group.add_argument("--partition", help="as sinfo lists them; default: Slurm's")
    group.add_argument(
        "--time", default=Resources.time, help="limit of each job, days-hours:minutes:seconds (%(default)s)"
    )
    group.add_argument("--cpus", type=_positive, help="CPU cores of each node's task; default: Slurm's, often one")
    group.add_argument("--retries", type=int, default=0, help="times a failed job is queued again (%(default)s); "
                       "preempted ones always are. All of them go on where they were")  # fmt: skip
    group.add_argument("--sbatch", action="append", default=[], type=_sbatch_option, metavar="NAME[=VALUE]",
                       help="another option of sbatch, as qos=high or exclusive; can be repeated")  # fmt: skip
    group = parser.add_argument_group("the environment")
    place = group.add_mutually_exclusive_group()
    place.add_argument(
        "--venv", type=Path, default=Path(sys.prefix), help="virtual environment with kcpt (%(default)s)"
    )
    place.add_argument("--container", metavar="IMAGE", help="image for pyxis, with kcpt in it")
    group.add_argument("--mounts", action="append", default=[], metavar="FOLDER",
                       help="seen in the container under its own path (or SRC:DST), beside the current folder; "
                       "can be repeated")  # fmt: skip
    group.add_argument("--env", action="append", default=[], metavar="NAME",
                       help="variable that the job needs, as OPENAI_API_KEY: its value is inherited from your shell "
                       "and written nowhere; can be repeated")  # fmt: skip
    group = parser.add_argument_group("what to do")
    group.add_argument(
        "--jobs", type=Path, default=Path("runs/slurm"), help="folder for scripts and logs (%(default)s)"
    )
    do = group.add_mutually_exclusive_group()
    do.add_argument("--dryrun", action="store_true", help="show the scripts and submit nothing; the default")
    do.add_argument("--submit", action="store_true", help="submit")


def _job_name(text: str) -> str:
    """Job names are names of files, too."""
    return re.sub(r"[^\w.-]+", "-", text, flags=re.ASCII).strip("-.")


def _train(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.Namespace, Callable[[], list[Job]]]:
    parser.add_argument("recipe", help="as for nemo llm … --factory: NAME or \"NAME(argument='text',other=1)\"")
    parser.add_argument("overrides", nargs="*", help="path=value, as for NeMo's command line")
    parser.add_argument("--nodes", type=_positive, help="default: the recipe's")
    parser.add_argument("--gpus", type=_positive, help="of each node; default: the recipe's")
    parser.add_argument("--task", choices=["pretrain", "finetune"], help="for a recipe that is not of this package")
    parser.add_argument("--name", help="of the job; default: made of the recipe's")
    _add_common(parser)
    given = parser.parse_intermixed_args(words)
    given.name = _job_name(given.name or given.recipe.partition("(")[0].removeprefix("kcpt_"))

    def jobs() -> list[Job]:
        size = dataclasses.replace(_resources(given), nodes=given.nodes, gpus=given.gpus)
        return [train_job(given.name, given.recipe, given.overrides, size, Path.cwd(), task=given.task)]

    return given, jobs


def _stage(parser: argparse.ArgumentParser, words: Sequence[str]) -> tuple[argparse.Namespace, Callable[[], list[Job]]]:
    parser.add_argument("stage", help="of kcpt --help")
    parser.add_argument("keys", nargs="*", help="its keys, key=value; words of another form after --")
    parser.add_argument("--config", type=Path, help="YAML file of keys")
    parser.add_argument("--shards", type=_positive, default=0, help="an array, each task with its share of the work on "
                        "a node of its own, and a job that unites them")  # fmt: skip
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
    return given, lambda: read_chain(given.file, _resources(given), Path.cwd())


COMMANDS = {
    "train": (_train, "A recipe, by torchrun across the nodes."),
    "stage": (_stage, "A stage of kcpt: one job, or an array and the job that unites its shards."),
    "chain": (_chain, chain_help),
}


def _resources(given: argparse.Namespace) -> Resources:
    return Resources(cpus=given.cpus, time=given.time, partition=given.partition)


def _site(given: argparse.Namespace, jobs: Sequence[Job]) -> Site:
    """The options that all jobs share, checked."""
    folder = Path.cwd()
    where = (folder / given.jobs).resolve()
    if re.search(r"\s", str(where)) or RUNS_DIRECTORY in str(where):
        raise BadInput(
            f"--jobs {where}: nemo-run cannot have white space or {RUNS_DIRECTORY} in this path; give another"
        )
    for name in given.env:
        if not name.isidentifier():
            raise BadInput("--env takes the name of a variable alone; its value is inherited from your shell")
        if name not in os.environ:
            raise BadInput(f"--env {name}: not set in this shell; export {name} first")
    if given.submit and shutil.which("sbatch") is None:
        raise BadInput("no sbatch here: submit from a login node of the cluster")
    mounts = [
        mount if ":" in mount else f"{(folder / mount).resolve()}:{(folder / mount).resolve()}"
        for mount in given.mounts
    ]
    mounts.insert(0, f"{folder}:{folder}")
    venv = (folder / given.venv).absolute()
    if given.container:
        _check_mounted(jobs, mounts)
    elif not (venv / "bin" / "kcpt").is_file():
        raise BadInput(f"--venv {venv}: no bin/kcpt in it; make one with make setup GPU=1, or give --container IMAGE")
    return Site(
        account=given.account,
        container=given.container,
        mounts=tuple(mounts),
        venv=venv,
        env=tuple(given.env),
        jobs=where,
        retries=given.retries,
        sbatch=dict(given.sbatch),
    )


def _check_mounted(jobs: Sequence[Job], mounts: Sequence[str]) -> None:
    seen = [Path(parts[0]) for mount in mounts if (parts := mount.split(":")) and parts[0] == parts[1]]
    for job in jobs:
        for path in (*job.reads, *job.makes):
            if not any(path == place or place in path.parents for place in seen):
                raise BadInput(f"{job.name}: the container would not see {path}; add --mounts {path.parent}")


def main(words: Sequence[str] | None = None) -> int:
    """Run the tool with `words` (default: the process's arguments); returns the exit code."""
    words = list(sys.argv[1:] if words is None else words)
    parser = argparse.ArgumentParser(
        prog="tools/slurm.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("command", choices=COMMANDS)
    command = parser.parse_args(words[:1] or ["--help"]).command
    read, description = COMMANDS[command]
    parser = argparse.ArgumentParser(
        prog=f"tools/slurm.py {command}", description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    given, make = read(parser, words[1:])
    try:
        jobs = make()
        launch(given.name, jobs, _site(given, jobs), submit=given.submit)
    except KcptError as error:
        print(f"tools/slurm.py {command}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
