"""Megatron's tensors as Hugging Face's: bit for bit those of a reference written row by row, from every layout."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.mapping import Part, hf_tensors, split_qkv
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape
from tests.conversion.tiny import LOCAL, SHAPES, TRANSFORMER_ENGINE, layer_weights, make_shape, state_dict

NAMES = {"transformer engine": TRANSFORMER_ENGINE, "local": LOCAL}
Save = Callable[[dict[str, torch.Tensor]], CheckpointReader]


@pytest.fixture
def save(tmp_path: Path) -> Save:
    """Save tensors as a torch_dist checkpoint and open it."""
    from torch.distributed.checkpoint import FileSystemWriter
    from torch.distributed.checkpoint import save as save_checkpoint

    def write(state: dict[str, torch.Tensor]) -> CheckpointReader:
        save_checkpoint(dict(state), storage_writer=FileSystemWriter(tmp_path / "weights"), no_dist=True)
        return CheckpointReader(tmp_path)

    return write


def reference(shape: ModelShape, names: dict[str, str]) -> dict[str, torch.Tensor]:
    """What `hf_tensors` should give, row by row: Hugging Face's head h reads the keys of group h // (heads a group)."""
    state = state_dict(shape, names, stacked=False)
    size, heads, groups = shape.kv_channels, shape.num_attention_heads, shape.num_query_groups
    heads_per_group = heads // groups
    expected = {
        "model.embed_tokens.weight": state["module.embedding.word_embeddings.weight"][: shape.vocab_rows],
        "model.norm.weight": state["module.decoder.final_layernorm.weight"],
    }
    if not shape.tied:
        expected["lm_head.weight"] = state["module.output_layer.weight"][: shape.vocab_rows]
    for number, layer in enumerate(layer_weights(shape, names)):
        fused = layer["self_attention.linear_qkv.weight"]
        query = torch.zeros(heads * size, shape.hidden_size)
        key = torch.zeros(groups * size, shape.hidden_size)
        value = torch.zeros(groups * size, shape.hidden_size)
        row = 0
        for group in range(groups):
            for head in range(group * heads_per_group, (group + 1) * heads_per_group):
                for channel in range(size):
                    query[head * size + channel] = fused[row]
                    row += 1
            for target in (key, value):
                for channel in range(size):
                    target[group * size + channel] = fused[row]
                    row += 1
        assert row == len(fused)
        up_from = shape.ffn_hidden_size
        expected |= {
            f"model.layers.{number}.{name}": tensor
            for name, tensor in {
                "input_layernorm.weight": layer[names["input_norm"]],
                "self_attn.q_proj.weight": query,
                "self_attn.k_proj.weight": key,
                "self_attn.v_proj.weight": value,
                "self_attn.o_proj.weight": layer["self_attention.linear_proj.weight"],
                "post_attention_layernorm.weight": layer[names["mlp_norm"]],
                "mlp.gate_proj.weight": layer["mlp.linear_fc1.weight"][:up_from],
                "mlp.up_proj.weight": layer["mlp.linear_fc1.weight"][up_from:],
                "mlp.down_proj.weight": layer["mlp.linear_fc2.weight"],
            }.items()
        }
    return expected


@pytest.mark.parametrize("stacked", [True, False], ids=["stacked", "per layer"])
@pytest.mark.parametrize("names", NAMES)
@pytest.mark.parametrize("kind", SHAPES)
def test_every_tensor_is_the_references(kind: str, names: str, stacked: bool, save: Save) -> None:
    shape = make_shape(**SHAPES[kind])
    reader = save(state_dict(shape, NAMES[names], stacked=stacked))
    expected = reference(shape, NAMES[names])
    found = list(hf_tensors(shape, reader.read))
    assert len(found) == len(expected)
    for name, tensor in found:
        assert torch.equal(tensor, expected[name]), name


@pytest.mark.parametrize("kind", SHAPES)
def test_names_and_sizes_are_those_of_transformers(kind: str, save: Save) -> None:
    from transformers import LlamaConfig, LlamaForCausalLM

    shape = make_shape(**SHAPES[kind])
    with torch.device("meta"):
        model = LlamaForCausalLM(LlamaConfig(**shape.hf_config()))
    wanted = {name: tensor.shape for name, tensor in model.state_dict().items()}
    if shape.tied:
        del wanted["lm_head.weight"]
    reader = save(state_dict(shape, LOCAL, stacked=True))
    assert {name: tensor.shape for name, tensor in hf_tensors(shape, reader.read)} == wanted


def test_the_dtype_is_kept(save: Save) -> None:
    state = {name: tensor.bfloat16() for name, tensor in state_dict(make_shape(), LOCAL, stacked=True).items()}
    assert {tensor.dtype for _, tensor in hf_tensors(make_shape(), save(state).read)} == {torch.bfloat16}


def test_one_layer_is_read_at_a_time() -> None:
    shape, asked = make_shape(), []

    def read(part: Part) -> torch.Tensor:
        asked.append(part.layer)
        return torch.zeros(part.size)

    for name, _ in hf_tensors(shape, read):
        if name.startswith("model.layers."):
            assert asked[-1] == int(name.split(".")[2])


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("module.embedding.word_embeddings.weight", "no tensor embedding.word_embeddings.weight;"),
        ("module.output_layer.weight", "no tensor output_layer.weight;"),
        ("module.decoder.layers.1.mlp.linear_fc2.weight", "no tensor mlp.linear_fc2.weight of layer 1;"),
        (
            "module.decoder.layers.2.input_layernorm.weight",
            "no tensor self_attention.linear_qkv.layer_norm_weight or input_layernorm.weight of layer 2;",
        ),
    ],
)
def test_a_missing_tensor_is_named(missing: str, message: str, save: Save) -> None:
    shape = make_shape()
    state = state_dict(shape, LOCAL, stacked=False)
    del state[missing]
    with pytest.raises(BadInput, match=message):
        list(hf_tensors(shape, save(state).read))


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"vocab_rows": 17}, r"has 16 vocabulary rows, the model's config 17"),
        ({"hidden_size": 12}, r"word_embeddings\.weight is of size \(16, 8\), the model's config makes it \(16, 12\)"),
        ({"num_layers": 4}, r"is of size \(3, 8\), the model's config makes it \(8,\) a layer"),
        (
            {"ffn_hidden_size": 11},
            r"fc1\.weight is of size \(3, 20, 8\), the model's config makes it \(22, 8\) a layer",
        ),
    ],
)
def test_sizes_are_held_against_the_config(given: dict[str, int], message: str, save: Save) -> None:
    """Before memory is taken for them."""
    reader = save(state_dict(make_shape(), LOCAL, stacked=True))
    with pytest.raises(BadInput, match=message):
        list(hf_tensors(make_shape(**given), reader.read))


def test_a_fused_matrix_of_another_size_is_not_split() -> None:
    with pytest.raises(RuntimeError, match="shape"):
        split_qkv(make_shape(), torch.zeros(15, 8))
