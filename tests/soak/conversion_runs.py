"""Exports or imports killed at random moments: `conversion_runs.py export|import SOURCE OUT KILLS SEED`.

The modules are loaded once and each run is a fork, so that a kill costs the time of a run and not of NeMo's imports.
Prints a JSON line: kills, runs that ended before theirs, and in how many of them work of a killed one was found.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import shutil
import signal
import sys
import time
from pathlib import Path


def contents(folder: Path) -> dict[str, str]:
    """Hashes of all files but the lock, and the manifest, which holds times."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name not in ("manifest.json", ".lock")
    }


def compare(found: dict[str, str], expected: dict[str, str]) -> None:
    """Fails with the names of the files that differ."""
    differing = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
    assert not differing, differing


def main(action: str, source: Path, out: Path, kills: int, seed: int) -> None:
    """Kill `kills` runs of `action`; fails if one leaves another target than none or a whole one."""
    import torch

    torch.set_num_threads(1)
    from nemo_kcpt.conversion import import_stage, stage

    def work() -> None:
        if action == "export":
            stage.run(stage.Config(checkpoint=source, out=out, check=False, max_shard_gb=2e-3))
        else:
            import_stage.run(import_stage.Config(hf=source, out=out))

    def start() -> int:
        child = os.fork()
        if child == 0:
            try:
                work()
                os._exit(0)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
        return child

    def whole() -> dict[str, str]:
        _, status = os.waitpid(start(), 0)
        assert status == 0, f"exit status {status}"
        return contents(out)

    whole()  # the first writes caches of its own
    shutil.rmtree(out)
    started = time.monotonic()
    reference = whole()
    seconds = time.monotonic() - started
    assert len(reference) > 8, reference
    partial = out.with_name(f".{out.name}.partial")
    moments, killed, ended, found = random.Random(seed), 0, 0, 0
    shutil.rmtree(out)
    while killed < kills:
        kept = len(list(partial.rglob("*.safetensors"))) + len(list(partial.rglob(".finished-*")))
        child = start()
        time.sleep(moments.uniform(0, seconds))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        assert status in (0, signal.SIGKILL), f"exit status {status}"
        killed, ended = killed + (status != 0), ended + (status == 0)
        found += kept > 0
        if out.exists():
            compare(contents(out), reference)
            shutil.rmtree(out)
    compare(whole(), reference)
    assert not partial.exists()
    print(json.dumps({"kills": killed, "ended": ended, "found": found, "seconds": round(seconds, 2)}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]), int(sys.argv[5]))
