"""Random numbers: Megatron keeps CUDA generator states; on a CPU they are states of the CPU generator."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import torch


def rng_tracker(original: type) -> type:
    """Stands in for Megatron's ``CudaRNGStatesTracker``: the same book-keeping over the CPU generator."""

    class CpuRngStatesTracker(original):
        """Named states of the CPU generator."""

        def add(self, name: str, seed: int) -> None:
            """Adds a state. Raises ``ValueError`` if the seed or the name was used before."""
            if seed in self.seeds_ or name in self.states_:
                raise ValueError(f"random state {name!r} (seed {seed}) was added before; use another name and seed")
            self._is_initialized = True
            self.seeds_.add(seed)
            self.states_[name] = torch.Generator().manual_seed(seed).get_state()

        @contextlib.contextmanager
        def fork(self, name: str = "model-parallel-rng") -> Iterator[None]:
            """Runs the body under the named state, and keeps that state for the next time."""
            if name not in self.states_:
                raise KeyError(f"random state {name!r} is not there; model_parallel_cuda_manual_seed adds it")
            outside = torch.get_rng_state()
            torch.set_rng_state(self.states_[name])
            try:
                yield
            finally:
                self.states_[name] = torch.get_rng_state()
                torch.set_rng_state(outside)

    return CpuRngStatesTracker


def get_rng_state(_original: Any) -> Callable[..., torch.Tensor]:
    """Stands in for Megatron's ``_get_cuda_rng_state`` (activation recomputation)."""

    def cpu_get_rng_state(device: Any = "cuda", clone: bool = False, graph_safe: bool = False) -> torch.Tensor:
        del device, clone, graph_safe
        return torch.get_rng_state()

    return cpu_get_rng_state


def set_rng_state(_original: Any) -> Callable[..., None]:
    """Stands in for Megatron's ``_set_cuda_rng_state`` (activation recomputation)."""

    def cpu_set_rng_state(new_state: torch.Tensor, device: Any = -1, graph_safe: bool = False) -> None:
        del device, graph_safe
        torch.set_rng_state(new_state)

    return cpu_set_rng_state


def set_random_seed(original: Callable[[int], None]) -> Callable[[int], None]:
    """Stands in for NeMo's ``_set_random_seed``, which fills Megatron's tracker only if there is a CUDA device."""

    def cpu_set_random_seed(seed_: int) -> None:
        from megatron.core import parallel_state
        from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed

        original(seed_)
        model_parallel_cuda_manual_seed(seed_ + 100 * parallel_state.get_pipeline_model_parallel_rank())

    return cpu_set_random_seed
