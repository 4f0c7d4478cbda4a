"""Toy trainings through ``llm.pretrain``, for forks of a process that has imported NeMo (``tests/forks.py``)."""

from __future__ import annotations

import os
from typing import Any


def train(
    *,
    folder: str,
    tp: int = 1,
    pp: int = 1,
    sequence_parallel: bool = False,
    distributed_optimizer: bool = False,
    max_steps: int = 6,
    save_every: int = 1000,
    load: str | None = None,
    packed: bool = False,
    tied: bool = False,
    micro_batch_size: int = 2,
    recompute: bool = False,
    z_loss: float = 0.0,
    kl_weight: float = 0.0,
    temperature: float = 1.0,
    validate_every: int = 0,
    resume: bool = False,
    products: str | None = None,
    restore: str | None = None,
    lora: dict[str, Any] | None = None,
    die_at: int = 0,
) -> dict[int | str, float]:
    """Trains a 2-layer Llama on toy data through ``llm.pretrain``.

    Args:
        folder: Takes logs, and every ``save_every`` steps a checkpoint ``step=N``, where N counts from 0 as NeMo does.
        load: Checkpoint to go on from, with optimizer, step and data position.
        resume: Go on from the newest finished checkpoint in ``folder``, if there is one.
        products: Of :class:`CpuSpeed`, which is left out without it.
        restore: Checkpoint whose weights to start from.
        lora: Options of :class:`KcptLora`, which is left out without it.
        die_at: The process is killed after this step.

    Returns:
        Training loss by global step, and that of each validation.
    """
    import torch
    from megatron.core.optimizer import OptimizerConfig
    from nemo import lightning as nl
    from nemo.collections import llm

    from nemo_kcpt.models.llama import KcptLlamaModel, KcptTinyConfig
    from nemo_kcpt.training.cpu_speed import CpuSpeed
    from nemo_kcpt.training.lora import KcptLora
    from nemo_kcpt.training.resume import KcptAutoResume
    from nemo_kcpt.training.strategy import KcptMegatronStrategy
    from tests.training.toy import SEQUENCE, VOCABULARY, DieAt, RecordLosses, ToyData

    options = {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    config = KcptTinyConfig(
        num_layers=2,
        hidden_size=64,
        ffn_hidden_size=96,
        num_attention_heads=4,
        num_query_groups=2,
        kv_channels=16,
        seq_length=SEQUENCE,
        vocab_rows=VOCABULARY,
        share_embeddings_and_output_weights=tied,
        z_loss=z_loss,
        kl_weight=kl_weight,
        ce_weight=0.5 if kl_weight else 1.0,
        temperature=temperature,
        **(options if recompute else {}),
    )
    optimizer = OptimizerConfig(
        optimizer="adam",
        lr=3e-3,
        clip_grad=0.5,
        bf16=False,
        fp16=False,
        params_dtype=torch.float32,
        use_distributed_optimizer=distributed_optimizer,
    )
    strategy = KcptMegatronStrategy(
        tensor_model_parallel_size=tp,
        pipeline_model_parallel_size=pp,
        sequence_parallel=sequence_parallel,
        pipeline_dtype=torch.float32,
    )
    losses = RecordLosses()
    trainer = nl.Trainer(
        accelerator="cpu",
        devices=int(os.environ.get("WORLD_SIZE", "1")),
        strategy=strategy,
        max_steps=max_steps,
        limit_val_batches=1.0 if validate_every else 0,
        val_check_interval=validate_every or None,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[losses, *([CpuSpeed("highest", products=products)] if products else [])],
    )
    checkpoints = nl.ModelCheckpoint(
        dirpath=folder,
        filename="{step}",
        every_n_train_steps=save_every,
        save_top_k=-1,
        save_last=False,
        monitor=None,
        save_optim_on_train_end=True,
    )
    peft = KcptLora(**lora) if lora is not None else None
    trainer.callbacks += [] if peft is None else [peft]
    trainer.callbacks += [DieAt(die_at)] if die_at else []
    llm.pretrain(
        model=KcptLlamaModel(config, model_transform=peft),
        data=ToyData(micro_batch_size=micro_batch_size, packed=packed, taught=bool(kl_weight)),
        trainer=trainer,
        log=nl.NeMoLogger(log_dir=folder, use_datetime_version=False, ckpt=checkpoints),
        resume=KcptAutoResume(
            resume_from_path=load,
            resume_from_directory=folder if resume else None,
            resume_if_exists=resume,
            restore_config=nl.RestoreConfig(path=restore) if restore else None,
        ),
        optim=nl.MegatronOptimizerModule(optimizer),
    )
    return losses.by_step


def forget_world() -> None:
    """Takes down the process group and Megatron's global state, so that a training can follow in this process."""
    import torch
    from megatron.core import parallel_state
    from megatron.core.num_microbatches_calculator import destroy_num_microbatches_calculator

    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()
    destroy_num_microbatches_calculator()
