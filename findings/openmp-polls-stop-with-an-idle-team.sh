#!/usr/bin/env bash
# What: in a PyTorch process on Linux, starting a second, idle OpenMP team makes waiting threads give up their core at once.
# Versions: torch 2.13.0 (CPU build, bundled libgomp), numpy 1.26.4, Python 3.11, two or more cores.
# Guess: one more thread team adds load and can only slow a computation that shares the cores with other work.
# Seen: 2026-11-30, between pieces of work 25 ms apart the process burns a core (10 to 22 ms of CPU each time, since each
#   wait polls 300,000 times); once a sleeping thread owns a team of its own, libgomp counts more threads than cores and
#   polls 100 times: CPU time falls to a hundredth, and a training beside busy processes ran several times faster.
# Ours: nemo_kcpt/threads.py sets GOMP_SPINCOUNT before torch is loaded, and parks such a team where torch came first;
#   tests/test_threads.py measures both.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet torch==2.13.0 numpy==1.26.4
env -u GOMP_SPINCOUNT -u OMP_WAIT_POLICY OMP_NUM_THREADS=2 "$folder/venv/bin/python" - <<'PY'
import os, sys, threading, time
import torch

if (os.cpu_count() or 1) < 2:
    sys.exit("needs two cores")
values = torch.randn(400, 400)


def burnt(pieces: int = 60) -> float:
    begun = time.process_time()
    for _ in range(pieces):
        values + values
        time.sleep(0.025)
    return time.process_time() - begun


burnt(3)
before = burnt()
ready = threading.Event()


def park() -> None:
    values + values
    ready.set()
    threading.Event().wait()


threading.Thread(target=park, daemon=True).start()
ready.wait()
after = burnt()
print(f"CPU seconds of 60 pieces of work: {before:.2f}, with an idle team beside {after:.2f}")
sys.exit(0 if after < before / 4 else "the behaviour has changed")
PY
