"""Megatron-Bridge's own loading of what we import, and its own export beside ours: one process of its environment."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.checkpoints import exporting, switching
from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.layout import STREAM
from nemo_kcpt.checkpoints.mapping import fuse, hf_tensors, megatron_parts
from tests.conversion.checkpoints import imported
from tests.conversion.hf_models import KINDS, save_model
from tests.conversion.hf_tokenizers import save_tokenizer

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".venv-bridge/bin/python"
PROGRAM = Path(__file__).with_name("loading_program.py")
MODELS: dict[str, dict[str, Any]] = {
    "llama": {"vocab_size": 331, "rope_theta": 12_345.0},
    "tied": KINDS["narrow heads, tied"],
    "scaled": KINDS["llama 3 scaling"],
    "qwen2": KINDS["qwen2 odd"],
    "qwen3": KINDS["qwen3"],
    "experts": KINDS["qwen3_moe"],
}
LENGTHS = [64, 256]
"""Windows, of a model with 128 positions."""

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(find_spec("nemo_kcpt.bridge") is None, reason="the room nemo_kcpt.bridge is not there"),
    pytest.mark.skipif(not PYTHON.is_file(), reason=f"{PYTHON} is not there: `make setup-bridge` makes it"),
]


@pytest.fixture(scope="module")
def work(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("bridge")
    for name, sizes in MODELS.items():
        hf = save_tokenizer(save_model(folder / "hf" / name, **sizes))
        imported(hf, folder / "ckpt" / name, backend="bridge")
    return folder


@pytest.fixture(scope="module")
def found(work: Path) -> dict[str, Any]:
    """What the program prints."""
    job = {
        "checkpoints": {name: str(work / "ckpt" / name) for name in MODELS},
        "pretrained": str(work / "ckpt/llama"),
        "hf": str(work / "hf/llama"),
        "trained": str(work / "trained"),
        "exports": str(work / "exports"),
        "lengths": LENGTHS,
    }
    (work / "job.json").write_text(json.dumps(job))
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    done = subprocess.run(
        [PYTHON, PROGRAM, work / "job.json"], capture_output=True, text=True, timeout=600, env=environment
    )
    assert done.returncode == 0, done.stderr[-6000:]
    return json.loads(done.stdout.splitlines()[-1])  # type: ignore[no-any-return]


def expected(hf: Path) -> list[tuple[set[str], str]]:
    """For each tensor the names that it may have in memory, and the hash of its bytes."""
    source = HfFolder(hf)
    return [
        (
            {name if part.layer is None else f"decoder.layers.{part.layer}.{name}" for name in part.names},
            hashlib.sha256(fuse(source.shape, part, source.read).contiguous().numpy().tobytes()).hexdigest(),
        )
        for part in megatron_parts(source.shape)
        if part.expert is None
    ]


@pytest.mark.parametrize("name", MODELS)
def test_the_bridge_loads_what_we_import_bit_for_bit(name: str, work: Path, found: dict[str, Any]) -> None:
    loaded, wanted = found["loaded"][name], expected(work / "hf" / name)
    assert wanted and all(any(loaded.get(one) == value for one in names) for names, value in wanted)
    if name != "experts":
        assert len(loaded) == len(wanted)


def test_and_as_pretrained_checkpoint(found: dict[str, Any]) -> None:
    assert found["pretrained"] == found["loaded"]["llama"]


def saved(work: Path, length: int) -> Path:
    """What the Bridge saved, as a training of ours leaves it."""
    checkpoint = work / f"trained/{length}/iter_0000000"
    (checkpoint / STREAM).write_text("{}")
    assert find_checkpoint(work / f"trained/{length}") == checkpoint
    return checkpoint


@pytest.mark.parametrize("length", LENGTHS)
def test_what_the_bridge_saved_is_read_and_switched_bit_for_bit(length: int, work: Path, found: dict[str, Any]) -> None:
    checkpoint = saved(work, length)
    shape, source = read_shape(checkpoint), HfFolder(work / "hf/llama")
    assert (shape.rotary_base, shape.positions, shape.vocab_rows) == (500_000, max(128, length), 331)
    nemo = work / f"nemo/{length}"
    switching.run(switching.Config(checkpoint=checkpoint, out=nemo), False)
    assert read_shape(nemo) == shape
    for folder in (checkpoint, nemo):
        for name, tensor in hf_tensors(shape, CheckpointReader(folder).read):
            assert torch.equal(tensor, source.read(name)), name


def test_the_bridges_own_export_loses_the_rope_base_and_ours_keeps_it(work: Path, found: dict[str, Any]) -> None:
    """The table of docs/conversion.md. Should the Bridge learn it, say so there."""

    def read(folder: Path) -> tuple[float, int, int]:
        config = json.loads((folder / "config.json").read_text())
        base = config.get("rope_theta") or config["rope_parameters"]["rope_theta"]
        return base, config["max_position_embeddings"], config["vocab_size"]

    for length in LENGTHS:
        out = work / f"ours/{length}"
        options: dict[str, Any] = {"tokenizer": work / "hf/llama", "check": False}
        exporting.run(exporting.Config(checkpoint=saved(work, length), out=out, **options))
        assert read(out) == (500_000, max(128, length), 331)
        assert read(work / f"exports/{length}/from_hf_pretrained") == (12_345, 128, 331)
        assert read(work / f"exports/{length}/from_auto_config") == (12_345, length, 331)
