"""Hugging Face to NeMo and back, on synthetic models: seconds, and peak memory against the largest tensor and model.

    .venv/bin/python tools/bench/conversion.py [--family qwen2] [--layers 6,12] [--keep]

1.1 billion weights of a family in the sizes of llm-jp-3-1.8b with fewer layers, and the same with half of the layers,
in bf16; made on the spot and deleted after. Those with experts have 16 of them, of which a token takes 4. `import` and
`export` are the commands; `import: NeMo` and `export: NeMo` are NeMo's own importer and exporter of the family
(`HFQwen2Importer` …), where it has them, on the same folder and checkpoint. The time is that of a process with its
imports. They are given our model, which a CPU can build, no tokenizer or one that has nothing but its size, and the
names of two norms and of experts as they are without Transformer Engine. Memory is the process's peak resident set,
pages of the mapped safetensors included. On a busy machine the seconds of a core say more than the time.
"""

from __future__ import annotations

import argparse
import json
import math
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from nemo_kcpt.checkpoints.mapping import hf_sizes, megatron_parts
from nemo_kcpt.files import write_json
from nemo_kcpt.hf.families import families
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.processes import peak_memory

BUILD = Path("build/bench-conversion")
NEMO = {
    "llama": ("llama", "Llama"),
    "mistral": ("mistral", "Mistral"),
    "qwen2": ("qwen2", "Qwen2"),
    "qwen3": ("qwen3", "Qwen3"),
    "qwen3_moe": ("qwen3", "Qwen3"),
}
"""Families that NeMo converts, with its module and the name in its classes. Its classes for Gemma 2 need Transformer
Engine."""
OWN: dict[str, dict[str, Any]] = {
    "gemma2": {"query_scalar": 128.0, "sliding_window": 4096},
    "qwen3_moe": {"num_moe_experts": 16, "moe_router_topk": 4, "moe_ffn_hidden_size": 512, "moe_aux_loss_coeff": 0.001},
}
"""What a family's models have beside sizes."""
NAMES = {
    ".self_attention.linear_qkv.layer_norm_weight": ".input_layernorm.weight",
    ".mlp.linear_fc1.layer_norm_weight": ".pre_mlp_layernorm.weight",
    ".mlp.experts.linear_fc1.weight*": ".mlp.experts.local_experts.*.linear_fc1.weight",
    ".mlp.experts.linear_fc2.weight*": ".mlp.experts.local_experts.*.linear_fc2.weight",
}
"""Ends of names: Transformer Engine's, which NeMo asks for, and those of local layers."""


def make_folder(shape: ModelShape, folder: Path) -> None:
    """A Hugging Face folder with random bf16 weights, a shard a layer."""
    import torch
    from safetensors.torch import save_file

    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    shards: dict[str, list[str]] = {}
    sizes = hf_sizes(shape)
    for name in sizes:
        shards.setdefault(name.split(".")[2] if ".layers." in name else name, []).append(name)
    places = {}
    for number, names in enumerate(shards.values(), start=1):
        file = f"model-{number:05d}-of-{len(shards):05d}.safetensors"
        save_file({name: torch.randn(sizes[name]).bfloat16() for name in names}, folder / file)
        places.update(dict.fromkeys(names, file))
    write_json(folder / "model.safetensors.index.json", {"metadata": {}, "weight_map": places})
    write_json(folder / "config.json", {**shape.hf_config(), "torch_dtype": "bfloat16"})
    write_json(folder / "generation_config.json", {})  # which some of NeMo's importers ask for


def import_command(hf: Path, checkpoint: Path, out: Path) -> None:
    """`kcpt convert import HF --to CKPT`."""
    from nemo_kcpt.conversion.import_stage import Config, run

    run(Config(hf=hf, out=checkpoint))


def export_command(hf: Path, checkpoint: Path, out: Path) -> None:
    """`kcpt convert export CKPT --to HF check=false`; these models have no tokenizer."""
    from nemo_kcpt.checkpoints.exporting import Config, run

    run(Config(checkpoint=checkpoint, out=out, check=False), bare=True)


def _local(name: str) -> str:
    """A parameter's name as local layers have it."""
    end = next((end for end in NAMES if name.endswith(end)), None)
    return name if end is None else name.removesuffix(end) + NAMES[end]


def _locals(names: Any) -> Any:
    """A name, or several."""
    return _local(names) if isinstance(names, str) else tuple(map(_local, names))


def _nemos_class(family: str, what: str) -> Any:
    """NeMo's importer or exporter of a family, on a CPU and with local layers."""
    import importlib

    from nemo.lightning import io

    from nemo_kcpt import cpu_backend

    cpu_backend.activate()
    apply = io.apply_transforms

    def renamed(source: Any, target: Any, mapping: dict[str, str], transforms: list[Any], **more: Any) -> Any:
        names = {_local(key): _local(other) for key, other in mapping.items()}
        for transform in transforms:
            transform.source_key, transform.target_key = _locals(transform.source_key), _locals(transform.target_key)
        return apply(source, target, names, transforms, **more)

    io.apply_transforms = renamed
    module, name = NEMO[family]
    return getattr(importlib.import_module(f"nemo.collections.llm.gpt.model.{module}"), f"HF{name}{what}")


