"""What recipes share: the trainer, the optimizer, where a run's files go. Each recipe changes what is its own."""

from pathlib import Path
from typing import Optional

import nemo_run as run
import torch
from megatron.core.optimizer import OptimizerConfig
from nemo import lightning as nl

from nemo_kcpt.conversion.checkpoint import find_checkpoint
from nemo_kcpt.training.cpu_speed import CpuSpeed
from nemo_kcpt.training.metrics import METRICS, MetricsFile
from nemo_kcpt.training.strategy import KcptMegatronStrategy, cpu_strategy_options


def trainer(folder: str, steps: int, processes: int, tensor_parallel: int, pipeline_parallel: int) -> run.Config:
    """`steps` optimizer steps on `processes` ranks, on GPUs where there are some; metrics.jsonl goes to `folder`."""
    return run.Config(
        nl.Trainer,
        accelerator="gpu" if torch.cuda.is_available() else "cpu",
        devices=processes,
        max_steps=steps,
        strategy=run.Config(
            KcptMegatronStrategy,
            tensor_model_parallel_size=tensor_parallel,
            pipeline_model_parallel_size=pipeline_parallel,
            **cpu_strategy_options(),
        ),
        callbacks=[
            run.Config(MetricsFile, path=f"{folder}/{METRICS}", every=1),
            run.Config(CpuSpeed, matmul_precision="medium", fused_optimizer=True),
        ],
        limit_val_batches=0,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        logger=False,
        enable_progress_bar=False,
        use_distributed_sampler=False,
    )


def adamw(lr: float, steps: int) -> run.Config:
    """AdamW with β 0.9/0.95, weight decay 0.1, clipping at 1.0 and a cosine to a tenth (Touvron et al. 2023, §2.3).

    Warm-up is a twentieth of the steps.
    """
    return run.Config(
        nl.MegatronOptimizerModule,
        config=run.Config(
            OptimizerConfig,
            optimizer="adam",
            lr=lr,
            weight_decay=0.1,
            adam_beta1=0.9,
            adam_beta2=0.95,
            clip_grad=1.0,
            bf16=False,
            params_dtype=torch.float32,
            use_distributed_optimizer=False,
        ),
        lr_scheduler=run.Config(
            nl.lr_scheduler.CosineAnnealingScheduler,
            max_steps=steps,
            warmup_steps=max(1, steps // 20),
            constant_steps=0,
            min_lr=lr / 10,
        ),
    )


def logger(folder: str, every: int) -> run.Config:
    """NeMo's logs in `folder`/nemo (a resumed run moves the files of that folder away), checkpoints in
    `folder`/checkpoints: the newest one, written every `every` steps.

    Its name ends in `-last`; NeMo resumes from no other. The last one keeps the optimizer's state too, so that a
    training that had ended can be started again, to find nothing to do or to go on for more steps.
    """
    checkpoint = run.Config(
        nl.ModelCheckpoint,
        dirpath=f"{folder}/checkpoints",
        monitor=None,
        save_top_k=0,
        save_last=True,
        save_optim_on_train_end=True,
        every_n_train_steps=every,
    )
    return run.Config(nl.NeMoLogger, explicit_log_dir=f"{folder}/nemo", ckpt=checkpoint)


def resume(folder: str, restore: Optional[str]) -> run.Config:
    """Go on from the newest checkpoint in `folder`; a run that has none starts from the weights of `restore`, if given.

    Raises:
        BadInput: `restore` holds no finished checkpoint.
    """
    weights = run.Config(nl.RestoreConfig, path=str(find_checkpoint(Path(restore)))) if restore else None
    return run.Config(
        nl.AutoResume,
        resume_from_directory=f"{folder}/checkpoints",
        resume_if_exists=True,
        resume_ignore_no_checkpoint=True,
        restore_config=weights,
    )
