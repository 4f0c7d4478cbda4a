"""Mixtures of experts in checkpoints: Megatron's layout, one expert in memory at a time, and none that is left out."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
import yaml

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader, read_shape
from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.checkpoints.mapping import Part, hf_tensors, megatron_parts
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.known_models import KNOWN
from tests.conversion.checkpoints import imported, model_yaml
from tests.conversion.hf_models import MOE, save_model

FC1, FC2 = (f"module.decoder.layers.mlp.experts.experts.linear_fc{number}.weight" for number in (1, 2))


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    return imported(save_model(tmp_path / "hf", **MOE), tmp_path / "checkpoint")


def test_layers_and_experts_are_stacked_as_megatron_has_them(checkpoint: Path, tmp_path: Path) -> None:
    reader, source = CheckpointReader(checkpoint), HfFolder(tmp_path / "hf")
    assert reader.size(FC1) == (3, 6, 2 * 28, 48) and reader.size(FC2) == (3, 6, 48, 28)
    gate, up = (source.read(f"model.layers.2.mlp.experts.4.{name}_proj.weight") for name in ("gate", "up"))
    assert torch.equal(reader.tensor(FC1)[2, 4], torch.cat([gate, up]))
    extra = {key for key in reader._metadata if "experts" in key and "_extra_state" in key}
    assert len(extra) == 2 * 3 * 6 and FC1.replace("weight", "_extra_state/shard_2.4_3.6") in extra
    assert not any("router" in key and "_extra_state" in key for key in reader._metadata)


def test_one_expert_is_read_at_a_time() -> None:
    """Of the 32 billion weights no tensor but the vocabulary's has more than 10 million."""
    largest = max((part for part in megatron_parts(KNOWN["llm-jp-4-32b-a3b"]) if part.layer is not None), key=_weights)
    assert _weights(largest) == (40 + 2 * 4) * 128 * 2560
    experts = {(part.layer, part.expert) for part in megatron_parts(KNOWN["llm-jp-4-32b-a3b"]) if part.experts}
    assert len(experts) == 32 * 128


def _weights(part: Part) -> int:
    return torch.Size(part.size).numel()


@pytest.mark.parametrize("experts", [5, 7])
def test_experts_that_the_config_does_not_have_are_no_small_matter(experts: int, checkpoint: Path) -> None:
    """Neither are the last ones left out nor others made up."""
    shape = replace(read_shape(checkpoint), num_moe_experts=experts, moe_router_topk=2)
    router = r"router\.weight is of size \(3, 6, 48\), the model's config makes it"
    with pytest.raises(BadInput, match=router):
        list(hf_tensors(shape, CheckpointReader(checkpoint).read))
    expert = next(part for part in megatron_parts(shape) if part.experts)
    with pytest.raises(BadInput, match=rf"linear_fc1\.weight is of size \(3, 6, 56, 48\).* has {experts} experts"):
        CheckpointReader(checkpoint).read(expert)


def test_a_checkpoint_without_experts_names_what_it_lacks(checkpoint: Path, tmp_path: Path) -> None:
    dense = imported(save_model(tmp_path / "dense", model_type="qwen3", head_dim=20), tmp_path / "other")
    expert = next(part for part in megatron_parts(read_shape(checkpoint)) if part.expert == 3)
    with pytest.raises(BadInput, match=r"no tensor mlp\.experts\.experts\.linear_fc1\.weight of expert 3 of layer 0;"):
        CheckpointReader(dense).read(expert)


def test_numbers_of_experts_that_no_model_has_are_refused(checkpoint: Path) -> None:
    """They come from anybody, and each would be listed."""
    shape, path = read_shape(checkpoint), checkpoint / "context/model.yaml"
    for field in ({"num_moe_experts": 10**6}, {"num_moe_experts": 0}, {"moe_router_topk": None}):
        path.write_text(yaml.safe_dump(model_yaml(shape, **field)))
        with pytest.raises(
            BadInput, match=r"experts in 3 layers; no model has that many|expected a whole|were expected"
        ):
            read_shape(checkpoint)
