"""The virtual environments: where they are, and what is in them without importing it.

NeMo (train), vLLM (serve) and Megatron-Bridge (bridge) pin different versions of the same packages, so a stage that
needs another side starts that side's Python. Asking for versions costs one interpreter start, about 0.1 s, not vLLM's
import of 10 s.
"""

from __future__ import annotations

import importlib.util
import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nemo_kcpt.errors import BadInput

SERVE_VARIABLE, BRIDGE_VARIABLE = "KCPT_SERVE_PYTHON", "KCPT_BRIDGE_PYTHON"
"""Environment variables that name the Python of the serve environment, and of Megatron-Bridge's."""

SERVE_REMEDY, BRIDGE_REMEDY = (
    f"run `make setup-{side}` in the repository, or set {variable} to the python of an environment with {what}"
    for side, variable, what in (("serve", SERVE_VARIABLE, "vLLM"), ("bridge", BRIDGE_VARIABLE, "Megatron-Bridge"))
)
"""What to do where vLLM is missing, or Megatron-Bridge."""


def repository_root() -> Path | None:
    """The checkout that this package runs from, or None for an installed wheel."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "setup.py").is_file() and (root / "constraints").is_dir() else None


def serve_python() -> Path | None:
    """The Python that has vLLM: $KCPT_SERVE_PYTHON, else of a `.venv-serve` beside the running environment, in the
    checkout or in the current folder; None if there is none.

    Raises:
        BadInput: KCPT_SERVE_PYTHON names no executable file.
    """
    return _named(SERVE_VARIABLE, "vLLM") or _python_of(".venv-serve")


def bridge_python() -> Path | None:
    """The Python that has Megatron-Bridge: $KCPT_BRIDGE_PYTHON, else this one if it has it, as in a container, else of
    a `.venv-bridge`, looked for as `.venv-serve`; None if there is none.

    Raises:
        BadInput: KCPT_BRIDGE_PYTHON names no executable file.
    """
    if named := _named(BRIDGE_VARIABLE, "Megatron-Bridge"):
        return named
    try:
        here = importlib.util.find_spec("megatron.bridge") is not None
    except ModuleNotFoundError:
        here = False
    return Path(sys.executable) if here else _python_of(".venv-bridge")


def _named(variable: str, what: str) -> Path | None:
    """The Python that the user named."""
    named = os.environ.get(variable)
    if named and not (Path(named).is_file() and os.access(named, os.X_OK)):
        raise BadInput(f"{variable}={named}: no executable there; give the python of an environment with {what}")
    return Path(named) if named else None


def _python_of(folder: str) -> Path | None:
    """The Python of a virtual environment of this name.

    The path is not resolved: a virtual environment is recognised by the place of its `bin/python` link.
    """
    root = repository_root()
    for parent in (Path(sys.prefix).parent, *([root] if root else []), Path.cwd()):
        candidate = parent / folder / "bin" / "python"
        if candidate.is_file():
            return candidate
    return None


def package_path() -> dict[str, str]:
    """Variables by which another environment's Python finds this package, and no other in the current folder; empty
    where it is no checkout, since a wheel is then installed there, too."""
    root = repository_root()
    there = os.environ.get("PYTHONPATH")
    if root is None:
        return {}
    # From Python 3.11 on, which the other environments have, PYTHONSAFEPATH keeps `-m` from looking there first.
    return {"PYTHONPATH": os.pathsep.join([str(root), *([there] if there else [])]), "PYTHONSAFEPATH": "1"}


def vllm_expected() -> bool:
    """Whether vLLM is available here, so that its absence is a fault: Linux on x86-64 or ARM, Python 3.11 or newer."""
    linux = platform.system() == "Linux" and platform.machine() in ("x86_64", "aarch64")
    return linux and sys.version_info >= (3, 11)


def has_nvidia_driver() -> bool:
    """Whether an NVIDIA driver is loaded, asked without touching the GPU."""
    return Path("/proc/driver/nvidia/version").exists() or Path("/dev/nvidiactl").exists()


def versions(python: Path, packages: Sequence[str], timeout: float = 20.0) -> dict[str, str | None] | None:
    """Installed version of each package as another Python sees it (None: not installed); None if it does not start."""
    program = (
        "import importlib.metadata as m, json, sys\n"
        "def version(name):\n"
        "    try: return m.version(name)\n"
        "    except m.PackageNotFoundError: return None\n"
        "print(json.dumps({name: version(name) for name in sys.argv[1:]}))"
    )
    command = [str(python), "-I", "-c", program, *packages]
    try:
        output = subprocess.run(command, capture_output=True, text=True, check=True, timeout=timeout).stdout
        installed: dict[str, str | None] = json.loads(output)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return installed
