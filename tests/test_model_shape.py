"""The sizes of known models, and `config.json` read and written."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import RopeScaling, read_hf_shape, shape_from_hf

# "Embedding parameters" and "Non-embedding parameters" of the model cards of llm-jp/llm-jp-3-*.
CARDS = {
    "llm-jp-3-1.8b": (407_896_064, 1_459_718_144),
    "llm-jp-3-3.7b": (611_844_096, 3_171_068_928),
    "llm-jp-3-7.2b": (815_792_128, 6_476_271_616),
    "llm-jp-3-13b": (1_019_740_160, 12_688_184_320),
}
LLAMA_31: dict[str, Any] = {
    "rope_type": "llama3",
    "factor": 8.0,
    "low_freq_factor": 1.0,
    "high_freq_factor": 4.0,
    "original_max_position_embeddings": 8192,
}


@pytest.mark.parametrize("name", CARDS)
def test_parameters_are_those_of_the_model_card(name: str) -> None:
    """The card of one size and all others agree only if every number of the shape is right."""
    embedding, others = CARDS[name]
    assert KNOWN[name].parameters(embeddings=False) == others
    # The cards count the embeddings that the tokenizer's 99,584 rows have, one matrix in and one out.
    assert KNOWN[name].parameters() == embedding + others
    assert KNOWN[name].hidden_size == KNOWN[name].num_attention_heads * KNOWN[name].kv_channels


def test_llm_jp_4_has_the_parameters_of_its_card() -> None:
    """The card of llm-jp/llm-jp-4-8b-base counts the output layer among those that are no embeddings."""
    shape = KNOWN["llm-jp-4-8b"]
    assert shape.vocab_rows * shape.hidden_size == 805_306_368
    assert shape.parameters() == 805_306_368 + 7_784_894_464 == 8_590_200_832


def test_the_mixture_of_experts_has_the_parameters_of_its_card() -> None:
    """The card of llm-jp/llm-jp-4-32b-a3b-base counts the output layer among those that are no embeddings, and both
    among those that a token activates."""
    shape = KNOWN["llm-jp-4-32b-a3b"]
    embedding = shape.vocab_rows * shape.hidden_size
    assert embedding == 503_316_480
    assert shape.parameters() - embedding == shape.parameters(embeddings=False) + embedding == 31_635_712_512
    assert shape.parameters() == 32_139_028_992
    assert shape.activated() == 3_827_476_992


def test_without_experts_a_token_meets_all_weights() -> None:
    assert KNOWN["llm-jp-4-8b"].activated() == KNOWN["llm-jp-4-8b"].parameters()


def test_smollm2_has_its_135_million_parameters() -> None:
    assert KNOWN["smollm2-135m"].parameters() == 134_515_008


@pytest.mark.parametrize("name", KNOWN)
def test_what_is_written_is_read_again(name: str, tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps(KNOWN[name].hf_config()))
    assert read_hf_shape(tmp_path) == KNOWN[name]


def test_llama_3_scaling_is_kept_in_the_words_of_transformers_4_and_5() -> None:
    given = {**KNOWN["llm-jp-3-13b"].hf_config(), "rope_theta": 500000.0, "rope_scaling": LLAMA_31}
    shape = shape_from_hf(given)
    assert shape.rope_scaling == RopeScaling(
        factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0, original_positions=8192
    )
    assert shape.hf_config()["rope_scaling"] == LLAMA_31
    five = {key: value for key, value in given.items() if key not in ("rope_theta", "rope_scaling")}
    assert shape_from_hf({**five, "rope_parameters": {**LLAMA_31, "rope_theta": 500000.0}}) == shape
    assert shape_from_hf({**five, "rope_parameters": {"rope_type": "default", "rope_theta": 1e4}}).rope_scaling is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"model_type": "gpt_neox"}, "model_type is 'gpt_neox'.*know gemma2, llama, mistral, qwen2, qwen3, qwen3_moe"),
        ({"attention_bias": True}, "attention_bias is True"),
        ({"hidden_act": "gelu"}, "hidden_act is 'gelu'"),
        ({"rope_scaling": {"rope_type": "yarn", "factor": 2}}, "RoPE scaling of type 'yarn'"),
        ({"num_hidden_layers": None}, "int"),
        ({"num_hidden_layers": float("inf")}, "infinity"),
        ({"num_attention_heads": 0, "head_dim": None}, "zero"),
    ],
)
def test_another_architecture_is_refused_by_name(change: dict[str, Any], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        shape_from_hf({**KNOWN["llm-jp-3-13b"].hf_config(), **change}, "model/config.json")


def test_a_missing_key_and_a_missing_file_are_named(tmp_path: Path) -> None:
    config = KNOWN["llm-jp-3-13b"].hf_config()
    del config["intermediate_size"]
    with pytest.raises(BadInput, match="'intermediate_size'"):
        shape_from_hf(config)
    with pytest.raises(BadInput, match=r"config\.json: missing"):
        read_hf_shape(tmp_path)


def test_differences_name_both_sides() -> None:
    assert KNOWN["llm-jp-3-13b"].differences(replace(KNOWN["llm-jp-3-13b"], positions=16384)) == []
    found = KNOWN["llm-jp-3-1.8b"].differences(KNOWN["llm-jp-3-3.7b"])
    assert "hidden_size 2048 against 3072" in found and "num_layers 24 against 28" in found


def test_another_choice_of_experts_is_another_model_and_another_router_loss_is_not() -> None:
    shape = KNOWN["llm-jp-4-32b-a3b"]
    assert shape.differences(replace(shape, moe_aux_loss_coeff=0.0)) == []
    for name, value in {"num_moe_experts": 64, "moe_router_topk": 4, "moe_router_pre_softmax": True}.items():
        (found,) = shape.differences(replace(shape, **{name: value}))
        assert found == f"{name} {getattr(shape, name)} against {value}"
