"""What a training needs before it runs: every layout of a model on a cluster, with memory, time and cost, best first.

Pure arithmetic: nothing is loaded, and the GPUs need not be here. Memory is that of the rank that needs most; speed is
an estimate from the share of the GPUs' peak that is given (mfu) less what bubble, recomputation and communication take.

    kcpt plan model=llm-jp-3-13b seq_length=4096 nodes=2
    kcpt plan model=llm-jp-3-13b seq_length=16384 pipeline_parallel=2 --explain
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING, nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_json
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import ModelShape, read_hf_shape
from nemo_kcpt.planning.adapters import TARGETS, AdapterPlan
from nemo_kcpt.planning.hardware import Cluster, known_gpu
from nemo_kcpt.planning.layouts import SIZES, Plan, plans
from nemo_kcpt.planning.megatron_memory import theoretical_memory
from nemo_kcpt.planning.rope import rotary_base
from nemo_kcpt.planning.steps import TOKENS_PER_STEP, steps_for, windows_per_step
from nemo_kcpt.records.packs import read_info

OURS, MEGATRON = "ours", "megatron"


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt plan`."""

    model: str = MISSING
    """llm-jp-3-1.8b, -3.7b, -7.2b, -13b, llm-jp-4-8b, -32b-a3b, qwen3-8b, smollm2-135m, or the Hugging Face folder of a
    model (docs/models.md)."""
    seq_length: int = 4096
    """Tokens of a window."""
    nodes: int = 1
    """Machines."""
    gpus: int = 8
    """GPUs of a machine."""
    gpu: str = "h100-80gb"
    """h100-80gb, h200-141gb, b200-180gb, a100-80gb or a100-40gb."""
    memory_gb: float | None = None
    """Memory of a GPU, 10^9 bytes, where it is not the named one's."""
    tflops: float | None = None
    """Peak of dense bf16 matrix products of a GPU, 10^12 a second, where it is not the named one's."""
    mfu: float = 0.45
    """Share of the peak that one GPU reaches with large matrices, before bubble and communication. To calibrate it,
    divide the mfu in a run's metrics.jsonl by the factor that --explain shows for its layout."""
    pack: Path | None = None
    """Folder of `kcpt pack`, for steps and hours."""
    tokens: float = 1e9
    """Tokens to train on, where there is no pack yet."""
    epochs: float = 2.0
    """Passes over the pack."""
    tokens_per_step: int = TOKENS_PER_STEP
    """Tokens of an optimizer step; the default is the method's: 128 windows of 4,096 tokens."""
    tensor_parallel: int | None = None
    """Ranks that share a layer's matrices; only such layouts are considered, as with the five keys that follow."""
    pipeline_parallel: int | None = None
    """Ranks that share the layers."""
    context_parallel: int | None = None
    """Ranks that share a window."""
    expert_parallel: int | None = None
    """Data- and context-parallel ranks that share a layer's experts, in a mixture of experts."""
    micro_batch_size: int | None = None
    """Windows of a forward pass."""
    recompute: str | None = None
    """none, selective (attention's products) or full (each layer)."""
    lora: int = 0
    """Rank of low-rank adapters that are trained in place of the weights; 0: none."""
    lora_targets: list[str] = field(default_factory=lambda: list(TARGETS))
    """Linear layers that get adapters."""
    lora_embeddings: bool = False
    """The embedding and the output layer are trained, too, whole."""
    top: int = 10
    """Layouts to show."""
    refused: bool = False
    """Also show the layouts that do not fit, each with the reason."""
    explain: bool = False
    """Show the formulas of the best layout's memory and time, with the numbers in."""
    formula: str = OURS
    """ours, or megatron: the memory of Megatron-LM's published formula, for comparison."""
    json: Path | None = None
    """JSON file to write everything to, too."""


def model_shape(name: str) -> ModelShape:
    """The shape of a known model, or of the one in a folder.

    Raises:
        BadInput: neither.
    """
    if name in KNOWN:
        return KNOWN[name]
    if Path(name).is_dir():
        return read_hf_shape(Path(name))
    raise BadInput(f"model: '{name}' is neither a folder nor a known model; {nearest(name, list(KNOWN))}")


def cluster_of(config: Config) -> Cluster:
    """The cluster that the keys describe."""
    gpu = known_gpu(config.gpu)
    gpu = replace(gpu, memory_gb=config.memory_gb or gpu.memory_gb, tflops=config.tflops or gpu.tflops)
    return Cluster(nodes=config.nodes, gpus_per_node=config.gpus, gpu=gpu, mfu=config.mfu)


