"""Megatron checkpoint to Hugging Face folder: tensors are read and written one at a time, shard by shard."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.checkpoints.checkpoint import CheckpointReader
from nemo_kcpt.checkpoints.hf_tokenizer import special_ids, write_tokenizer
from nemo_kcpt.checkpoints.mapping import Part, Reader, hf_sizes, megatron_parts, split
from nemo_kcpt.checkpoints.origin import Origin
from nemo_kcpt.checkpoints.safetensors_file import TYPES, in_files, write_safetensors
from nemo_kcpt.files import write_json
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG

if TYPE_CHECKING:
    from torch import Tensor

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"


class Average:
    """Reads the mean of several checkpoints' tensors, in float32."""

    def __init__(self, readers: Sequence[CheckpointReader]) -> None:
        self._readers = readers

    def read(self, part: Part) -> Tensor:
        """A tensor of `part.size`; at most two are in memory."""
        total = self._readers[0].read(part).float()
        for reader in self._readers[1:]:
            total += reader.read(part)
        return total.div_(len(self._readers))


def shards(shape: ModelShape, dtype: str, largest: int) -> list[list[Part]]:
    """The model's tensors in the groups that go into a file each, of at most `largest` bytes if more than one."""
    return in_files(((part, math.prod(part.size) * TYPES[dtype][1]) for part in megatron_parts(shape)), largest)


def write_weights(
    read: Reader, shape: ModelShape, out: Path, dtype: str, largest: int, seen: Callable[[int], object] = lambda _: None
) -> list[Path]:
    """Write `model.safetensors`, or shards with an index; shards that are there are passed over.

    Args:
        read: gives Megatron's tensors.
        shape: the model.
        out: folder to write into; what is in it under these names must be of this model.
        dtype: of the tensors written, a key of `TYPES`.
        largest: bytes of a shard.
        seen: is called with the number of weights that each tensor had.

    Returns:
        The files.
    """
    sizes, groups = hf_sizes(shape), shards(shape, dtype, largest)

    def tensors(parts: list[Part]) -> Iterator[Tensor]:
        for part in parts:
            yield from split(shape, part, read(part))
            seen(math.prod(part.size))

    paths, places = [], {}
    for number, parts in enumerate(groups, start=1):
        name = SINGLE if len(groups) == 1 else f"model-{number:05d}-of-{len(groups):05d}.safetensors"
        own = {source: sizes[source] for part in parts for source in part.sources}
        places.update(dict.fromkeys(own, name))
        paths.append(out / name)
        if paths[-1].is_file():
            seen(sum(math.prod(part.size) for part in parts))
        else:
            write_safetensors(paths[-1], own, dtype, tensors(parts))
    if len(groups) > 1:
        total = shape.parameters() * TYPES[dtype][1]
        write_json(out / INDEX, {"metadata": {"total_size": total}, "weight_map": places})
        paths.append(out / INDEX)
    return paths


def _generation_config(base: dict[str, Any], ids: dict[str, int]) -> dict[str, Any]:
    """The base model's, with the tokenizer's ids: text ends at its end-of-sequence token, and at the base's too."""
    stops = base.get("eos_token_id", [])
    stops = [stop for stop in (stops if isinstance(stops, list) else [stops]) if isinstance(stop, int)]
    own = ids.get("eos_token_id")
    if own is not None and own not in stops:
        if stops:
            LOG.warning(
                "convert: the tokenizer's eos_token has id %d, the base model's generation config stops at %s; "
                "the exported one stops at each of them. Correct generation_config.json if one is wrong",
                own,
                stops,
            )
        stops = [own, *stops]
    eos = {} if not stops else {"eos_token_id": stops if len(stops) > 1 else stops[0]}
    return {**base, **ids, **eos}


def write_configs(shape: ModelShape, tokenizer: Path | None, origin: Origin, out: Path, dtype: str) -> list[Path]:
    """Write `config.json`, `generation_config.json` and the tokenizer's files, if there is a tokenizer."""
    ids = {} if tokenizer is None else special_ids(PackTokenizer(tokenizer))
    generation = _generation_config(origin.base.generation_config if origin.base else {}, ids)
    paths = [out / "config.json", out / "generation_config.json"]
    write_json(paths[0], {**shape.hf_config(), **ids, "torch_dtype": dtype, "use_cache": True})
    write_json(paths[1], generation)
    if tokenizer is None:
        return paths
    return paths + write_tokenizer_of(origin, tokenizer, out, shape.positions)


def write_tokenizer_of(origin: Origin, tokenizer: Path, out: Path, positions: int) -> list[Path]:
    """Write a tokenizer's files with the chat template and date of the training."""
    last = origin.conversations
    template = last.chat_template if last is not None and last.chat_template else ""
    day = last.template_date if last is not None and last.template_date else DATE
    return write_tokenizer(tokenizer, out, positions, template, day)
