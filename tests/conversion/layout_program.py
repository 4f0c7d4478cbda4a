"""Megatron loads imported checkpoints under several layouts, computes logits and saves again.

Every rank of every layout is a fork (`tests/forks.py`). The folder :attr:`Job.out` then holds:

    imported/ARCHITECTURE                   the checkpoint that `kcpt convert import` makes
    LAYOUT/log                              what the ranks printed
    LAYOUT/ARCHITECTURE                     the checkpoint that the layout saved
    LAYOUT/ARCHITECTURE-RANK.safetensors    `logits` of a rank in the last pipeline stage
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.hf.model_shape import ModelShape


@dataclass(frozen=True)
class Architecture:
    """A Hugging Face folder, and how Megatron is to keep it."""

    hf: str
    dtype: str
    """Of its weights, by torch's name."""
    divisible_by: int
    """Times the tensor-parallel size: the multiple to which the vocabulary is padded."""
    local_names: bool
    """Whether norms keep the names of the local layer spec; Megatron's own renames them as Transformer Engine does."""


@dataclass(frozen=True)
class Layout:
    """How many ranks there are and what they share, and what is saved beside the weights."""

    architectures: list[str]
    tp: int = 1
    pp: int = 1
    dp: int = 1
    ep: int = 1
    """Of the data-parallel ranks, so many divide the experts among them."""
    optimizer: str | None = None
    """None, plain or distributed."""
    stacked: bool = True
    """Whether all layers are one tensor in the checkpoint, or each has its own keys."""

    @property
    def ranks(self) -> int:
        return self.tp * self.pp * self.dp

    @property
    def metadata(self) -> dict[str, Any]:
        """As NeMo's strategy has it (`sharded_state_dict_metadata`)."""
        sharding = {
            "distrib_optim_sharding_type": "fully_reshardable",
            "distrib_optim_fully_reshardable_mem_efficient": True,
        }
        always = {
            "singleton_local_shards": False,
            "non_homogeneous_layers": not self.stacked,
            "chained_optim_avoid_prefix": True,
        }
        return always | (sharding if self.optimizer == "distributed" else {})


@dataclass(frozen=True)
class Job:
    """What all ranks know."""

    out: Path
    prompts: list[list[int]]
    architectures: dict[str, Architecture]
    shapes: dict[str, ModelShape] = field(default_factory=dict)

    def imported(self, name: str) -> Path:
        """The imported checkpoint of an architecture."""
        return self.out / "imported" / name


def build(checkpoint: Path, shape: ModelShape, layout: Layout, divisible_by: int) -> Any:
    """This rank's part of the model, with the weights that Megatron's loader gives it."""
    from megatron.core.dist_checkpointing import load

    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.models.llama import KcptLlamaConfig

    config = KcptLlamaConfig(
        **config_options(shape, shape.positions, shape.rotary_base),
        make_vocab_size_divisible_by=divisible_by,
        tensor_model_parallel_size=layout.tp,
        pipeline_model_parallel_size=layout.pp,
        expert_model_parallel_size=layout.ep,
    )
    model: Any = config.configure_model(None)
    state = load(model.sharded_state_dict(prefix="module."), str(checkpoint / "weights"))
    model.load_state_dict({name.removeprefix("module."): value for name, value in state.items()}, strict=False)
    return model.eval()


def logits(model: Any, prompts: Any) -> Any:
    """float32 (prompts, positions, padded vocabulary) by Megatron's pipeline schedule; None before the last stage."""
    import torch
    from megatron.core.pipeline_parallel import get_forward_backward_func
    from megatron.core.tensor_parallel import gather_from_tensor_model_parallel_region

    def step(_: Iterator[Any] | None, part: Any) -> tuple[Any, Any]:
        positions = torch.arange(prompts.shape[1]).expand_as(prompts)
        return part(prompts, positions, torch.zeros(1, dtype=torch.bool)), lambda found, non_loss_data: found

    with torch.no_grad():
        found = get_forward_backward_func()(
            forward_step_func=step,
            data_iterator=None,
            model=[model],
            num_microbatches=1,
            seq_length=prompts.shape[1],
            micro_batch_size=len(prompts),
            forward_only=True,
            collect_non_loss_data=True,
        )
        return gather_from_tensor_model_parallel_region(found[0]) if found else None


