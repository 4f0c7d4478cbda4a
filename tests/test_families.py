"""Descriptions of families, held against transformers' own classes; docs/models.md, which is drawn from them.

`.venv/bin/python tests/test_families.py --write` draws its tables again.
"""

from __future__ import annotations

import inspect
import re
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families import Family, families
from nemo_kcpt.hf.model_shape import IGNORED, READ, shape_from_hf
from nemo_kcpt.planning.catalogue import FINETUNE, RECIPES
from tests.conversion.hf_models import KINDS, MOE, SIZES

ROOT = Path(__file__).resolve().parent.parent
PAGE = ROOT / "docs" / "models.md"
WRITE_AGAIN = "`.venv/bin/python tests/test_families.py --write` draws the tables again"
REGISTRY = "vllm/model_executor/models/registry.py"
NEEDED = frozenset(READ - {"num_key_value_heads", "head_dim", "tie_word_embeddings", "partial_rotary_factor"})
"""Keys that a config must have, or whose lack means the same in every family."""
every_family = pytest.mark.parametrize("family", families().values(), ids=str)


class Asked(dict[str, Any]):
    """A config that keeps which keys it was asked for."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.keys_asked: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        self.keys_asked.add(key)
        return super().__getitem__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self.keys_asked.add(key)
        return super().get(key, default)


def parameters(family: Family) -> dict[str, Any]:
    """The keys of transformers' config class and what it takes where they are missing."""
    from transformers import CONFIG_MAPPING

    signature = inspect.signature(CONFIG_MAPPING[family.name].__init__)
    return {name: one.default for name, one in signature.parameters.items() if name not in ("self", "kwargs")}


@every_family
def test_no_key_of_transformers_is_passed_over(family: Family) -> None:
    """Each is read, has one value that is known, or is said to change nothing."""
    switched_on = {key: True for key, value in family.defaults.items() if value is False}
    asked = Asked({**family.defaults, **switched_on, "num_hidden_layers": 2})
    family.read(asked, "config.json")
    known = READ | IGNORED | family.ignored | set(family.fixed) | asked.keys_asked
    assert set(parameters(family)) - known == set()
    assert set(family.fixed) | set(family.defaults) <= set(parameters(family)) | READ


@every_family
def test_what_is_missing_is_what_transformers_takes(family: Family) -> None:
    theirs = parameters(family)
    neutral = {
        "num_key_value_heads": None,
        "head_dim": None,
        "tie_word_embeddings": False,
        "partial_rotary_factor": 1.0,
    }
    for key in {*family.defaults, *(READ - NEEDED)} & set(theirs):
        assert family.defaults.get(key, neutral.get(key)) == theirs[key], key
    for key, value in family.fixed.items():
        assert theirs[key] == value, key


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read_again_by_us_and_by_transformers(kind: str) -> None:
    from transformers import CONFIG_MAPPING

    sizes = SIZES | KINDS[kind]
    shape = shape_from_hf(sizes)
    assert shape_from_hf(shape.hf_config()) == shape
    theirs = CONFIG_MAPPING[shape.family.name].from_dict(shape.hf_config())
    assert shape_from_hf({**theirs.to_dict(), "model_type": shape.family.name}) == shape
    for key, value in sizes.items():
        assert getattr(theirs, key) == value or key in ("max_window_layers", "rope_scaling"), key


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_5_says_the_same_in_other_words(kind: str) -> None:
    shape = shape_from_hf(SIZES | KINDS[kind])
    given = shape.hf_config()
    rope = {"rope_type": "default", **(given.pop("rope_scaling") or {}), "rope_theta": given.pop("rope_theta")}
    layers = ["sliding_attention" if shape.sliding_window else "full_attention"] * shape.num_layers
    if "window_attn_skip_freq" in shape.family.flags:
        layers[1::2] = ["full_attention"] * len(layers[1::2])
    kinds = {} if shape.family.name == "llama" else {"layer_types": layers}
    assert shape_from_hf({**given, **kinds, "rope_parameters": rope}) == shape


