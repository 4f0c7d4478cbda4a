"""A graph of jobs, shown as sbatch scripts or submitted: through nemo-run, which is imported when it is needed."""

from __future__ import annotations

import contextlib
import functools
import importlib.util
import os
import re
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.experiment.slurm.jobs import Job, quote
from nemo_kcpt.experiment.slurm.recipes import recipes_folder
from nemo_kcpt.experiment.slurm.site import Site
from nemo_kcpt.logs import kept


def launch_graph(title: str, jobs: Sequence[Job], site: Site, *, submit: bool) -> dict[str, str]:
    """Print the scripts, or submit the jobs and print their ids.

    A job starts when those in its `after` have succeeded (`afterok`); if one of them fails, Slurm cancels the job
    (`--kill-on-invalid-dep`) and with it those that wait for it, and no others.

    Args:
        title: names the folder below the site's `jobs`.
        jobs: in any order; each `after` names jobs among them.
        site: what they share.
        submit: without it nothing leaves this machine.

    Returns:
        Slurm's id by the job's name; nothing where nothing was submitted.

    Raises:
        BadInput: a graph that cannot be, a folder that the container would not see, no Slurm here.
        KcptError: Slurm refused a job.
    """
    ordered = in_order(jobs)
    check_mounted(ordered, site)
    if submit and shutil.which("sbatch") is None:
        raise BadInput("no sbatch here: submit from a login node of the cluster")
    import fiddle
    import nemo_run as run

    with contextlib.ExitStack() as stack:
        stack.enter_context(kept())  # an Experiment takes our handlers away
        base = str(site.jobs) if submit else stack.enter_context(tempfile.TemporaryDirectory())
        # Its messages would stand among the scripts.
        silence = stack.enter_context(open(os.devnull, "w"))
        experiment = run.Experiment(
            title,
            base_dir=base,
            log_level="ERROR",
            clean_mode=True,
            enable_goodbye_message=False,
            threadpool_workers=1,
            skip_status_at_exit=True,
            serialize_metadata_for_scripts=False,
        )
        with contextlib.redirect_stdout(silence), experiment:
            for job in ordered:
                executor = fiddle.build(executor_config(job, site))
                task = run.Script(inline=job.script)
                experiment.add(task, executor=executor, name=job.name, dependencies=list(job.after) or None)
            if submit:
                _submit(experiment)
            else:
                experiment.dryrun(log=False, delete_exp_dir=False)
        if not submit:
            _show_scripts(experiment, ordered)
            return {}
        _show_submitted(experiment, ordered)
        return {job.name: _job_id(submitted) for job, submitted in zip(ordered, experiment.jobs)}


def in_order(jobs: Sequence[Job]) -> list[Job]:
    """The jobs, each below those it waits for; otherwise as they stand.

    Raises:
        BadInput: no job, two of one name, a name that cannot be a file's, an unknown one in `after`, or a circle.
    """
    if not jobs:
        raise BadInput("there is no job to launch")
    names = [job.name for job in jobs]
    for job in jobs:
        if not re.fullmatch(r"[\w.-]+", job.name, flags=re.ASCII) or job.name.strip("-.") != job.name:
            raise BadInput(f"job '{job.name}': its scripts are called so; take letters, digits, - . and _ only")
        if names.count(job.name) > 1:
            raise BadInput(f"job {job.name}: appears twice; rename one")
        for name in job.after:
            if name not in names:
                raise BadInput(f"job {job.name}: after: no job '{name}'; leave out those that are finished")
    ordered: dict[str, Job] = {}
    left = list(jobs)
    while left:
        ready = next((job for job in left if all(name in ordered for name in job.after)), None)
        if ready is None:
            raise BadInput(f"jobs {', '.join(job.name for job in left)}: each waits for another of them")
        ordered[ready.name] = ready
        left.remove(ready)
    return list(ordered.values())


def check_mounted(jobs: Sequence[Job], site: Site) -> None:
    """Whether a container sees what jobs read and write.

    Raises:
        BadInput: one does not.
    """
    if not site.container:
        return
    seen = [Path(parts[0]) for mount in site.mounts if (parts := mount.split(":")) and parts[0] == parts[1]]
    for job in jobs:
        for path in (*job.reads, *job.makes):
            if not any(path == folder or folder in path.parents for folder in seen):
                raise BadInput(f"{job.name}: the container would not see {path}; add --mounts {path.parent}")


@functools.cache
def executors() -> Any:
    """recipes/executors.py by its path: the package would import NeMo."""
    specification = importlib.util.spec_from_file_location("kcpt_executors", recipes_folder() / "executors.py")
    assert specification is not None and specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


def executor_config(job: Job, site: Site) -> Any:
    """The job's run.Config of a SlurmExecutor, made of the same `kcpt_slurm` that NeMo's command line offers."""
    import nemo_run as run

    size = job.resources
    config = executors().kcpt_slurm(
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


def _submit(experiment: Any) -> None:
    from invoke.exceptions import UnexpectedExit

    try:
        experiment.run(detach=True)
    except UnexpectedExit as error:
        script = re.search(r"([^/\s']+)_sbatch\.sh", str(error.result.command))
        name = f"job {script[1]}" if script else "a job"
        message = f"Slurm refused {name}: {error.result.stderr.strip() or error.result.command}"
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
        print(f"{_job_id(submitted)}  {job.name}{after}; log in {_job_folder(submitted)}/{job.name}/")
    print(f"watch: squeue --me; take back: scancel {' '.join(map(_job_id, experiment.jobs))}")


def _job_folder(submitted: Any) -> str:
    return str(submitted.executor.tunnel.job_dir)


def _show_scripts(experiment: Any, jobs: Sequence[Job]) -> None:
    for number, (job, planned) in enumerate(zip(jobs, experiment.jobs), start=1):
        written = Path(planned.executor.experiment_dir)
        ids = ":".join(f"${_variable(name)}" for name in job.after)
        dependency = f"--dependency=afterok:{ids} " if ids else ""
        tasks = f", {job.shards} tasks" if job.shards else ""
        print(f"# ======== {number} of {len(jobs)}: {job.name}{tasks}")
        submission = f"sbatch --requeue --parsable {dependency}{_job_folder(planned)}/{job.name}_sbatch.sh"
        print(f"# {_variable(job.name)}=$({submission})")
        print((written / f"{job.name}_sbatch.sh").read_text(encoding="utf-8"))
        inner = written / job.name / "scripts" / f"{job.name}.sh"
        print(f"# -------- {_job_folder(planned)}/{job.name}/scripts/{job.name}.sh")
        print(inner.read_text(encoding="utf-8"))
    print("# nothing was submitted; --submit does")


def _variable(name: str) -> str:
    return re.sub(r"\W", "_", name)
