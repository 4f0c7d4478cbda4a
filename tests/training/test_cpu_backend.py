"""The CPU backend: each override is listed once, is needed, and is nowhere to be seen where CUDA is."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.cpu_backend import OVERRIDES, Override
from tests import forks
from tests.training.probe_overrides import train_without, what_activate_changes

SITE_PACKAGES = Path(importlib.util.find_spec("torch").origin).parents[1]
ROOT = Path(__file__).parents[2]
IDS = [override.name for override in OVERRIDES]

FAILS_WITHOUT = {
    "current_device": "Torch not compiled with CUDA enabled",
    "synchronize": "Torch not compiled with CUDA enabled",
    "stream": "torch.cuda.Stream requires CUDA support",
    "rng_tracker": "Torch not compiled with CUDA enabled",
    "get_rng_state": "Torch not compiled with CUDA enabled",
    "torch_in_optimizer": "Torch not compiled with CUDA enabled",
    "torch_in_clip_grads": "Torch not compiled with CUDA enabled",
    "torch_in_utils": "Torch not compiled with CUDA enabled",
    "torch_in_schedules": "Torch not compiled with CUDA enabled",
    "torch_in_strategy": "pin_memory=True requires a CUDA",
    "torch_in_data_sampler": "pin_memory=True requires a CUDA",
    "clip_grads": "AssertionError",
    "distributed_param_groups": "Wrapped parameters must be one of torch.cuda.FloatTensor",
    "distributed_sharded_state": "AssertionError",
    "distributed_set_states": "KeyError: 'step'",
    "fix_tensors_device": "AssertionError: (False, False)",
}
WRONG_WITHOUT = {
    "set_rng_state",
    "set_random_seed",
    "distributed_load_state",
    "tied_embeddings",
    "router_gating_linear",
    "write_results_queue",
    "write_preloaded_data",
    "frozen_linear_backward",
}
"""No error on one rank; each has a test of its own below, in ``test_stand_ins.py`` or in ``test_layouts.py``."""


@pytest.mark.parametrize("override", OVERRIDES, ids=IDS)
def test_upstream_still_says_what_the_table_says(override: Override) -> None:
    assert override.says in (SITE_PACKAGES / override.upstream).read_text(encoding="utf-8")


@pytest.mark.parametrize("field", ["name", "target"])
def test_nothing_is_listed_twice(field: str) -> None:
    values = [getattr(override, field) for override in OVERRIDES]
    assert len(set(values)) == len(values)


def test_every_override_says_why() -> None:
    assert all(len(override.reason) > 20 for override in OVERRIDES)
    assert {*FAILS_WITHOUT, *WRONG_WITHOUT} == set(IDS)


def test_importing_the_backend_changes_nothing() -> None:
    """Neither in torch.cuda, nor by importing the libraries it is about."""
    script = """
import sys, torch
before = {name: id(value) for name, value in vars(torch.cuda).items()}
import nemo_kcpt.cpu_backend as backend
changed = [name for name, value in vars(torch.cuda).items() if before.get(name) != id(value)]
heavy = [name for name in ("nemo", "megatron", "lightning") if name in sys.modules]
print(changed, heavy, backend.is_active())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] [] False"


class Probe:
    """What happens without an override (none: with all of them); each is tried once, in a fork."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._found: dict[str | None, dict[str, Any]] = {}

    def __getitem__(self, missing: str | None) -> dict[str, Any]:
        if missing not in self._found:
            log = self.folder / f"{missing}.log"
            self._found[missing] = forks.call(train_without, missing, str(self.folder / str(missing)), log=log)
        return self._found[missing]


@pytest.fixture(scope="module")
def without(tmp_path_factory: pytest.TempPathFactory) -> Probe:
    return Probe(tmp_path_factory.mktemp("probe"))


@pytest.mark.slow
class TestInForks:
    def test_with_all_overrides_training_works_and_resumes_exactly(self, without: Probe) -> None:
        case = without[None]
        assert case["resumed"] == {step: case["losses"][step] for step in (3, 4)}

    @pytest.mark.parametrize("name", FAILS_WITHOUT)
    def test_training_fails_without(self, without: Probe, name: str) -> None:
        assert FAILS_WITHOUT[name] in without[name].get("failed", "it trained")

    def test_resume_is_silently_wrong_without_a_step_for_each_parameter(self, without: Probe) -> None:
        case = without["distributed_load_state"]
        assert case["losses"] == without[None]["losses"]
        assert abs(case["resumed"][4] - case["losses"][4]) > 1e-3

    def test_random_states_are_missing_without_seeding(self, without: Probe) -> None:
        assert without["set_random_seed"]["random_states"] == []
        assert "model-parallel-rng" in without[None]["random_states"]

    def test_what_activate_changes(self, tmp_path: Path) -> None:
        """Every override is put in place once, and none where CUDA is there; the random state is then restored."""
        found = forks.call(what_activate_changes, log=tmp_path / "log")
        assert found["active_with_cuda"] is False and found["changed_with_cuda"] == []
        assert found["active"] is found["active_again"] is True
        assert found["changed"] == IDS
        assert found["same_after_second_call"] is True
        assert (found["rng_set_before"], found["rng_set_after"]) == (False, True)
