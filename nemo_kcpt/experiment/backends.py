"""What trains a recipe, NeMo or Megatron-Bridge, and the commands that start it."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.environments import BRIDGE_REMEDY, bridge_python
from nemo_kcpt.errors import BadInput

NEMO, BRIDGE = "nemo", "bridge"
BACKENDS = (NEMO, BRIDGE)
DATA = {NEMO: "data", BRIDGE: "dataset"}
"""Where overrides find the windows' attention and seed."""
NEMO_SCRIPT = str(Path(sys.executable).with_name("nemo"))
"""NeMo's console script in this environment."""
BRIDGE_PROGRAM = "nemo_kcpt.bridge.train"


def nemo_command(task: str, call: str, overrides: Sequence[str], script: str = NEMO_SCRIPT) -> list[str]:
    """`nemo llm TASK --factory CALL`, on one rank or on each that somebody else starts."""
    return [script, "llm", task, "--factory", call, "--yes", *overrides]


def bridge_command(python: str, recipe: str, arguments: Mapping[str, Any], overrides: Sequence[str]) -> list[str]:
    """The program that trains with Megatron-Bridge, likewise."""
    # The words last: argparse takes them together.
    given = json.dumps(dict(arguments), ensure_ascii=False)
    return [python, "-m", BRIDGE_PROGRAM, "--arguments", given, recipe, *overrides]


def on_ranks(backend: str, command: Sequence[str], ranks: int) -> list[str]:
    """The command for a number of ranks on this machine."""
    if ranks == 1:
        return list(command)
    if backend == NEMO:
        return [*command, "run.executor=kcpt_torchrun", f"run.executor.ntasks_per_node={ranks}"]
    python, *rest = command
    return [python, "-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={ranks}", *rest]


def needed_bridge_python() -> str:
    """The Python that has Megatron-Bridge.

    Raises:
        BadInput: there is none.
    """
    python = bridge_python()
    if python is None:
        raise BadInput(f"backend=bridge: the environment with Megatron-Bridge is missing: {BRIDGE_REMEDY}")
    return str(python)
