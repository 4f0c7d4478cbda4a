"""tools/convert_to_hf.py is `kcpt convert export`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt.cli import main


def test_it_says_and_does_what_the_command_does(root: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def script(*words: str) -> subprocess.CompletedProcess[str]:
        tool = [sys.executable, root / "tools/convert_to_hf.py", *words]
        return subprocess.run(tool, capture_output=True, text=True, cwd=tmp_path)

    assert main(["convert", "export", "--help"]) == 0
    assert script("--help").stdout.split() == capsys.readouterr().out.split() != []
    words = [f"{tmp_path}/none", "--to", f"{tmp_path}/hf"]
    done = script(*words)
    assert main(["convert", "export", *words]) == done.returncode != 0
    assert done.stderr.strip() in capsys.readouterr().err and f"{tmp_path}/none" in done.stderr
