"""Hugging Face to NeMo and back, on synthetic Llamas: seconds, and peak memory against the largest tensor and model.

    .venv/bin/python tools/bench/conversion.py [--keep]

1.1 billion weights in the shape of llm-jp-3-1.8b with fewer layers, and the same with half of the layers, in bf16;
made on the spot and deleted after. `import` and `export` are the commands; `import: weights` is the first without
NeMo, whose imports take their time and memory whatever the model: an import ends with NeMo writing the context.
`export: NeMo` is NeMo's own exporter (`HFLlamaExporter`) on the same checkpoint. It is given a tokenizer that has
nothing but its size, which it asks for, and the names of two norms as they are without Transformer Engine. Memory is
the process's peak resident set, pages of the mapped safetensors included.
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
from nemo_kcpt.hf.model_shape import KNOWN, ModelShape
from nemo_kcpt.processes import peak_memory

BUILD = Path("build/bench-conversion")
MODELS = {layers: replace(KNOWN["llm-jp-3-1.8b"], num_layers=layers) for layers in (6, 12)}


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
    write_json(folder / "config.json", shape.hf_config())


def import_weights(hf: Path, checkpoint: Path, out: Path) -> None:
    """What the import does before it calls NeMo."""
    import torch

    from nemo_kcpt.checkpoints.hf_folder import HfFolder
    from nemo_kcpt.checkpoints.mapping import fuse
    from nemo_kcpt.checkpoints.torch_dist import write_weights

    source = HfFolder(hf)
    shape, parts = source.shape, list(megatron_parts(source.shape))
    write_weights(out / "weights", parts, shape.num_layers, torch.bfloat16, lambda part: fuse(shape, part, source.read))


def import_command(hf: Path, checkpoint: Path, out: Path) -> None:
    """`kcpt convert import HF --to CKPT`."""
    from nemo_kcpt.conversion.import_stage import Config, run

    run(Config(hf=hf, out=checkpoint))


def export_command(hf: Path, checkpoint: Path, out: Path) -> None:
    """`kcpt convert export CKPT --to HF check=false`; these models have no tokenizer."""
    from nemo_kcpt.checkpoints.exporting import Config, run

    run(Config(checkpoint=checkpoint, out=out, check=False), bare=True)


def nemos_export(hf: Path, checkpoint: Path, out: Path) -> None:
    """NeMo's exporter, which builds the Megatron model and transformers' model."""
    from nemo.collections.llm.gpt.model import llama
    from nemo.lightning import io

    from nemo_kcpt.checkpoints.checkpoint import read_shape
    from nemo_kcpt.training import cpu_backend

    cpu_backend.activate()
    names = {
        "decoder.layers.*.self_attention.linear_qkv.layer_norm_weight": "decoder.layers.*.input_layernorm.weight",
        "decoder.layers.*.mlp.linear_fc1.layer_norm_weight": "decoder.layers.*.pre_mlp_layernorm.weight",
    }
    apply = io.apply_transforms

    def renamed(source: Any, target: Any, mapping: dict[str, str], transforms: list[Any]) -> Any:
        return apply(source, target, {names.get(ours, ours): theirs for ours, theirs in mapping.items()}, transforms)

    class Exporter(llama.HFLlamaExporter):
        tokenizer = SimpleNamespace(vocab_size=read_shape(checkpoint).vocab_rows, bos_id=1, eos_id=2)

    llama.io.apply_transforms = renamed
    Exporter(checkpoint).apply(out)


ARMS = {
    "import: weights": import_weights,
    "import": import_command,
    "export": export_command,
    "export: NeMo": nemos_export,
}


def measured(arm: str, hf: Path, checkpoint: Path, out: Path) -> tuple[float, int]:
    """Seconds and peak bytes of an arm in a process of its own."""
    shutil.rmtree(out, ignore_errors=True)
    command = [sys.executable, __file__, "--arm", arm, str(hf), str(checkpoint), str(out)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def same_weights(one: Path, other: Path) -> bool:
    """Whether two folders hold the same tensors, bit for bit."""
    import torch

    from nemo_kcpt.checkpoints.hf_folder import HfFolder

    first, second = HfFolder(one), HfFolder(other)
    return all(torch.equal(first.read(name), second.read(name)) for name in hf_sizes(first.shape))


def main() -> None:
    """Print a row for each model and arm."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--keep", action="store_true", help="leave the folders in build/bench-conversion")
    parser.add_argument("--arm", nargs=4, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.arm:
        arm, *folders = given.arm
        started = time.perf_counter()
        ARMS[arm](*map(Path, folders))
        print(json.dumps([time.perf_counter() - started, peak_memory()]))
        return
    print("bf16 models; limit: twice the largest tensor and 1 GB")
    for layers, shape in MODELS.items():
        hf, checkpoint, out = BUILD / f"hf-{layers}", BUILD / f"checkpoint-{layers}", BUILD / f"out-{layers}"
        make_folder(shape, hf)
        shutil.rmtree(checkpoint, ignore_errors=True)
        model = shape.parameters() * 2
        largest = max(math.prod(part.size) for part in megatron_parts(shape)) * 2
        limit = 2 * largest + 10**9
        print(f"  {model / 2e9:.2f} B weights, {model / 1e9:.2f} GB, largest tensor {largest / 1e9:.2f} GB")
        found = {}
        for arm in ARMS:
            found[arm] = seconds, peak = measured(arm, hf, checkpoint, out)
            print(
                f"    {arm:15s} {seconds:5.1f} s   peak {peak / 1e9:4.2f} GB: {peak / model:4.2f} x the model, "
                f"{peak / limit:4.2f} x the limit",
                flush=True,
            )
            if arm.startswith("export"):
                assert same_weights(hf, out), f"{arm}: other weights than the model's"
        (ours, own), (theirs, other) = found["export"], found["export: NeMo"]
        print(f"    export against NeMo's: {ours / theirs:.2f} of the time, {own / other:.2f} of the peak")
        if not given.keep:
            shutil.rmtree(BUILD)


if __name__ == "__main__":
    main()
