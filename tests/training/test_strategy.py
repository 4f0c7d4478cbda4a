"""The strategy itself, without training."""

from __future__ import annotations

import inspect
from types import SimpleNamespace

import pytest
import torch
from megatron.core.distributed import DistributedDataParallelConfig
from megatron.core.optimizer import OptimizerConfig
from nemo import lightning as nl

from nemo_kcpt import cpu_backend
from nemo_kcpt.errors import BadInput
from nemo_kcpt.training.strategy import KcptMegatronStrategy


def test_the_constructor_is_nemos() -> None:
    """NeMo's serializer reads __init__'s signature; an override with *args would lose context/model.yaml."""
    assert "__init__" not in vars(KcptMegatronStrategy)
    assert inspect.signature(KcptMegatronStrategy) == inspect.signature(nl.MegatronStrategy)


@pytest.mark.parametrize("active", [True, False])
def test_what_a_cpu_needs_is_settled_only_with_the_cpu_backend(monkeypatch: pytest.MonkeyPatch, active: bool) -> None:
    """In the process that trains, so that a recipe written on a login node without a GPU is one for GPUs."""
    seen = []
    monkeypatch.setattr(cpu_backend, "activate", lambda: active)
    monkeypatch.setattr(nl.MegatronStrategy, "connect", lambda self, model: seen.append(model))
    ddp = DistributedDataParallelConfig(overlap_grad_reduce=True, overlap_param_gather=True)
    strategy = KcptMegatronStrategy(ddp=ddp, pipeline_dtype=torch.bfloat16)
    strategy._precision_plugin = nl.MegatronMixedPrecision(precision="bf16-mixed")
    optimizer = OptimizerConfig(overlap_param_gather=True)
    model = SimpleNamespace(optim=SimpleNamespace(config=optimizer))
    strategy.connect(model)  # type: ignore[arg-type]
    assert seen == [model]
    on_gpu = not active
    assert (strategy.timers is not None) == strategy.async_save == strategy.parallel_load == on_gpu
    assert strategy.ckpt_optim_fully_reshardable == active
    assert (strategy.pipeline_dtype == torch.bfloat16) == on_gpu
    assert strategy.precision_plugin.precision == ("bf16-mixed" if on_gpu else "32-true")
    assert ddp.overlap_grad_reduce == ddp.overlap_param_gather == optimizer.overlap_param_gather == on_gpu


def test_more_processes_than_cores_are_refused_before_any_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.cpu_count", lambda: 2)
    with pytest.raises(BadInput, match=r"trainer\.devices: 8 were asked for, .* only 2 cores; give gpus=N"):
        nl.Trainer(accelerator="cpu", devices=8, strategy=KcptMegatronStrategy(), logger=False)
