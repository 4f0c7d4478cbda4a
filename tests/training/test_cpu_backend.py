"""The CPU backend: each override is listed once, is needed, and is nowhere to be seen where CUDA is."""

from __future__ import annotations

import importlib.util
import json
import linecache
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.training.cpu_backend import OVERRIDES, Override

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
    "set_rng_state", "set_random_seed", "distributed_load_state", "tied_embeddings", "write_results_queue",
    "write_preloaded_data",
}  # fmt: skip
"""No error on one rank; each has a test of its own below, in ``test_stand_ins.py`` or in ``test_layouts.py``."""


@pytest.mark.parametrize("override", OVERRIDES, ids=IDS)
def test_upstream_still_says_what_the_table_says(override: Override) -> None:
    file, line = override.upstream.split(":")
    assert override.says in linecache.getline(str(SITE_PACKAGES / file), int(line))


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
import nemo_kcpt.training.cpu_backend as backend
changed = [name for name, value in vars(torch.cuda).items() if before.get(name) != id(value)]
heavy = [name for name in ("nemo", "megatron", "lightning") if name in sys.modules]
print(changed, heavy, backend.is_active())
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[] [] False"


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("probe")
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("probe_overrides.py")), str(folder)],
        capture_output=True, text=True, timeout=800, env={**os.environ, "OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    assert "RESULT" in done.stdout, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("RESULT")[2])


@pytest.mark.slow
class TestInTheProbe:
    def test_with_all_overrides_training_works_and_resumes_exactly(self, probe: dict[str, Any]) -> None:
        case = probe["cases"]["none"]
        assert case["resumed"] == {step: case["losses"][step] for step in ("3", "4")}

    @pytest.mark.parametrize("name", FAILS_WITHOUT)
    def test_training_fails_without(self, probe: dict[str, Any], name: str) -> None:
        assert FAILS_WITHOUT[name] in probe["cases"][name].get("failed", "it trained")

    def test_resume_is_silently_wrong_without_a_step_for_each_parameter(self, probe: dict[str, Any]) -> None:
        case = probe["cases"]["distributed_load_state"]
        assert case["losses"] == probe["cases"]["none"]["losses"]
        assert abs(case["resumed"]["4"] - case["losses"]["4"]) > 1e-3

    def test_random_states_are_missing_without_seeding(self, probe: dict[str, Any]) -> None:
        assert probe["cases"]["set_random_seed"]["random_states"] == []
        assert "model-parallel-rng" in probe["cases"]["none"]["random_states"]

    def test_random_state_is_not_restored_without_setting_it(self, probe: dict[str, Any]) -> None:
        assert probe["activate"]["rng_set_before"] is False
        assert probe["activate"]["rng_set_after"] is True

    def test_activate_puts_every_override_in_place_once(self, probe: dict[str, Any]) -> None:
        assert probe["activate"]["active"] is probe["activate"]["active_again"] is True
        assert probe["activate"]["changed"] == IDS
        assert probe["activate"]["same_after_second_call"] is True

    def test_activate_does_nothing_where_cuda_is_there(self, probe: dict[str, Any]) -> None:
        assert probe["activate"]["active_with_cuda"] is False
        assert probe["activate"]["changed_with_cuda"] == []