WINDOW = {"use_sliding_window": True, "sliding_window": 8}
BAD: dict[str, tuple[dict[str, Any], str]] = {
    "another family": ({"model_type": "gpt_neox"}, "model_type is 'gpt_neox'; .*know .*llama, mistral.*docs/models.md"),
    "none": ({"model_type": None}, "model_type is 'None'"),
    "FP8": ({"quantization_config": {"quant_method": "fp8"}}, r"quantised \(quantization_config, method 'fp8'\)"),
    "AWQ": ({"quantization_config": {"quant_method": "awq", "bits": 4}}, "method 'awq'.*without FP8, AWQ, GPTQ"),
    "GPTQ": ({"quantization_config": {"quant_method": "gptq"}}, "method 'gptq'"),
    "bitsandbytes": ({"quantization_config": {"quant_method": "bitsandbytes"}}, "method 'bitsandbytes'"),
    "a nameless method": ({"quantization_config": "int4"}, "method 'unknown'"),
    "biases of a Llama": ({"attention_bias": True}, "attention_bias is True; of a Llama only False is known"),
    "biases in its MLP": ({"mlp_bias": True}, "mlp_bias is True"),
    "biases of a Qwen3": ({"model_type": "qwen3", "attention_bias": True}, "of a Qwen3 only False is known"),
    "activation": ({"model_type": "mistral", "hidden_act": "gelu"}, "hidden_act is 'gelu'; of a Mistral only 'silu'"),
    "YaRN": ({"model_type": "qwen2", "rope_scaling": {"type": "yarn", "factor": 4.0}}, "RoPE scaling of type 'yarn'"),
    "linear": ({"rope_scaling": {"rope_type": "linear", "factor": 4.0}}, "RoPE scaling of type 'linear'"),
    "a part of the head": ({"partial_rotary_factor": 0.5}, "partial_rotary_factor is 0.5"),
    "the same in 5": (
        {"rope_theta": None, "rope_parameters": {"rope_theta": 1e4, "partial_rotary_factor": 0.25}},
        "partial_rotary_factor is 0.25",
    ),
    "windows of some layers": (
        {"model_type": "qwen2", "max_window_layers": 1, **WINDOW},
        "2 of 3 layers see a sliding window and the others everything.*set use_sliding_window to false",
    ),
    "the same in 5's words": (
        {"model_type": "qwen3", "layer_types": ["full_attention", "sliding_attention", "full_attention"]},
        "1 of 3 layers",
    ),
    "chunks": (
        {"model_type": "mistral", "layer_types": ["chunked_attention"] * 3},
        "layer_types has chunked_attention; only full_attention and sliding_attention",
    ),
    "too few kinds": (
        {"model_type": "qwen3", "layer_types": ["full_attention"]},
        "the kinds of 3 layers were expected",
    ),
    "a Gemma with other caps": (
        {"model_type": "gemma2", "attn_logit_softcapping": None},
        "attn_logit_softcapping is None; of a Gemma 2 only 50.0 is known",
    ),
    "a Gemma with other windows": (
        {"model_type": "gemma2", "layer_types": ["full_attention"] * 3},
        "layer_types is not sliding_attention and full_attention in turn",
    ),
    "a Gemma without windows": ({"model_type": "gemma2", "sliding_window": None}, "sliding_window is None"),
    "no window": ({"model_type": "mistral", "sliding_window": 0}, "sliding_window is 0; a number of tokens"),
    "no number": ({"model_type": "mistral", "sliding_window": "4k"}, "sliding_window is '4k'"),
    "dense layers between experts": ({**MOE, "decoder_sparse_step": 2}, "decoder_sparse_step is 2.*only 1 is known"),
    "dense layers by number": ({**MOE, "mlp_only_layers": [0]}, r"mlp_only_layers is \[0\]; only experts in every"),
    "more experts than there are": ({**MOE, "num_experts_per_tok": 7}, "num_experts_per_tok is 7 of num_experts 6"),
    "no experts": ({**MOE, "num_experts": 0}, "num_experts_per_tok is 2 of num_experts 0"),
    "a router that cannot learn": ({**MOE, "num_experts_per_tok": 1}, "every weight is 1 and no router learns"),
    "windows between experts": ({**MOE, **WINDOW}, "use_sliding_window is True; of a Qwen3 MoE only False"),
    "the same in 5's words, with experts": (
        {**MOE, "layer_types": ["sliding_attention"] * 3},
        "sliding_window is None",
    ),
    "a key missing": ({"model_type": "qwen2", "intermediate_size": None}, "int"),
}


