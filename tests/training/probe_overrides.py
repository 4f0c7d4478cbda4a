"""Takes one of the CPU backend's overrides away and trains. Run in forks by ``test_cpu_backend.py``."""

from __future__ import annotations

import sys
from typing import Any

NEED_A_CHECKPOINT = {
    "synchronize",
    "fix_tensors_device",
    "distributed_sharded_state",
    "distributed_set_states",
    "distributed_load_state",
}


def train_without(missing: str | None, folder: str) -> dict[str, Any]:
    """Trains, and if the override is about checkpoints resumes, with every override but ``missing``.

    Returns:
        The losses of the run, and by ``resumed`` of the resumed run, or by ``failed`` the error.
    """
    from megatron.core import tensor_parallel

    from nemo_kcpt import cpu_backend
    from tests.training.toy_run import forget_world, train

    cpu_backend.OVERRIDES = tuple(override for override in cpu_backend.OVERRIDES if override.name != missing)
    with_checkpoint = missing is None or missing in NEED_A_CHECKPOINT
    result: dict[str, Any] = {}
    try:
        options: dict[str, Any] = {"distributed_optimizer": True, "recompute": True}
        if with_checkpoint:
            result["losses"] = train(folder=folder, max_steps=4, save_every=2, **options)
            forget_world()
            result["resumed"] = train(folder=f"{folder}/resumed", max_steps=4, load=f"{folder}/step=1", **options)
        else:
            result["losses"] = train(folder=folder, max_steps=1, **options)
        result["random_states"] = sorted(tensor_parallel.get_cuda_rng_tracker().get_states())
    except Exception as error:
        result = {"failed": f"{type(error).__name__}: {error}"}
    return result


def what_activate_changes() -> dict[str, Any]:
    """Which overrides differ from what stood there, after ``activate`` with CUDA simulated, and then without."""
    import torch

    from nemo_kcpt import cpu_backend

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
