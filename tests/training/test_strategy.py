"""The strategy itself, without training."""

from __future__ import annotations

import inspect

import pytest
import torch
from nemo import lightning as nl

from nemo_kcpt.training import cpu_backend
from nemo_kcpt.training.strategy import KcptMegatronStrategy, cpu_strategy_options


def test_only_connect_is_overridden() -> None:
    """NeMo's serializer reads __init__'s signature; an override with *args would lose context/model.yaml."""
    own = [name for name in vars(KcptMegatronStrategy) if not name.startswith("__") and not name.startswith("_abc")]
    assert own == ["connect"]
    assert inspect.signature(KcptMegatronStrategy) == inspect.signature(nl.MegatronStrategy)


@pytest.mark.parametrize("active", [True, False])
def test_timers_go_only_with_the_cpu_backend(monkeypatch: pytest.MonkeyPatch, active: bool) -> None:
    seen = []
    monkeypatch.setattr(cpu_backend, "activate", lambda: active)
    monkeypatch.setattr(nl.MegatronStrategy, "connect", lambda self, model: seen.append((self.timers is None, model)))
    KcptMegatronStrategy().connect("model")
    assert seen == [(active, "model")]


def test_options_are_for_cpus_only_and_the_strategy_takes_them(monkeypatch: pytest.MonkeyPatch) -> None:
    strategy = KcptMegatronStrategy(**cpu_strategy_options())
    assert strategy.ckpt_optim_fully_reshardable
    assert not strategy.load_directly_on_device
    assert set(cpu_strategy_options()) <= set(inspect.signature(nl.MegatronStrategy).parameters)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert cpu_strategy_options() == {}