def steps_of(config: Config) -> int:
    """Optimizer steps of the pack, or of so many tokens.

    Raises:
        BadInput: a pack of another length.
    """
    if config.pack is None:
        return steps_for(round(config.tokens), config.epochs, config.tokens_per_step)

    info = read_info(config.pack)
    if info.seq_length != config.seq_length:
        raise BadInput(
            f"{config.pack}: has windows of {info.seq_length} tokens, seq_length is {config.seq_length}; give "
            f"seq_length={info.seq_length} or another pack"
        )
    return steps_for(info.step_tokens, config.epochs, config.tokens_per_step)


def _fixed(config: Config) -> dict[str, Any]:
    return {name: getattr(config, name) for name in SIZES}


def _adapters(config: Config) -> AdapterPlan | None:
    """What `lora=` asks for.

    Raises:
        BadInput: a rank below 0, layers that a model does not have, or Megatron's formula, which knows none.
    """
    if wrong := [name for name in config.lora_targets if name not in TARGETS]:
        raise BadInput(f"lora_targets: '{wrong[0]}' is not one of {', '.join(TARGETS)}; {nearest(wrong[0], TARGETS)}")
    if config.lora < 0 or (config.lora and config.formula == MEGATRON):
        raise BadInput(f"lora={config.lora}: a rank from 0 on is needed, and formula=ours where it is not 0")
    if not config.lora:
        return None
    targets = tuple(config.lora_targets)
    return AdapterPlan(rank=config.lora, targets=targets, embeddings=config.lora_embeddings)


def row(plan: Plan, steps: int, step_tokens: int, gpus: int) -> dict[str, Any]:
    """A plan in plain numbers: gigabytes, tokens a second, hours; `step_tokens` are those of whole windows."""
    gigabytes = {} if plan.memory is None else plan.memory.components()
    hours = steps * step_tokens / plan.tokens_per_second / 3600 if plan.tokens_per_second else None
    return {
        "layout": asdict(plan.layout),
        "name": plan.layout.name,
        "refused": list(plan.refused),
        "memory_gb": {name: round(value / 1e9, 3) for name, value in gigabytes.items()},
        "total_gb": None if plan.memory is None else round(plan.memory.bytes / 1e9, 3),
        "stage": None if plan.memory is None else plan.memory.stage,
        "bubble": round(plan.bubble, 4),
        "tokens_per_second": round(plan.tokens_per_second),
        "hours": None if hours is None else round(hours, 3),
        "gpu_hours": None if hours is None else round(hours * gpus, 2),
    }


def run(config: Config, redo: bool = False) -> None:
    """Plan and print."""
    from nemo_kcpt.planning.show import Training, explain, show

    if config.formula not in (OURS, MEGATRON):
        raise BadInput(f"formula: '{config.formula}' is not one of {OURS}, {MEGATRON}")
    for name in ("seq_length", "tokens", "tokens_per_step", "top", "memory_gb", "tflops"):
        value = getattr(config, name)
        if value is not None and not value > 0:
            raise BadInput(f"{name}: {value} was given; a positive number is needed")
    shape, cluster, steps = model_shape(config.model), cluster_of(config), steps_of(config)
    batch = windows_per_step(config.seq_length, config.tokens_per_step)
    adapters = _adapters(config)
    if config.formula == MEGATRON and shape.num_moe_experts is not None:
        raise BadInput(f"formula={MEGATRON}: is that of a dense model; leave it out for a mixture of experts")
    every = plans(shape, config.seq_length, batch, cluster, _fixed(config), adapters)
    rows = [row(plan, steps, batch * config.seq_length, cluster.gpus) for plan in every]
    if config.formula == MEGATRON:
        _put_megatron(rows, every, shape, config.seq_length, batch)
    if config.json is not None:
        about = {"model": config.model, "seq_length": config.seq_length, "global_batch_size": batch, "steps": steps}
        rope = rotary_base(shape, config.seq_length)
        write_json(config.json, {**about, "rotary_base": rope, "parameters": shape.parameters(), "plans": rows})
    training = Training(
        model=config.model,
        shape=shape,
        seq_length=config.seq_length,
        cluster=cluster,
        steps=steps,
        batch=batch,
        adapters=adapters,
    )
    show(training, rows, config.top, config.refused)
    if config.explain:
        explain(training, every[0])


def _put_megatron(
    rows: Iterable[dict[str, Any]], every: Iterable[Plan], shape: ModelShape, seq_length: int, batch: int
) -> None:
    """Replace our memory by that of Megatron-LM's formula; what fits is still decided by ours."""
    for entry, plan in zip(rows, every):
        if plan.memory is None:
            continue
        micro_batches = batch // (plan.layout.micro_batch_size * plan.layout.data_parallel)
        theirs = theoretical_memory(shape, seq_length, plan.layout, micro_batches)
        entry["memory_gb"] = {
            "weights and optimizer": round(theirs.weights_and_optimizer / 1e9, 3),
            "activations": round(theirs.activations / 1e9, 3),
        }
        entry["total_gb"], entry["stage"] = round(theirs.bytes / 1e9, 3), None
