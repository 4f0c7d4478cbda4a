"""How long the threads of a computation wait for each other before they sleep.

On Linux torch computes with GNU's OpenMP, whose threads poll 300,000 times at the end of each piece of work before they
sleep (libgomp manual, section GOMP_SPINCOUNT): 3 to 20 ms, in which they hold a core that the thread they wait for may
need. Where anything else runs, a training then becomes several times slower. Ten thousand polls, less than a
millisecond, cost nothing on a quiet machine: docs/performance.md has both.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import MutableMapping

POLLS = "10000"
_CHOSEN = ("GOMP_SPINCOUNT", "OMP_WAIT_POLICY")
"""Variables by which a user says how threads are to wait."""

_too_late = False
"""Whether torch had read its environment when this process was to wait briefly."""
_parked: threading.Thread | None = None


def wait_briefly(environment: MutableMapping[str, str] = os.environ) -> None:
    """Let OpenMP's threads sleep soon, in this process and in all that it starts; to be called before torch is loaded.

    The user's own GOMP_SPINCOUNT or OMP_WAIT_POLICY stays.
    """
    global _too_late
    if not any(name in environment for name in _CHOSEN):
        environment["GOMP_SPINCOUNT"] = POLLS
        _too_late = _too_late or (environment is os.environ and "torch" in sys.modules)


def settle() -> None:
    """Before a computation begins: the same also where torch was loaded first, as by a program of the user's own.

    A library with more threads than there are cores polls 100 times only (libgomp, `gomp_throttled_spin_count_var` in
    env.c and its use in config/linux/wait.h). So a thread is started that computes once with a team of its own, which
    then sleeps until the process ends. Nothing is done where one thread computes.
    """
    global _parked
    import torch

    wait_briefly()
    if not _too_late or _parked is not None or torch.get_num_threads() < 2:
        return
    ready = threading.Event()

    def park() -> None:
        torch.ones(1 << 17).add_(1.0)  # large enough to be shared between threads
        ready.set()
        threading.Event().wait()

    _parked = threading.Thread(target=park, name="kcpt-parked-team", daemon=True)
    _parked.start()
    ready.wait()
