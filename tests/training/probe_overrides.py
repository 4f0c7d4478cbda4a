"""Takes the CPU backend's overrides away one at a time and trains; prints what happened as JSON. Run by a test.

``python probe_overrides.py FOLDER``. Each case runs in a fork of one process that has imported everything already; two
run at once.
"""

from __future__ import annotations

import json
import multiprocessing
import sys
from collections import deque
from pathlib import Path
from typing import Any

AT_ONCE = 2
NEED_A_CHECKPOINT = {
    "synchronize", "fix_tensors_device",
    "distributed_sharded_state", "distributed_set_states", "distributed_load_state",
}  # fmt: skip


def train_without(missing: str | None, folder: str, answer: Any) -> None:
    """Trains, and if the override is about checkpoints resumes, with every override but ``missing``.

    Answers with the losses of the run and of the resumed run, or with ``failed``: the error.
    """
    from megatron.core import tensor_parallel
    from toy_run import forget_world, train

    from nemo_kcpt.training import cpu_backend

    cpu_backend.OVERRIDES = tuple(override for override in cpu_backend.OVERRIDES if override.name != missing)
    with_checkpoint = missing is None or missing in NEED_A_CHECKPOINT
    result: dict[str, Any] = {}
    try:
        options = {"distributed_optimizer": True, "recompute": True}
        if with_checkpoint:
            result["losses"] = train(folder=folder, max_steps=4, save_every=2, **options)
            forget_world()
            result["resumed"] = train(folder=f"{folder}/resumed", max_steps=4, load=f"{folder}/step=1", **options)
        else:
            result["losses"] = train(folder=folder, max_steps=2, **options)
        result["random_states"] = sorted(tensor_parallel.get_cuda_rng_tracker().get_states())
    except Exception as error:
        result = {"failed": f"{type(error).__name__}: {error}"}
    answer.put(result)


def what_activate_changes() -> dict[str, Any]:
    """Which overrides differ from what stood there, after ``activate`` with CUDA simulated, and then without."""
    import torch

    from nemo_kcpt.training import cpu_backend

    before = {override.name: override.current() for override in cpu_backend.OVERRIDES}

    def changed() -> list[str]:
        return [override.name for override in cpu_backend.OVERRIDES if override.current() is not before[override.name]]

    is_available = torch.cuda.is_available
    torch.cuda.is_available = lambda: True
    result: dict[str, Any] = {"active_with_cuda": cpu_backend.activate(), "changed_with_cuda": changed()}
    torch.cuda.is_available = is_available
    megatron_random = sys.modules["megatron.core.tensor_parallel.random"]
    random_state = torch.get_rng_state()
    torch.manual_seed(1)
    megatron_random._set_cuda_rng_state(random_state)
    result["rng_set_before"] = torch.equal(torch.get_rng_state(), random_state)
    result["active"] = cpu_backend.activate()
    result["changed"] = changed()
    megatron_random._set_cuda_rng_state(random_state)
    result["rng_set_after"] = torch.equal(torch.get_rng_state(), random_state)
    once = [override.current() for override in cpu_backend.OVERRIDES]
    result["active_again"] = cpu_backend.activate()
    result["same_after_second_call"] = all(a is b.current() for a, b in zip(once, cpu_backend.OVERRIDES, strict=True))
    return result


def main(folder: str) -> None:
    # Everything is imported before the forks, and nothing has computed yet, so no thread is lost in them.
    from nemo.collections import llm  # noqa: F401

    import nemo_kcpt.models.llama  # noqa: F401
    from nemo_kcpt.training import cpu_backend

    fork = multiprocessing.get_context("fork")
    cases: dict[str, Any] = {}
    running: deque[tuple[str, Any, Any]] = deque()

    def collect() -> None:
        name, process, answer = running.popleft()
        cases[name] = answer.get(timeout=300)
        process.join(timeout=60)

    for missing in (None, *(override.name for override in cpu_backend.OVERRIDES)):
        if len(running) == AT_ONCE:
            collect()
        answer = fork.Queue()
        process = fork.Process(target=train_without, args=(missing, f"{folder}/{missing}", answer))
        process.start()
        running.append((missing or "none", process, answer))
    while running:
        collect()
    print("RESULT" + json.dumps({"cases": cases, "activate": what_activate_changes()}))


if __name__ == "__main__":
    sys.path[:0] = [str(Path(__file__).parents[2])]
    main(sys.argv[1])
