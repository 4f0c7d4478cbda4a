"""Where vLLM lives: the serve environment's python, and what to do where there is none.

NeMo and vLLM pin different transformers and numpy, so vLLM stands in an environment of its own, as its own process.
"""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from nemo_kcpt.errors import BadInput

REMEDY = "run `make setup-serve` in the repository, or set KCPT_SERVE_PYTHON to the python of an environment with vLLM"


def _candidates() -> Iterator[Path]:
    repository = Path(__file__).resolve().parents[2]
    for root in dict.fromkeys((Path(sys.prefix).parent, repository, Path.cwd())):
        yield root / ".venv-serve" / "bin" / "python"


def serve_python(environ: Mapping[str, str] = os.environ) -> Path | None:
    """The python with vLLM: $KCPT_SERVE_PYTHON, else .venv-serve beside this environment or in the repository; or None.

    Raises:
        BadInput: KCPT_SERVE_PYTHON names no executable file.
    """
    given = environ.get("KCPT_SERVE_PYTHON")
    if given:
        if not os.access(given, os.X_OK) or not Path(given).is_file():
            raise BadInput(
                f"KCPT_SERVE_PYTHON={given}: no executable there; give the python of an environment with vLLM"
            )
        return Path(given)
    return next((path for path in _candidates() if path.is_file()), None)


def vllm_is_expected() -> bool:
    """Whether vLLM runs on this kind of machine (Linux on x86-64), so that its absence is a fault, not a fact."""
    return sys.platform == "linux" and platform.machine().lower() in ("x86_64", "amd64")


def worker_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables of the worker.

    One process and no thread pinning (vLLM's pinning leaves one of two cores unused and stalls beside other work), no
    usage statistics, no look-ups on a hub for models that are local folders. VLLM_CPU_KVCACHE_SPACE is taken out, since
    it overrides the size asked for.
    """
    ours = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
        "OMP_NUM_THREADS": environ.get(
            "OMP_NUM_THREADS",
            str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
        ),
        "OMP_WAIT_POLICY": environ.get("OMP_WAIT_POLICY", "PASSIVE"),  # spinning threads stall on busy cores
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    dropped = ("VLLM_CPU_KVCACHE_SPACE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in environ.items() if name not in dropped} | ours
