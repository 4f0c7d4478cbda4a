"""The two virtual environments: where they are, and what is in them without importing it.

NeMo (train) and vLLM (serve) pin different versions of transformers and numpy, so a stage that needs the other side
starts that side's Python. Asking for versions costs one interpreter start, about 0.1 s, not vLLM's import of 10 s.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from nemo_kcpt.errors import BadInput

SERVE_VARIABLE = "KCPT_SERVE_PYTHON"
"""Environment variable that names the serve environment's Python."""

SERVE_REMEDY = (
    f"run `make setup-serve` in the repository, or set {SERVE_VARIABLE} to the python of an environment with vLLM"
)
"""What to do where vLLM is missing."""


def repository_root() -> Path | None:
    """The checkout that this package runs from, or None for an installed wheel."""
    root = Path(__file__).resolve().parent.parent
    return root if (root / "setup.py").is_file() and (root / "constraints").is_dir() else None


def serve_python() -> Path | None:
    """The Python that has vLLM: $KCPT_SERVE_PYTHON, else of a `.venv-serve` beside the running environment, in the
    checkout or in the current folder; None if there is none.

    The path is not resolved: a virtual environment is recognised by the place of its `bin/python` link.

    Raises:
        BadInput: KCPT_SERVE_PYTHON names no executable file.
    """
    if named := os.environ.get(SERVE_VARIABLE):
        if not (Path(named).is_file() and os.access(named, os.X_OK)):
            raise BadInput(
                f"{SERVE_VARIABLE}={named}: no executable there; give the python of an environment with vLLM"
            )
        return Path(named)
    root = repository_root()
    places = [Path(sys.prefix).parent, *([root] if root else []), Path.cwd()]
    for place in places:
        candidate = place / ".venv-serve" / "bin" / "python"
        if candidate.is_file():
            return candidate
    return None


def vllm_expected() -> bool:
    """Whether vLLM can be had here, so that its absence is a fault: Linux on x86-64 or ARM, Python 3.11 or newer."""
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
        found: dict[str, str | None] = json.loads(output)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None
    return found
