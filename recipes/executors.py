"""Where a recipe runs, for `run.executor=…` on the command line."""

import nemo_run as run


@run.cli.factory
def kcpt_torchrun(processes: int = 2) -> run.Config[run.LocalExecutor]:
    """torchrun on this machine with `processes` ranks; unlike NeMo's `torchrun` it works without CUDA, over gloo."""
    return run.Config(run.LocalExecutor, launcher="torchrun", ntasks_per_node=processes)