def nemos_import(hf: Path, checkpoint: Path, out: Path) -> None:
    """NeMo's importer, which builds transformers' model and the Megatron model, in bf16 as ours writes it."""
    import torch

    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.hf.model_shape import read_hf_shape
    from nemo_kcpt.models import llama
    from nemo_kcpt.models.llama import KcptLlamaConfig, KcptLlamaModel

    shape = read_hf_shape(hf)

    def config(self: Any) -> KcptLlamaConfig:
        return KcptLlamaConfig(**config_options(shape, shape.positions, shape.rotary_base))

    def init(self: Any) -> KcptLlamaModel:
        return KcptLlamaModel(config(self))

    settle = llama.settle_for_cpu

    def in_bf16(config: Any) -> None:
        settle(config)
        config.bf16, config.params_dtype, config.pipeline_dtype = True, torch.bfloat16, torch.bfloat16

    llama.settle_for_cpu = in_bf16
    kind = _nemos_class(shape.family.name, "Importer")
    # Its own config of a mixture of experts is for Transformer Engine.
    more = {} if shape.num_moe_experts is None else {"config": property(config)}
    type("Importer", (kind,), {"init": init, "tokenizer": None, **more})(hf).apply(out)


def nemos_export(hf: Path, checkpoint: Path, out: Path) -> None:
    """NeMo's exporter, which builds the Megatron model and transformers' model."""
    from nemo_kcpt.checkpoints.checkpoint import read_shape
    from nemo_kcpt.models.llama import KcptLlamaConfig

    shape = read_shape(checkpoint)
    # Which its own config of a Qwen3 has.
    setattr(KcptLlamaConfig, "max_position_embeddings", shape.positions)  # noqa: B010
    tokenizer = SimpleNamespace(vocab_size=shape.vocab_rows, bos_id=1, eos_id=2, save_pretrained=lambda path: None)
    kind = _nemos_class(shape.family.name, "Exporter")

    def config(self: Any) -> Any:
        inherited = kind.config.fget(self)
        # Which NeMo takes from the tokenizer, or from a field that ours leaves open.
        inherited.vocab_size = shape.vocab_rows
        return inherited

    type("Exporter", (kind,), {"tokenizer": tokenizer, "config": property(config)})(checkpoint).apply(out)


ARMS = {"import": import_command, "import: NeMo": nemos_import, "export": export_command, "export: NeMo": nemos_export}


def measured(arm: str, hf: Path, checkpoint: Path, out: Path) -> tuple[float, float, int]:
    """Seconds, seconds of a core and peak bytes of an arm in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, "--arm", arm, str(hf), str(checkpoint), str(out)]
    started = time.perf_counter()
    done = subprocess.run(command, capture_output=True, text=True)
    seconds = time.perf_counter() - started
    if done.returncode:
        sys.exit(done.stderr)
    cpu, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, cpu, peak


def same_weights(folder: Path, other: Path) -> bool:
    """Whether two folders hold the same tensors, bit for bit."""
    import torch

    from nemo_kcpt.checkpoints.hf_folder import HfFolder

    first, second = HfFolder(folder), HfFolder(other)
    return all(torch.equal(first.read(name), second.read(name)) for name in hf_sizes(first.shape))


def compare(shape: ModelShape, keep: bool) -> None:
    """Print a row for each arm on a model of `shape`, and ours against NeMo's."""
    hf, checkpoint, out = (BUILD / name for name in ("hf", "checkpoint", "out"))
    make_folder(shape, hf)
    shutil.rmtree(checkpoint, ignore_errors=True)
    model = shape.parameters() * 2
    largest = max(math.prod(part.size) for part in megatron_parts(shape)) * 2
    limit = 2 * largest + 10**9
    print(
        f"  {shape.family.title}, {model / 2e9:.2f} B weights, {model / 1e9:.2f} GB, "
        f"largest tensor {largest / 1e9:.2f} GB"
    )
    figures = {}
    for arm in ARMS:
        if arm.endswith("NeMo") and shape.family.name not in NEMO:
            continue
        figures[arm] = seconds, cpu, peak = measured(arm, hf, checkpoint, out)
        print(
            f"    {arm:15s} {seconds:5.1f} s, {cpu:5.1f} s of a core   peak {peak / 1e9:4.2f} GB: "
            f"{peak / model:4.2f} x the model, {peak / limit:4.2f} x the limit",
            flush=True,
        )
        if arm.startswith("export"):
            assert same_weights(hf, out), f"{arm}: other weights than the model's"
    for arm in ("import", "export"):
        if f"{arm}: NeMo" in figures:
            shares = [own / other for own, other in zip(figures[arm], figures[f"{arm}: NeMo"])]
            print(
                f"    {arm} against NeMo's: {shares[0]:.2f} of the time, {shares[1]:.2f} of a core's, "
                f"{shares[2]:.2f} of the peak"
            )
    if not keep:
        shutil.rmtree(BUILD)


def main() -> None:
    """Print a row for each model and arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--family", default="llama", choices=[*families(), "all"], help="of the models")
    parser.add_argument("--layers", default="6,12", help="numbers of layers of the models, 12 for 1.1 billion weights")
    parser.add_argument("--keep", action="store_true", help="leave the folders in build/bench-conversion")
    parser.add_argument("--arm", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        arm, *folders = given.arm
        ARMS[arm](*map(Path, folders))
        print(json.dumps([time.process_time(), peak_memory()]))
        return
    print("bf16 models; limit: twice the largest tensor and 1 GB")
    for name in families() if given.family == "all" else [given.family]:
        for layers in map(int, given.layers.split(",")):
            known = KNOWN["llm-jp-3-1.8b"]
            shape = replace(known, num_layers=layers, family=families()[name], **OWN.get(name, {}))
            compare(shape, given.keep)


if __name__ == "__main__":
    main()
