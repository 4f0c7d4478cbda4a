"""An export or import that is killed leaves no target or a whole one, and the next run ends with the same bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conversion.checkpoints import imported
from tests.conversion.hf_models import save_model
from tests.conversion.hf_tokenizers import save_tokenizer

PROGRAM = Path(__file__).with_name("conversion_runs.py")


@pytest.mark.soak
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("action", ["export", "import"])
def test_fifteen_kills(action: str, tmp_path: Path) -> None:
    sizes = {"hidden_size": 192, "intermediate_size": 512, "num_hidden_layers": 12, "vocab_size": 2000}
    hf = save_tokenizer(save_model(tmp_path / "hf", shards="2MB", **sizes))
    (hf / "LICENSE").write_text("a licence")
    source = imported(hf, tmp_path / "checkpoint") if action == "export" else hf
    seed = os.environ.get("KCPT_KILL_SEED", "20261125")
    command = [sys.executable, str(PROGRAM), action, str(source), str(tmp_path / "out"), "15", seed]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=500, env=environment)
    assert done.returncode == 0, f"seed {seed}\n{done.stdout[-2000:]}{done.stderr[-5000:]}"
    found = json.loads(done.stdout.splitlines()[-1])
    print(found)
    assert found["kills"] == 15 and found["found"] >= 3, found
