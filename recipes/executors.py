"""Where a recipe runs, for `run.executor=…` on the command line."""

import os
import shlex
import shutil
import sys
from pathlib import Path
from typing import Optional

import nemo_run as run


def put_torchrun_on_path() -> None:
    """nemo_run starts `torchrun` by name; an environment that was not activated has it beside its Python only."""
    scripts = Path(sys.executable).parent
    if shutil.which("torchrun") is None and (scripts / "torchrun").is_file():
        os.environ["PATH"] = f"{scripts}{os.pathsep}{os.environ.get('PATH', '')}"


@run.cli.factory
def kcpt_torchrun(processes: int = 2) -> run.Config[run.LocalExecutor]:
    """torchrun on this machine with `processes` ranks; unlike NeMo's `torchrun` it works without CUDA, over gloo."""
    put_torchrun_on_path()
    return run.Config(run.LocalExecutor, launcher="torchrun", ntasks_per_node=processes)


@run.cli.factory
def kcpt_slurm(
    account: Optional[str] = None,
    partition: Optional[str] = None,
    nodes: int = 1,
    gpus: int = 8,
    time: str = "24:00:00",
    container_image: Optional[str] = None,
) -> run.Config[run.SlurmExecutor]:
    """A Slurm job with torchrun across `nodes`, `gpus` ranks on each, for whoever stands on the login node.

    Without a container the ranks run in this very environment and folder, which all nodes must see. A container holds
    an environment of its own; what it is to see, give as `run.executor.container_mounts` and in full paths.

    Args:
        account: Slurm account; None takes the user's default, as for `partition`.
        partition: of `sinfo`.
        nodes: nodes of the job; the recipe takes the same number.
        gpus: GPUs of a node; the recipe takes the same number.
        time: limit, as days-hours:minutes:seconds.
        container_image: image for pyxis (`srun --container-image`).
    """
    executor = run.Config(
        run.SlurmExecutor,
        account=account,
        partition=partition,
        nodes=nodes,
        ntasks_per_node=gpus,  # nemo_run makes one task a node of it, and gives torchrun this number of ranks
        gpus_per_node=gpus,
        time=time,
        container_image=container_image,
        launcher="torchrun",
        # Megatron overlaps tensor-parallel communication only if kernels start in the order they were queued.
        env_vars={"CUDA_DEVICE_MAX_CONNECTIONS": "1"},
        job_name_prefix="kcpt-",  # nemo_run's own is made of the account, and fails where there is none
        packager=run.Config(run.Packager),
        tunnel=run.Config(run.LocalTunnel, job_dir=""),
    )
    if container_image is None:
        executor.setup_lines = f'export PATH={_quote(str(Path(sys.executable).parent))}:"$PATH"'
        # Of two, srun takes the last: nemo_run's own leads to an empty folder.
        executor.srun_args = [f"--chdir={_quote(os.getcwd())}"]
    return executor


def _quote(path: str) -> str:
    """For bash; nemo_run does not quote, and takes `/nemo_run` for the job's folder wherever it stands."""
    return shlex.quote(path).replace("/nemo_run", "/nemo''_run")
