#!/usr/bin/env bash
# What: safetensors.numpy.save_file and safetensors.torch.save_file write a file that only its owner may read, whatever
#   the umask.
# Versions: safetensors 0.8.0, numpy 2.2.6.
# Guess: a new file has the mode of every other new file, 0644 under umask 022, as numpy.save gives it.
# Seen: 0600 from save_file, 0644 from numpy.save and from writing the bytes of safetensors.numpy.save: on a cluster the
#   colleague who starts the training cannot open the file. 2026-11-30
# Ours: kcpt distill writes the bytes itself; tests/distillation/test_distill_stage.py looks at the modes.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet safetensors==0.8.0 numpy==2.2.6
cd "$folder"
umask 022
"$folder/venv/bin/python" - <<'PY'
import os
import sys
from pathlib import Path

import numpy
from safetensors.numpy import save, save_file

tensors = {"a": numpy.zeros(3)}
save_file(tensors, "save_file.safetensors")
Path("bytes.safetensors").write_bytes(save(tensors))
numpy.save("array.npy", tensors["a"])
modes = {name: oct(os.stat(name).st_mode & 0o777) for name in ("save_file.safetensors", "bytes.safetensors", "array.npy")}
print(modes)
sys.exit(0 if list(modes.values()) == ["0o600", "0o644", "0o644"] else "it behaves otherwise now")
PY
