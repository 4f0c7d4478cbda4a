"""Hugging Face to torch_dist and back: bit for bit the same, in the memory of a layer."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.finished import check_complete
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.mapping import fuse, fuse_qkv, hf_sizes, hf_tensors, megatron_parts, split_qkv
from nemo_kcpt.checkpoints.torch_dist import write_weights
from tests.conversion.hf_models import KINDS, save_model
from tests.conversion.tiny import SHAPES, TRANSFORMER_ENGINE, make_shape, state_dict


def written(source: HfFolder, folder: Path, kind: torch.dtype) -> CheckpointReader:
    shape = source.shape
    parts = list(megatron_parts(shape))
    write_weights(folder / "weights", parts, shape.num_layers, kind, lambda part: fuse(shape, part, source.read))
    check_complete(folder)
    return CheckpointReader(folder)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", KINDS)
def test_a_round_trip_is_bit_equal(kind: str, dtype: torch.dtype, tmp_path: Path) -> None:
    source = HfFolder(save_model(tmp_path / "hf", dtype, "20KB", **KINDS[kind]))
    back = dict(hf_tensors(source.shape, written(source, tmp_path, dtype).read))
    assert back.keys() == hf_sizes(source.shape).keys()
    for name, tensor in back.items():
        assert tensor.dtype == dtype and torch.equal(tensor, source.read(name)), name


def test_another_type_is_the_nearest_value(tmp_path: Path) -> None:
    source = HfFolder(save_model(tmp_path / "hf"))
    for name, tensor in hf_tensors(source.shape, written(source, tmp_path, torch.bfloat16).read):
        assert torch.equal(tensor, source.read(name).bfloat16()), name
    written(source, tmp_path / "wide", torch.float32)
    sizes = [
        sum(path.stat().st_size for path in folder.glob("weights/*.distcp")) for folder in (tmp_path, tmp_path / "wide")
    ]
    # PyTorch's reader rounds what was not rounded when it was written, and the tensors above would be equal, too.
    assert sizes[1] - sizes[0] > 1.9 * source.shape.parameters()


@pytest.mark.parametrize("kind", SHAPES)
def test_names_and_sizes_are_those_of_a_trained_checkpoint(kind: str) -> None:
    shape = make_shape(**SHAPES[kind])
    saved = state_dict(shape, TRANSFORMER_ENGINE, stacked=True)
    expected = {name: tuple(tensor.shape) for name, tensor in saved.items()}
    for name in ("embedding.word_embeddings.weight", "output_layer.weight"):
        if f"module.{name}" in expected:  # in tiny.py they are padded; ours are not, and Megatron's loader pads
            expected[f"module.{name}"] = (shape.vocab_rows, shape.hidden_size)
    found = {}
    for part in megatron_parts(shape):
        inside = part.layer is not None
        key = f"module.decoder.layers.{part.name}" if inside else f"module.{part.name}"
        found[key] = (shape.num_layers, *part.size) if inside else part.size
    assert found == expected


@pytest.mark.parametrize("kind", SHAPES)
def test_fusing_undoes_splitting(kind: str) -> None:
    shape = make_shape(**SHAPES[kind])
    rows = (shape.num_attention_heads + 2 * shape.num_query_groups) * shape.kv_channels
    fused = torch.randn(rows, shape.hidden_size)
    assert torch.equal(fuse_qkv(shape, *split_qkv(shape, fused)), fused)


PROGRAM = """
import json, sys
from pathlib import Path
import torch
from torch.distributed import checkpoint
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.mapping import fuse, megatron_parts
from nemo_kcpt.checkpoints.torch_dist import write_weights

source, out = HfFolder(Path(sys.argv[1])), Path(sys.argv[2])
shape = source.shape
# Not getrusage: what it gives is never less than the peak of the process that started this one.
peak = lambda: int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0]) * 1024
before = peak()
write_weights(out, list(megatron_parts(shape)), shape.num_layers, torch.float32, lambda p: fuse(shape, p, source.read))
print(json.dumps({"taken": peak() - before, "model": shape.parameters() * 4}))
"""


@pytest.mark.skipif(not Path("/proc/self/status").is_file(), reason="Linux tells a process its peak memory")
def test_memory_follows_the_layer_and_not_the_model(tmp_path: Path) -> None:
    sizes = {"hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "vocab_size": 4000}
    save_model(tmp_path / "hf", shards="100MB", **sizes, tie_word_embeddings=True)
    command = [sys.executable, "-c", PROGRAM, str(tmp_path / "hf"), str(tmp_path / "weights")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    memory = json.loads(done.stdout.splitlines()[-1])
    assert memory["model"] > 300e6
    print(memory)
    assert memory["taken"] < memory["model"] / 4, memory
