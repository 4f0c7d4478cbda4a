"""Ctrl-C that is not lost: Python drops a KeyboardInterrupt that is raised where nobody can catch it."""

from __future__ import annotations

import os
import signal
import sys
import threading
from typing import Any

SECONDS_TO_LEAVE = 0.05
"""Until a dropped Ctrl-C is sent again: by then the callback that dropped it has returned."""


def keep_interrupts() -> None:
    """Send Ctrl-C to this process again each time that Python drops it.

    A signal's exception is raised in whatever Python code the main thread is in. In a callback that has no caller to
    raise it to, as a finalizer or one that the system calls after a fork, `sys.unraisablehook` prints it and the
    program goes on as if nothing had been pressed.
    """
    process, otherwise = os.getpid(), sys.unraisablehook

    def again(unraisable: Any) -> None:
        if os.getpid() != process or not issubclass(unraisable.exc_type, KeyboardInterrupt):
            otherwise(unraisable)
            return
        timer = threading.Timer(SECONDS_TO_LEAVE, os.kill, (process, signal.SIGINT))
        timer.daemon = True
        timer.start()

    sys.unraisablehook = again


def is_interrupt(error: BaseException | None) -> bool:
    """True for Ctrl-C, also where a library raised an error of its own because of it (DuckDB does)."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__
    return error is not None
