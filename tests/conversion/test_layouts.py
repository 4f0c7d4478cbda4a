"""Hugging Face → Megatron under every layout → Hugging Face: bit-equal weights and transformers' logits on the way."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.conversion.checkpoint import CheckpointReader, find_checkpoint, read_shape
from nemo_kcpt.conversion.hf_folder import HfFolder
from nemo_kcpt.conversion.llama_mapping import hf_sizes, hf_tensors
from tests.conversion.hf_llama import KINDS, save_llama

PROGRAM = Path(__file__).with_name("layout_program.py")
FEATURES = ("grouped", "tied", "wide heads", "scaled", "padded", "bfloat16", "base 500000", "local names")


@dataclass(frozen=True)
class Architecture:
    """A tiny Llama that has some of `FEATURES`; where it lacks one it has the other of two values."""

    features: frozenset[str]

    def __str__(self) -> str:
        return ", ".join(name for name in FEATURES if name in self.features) or "none"

    @property
    def dtype(self) -> str:
        return "bfloat16" if "bfloat16" in self.features else "float32"

    @property
    def config(self) -> dict[str, Any]:
        """Of the Hugging Face model."""
        has = self.features.__contains__
        return {
            "num_hidden_layers": 4,
            "num_key_value_heads": 2 if has("grouped") else 4,
            "tie_word_embeddings": has("tied"),
            "rope_scaling": KINDS["llama 3 scaling"]["rope_scaling"] if has("scaled") else None,
            "vocab_size": ROWS if has("padded") else PADDED_ROWS,
            "rope_theta": 500_000 if has("base 500000") else 10_000,
        } | ({"head_dim": 20} if has("wide heads") else {})


ROWS, PADDED_ROWS, DIVISIBLE_BY = 203, 256, 128
"""The vocabulary where Megatron pads it, what it becomes, and the multiple for each tensor-parallel rank."""


def architectures() -> list[Architecture]:
    """16 in which any three features occur in all eight combinations: the words of the [8, 4] extended Hamming code."""
    found = []
    for a, b, c, d in product((0, 1), repeat=4):
        bits = (a, b, c, d, a ^ b ^ c, a ^ b ^ d, a ^ c ^ d, b ^ c ^ d)
        found.append(Architecture(frozenset(name for name, bit in zip(FEATURES, bits) if bit)))
    return found


ARCHITECTURES = {str(one): one for one in architectures()}
FEW = [name for name, one in ARCHITECTURES.items() if len(one.features) in (0, len(FEATURES))]
LAYOUTS: dict[str, dict[str, Any]] = {
    "TP1": {},
    "TP2": {"tp": 2, "optimizer": "plain"},
    "PP2": {"pp": 2, "stacked": False},
    "DP2": {"dp": 2, "optimizer": "distributed"},
    "TP2 PP2 DP2": {"tp": 2, "pp": 2, "dp": 2, "optimizer": "distributed", "architectures": FEW},
}
"""Options of `layout_program.Layout`; in the last, whose eight ranks take time, those with no feature and with all."""
USUAL: dict[str, Any] = {"tp": 1, "stacked": True, "optimizer": None}
"""Where a layout does not say."""
PAIRS = [(layout, name) for layout, options in LAYOUTS.items() for name in options.get("architectures", ARCHITECTURES)]

every_pair = pytest.mark.parametrize(("layout", "architecture"), PAIRS, indirect=["layout"])


def test_any_three_features_meet_in_every_way() -> None:
    assert len(ARCHITECTURES) == 16
    for three in combinations(FEATURES, 3):
        assert len({one.features & frozenset(three) for one in ARCHITECTURES.values()}) == 8


def prompts() -> torch.Tensor:
    return torch.randint(0, ROWS, (2, 64), generator=torch.Generator().manual_seed(2))


@dataclass(frozen=True)
class Layout:
    """A layout whose ranks have ended well: the folder with what they wrote, and that of the models."""

    folder: Path
    hf: Path
    options: dict[str, Any]

    def checkpoint(self, architecture: str) -> Path:
        return find_checkpoint(self.folder / architecture)


@pytest.fixture(scope="module")
def out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the program has written, beside `hf` with the models that it was given."""
    folder = tmp_path_factory.mktemp("layouts")
    for name, one in ARCHITECTURES.items():
        save_llama(folder / "hf" / name, getattr(torch, one.dtype), **one.config)
    given = {
        "out": str(folder / "out"),
        "prompts": prompts().tolist(),
        "layouts": LAYOUTS,
        "architectures": {
            name: {
                "hf": str(folder / "hf" / name),
                "dtype": one.dtype,
                "divisible_by": DIVISIBLE_BY if "padded" in one.features else 1,
                "local_names": "local names" in one.features,
            }
            for name, one in ARCHITECTURES.items()
        },
    }
    (folder / "job.json").write_text(json.dumps(given))
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(folder / "job.json")],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=850,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-8000:]
    return folder / "out"


