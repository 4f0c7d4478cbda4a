"""Waiting for other processes, for tests that kill some."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

import psutil

T = TypeVar("T")


def wait_for(condition: Callable[[], T], seconds: float = 30.0) -> T:
    """The first true value of `condition`; AssertionError when there is none in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.02)
    raise AssertionError(f"waited {seconds:.0f} s in vain")


def is_running(pid: int) -> bool:
    """Whether the process is there and no zombie."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] != "Z"
    except FileNotFoundError:
        return False


def survivors(processes: Sequence[psutil.Process], seconds: float = 60.0) -> list[psutil.Process]:
    """Those that still run after so long. One that has ended and that nobody has waited for, a zombie, does not."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and any(is_running(one.pid) for one in processes):
        time.sleep(0.05)
    return [one for one in processes if is_running(one.pid)]