def optimizer_state(model: Any, distributed: bool, weights: dict[str, Any], metadata: dict[str, Any]) -> Any:
    """What Megatron's optimizer saves after a step on random gradients with a learning rate of zero.

    Args:
        model: this rank's part, float32 or bfloat16.
        distributed: whether the state is divided between data-parallel ranks.
        weights: the sharded state of `model`, which it fits to.
        metadata: of the checkpoint.
    """
    import torch
    from megatron.core.distributed import DistributedDataParallel, DistributedDataParallelConfig
    from megatron.core.optimizer import OptimizerConfig, get_megatron_optimizer

    from nemo_kcpt.cpu_backend.optimizer import _cuda_named_types

    kind = next(model.parameters()).dtype
    wrapped = DistributedDataParallel(
        model.config,
        DistributedDataParallelConfig(use_distributed_optimizer=distributed, grad_reduce_in_fp32=True),
        model,
    )
    config = OptimizerConfig(
        optimizer="adam",
        lr=0.0,
        weight_decay=0.0,
        params_dtype=kind,
        bf16=kind == torch.bfloat16,
        use_distributed_optimizer=distributed,
    )
    # Both name CUDA's types where bfloat16 is trained, and the CPU backend answers the distributed one only.
    with nullcontext() if distributed else _cuda_named_types():
        optimizer = get_megatron_optimizer(config, [wrapped])
    for parameter in model.parameters():
        parameter.main_grad.normal_()
    optimizer.step()
    return optimizer.sharded_state_dict(weights, metadata=metadata)


def as_transformer_engine_has_it(weights: dict[str, Any]) -> None:
    """Gives sharded weights the extra states of Transformer Engine 2, one more a layer: empty tensors without fp8."""
    import torch
    from megatron.core.dist_checkpointing.mapping import ShardedObject

    for name, entry in list(weights.items()):
        if isinstance(entry, ShardedObject):
            entry.data = torch.empty(0, dtype=torch.uint8)
            if "linear_qkv" in name:
                own = {"key": entry.key.replace("linear_qkv", "core_attention")}
                weights[name.replace("linear_qkv", "core_attention")] = replace(entry, **own)


def save(model: Any, local_names: bool, layout: Layout, folder: Path) -> None:
    """Saves with Megatron's own writer, the ranks of a data-parallel group sharing the work as in NeMo's trainings."""
    from megatron.core import parallel_state
    from megatron.core.dist_checkpointing import save
    from megatron.core.dist_checkpointing.strategies.fully_parallel import FullyParallelSaveStrategyWrapper
    from megatron.core.dist_checkpointing.strategies.torch import TorchDistSaveShardedStrategy

    if local_names:
        for layer in model.decoder.layers:
            layer.submodules_config.sharded_state_dict_keys_map = {}
    weights = model.sharded_state_dict(prefix="module.", metadata=layout.metadata)
    state: dict[str, Any] = {"sharded_state_dict": weights, "state_dict": {}, "global_step": 1}
    if layout.optimizer is not None:
        distributed = layout.optimizer == "distributed"
        state["optimizer"] = [optimizer_state(model, distributed, weights, layout.metadata)]
    if not local_names:
        as_transformer_engine_has_it(weights)
    strategy = FullyParallelSaveStrategyWrapper(
        TorchDistSaveShardedStrategy("torch_dist", 1, thread_count=1),
        parallel_state.get_data_parallel_group(with_context_parallel=True),
    )
    (folder / "weights").mkdir(parents=True, exist_ok=True)
    save(state, str(folder / "weights"), strategy, content_metadata=layout.metadata)


def run_rank(job: Job, layout: Layout, folder: Path) -> None:
    """One rank of a layout: loads, computes and saves its architectures."""
    import torch

    torch.set_num_threads(1)
    from megatron.core import parallel_state
    from megatron.core.tensor_parallel import model_parallel_cuda_manual_seed
    from safetensors.torch import save_file

    from nemo_kcpt import cpu_backend

    cpu_backend.activate()
    rank = int(os.environ.get("RANK", "0"))
    rendezvous = f"file://{folder}/rendezvous"
    torch.distributed.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=layout.ranks)
    parallel_state.initialize_model_parallel(layout.tp, layout.pp, expert_model_parallel_size=layout.ep)
    model_parallel_cuda_manual_seed(rank)
    assert parallel_state.get_data_parallel_world_size() == layout.dp
    for name in layout.architectures:
        print(f"rank {rank}: {name}", file=sys.stderr, flush=True)
        architecture = job.architectures[name]
        model = build(job.imported(name), job.shapes[name], layout, architecture.divisible_by)
        found = logits(model, torch.tensor(job.prompts))
        if found is not None:
            save_file({"logits": found.contiguous()}, folder / f"{name}-{rank}.safetensors")
        model.to(getattr(torch, architecture.dtype))  # exact: on a CPU the config makes every model float32
        save(model, architecture.local_names, layout, folder / name)
        if rank == 0:
            shutil.copytree(job.imported(name) / "context", folder / name / "context")
    torch.distributed.barrier()


def import_all(job: Job) -> dict[str, ModelShape]:
    """Import every architecture that the job names; gives their shapes."""
    import torch

    torch.set_num_threads(1)
    from nemo_kcpt.checkpoints.checkpoint import read_shape
    from nemo_kcpt.conversion import import_stage

    for name, architecture in job.architectures.items():
        import_stage.run(import_stage.Config(hf=Path(architecture.hf), out=job.imported(name)))
    return {name: read_shape(job.imported(name)) for name in job.architectures}
