"""Commands in forks of a preloaded Python: arguments, output, exit codes and ends are as in processes of their own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil

from tests.waiting import survivors

PROGRAM = """
import sys, time
from pathlib import Path
from nemo_kcpt import forks
if __name__ == "__main__":
    folder = Path(sys.argv[1])
    forks.preload(["json.tool", "colorsys"], folder / "import.log")
    python = sys.executable
    seen = forks.run([python, "-m", "seen", "a b", "c"], folder / "seen.log", {"KCPT_GIVEN": "x"})
    failed = forks.run([python, "-m", "failing"], folder / "failed.log")
    script = forks.run([str(Path(python).with_name("kcpt")), "--version"], folder / "script.log")
    foreign = forks.run(["sh", "-c", "echo $0 $KCPT_GIVEN; exit 7", "me"], folder / "foreign.log", {"KCPT_GIVEN": "y"})
    print(*(one.wait(60) for one in (seen, failed, script, foreign)))
    asleep = forks.run(["sleep", "100"], folder / "asleep.log")
    assert asleep.poll() is None
    asleep.terminate()
    print(asleep.wait(60))
    forks.run([python, "-m", "sleeping"], folder / "orphan.log")
    print("ready", flush=True)
    time.sleep(100)
"""
MODULES = {
    "seen": "import atexit, multiprocessing, os, sys\n"
    "print(sys.argv[1:], os.environ['KCPT_GIVEN'], 'colorsys' in sys.modules, __name__)\n"
    "print(repr(sys.stdin.read()), multiprocessing.get_start_method())\natexit.register(print, 'at exit')",
    "failing": "raise SystemExit(5)",
    "sleeping": "import os, time\nprint(os.getpid(), flush=True)\ntime.sleep(100)",
}


def test_a_command_runs_in_a_fork_as_by_itself_and_ends_with_its_caller(tmp_path: Path) -> None:
    for name, text in MODULES.items():
        (tmp_path / f"{name}.py").write_text(text)
    (tmp_path / "program.py").write_text(PROGRAM)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path])}
    caller = subprocess.Popen(
        [sys.executable, "program.py", str(tmp_path)], stdout=subprocess.PIPE, text=True, cwd=tmp_path, env=environment
    )
    assert caller.stdout is not None
    said = [caller.stdout.readline().split() for _ in range(3)]
    assert said == [["0", "5", "0", "7"], [str(-signal.SIGTERM)], ["ready"]]
    assert (tmp_path / "seen.log").read_text() == "['a b', 'c'] x True __main__\n'' fork\nat exit\n"
    assert (tmp_path / "script.log").read_text().startswith("nemo_kcpt ")
    assert (tmp_path / "foreign.log").read_text() == "me y\n"
    orphan = tmp_path / "orphan.log"
    deadline = time.monotonic() + 60
    while not (orphan.is_file() and orphan.read_text().endswith("\n")):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    family = psutil.Process(int(orphan.read_text()))
    caller.kill()  # nothing of it can end its forks
    caller.wait()
    assert not survivors([family])
