"""What an import reads is checked first: whatever does not fit ends with the file, both sides and the way out."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.hf_weights import INDEX, SINGLE
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import read_hf_shape
from tests.conversion.hf_models import FAMILIES, KINDS, save_model


@pytest.mark.parametrize("shards", ["5GB", "20KB"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_tensor_is_read_as_it_was_saved(kind: str, shards: str, tmp_path: Path) -> None:
    source = HfFolder(save_model(tmp_path, shards=shards, **KINDS[kind]))
    assert source.shape == read_hf_shape(tmp_path) and source.dtypes == {"float32"}
    assert (len(source.files) > 2) == (tmp_path / INDEX).is_file() == (shards == "20KB")
    saved = {name: tensor for path in source.files for name, tensor in load_file(path).items()}
    assert saved and all(torch.equal(source.read(name), tensor) for name, tensor in saved.items())


Tensors = dict[str, torch.Tensor]


def changed(folder: Path, change: Callable[[Tensors], object]) -> Path:
    tensors = load_file(folder / SINGLE)
    change(tensors)
    save_file(tensors, folder / SINGLE)
    return folder


def configured(folder: Path, **more: Any) -> Path:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | more))
    return folder


def test_old_rotary_buffers_are_passed_over(tmp_path: Path) -> None:
    buffer = {"model.layers.0.self_attn.rotary_emb.inv_freq": torch.ones(6)}
    HfFolder(changed(save_model(tmp_path), lambda tensors: tensors.update(buffer)))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda t: t.pop("model.norm.weight"), r"model\.norm\.weight missing, of the tensors that .*config\.json asks"),
        (lambda t: t.pop("lm_head.weight"), "no lm_head.weight, but .* says tie_word_embeddings=false; set it to true"),
        (
            lambda t: t.update({"model.layers.0.self_attn.q_proj.bias": torch.ones(48)}),
            r"q_proj\.bias in it, which a Llama as in .* does not have; it is of another architecture",
        ),
        (
            lambda t: t.update({"model.layers.0.self_attn.q_norm.weight": torch.ones(12)}),
            r"q_norm\.weight in it, which a Llama as in .* does not have",
        ),
        (
            lambda t: t.update({"model.layers.0.mlp.up_proj.weight": torch.ones(80, 48).to(torch.float8_e4m3fn)}),
            r"up_proj\.weight is of type F8_E4M3; only F32, BF16, F16 are known.* before quantisation",
        ),
        (
            lambda t: t.update({"model.embed_tokens.weight": torch.ones(204, 48)}),
            r"model\.embed_tokens\.weight is 204 × 48, .*config\.json makes it 203 × 48",
        ),
        (
            lambda t: t.update({"model.norm.weight": torch.ones(48, dtype=torch.int8)}),
            r"model\.norm\.weight is of type I8; only F32, BF16, F16 are known.* before quantisation",
        ),
    ],
)
def test_tensors_that_do_not_fit_are_named(change: Callable[[Tensors], object], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        HfFolder(changed(save_model(tmp_path), change))


@pytest.mark.parametrize("kind", FAMILIES)
def test_a_tensor_that_is_missing_is_named_whatever_the_family(kind: str, tmp_path: Path) -> None:
    """Each of the last layer's in turn."""
    folder = save_model(tmp_path, **KINDS[kind])
    tensors = load_file(folder / SINGLE)
    for name in [name for name in tensors if name.startswith("model.layers.2.")]:
        save_file({other: tensor for other, tensor in tensors.items() if other != name}, folder / SINGLE)
        with pytest.raises(BadInput, match=rf"{re.escape(name)} missing, of the tensors that"):
            HfFolder(folder)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ({"model_type": "qwen2"}, "self_attn.q_proj.bias, .* missing"),
        ({"num_hidden_layers": 4}, r"model\.layers\.3\.input_layernorm\.weight.* and 6 more missing"),
        ({"num_hidden_layers": 2}, r"model\.layers\.2\..* and 6 more in it"),
        ({"intermediate_size": 81}, r"gate_proj\.weight is 80 × 48, .*config\.json makes it 81 × 48"),
        ({"rope_scaling": {"rope_type": "yarn"}}, "RoPE scaling of type 'yarn'"),
    ],
)
def test_a_config_of_another_model_is_named(more: dict[str, Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=message):
        HfFolder(configured(save_model(tmp_path), **more))


def test_a_tied_output_layer_may_be_there_if_it_is_the_embedding(tmp_path: Path) -> None:
    save_model(tmp_path, tie_word_embeddings=True)
    changed(tmp_path, lambda tensors: tensors.update({"lm_head.weight": tensors["model.embed_tokens.weight"].clone()}))
    assert HfFolder(tmp_path).shape.tied
    changed(tmp_path, lambda tensors: tensors["lm_head.weight"].mul_(2))
    with pytest.raises(BadInput, match=r"tie_word_embeddings=true, but lm_head\.weight differs"):
        HfFolder(tmp_path)


def test_pickles_are_refused_with_the_way_out(tmp_path: Path) -> None:
    save_model(tmp_path)
    (tmp_path / SINGLE).unlink()
    with pytest.raises(BadInput, match=r"no weights in it; expected model\.safetensors"):
        HfFolder(tmp_path)
    (tmp_path / "pytorch_model.bin").write_bytes(b"cos\nsystem\n(S'touch ran'\ntR.")
    with pytest.raises(BadInput, match=r"pytorch_model\.bin, pickles that run .*save_pretrained\(NEW_FOLDER\)"):
        HfFolder(tmp_path)


def test_a_missing_shard_and_a_bad_index_are_named(tmp_path: Path) -> None:
    save_model(tmp_path, shards="20KB")
    names = sorted(path.name for path in tmp_path.glob("*.safetensors"))
    kept = (tmp_path / names[1]).read_bytes()
    (tmp_path / names[1]).unlink()
    with pytest.raises(BadInput, match=rf"{names[1]} of {len(names)} shards missing"):
        HfFolder(tmp_path)
    (tmp_path / names[1]).write_bytes(kept[:-10])
    with pytest.raises(BadInput, match=rf"{names[1]}: damaged, or not safetensors"):
        HfFolder(tmp_path)
    for content in ("[]", "{}", '{"weight_map": {}}', '{"weight_map": {"a": 1}}'):
        (tmp_path / INDEX).write_text(content)
        with pytest.raises(BadInput, match="no weight_map from tensors to files"):
            HfFolder(tmp_path)


@pytest.mark.parametrize(
    "name", ["../model.safetensors", "/etc/passwd", "a/b.safetensors", "..", "", "pytorch_model.bin"]
)
def test_an_index_that_points_outside_is_refused(name: str, tmp_path: Path) -> None:
    save_model(tmp_path / "model")
    (tmp_path / "model" / SINGLE).rename(tmp_path / SINGLE)
    (tmp_path / "model" / INDEX).write_text(json.dumps({"weight_map": {"model.norm.weight": name}}))
    with pytest.raises(
        BadInput, match="which is not the name of a safetensors file in the folder; nothing else is read"
    ):
        HfFolder(tmp_path / "model")


def header(entries: Any) -> bytes:
    text = json.dumps(entries).encode()
    return struct.pack("<Q", len(text)) + text


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"\x80\x04cos\nsystem\n",
        struct.pack("<Q", 10 << 40) + b"{}",
        header({"model.norm.weight": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 1 << 42]}}),
        header({"model.norm.weight": {"dtype": "F32", "shape": [4], "data_offsets": [-16, 0]}}),
        header({"model.norm.weight": {"dtype": "F32", "shape": [4], "data_offsets": [1 << 20, (1 << 20) + 16]}}),
        header({"model.norm.weight": {"dtype": "F32", "shape": [4], "data_offsets": [0, 8]}}) + bytes(8),
        header([1, 2]),
    ],
    ids=["empty", "pickle", "header of 10 TB", "tensor of 4 TB", "negative", "beyond", "short", "list"],
)
def test_hostile_safetensors_are_refused(content: bytes, tmp_path: Path) -> None:
    (save_model(tmp_path) / SINGLE).write_bytes(content)
    with pytest.raises(BadInput, match=r"model\.safetensors: damaged, or not safetensors"):
        HfFolder(tmp_path)


def test_code_of_the_folder_is_never_loaded(tmp_path: Path) -> None:
    configured(save_model(tmp_path), auto_map={"AutoModelForCausalLM": "evil.Model"})
    (tmp_path / "evil.py").write_text("raise SystemExit('ran')")
    assert HfFolder(tmp_path).shape.num_layers == 3
