"""A training's plan as Megatron-Bridge's `ConfigContainer`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from megatron.bridge.peft.lora import LoRA
from megatron.bridge.training.config import (
    CheckpointConfig,
    ConfigContainer,
    DistributedDataParallelConfig,
    DistributedInitConfig,
    LoggerConfig,
    OptimizerConfig,
    RNGConfig,
    SchedulerConfig,
    TokenizerConfig,
    TrainingConfig,
    ValidationConfig,
)

from nemo_kcpt.bridge.data import PackProvider, validation_steps
from nemo_kcpt.bridge.model import KcptModelProvider
from nemo_kcpt.data.windows import BLOCK_DIAGONAL, CAUSAL, SPLIT
from nemo_kcpt.hf.megatron_options import config_options, recompute_options
from nemo_kcpt.planning.catalogue import FINETUNE
from nemo_kcpt.planning.training import ADAMW, TrainingPlan

CHECKPOINTS = "checkpoints"
"""Folder of a training's checkpoints, as with NeMo."""


def container(plan: TrainingPlan, pretrained: Path | None) -> ConfigContainer:
    """The configuration that trains what `plan` says.

    Args:
        plan: of a recipe.
        pretrained: checkpoint in the Bridge's layout, whose weights it starts from.
    """
    on_gpu = torch.cuda.is_available()
    distributed = plan.bf16
    overlap = on_gpu and distributed and plan.layout.data_parallel * plan.layout.context_parallel > 1
    folder = str(Path(plan.dir) / CHECKPOINTS)
    return ConfigContainer(
        model=_model(plan),
        dataset=_dataset(plan),
        train=TrainingConfig(
            train_iters=plan.steps,
            global_batch_size=plan.global_batch_size,
            micro_batch_size=plan.layout.micro_batch_size,
        ),
        validation=ValidationConfig(
            eval_interval=None if plan.validation is None else plan.checkpoint_every, eval_iters=_validation_steps(plan)
        ),
        optimizer=_optimizer(plan, distributed, overlap),
        scheduler=SchedulerConfig(
            lr_decay_style="cosine",  # over all steps, also where train.train_iters is overridden, as with NeMo
            lr_warmup_iters=plan.warmup_steps,
            # Warm-up then is lr · (step + 1) / (warm-up + 1), as NeMo's.
            lr_warmup_init=plan.learning_rate / (plan.warmup_steps + 1),
            start_weight_decay=ADAMW["weight_decay"],
            end_weight_decay=ADAMW["weight_decay"],
            weight_decay_incr_style="constant",
        ),
        ddp=DistributedDataParallelConfig(
            use_distributed_optimizer=distributed,
            grad_reduce_in_fp32=True,
            overlap_grad_reduce=overlap,
            overlap_param_gather=overlap,
            check_for_nan_in_grad=on_gpu,
        ),
        logger=LoggerConfig(log_interval=1 if plan.steps < 100 else 10, tensorboard_dir=None),
        # The pack holds ids; the Bridge asks for a tokenizer all the same.
        tokenizer=TokenizerConfig(tokenizer_type="NullTokenizer", vocab_size=plan.shape.vocab_rows),
        checkpoint=CheckpointConfig(
            save=folder,
            load=folder,
            pretrained_checkpoint=None if pretrained is None else str(pretrained),
            save_interval=plan.checkpoint_every,
            most_recent_k=1,
            ckpt_format="torch_dist",
            async_save=False,
            fully_parallel_save=on_gpu,
            # So that tensor- and pipeline-parallel sizes, too, may change between a run and its resumption.
            dist_ckpt_optim_fully_reshardable=True,
        ),
        rng=RNGConfig(seed=SEED),
        dist=DistributedInitConfig(
            distributed_backend="nccl" if on_gpu else "gloo", use_gloo_process_groups=not on_gpu
        ),
        mixed_precision="bf16_mixed" if plan.bf16 and on_gpu else None,
        peft=_lora(plan),
    )


SEED = 1234


def _model(plan: TrainingPlan) -> KcptModelProvider:
    layout = plan.layout
    options: dict[str, Any] = config_options(plan.shape, plan.seq_length, plan.rotary_base)
    options |= recompute_options(layout.recompute)
    if plan.distilling is not None:
        options["kl_weight"], options["ce_weight"] = plan.distilling.kl_weight, plan.distilling.ce_weight
        options["temperature"] = plan.distilling.temperature
    kind = torch.bfloat16 if plan.bf16 and torch.cuda.is_available() else torch.float32
    return KcptModelProvider(
        **options,
        z_loss=plan.z_loss,
        from_scratch=plan.from_scratch,
        tensor_model_parallel_size=layout.tensor_parallel,
        pipeline_model_parallel_size=layout.pipeline_parallel,
        context_parallel_size=layout.context_parallel,
        expert_model_parallel_size=layout.expert_parallel,
        sequence_parallel=layout.sequence_parallel and plan.bf16,
        pipeline_dtype=kind,
        params_dtype=kind,
        bf16=kind is torch.bfloat16,
    )


def _validation_steps(plan: TrainingPlan) -> int:
    return 0 if plan.validation is None else validation_steps(plan.validation, plan.global_batch_size)


def _dataset(plan: TrainingPlan) -> PackProvider:
    attention = CAUSAL
    if plan.task == FINETUNE:
        attention = BLOCK_DIAGONAL
    if plan.distilling is not None:
        attention = SPLIT
    return PackProvider(
        pack=plan.pack,
        loss="outputs" if plan.task == FINETUNE else "all",
        attention=attention,
        validation=plan.validation,
        validation_samples=_validation_steps(plan) * plan.global_batch_size,
        distillation=None if plan.distilling is None else plan.distilling.folder,
    )


def _optimizer(plan: TrainingPlan, distributed: bool, overlap: bool) -> OptimizerConfig:
    return OptimizerConfig(
        **ADAMW,
        lr=plan.learning_rate,
        min_lr=plan.least_learning_rate,
        bf16=plan.bf16 and torch.cuda.is_available(),
        params_dtype=torch.bfloat16 if plan.bf16 and torch.cuda.is_available() else torch.float32,
        use_distributed_optimizer=distributed,
        overlap_param_gather=overlap,
    )


def _lora(plan: TrainingPlan) -> LoRA | None:
    if plan.lora is None:
        return None
    return LoRA(
        target_modules=list(plan.lora.targets), dim=plan.lora.rank, alpha=plan.lora.alpha, dropout=plan.lora.dropout
    )
