"""Outputs sent into a file: those of Python and of child processes; afterwards the terminal has them again."""

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import os, subprocess, sys
from pathlib import Path
from nemo_kcpt.logs import output_into
print("before")
try:
    with output_into(Path(sys.argv[1])):
        print("python"); print("python error", file=sys.stderr)
        subprocess.run([sys.executable, "-c", "print('child')"])
        os.write(1, b"descriptor\\n")
        raise ValueError("the user must see this")
finally:
    print("after")
"""


def test_output_goes_into_the_file_and_comes_back(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = subprocess.run([sys.executable, "-c", PROGRAM, str(log)], capture_output=True, text=True)
    assert done.stdout.split() == ["before", "after"]
    assert "the user must see this" in done.stderr and "python error" not in done.stderr
    assert sorted(log.read_text().split("\n")) == ["", "child", "descriptor", "python", "python error"]