@pytest.fixture(scope="module")
def layout(request: pytest.FixtureRequest, out: Path) -> Layout:
    """A layout; where one of its ranks failed, or was killed as it hung, what they printed is shown."""
    folder = out / request.param
    codes = json.loads((folder / "exit_codes.json").read_text())
    assert not any(codes), f"{request.param}: exit codes {codes}\n{(folder / 'log').read_text()[-4000:]}"
    return Layout(folder, out.parent / "hf", LAYOUTS[request.param])


@pytest.fixture(scope="module")
def expected(out: Path) -> dict[str, torch.Tensor]:
    """transformers' float32 logits for each architecture, (prompts, positions, vocabulary)."""
    from transformers import LlamaForCausalLM

    found = {}
    for name in ARCHITECTURES:
        model = LlamaForCausalLM.from_pretrained(out.parent / "hf" / name, dtype=torch.float32).eval()
        with torch.no_grad():
            found[name] = model(prompts()).logits
    return found


@pytest.mark.slow
@every_pair
def test_the_weights_come_back_bit_by_bit(layout: Layout, architecture: str) -> None:
    checkpoint, source = layout.checkpoint(architecture), HfFolder(layout.hf / architecture)
    shape = read_shape(checkpoint)
    assert shape == source.shape
    back = dict(hf_tensors(shape, CheckpointReader(checkpoint).read))
    assert back.keys() == hf_sizes(source.shape).keys()
    for name, tensor in back.items():
        original = source.read(name)
        assert tensor.dtype == original.dtype == getattr(torch, ARCHITECTURES[architecture].dtype), name
        assert torch.equal(tensor, original), name


@pytest.mark.slow
@every_pair
def test_megatron_computes_the_logits_of_transformers(
    layout: Layout, architecture: str, expected: dict[str, torch.Tensor]
) -> None:
    """On every rank of the last pipeline stage."""
    from safetensors.torch import load_file

    wanted, options = expected[architecture], layout.options
    files = sorted(layout.folder.glob(f"{architecture}-*.safetensors"))
    assert len(files) == options.get("tp", 1) * options.get("dp", 1)
    for file in files:
        found = load_file(file)["logits"]
        assert found.dtype == torch.float32 and found.shape[-1] == PADDED_ROWS
        found = found[..., : wanted.shape[-1]]
        assert float((found - wanted).abs().max()) <= 1e-4
        assert torch.equal(found.argmax(-1), wanted.argmax(-1))


@pytest.mark.slow
@every_pair
def test_the_checkpoint_is_what_is_said_of_it(layout: Layout, architecture: str) -> None:
    """Otherwise the tests above would not be about padding, names, shards or an optimizer's tensors."""
    tp, stacked, optimizer = (layout.options.get(name, usual) for name, usual in USUAL.items())
    local = "local names" in ARCHITECTURES[architecture].features
    metadata = CheckpointReader(layout.checkpoint(architecture))._metadata
    last = "module.decoder.layers." + ("" if stacked else "3.")
    assert (f"{last}input_layernorm.weight" in metadata) == local
    assert (f"{last}self_attention.linear_qkv.layer_norm_weight" in metadata) != local
    assert any("core_attention._extra_state" in key for key in metadata) != local
    assert len(metadata[f"{last}self_attention.linear_qkv.weight"].chunks) == tp * (4 if stacked else 1)
    assert metadata["module.embedding.word_embeddings.weight"].size[0] == PADDED_ROWS
    weights = {key for key in metadata if key.startswith("module.") and "_extra_state" not in key}
    moments = {key for key in metadata if key.startswith("optimizer.state.exp_avg.")}
    assert moments == ({f"optimizer.state.exp_avg.{key}" for key in weights} if optimizer else set())
