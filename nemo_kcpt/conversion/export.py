"""Megatron checkpoint to Hugging Face folder: tensors are read one at a time and written in safetensors shards."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.conversion.checkpoint import CheckpointReader
from nemo_kcpt.conversion.llama_mapping import LlamaShape, hf_tensors
from nemo_kcpt.files import publish, read_json, write_json
from nemo_kcpt.packing.tokenise import TOKENIZER_FILES, PackTokenizer

if TYPE_CHECKING:
    from torch import Tensor

SHARD_BYTES = 4 << 30


def _shards(tensors: Iterator[tuple[str, Tensor]]) -> Iterator[dict[str, Tensor]]:
    shard: dict[str, Tensor] = {}
    size = 0
    for name, tensor in tensors:
        if shard and size + tensor.nbytes > SHARD_BYTES:
            yield shard
            shard, size = {}, 0
        shard[name] = tensor.contiguous().clone()
        size += tensor.nbytes
    yield shard


def write_weights(reader: CheckpointReader, shape: LlamaShape, out: Path) -> list[Path]:
    """Write `model.safetensors`, or shards with an index; at most one shard is in memory."""
    from safetensors.torch import save_file

    partial: list[tuple[Path, list[str], int]] = []
    for number, shard in enumerate(_shards(hf_tensors(shape, reader.read)), start=1):
        path = out / f".part-{number:05d}.safetensors"
        save_file(shard, path, metadata={"format": "pt"})
        partial.append((path, list(shard), sum(tensor.nbytes for tensor in shard.values())))
    if len(partial) == 1:
        return [publish(partial[0][0], out / "model.safetensors")]
    paths, weight_map = [], {}
    for number, (path, names, _) in enumerate(partial, start=1):
        final = f"model-{number:05d}-of-{len(partial):05d}.safetensors"
        paths.append(publish(path, out / final))
        weight_map.update(dict.fromkeys(names, final))
    index = out / "model.safetensors.index.json"
    write_json(index, {"metadata": {"total_size": sum(size for *_, size in partial)}, "weight_map": weight_map})
    return [*paths, index]


def write_model_config(shape: LlamaShape, out: Path, dtype: str, special: dict[str, Any]) -> Path:
    """Write `config.json`: the shape, the ids of special tokens, the weights' dtype."""
    path = out / "config.json"
    write_json(path, {**shape.hf_config(), **special, "torch_dtype": dtype, "use_cache": True})
    return path


def write_configs(shape: LlamaShape, tokenizer: Path, out: Path, dtype: str) -> list[Path]:
    """Write `config.json`, generation config (both with the ids of bos, eos and pad) and the tokenizer's files."""
    ids = PackTokenizer(tokenizer)
    special: dict[str, Any] = {
        f"{role}_token_id": ids.token_id(f"{role}_token")
        for role in ("bos", "eos", "pad")
        if ids.token_id(f"{role}_token") is not None
    }
    paths = [write_model_config(shape, out, dtype, special), out / "generation_config.json"]
    write_json(paths[1], special)
    for name in TOKENIZER_FILES:
        source = tokenizer / name
        if not source.is_file():
            continue
        shutil.copyfile(source, out / name)
        paths.append(out / name)
    config = read_json(out / "tokenizer_config.json")
    # transformers 5 tokenises differently under a slow class's name; the fast class gives the same ids in both.
    config["tokenizer_class"] = "PreTrainedTokenizerFast"
    config.pop("auto_map", None)
    write_json(out / "tokenizer_config.json", config)
    return paths
