"""Megatron's process groups for one process without a trainer: to load or run a model outside of training."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from megatron.core import parallel_state
from megatron.core.tensor_parallel.random import model_parallel_cuda_manual_seed


@contextmanager
def single_process_groups(seed: int = 1234) -> Iterator[None]:
    """All of Megatron's groups with this process as their only member; torn down on leaving.

    The rendezvous is a temporary file, so that no port can be taken by somebody else.
    """
    with tempfile.TemporaryDirectory() as folder:
        backend = "nccl" if torch.cuda.is_available() else "gloo"
        torch.distributed.init_process_group(backend, init_method=f"file://{folder}/rendezvous", rank=0, world_size=1)
        try:
            parallel_state.initialize_model_parallel()
            model_parallel_cuda_manual_seed(seed)
            yield
        finally:
            parallel_state.destroy_model_parallel()
            torch.distributed.destroy_process_group()
