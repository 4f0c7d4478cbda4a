"""A Ctrl-C that comes where Python drops exceptions ends the command all the same."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.conftest import ROOT

PROGRAM = """
import os, signal, sys, time
from nemo_kcpt import cli

def press(*_):
    signal.raise_signal(signal.SIGINT)

class Finalized:
    __del__ = press

def in_a_finalizer():
    Finalized()

def after_a_fork():
    os.register_at_fork(after_in_parent=press)
    if os.fork() == 0:
        os._exit(0)

def stage(*_):
    {where}()
    print("dropped", flush=True)
    time.sleep(100)

signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job has it ignored
cli._run_stage = stage
sys.argv = ["kcpt", "pack"]
sys.exit(cli.main())
"""


@pytest.mark.parametrize("where", ["in_a_finalizer", "after_a_fork"])
def test_it_is_not_lost(where: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM.format(where=where)], capture_output=True, text=True, timeout=90, cwd=ROOT
    )
    assert done.stdout == "dropped\n", done.stderr
    assert done.returncode == 130 and "kcpt pack: interrupted" in done.stderr
    assert "Exception ignored" not in done.stderr