@pytest.mark.parametrize("case", BAD)
def test_what_would_be_another_model_is_refused_by_name(case: str) -> None:
    change, message = BAD[case]
    with pytest.raises(BadInput, match=f"some/config.json: .*{message}"):
        shape_from_hf({**SIZES, **change}, "some/config.json")


def test_windows_that_no_layer_has_are_none() -> None:
    for more in ({"max_window_layers": 3, **WINDOW}, {"use_sliding_window": False}, {**WINDOW, "sliding_window": None}):
        assert shape_from_hf({**SIZES, "model_type": "qwen2", **more}).sliding_window is None
    assert shape_from_hf({**SIZES, "model_type": "mistral"}).sliding_window == 4096  # what transformers takes


def test_families_that_differ_are_a_difference_of_weights() -> None:
    shape = shape_from_hf(SIZES)
    other = replace(shape, family=families()["qwen2"], sliding_window=7)
    assert shape.differences(other) == ["family llama against qwen2"]


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |\n"


def _recipes(family: Family) -> str:
    """Those that take a folder, and the models that have recipes of their own."""
    named = sorted(
        {entry.model for entry in RECIPES.values() if (shape := entry.shape()) and shape.family == family} - {None}
    )
    general = [f"`{name}`" for name, entry in RECIPES.items() if entry.from_folder and entry.task != FINETUNE]
    return ", ".join([*general, *(["those of " + ", ".join(named)] if named else [])])


def families_table() -> str:
    """What works for each family."""
    text = _row(
        "family", "`model_type`", "models", "import", "export", "train", "vLLM", "recipe", "small models in the tests"
    )
    text += _row(*["---"] * 9)
    for family in families().values():
        kinds = [kind for kind, sizes in KINDS.items() if sizes.get("model_type", "llama") == family.name]
        does = ["yes"] * 3 + [f"`{family.architecture}`"]
        text += _row(family.title, f"`{family.name}`", family.models, *does, _recipes(family), "; ".join(kinds))
    return text


def weights_table() -> str:
    """Which of Megatron's tensors are made of which of Hugging Face's."""
    text = _row("family", "flags", "Megatron's tensor", "Hugging Face's") + _row(*["---"] * 4)
    llama = families()["llama"].layer
    for family in families().values():
        flags = ", ".join(f"`{name}={value}`" for name, value in family.flags.items()) or "none"
        own = [weight for weight in family.layer if family.name == "llama" or weight not in llama]
        for place, weight in enumerate(own or [None]):
            cells = (
                ("as Llama", "")
                if weight is None
                else (f"`{weight.names[0]}`", ", ".join(f"`{one}`" for one in weight.sources))
            )
            text += _row(*((family.title, flags) if place == 0 else ("", "")), *cells)
    return text


TABLES = {"families": families_table, "weights": weights_table}


def drawn(text: str) -> str:
    """The page with its tables drawn again."""
    for name, table in TABLES.items():
        marks = f"<!-- {name}:start -->\n", f"<!-- {name}:end -->"
        before, rest = text.split(marks[0])
        text = f"{before}{marks[0]}{table()}{marks[1]}{rest.split(marks[1])[1]}"
    return text


def test_the_page_shows_the_descriptions() -> None:
    text = PAGE.read_text(encoding="utf-8")
    assert drawn(text) == text, WRITE_AGAIN


def test_every_family_has_small_models_of_several_forms() -> None:
    for family in families().values():
        shapes = [shape_from_hf(SIZES | one) for one in KINDS.values() if one.get("model_type", "llama") == family.name]
        assert {shape.tied for shape in shapes} == {True, False}
        assert {shape.num_query_groups < shape.num_attention_heads for shape in shapes} >= {True}
        assert any(shape.hidden_size % 2 for shape in shapes)
        assert any(shape.query_size != shape.hidden_size for shape in shapes)


def test_vllm_has_the_class_of_each() -> None:
    registries = list((ROOT / ".venv-serve" / "lib").glob(f"python3*/site-packages/{REGISTRY}"))
    if not registries:
        pytest.skip("the serve environment is not installed")
    classes = set(re.findall(r'^ *"(\w+ForCausalLM)": \(', registries[0].read_text(), re.MULTILINE))
    assert {family.architecture for family in families().values()} <= classes


if __name__ == "__main__" and "--write" in sys.argv:
    PAGE.write_text(drawn(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
