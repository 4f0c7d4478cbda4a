"""Megatron's optimizers on a CPU: type checks that name CUDA, and AdamW's ``step`` in the distributed optimizer."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch


def clip_grads(_original: Any) -> Callable[..., None]:
    """Stands in for Megatron's ``clip_grad_by_total_norm_fp32``, which asserts ``'torch.cuda.FloatTensor'``."""

    @torch.no_grad()
    def cpu_clip_grads(
        parameters: torch.Tensor | Iterable[torch.Tensor],
        max_norm: float,
        total_norm: float,
        use_decoupled_grad: bool = False,
    ) -> None:
        """Scales the gradients in place by ``max_norm / (total_norm + 1e-6)`` if that is below 1, as upstream does."""
        if use_decoupled_grad:
            raise ValueError("decoupled gradients need a GPU; set use_precision_aware_optimizer=False")
        coefficient = max_norm / (total_norm + 1.0e-6)
        if coefficient < 1.0:
            parameters = [parameters] if isinstance(parameters, torch.Tensor) else parameters
            torch._foreach_mul_([p.grad for p in parameters if p.grad is not None], coefficient)

    return cpu_clip_grads


@contextmanager
def _cuda_named_types() -> Iterator[None]:
    """Within, ``tensor.type()`` of a CPU tensor says ``torch.cuda.…Tensor``, as Megatron's checks expect."""
    original = torch.Tensor.type

    def cuda_named_type(self: torch.Tensor, *args: Any, **kwargs: Any) -> Any:
        named = original(self, *args, **kwargs)
        return named.replace("torch.", "torch.cuda.", 1) if isinstance(named, str) else named

    torch.Tensor.type = cuda_named_type
    try:
        yield
    finally:
        torch.Tensor.type = original


def build_param_groups(original: classmethod) -> classmethod:
    """Stands in for ``DistributedOptimizer._build_model_and_main_param_groups``: the same, with the checks answered."""

    @functools.wraps(original.__func__)
    def cpu_build_param_groups(cls: type, *args: Any, **kwargs: Any) -> Any:
        with _cuda_named_types():
            return original.__func__(cls, *args, **kwargs)

    return classmethod(cpu_build_param_groups)


def sharded_state_dict(original: Callable[..., Any]) -> Callable[..., Any]:
    """Stands in for ``DistributedOptimizer.sharded_state_dict``: when loading, state is there before it is asked for.

    Upstream reads one common ``step`` out of the state and asserts that there is exactly one; before the first step
    the state of torch's AdamW is empty.
    """

    @functools.wraps(original)
    def cpu_sharded_state_dict(self: Any, model_state: dict, is_loading: bool = False, **kwargs: Any) -> Any:
        if is_loading:
            _fill_empty_state(self.optimizer)
        return original(self, model_state, is_loading, **kwargs)

    return cpu_sharded_state_dict


def _fill_empty_state(optimizer: torch.optim.Optimizer) -> None:
    for group in optimizer.param_groups:
        for parameter in group["params"]:
            if not optimizer.state[parameter]:
                optimizer.state[parameter] = {
                    "step": torch.tensor(0.0),
                    "exp_avg": torch.zeros_like(parameter),
                    "exp_avg_sq": torch.zeros_like(parameter),
                }


def set_parameter_states(original: Callable[..., None]) -> Callable[..., None]:
    """Stands in for ``DistributedOptimizer._set_main_param_and_optimizer_states``: ``step`` is not taken from there.

    The checkpoint keeps one ``step`` in the parameter groups, but upstream copies every key of AdamW's state. With the
    sharding ``dp_reshardable`` of Megatron-Core 0.19 there is one among the tensors, which is not the checkpoint's: it
    is marked as local and comes back as it was before loading, 0, so that AdamW's bias correction starts again.
    """

    @functools.wraps(original)
    def cpu_set_parameter_states(self: Any, model_param: torch.nn.Parameter, tensors: dict[str, torch.Tensor]) -> None:
        group_index, group_order = self.model_param_group_index_map[model_param]
        state = self.optimizer.state[self.optimizer.param_groups[group_index]["params"][group_order]]
        original(self, model_param, {**tensors, "step": state["step"]})

    return cpu_set_parameter_states


def load_state_dict(original: Callable[..., None]) -> Callable[..., None]:
    """Stands in for ``DistributedOptimizer.load_state_dict``: each parameter gets a ``step`` tensor of its own.

    Upstream gives one tensor to all of them, and AdamW adds 1 to it once for each: the resumed run is silently wrong.
    """

    @functools.wraps(original)
    def cpu_load_state_dict(self: Any, state_dict: dict[str, Any]) -> None:
        original(self, state_dict)
        for state in self.optimizer.state.values():
            state["step"] = state["step"].clone()

    return cpu_load_state_dict
