"""Whether models can be mixed: the same tensors, sizes, architecture and tokenizer. Looks at headers and JSON alone."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.hf_tokenizer import with_class_rules
from nemo_kcpt.checkpoints.hf_weights import HfWeights, by, some
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json
from nemo_kcpt.hf.load import NO_RULES, load_config, read_object
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.hf.v4_config import SILENT, known_keys, rope

TIED, VOCABULARY, HEAD = "tie_word_embeddings", "vocab_size", "lm_head.weight"
ROPE = re.compile(r".*rope.*|.*rotary.*|.*max_position_embeddings|partial_rotary_factor|layer_types_rope")
"""Keys of a config that say where a token is; they may differ if one side is chosen."""
TRAINING = re.compile(
    r".*dropout.*|initializer.*|.*_std|pretraining_tp|.*loss_coef|output_router_logits|id2label|label2id|return_dict|"
    r"torchscript|chunk_size_feed_forward|gradient_checkpointing|problem_type|task_specific_params|tokenizer_class"
)
"""Keys that matter to a training or a task, and to no logit."""


class Model(HfWeights):
    """A model that is to be mixed.

    Args:
        role: the key that named it, as "a" or "minus".
        folder: Hugging Face folder.

    Raises:
        BadInput: see :class:`HfWeights`; no `config.json`, or quantised weights.
    """

    def __init__(self, role: str, folder: Path) -> None:
        path = folder / "config.json"
        if not path.is_file():
            raise BadInput(f"{role}: {path}: missing; a Hugging Face model folder is needed")
        self.role, self.config = role, read_object(path)
        if self.config.get("quantization_config"):
            method = self.config["quantization_config"].get("quant_method", "some method")
            raise BadInput(
                f"{role}: {path}: its weights are quantised ({method}), and quantised weights cannot be mixed; take "
                "the model as it was before"
            )
        super().__init__(folder)
        self._comparable = _comparable(folder, self.config)

    @property
    def positions(self) -> dict[str, Any]:
        """RoPE base, scaling and positions, in words of transformers 4."""
        settings = {key: value for key, value in self._comparable.items() if ROPE.fullmatch(key)}
        if not any(
            isinstance(parameters, Mapping) for parameters in (self.config.get("rope_parameters") or {}).values()
        ):
            base, scaling = rope(self.config, f"{self.folder}/config.json")
            settings = {key: value for key, value in settings.items() if key not in ("rope_parameters", "rope_scaling")}
            settings |= {"rope_scaling": scaling} | ({"rope_theta": base} if base is not None else {})
        return settings

    @property
    def architecture(self) -> dict[str, Any]:
        """What else shapes logits."""
        return {key: value for key, value in self._comparable.items() if not ROPE.fullmatch(key)}


def _comparable(folder: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """A config with the defaults of its class, where transformers knows it, without what shapes no logit."""
    try:
        full = load_config(folder)
    except BadInput:  # a model type that transformers 4.57 does not know: what both files say is compared
        settings = dict(config)
    else:
        known = known_keys(type(full))
        settings = {key: value for key, value in full.to_dict().items() if key in known}
    return {
        key: value
        for key, value in settings.items()
        if not SILENT.match(key) and not TRAINING.fullmatch(key) and key not in NO_RULES and key != "model_type"
    } | {"model_type": config.get("model_type")}


def shared_tensors(models: Sequence[Model]) -> list[str]:
    """Names of the tensors that all have, in the first one's order.

    Raises:
        BadInput: one lacks a tensor, or has it in another size.
    """
    first = models[0]
    tied = all(_tied(model) for model in models)
    for other in models[1:]:
        for here, there in ((first, other), (other, first)):
            missing = [name for name in there.places if name not in here.places and not (tied and name == HEAD)]
            if missing:
                raise BadInput(
                    f"{here.role}: {here.folder}: {some(missing)} missing, which {there.folder} has; only models of "
                    "one architecture can be mixed"
                )
        for name in first.places:
            if name in other.places and first.sizes[name] != other.sizes[name]:
                raise BadInput(
                    f"{other.role}: {other.places[name]}: {name} is {by(other.sizes[name])}, in {first.folder} it is "
                    f"{by(first.sizes[name])}; models of one shape and vocabulary are needed"
                )
    return [name for name in first.places if all(name in model.places for model in models)]


def _tied(model: Model) -> bool:
    return bool(model.architecture.get(TIED, False))


def _check_tied(models: Sequence[Model]) -> None:
    for other in models[1:]:
        if _tied(other) != _tied(models[0]):
            tied, untied = (other, models[0]) if _tied(other) else (models[0], other)
            raise BadInput(
                f"{other.role}: {other.folder}: the output layer of {untied.folder} is a tensor of its own, that of "
                f"{tied.folder} is the embedding ({TIED}=true); such models cannot be mixed"
            )


def check_configs(models: Sequence[Model], chosen: str) -> dict[str, Any]:
    """Compare what shapes logits; the `config.json` for the mixture.

    Args:
        models: the first one's config is taken.
        chosen: role of the model whose RoPE and positions are taken where they differ; empty: they must not.

    Raises:
        BadInput: they differ in architecture or vocabulary, an embedding serves as output layer in one alone, or RoPE
            differs and nothing was chosen.
    """
    first = models[0]
    _check_tied(models)
    for other in models[1:]:
        _compare(first, other, first.architecture, other.architecture, "only models of one architecture can be mixed")
        if not chosen:
            roles = " or ".join(dict.fromkeys(model.role for model in models))
            way = f"say whose is taken by rope= ({roles}), or mix models that were trained alike"
            _compare(first, other, first.positions, other.positions, way)
    taken = next((model for model in models if model.role == chosen), None)
    if chosen and taken is None:
        raise BadInput(f"rope: '{chosen}' is not one of {', '.join(dict.fromkeys(model.role for model in models))}")
    config = {key: value for key, value in first.config.items() if key != "auto_map"}  # its code is not copied
    if taken is None or taken.positions == first.positions:
        return config
    config = {key: value for key, value in config.items() if not ROPE.fullmatch(key)}
    return config | {key: value for key, value in taken.config.items() if ROPE.fullmatch(key)}


def _compare(a: Model, b: Model, ours: Mapping[str, Any], theirs: Mapping[str, Any], way: str) -> None:
    both = sorted({*ours, *theirs}) if a.config.get("model_type") == b.config.get("model_type") else ["model_type"]
    differing = [key for key in both if key in ours and key in theirs and ours[key] != theirs[key]]
    if differing:
        values = ", ".join(f"{key}: {theirs[key]!r}, not {ours[key]!r}" for key in differing[:4])
        raise BadInput(f"{b.role}: {b.folder}/config.json: differs from {a.folder}/config.json in {values}; {way}")


def _rules(folder: Path) -> dict[str, Any]:
    """What a tokenizer does, in the library's own words, whatever version wrote the file."""
    from tokenizers import Tokenizer

    rules = with_class_rules(read_json(folder / "tokenizer.json"), PackTokenizer(folder))
    canonical: dict[str, Any] = json.loads(Tokenizer.from_str(json.dumps(rules)).to_str())
    return {key: value for key, value in canonical.items() if key not in ("version", "truncation", "padding")}


def check_tokenizers(models: Sequence[Model]) -> list[Model]:
    """Models with a tokenizer; all are the same.

    Raises:
        BadInput: two differ.
    """
    having = [model for model in models if (model.folder / "tokenizer.json").is_file()]
    rules = [_rules(model.folder) for model in having[:1]]
    for other in having[1:]:
        theirs = _rules(other.folder)
        if differing := [key for key in {**rules[0], **theirs} if rules[0].get(key) != theirs.get(key)]:
            raise BadInput(
                f"{other.role}: {other.folder}/tokenizer.json: differs from {having[0].folder}/tokenizer.json in "
                f"{', '.join(differing)}; a token's embedding in one is another token's in the other. Only models with "
                "one tokenizer can be mixed"
            )
    return having
