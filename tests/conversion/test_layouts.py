"""Hugging Face → Megatron under every layout → Hugging Face: bit-equal weights and transformers' logits on the way."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.mapping import hf_sizes, hf_tensors
from nemo_kcpt.hf.load import load_causal_lm
from tests import forks
from tests.conversion import layout_program
from tests.conversion.hf_models import FAMILIES, KINDS, save_model
from tests.conversion.layout_program import Job, Layout

FEATURES = ("grouped", "tied", "wide heads", "scaled", "padded", "bfloat16", "base 500000", "local names")


@dataclass(frozen=True)
class Architecture:
    """A tiny model that has some of `FEATURES`; where it lacks one it has the other of two values.

    A Llama, or one of the other families' in `FAMILIES`, whose values are its own.
    """

    features: frozenset[str]
    kind: str = ""

    def __str__(self) -> str:
        if self.kind:
            return self.kind
        return " + ".join(name for name in FEATURES if name in self.features) or "none"

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
            **({"head_dim": 20} if has("wide heads") else {}),
            **FAMILIES.get(self.kind, {}),
        }


ROWS, PADDED_ROWS, DIVISIBLE_BY = 203, 256, 128
"""The vocabulary where Megatron pads it, what it becomes, and the multiple for each tensor-parallel rank."""


def architectures() -> list[Architecture]:
    """16 in which any three features occur in all eight combinations: the words of the [8, 4] extended Hamming code."""
    found = []
    for a, b, c, d in product((0, 1), repeat=4):
        bits = (a, b, c, d, a ^ b ^ c, a ^ b ^ d, a ^ c ^ d, b ^ c ^ d)
        found.append(Architecture(frozenset(name for name, bit in zip(FEATURES, bits) if bit)))
    return found


LLAMAS = {str(one): one for one in architectures()}
DIVISIBLE = [name for name, sizes in FAMILIES.items() if sizes.get("num_attention_heads") is None]
"""Models of other families whose heads two ranks can share."""
OF_EACH_FAMILY = ["qwen2 tied", "qwen3", "qwen3_moe", "qwen3_moe tied", "mistral window", "gemma2", "gemma2 untied"]
OTHERS = {name: Architecture(frozenset({"padded", "grouped"}), name) for name in DIVISIBLE}
ARCHITECTURES = LLAMAS | OTHERS
FEW = [name for name, one in LLAMAS.items() if len(one.features) in (0, len(FEATURES))]
SOAK = bool(os.environ.get("KCPT_SOAK"))
"""Whether every layout is to have every architecture (`make soak`), and not a quarter of them each."""


def quarter(first: bool, second: bool) -> list[str]:
    """Of the 16: those in which grouped and tied are two different answers, or not, and likewise wide heads and scaled.

    Each architecture is in one of the four quarters. In each of those, any one of grouped, tied, base 500000, local
    names meets any one of the other features in all four combinations.
    """
    found = []
    for name, one in LLAMAS.items():
        differs = [len(one.features & {a, b}) == 1 for a, b in (("grouped", "tied"), ("wide heads", "scaled"))]
        if SOAK or differs == [first, second]:
            found.append(name)
    return found


LAYOUTS: dict[str, Layout] = {
    "TP1": Layout(quarter(False, False)),
    "TP2": Layout(quarter(False, True), tp=2, optimizer="plain"),
    "PP2": Layout(quarter(True, False), pp=2, stacked=False),
    "DP2": Layout(quarter(True, True), dp=2, optimizer="distributed"),
    "TP2 PP2 DP2": Layout(FEW, tp=2, pp=2, dp=2, optimizer="distributed"),
    "TP2 families": Layout(DIVISIBLE, tp=2, optimizer="plain"),
    "PP2 families": Layout(OF_EACH_FAMILY, pp=2),
    "EP2 experts": Layout([name for name in DIVISIBLE if "moe" in name], dp=2, ep=2),
}
"""With eight ranks, which take time, the architectures with no feature and with all; pipelines of other families with
what is their own in a layer, or in the ends of the model."""
PAIRS = [(layout, name) for layout, one in LAYOUTS.items() for name in one.architectures]

every_pair = pytest.mark.parametrize(("layout", "architecture"), PAIRS)


def test_any_three_features_meet_in_every_way() -> None:
    assert len(LLAMAS) == 16
    for three in combinations(FEATURES, 3):
        assert len({one.features & frozenset(three) for one in LLAMAS.values()}) == 8


def test_every_architecture_is_in_some_layout_and_features_meet_in_each() -> None:
    assert sorted({name for _, name in PAIRS}) == sorted(ARCHITECTURES)
    assert {FAMILIES[name]["model_type"] for name in OF_EACH_FAMILY} == {
        FAMILIES[name]["model_type"] for name in DIVISIBLE
    }
    one_side = {"grouped", "tied", "base 500000", "local names"}
    for layout in ("TP1", "TP2", "PP2", "DP2"):
        features = [ARCHITECTURES[name].features for name in LAYOUTS[layout].architectures]
        for two in product(one_side, set(FEATURES) - one_side):
            assert len({has & frozenset(two) for has in features}) == 4


def prompts() -> torch.Tensor:
    return torch.randint(0, ROWS, (2, 64), generator=torch.Generator().manual_seed(2))


class Layouts:
    """Each runs when it is first asked for, after all models were made and imported."""

    def __init__(self, folder: Path) -> None:
        self.hf = folder / "hf"
        for name, one in ARCHITECTURES.items():
            save_model(self.hf / name, getattr(torch, one.dtype), **one.config)
        architectures = {
            name: layout_program.Architecture(
                hf=str(self.hf / name),
                dtype=one.dtype,
                divisible_by=DIVISIBLE_BY if "padded" in one.features else 1,
                local_names="local names" in one.features,
            )
            for name, one in ARCHITECTURES.items()
        }
        self.job = Job(folder / "out", prompts().tolist(), architectures)
        self.job.shapes.update(forks.call(layout_program.import_all, self.job, log=folder / "imports.log"))

    def __getitem__(self, layout: str) -> Path:
        """The folder with what its ranks wrote; where one failed, or hung, what they printed is shown."""
        folder = self.job.out / layout
        if not folder.exists():
            folder.mkdir()
            arguments = (self.job, LAYOUTS[layout], folder)
            forks.call(layout_program.run_rank, *arguments, ranks=LAYOUTS[layout].ranks, log=folder / "log")
        return folder

    def checkpoint(self, layout: str, architecture: str) -> Path:
        return find_checkpoint(self[layout] / architecture)


@pytest.fixture(scope="module")
def layouts(tmp_path_factory: pytest.TempPathFactory) -> Layouts:
    return Layouts(tmp_path_factory.mktemp("layouts"))


@pytest.fixture(scope="module")
def expected(layouts: Layouts) -> dict[str, torch.Tensor]:
    """transformers' float32 logits for each architecture, (prompts, positions, vocabulary)."""
    found = {}
    for name in ARCHITECTURES:
        model = load_causal_lm(layouts.hf / name)
        with torch.no_grad():
            found[name] = model(prompts()).logits
    return found


