"""One gloo rank with Megatron's parallel state, for tests that build modules."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from nemo_kcpt import cpu_backend
from nemo_kcpt.training.single_process import single_process_groups


@pytest.fixture(scope="module")  # a group that outlived its module would stand in the way of those that follow
def one_rank() -> Iterator[None]:
    """Process group, model-parallel groups and random states of a world of one."""
    if torch.cuda.is_available():
        pytest.skip("these tests are about the CPU backend")
    cpu_backend.activate()
    with single_process_groups():
        yield
