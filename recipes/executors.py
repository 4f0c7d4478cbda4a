"""Where a recipe runs, for `run.executor=…` on the command line."""

import os
import shutil
import sys
from pathlib import Path

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