@pytest.mark.slow
@every_pair
def test_the_weights_come_back_bit_by_bit(layouts: Layouts, layout: str, architecture: str) -> None:
    checkpoint, source = layouts.checkpoint(layout, architecture), HfFolder(layouts.hf / architecture)
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
    layouts: Layouts, layout: str, architecture: str, expected: dict[str, torch.Tensor]
) -> None:
    """On every rank of the last pipeline stage."""
    from safetensors.torch import load_file

    wanted, options = expected[architecture], LAYOUTS[layout]
    files = sorted(layouts[layout].glob(f"{architecture}-*.safetensors"))
    assert len(files) == options.tp * options.dp
    for file in files:
        found = load_file(file)["logits"]
        assert found.dtype == torch.float32 and found.shape[-1] == PADDED_ROWS
        found = found[..., : wanted.shape[-1]]
        assert float((found - wanted).abs().max()) <= 1e-4
        assert torch.equal(found.argmax(-1), wanted.argmax(-1))


@pytest.mark.slow
@every_pair
def test_the_checkpoint_is_what_is_said_of_it(layouts: Layouts, layout: str, architecture: str) -> None:
    """Otherwise the tests above would not be about padding, names, shards or an optimizer's tensors."""
    options = LAYOUTS[layout]
    local = "local names" in ARCHITECTURES[architecture].features
    metadata = CheckpointReader(layouts.checkpoint(layout, architecture))._metadata
    last = "module.decoder.layers." + ("" if options.stacked else "3.")
    assert (f"{last}input_layernorm.weight" in metadata) == local
    assert (f"{last}self_attention.linear_qkv.layer_norm_weight" in metadata) != local
    assert any("core_attention._extra_state" in key for key in metadata) != local
    assert len(metadata[f"{last}self_attention.linear_qkv.weight"].chunks) == options.tp * (4 if options.stacked else 1)
    assert metadata["module.embedding.word_embeddings.weight"].size[0] == PADDED_ROWS
    weights = {key for key in metadata if key.startswith("module.") and "_extra_state" not in key}
    moments = {key for key in metadata if key.startswith("optimizer.state.exp_avg.")}
    assert moments == ({f"optimizer.state.exp_avg.{key}" for key in weights} if options.optimizer else set())
