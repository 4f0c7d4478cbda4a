"""A Llama of a few million parameters that learns on a laptop CPU: the recipe of the demo and of our CI.

Learning rate and batch were chosen for the demo's papers (see docs/demo.md); the rest follows common practice for
pretraining small Llamas (AdamW β 0.9/0.95, weight decay 0.1, clipping at 1.0: Touvron et al. 2023, §2.3).
"""

from pathlib import Path
from typing import Optional

import fiddle as fdl
import nemo_run as run
import torch
from megatron.core.distributed import DistributedDataParallelConfig
from megatron.core.optimizer import OptimizerConfig
from nemo import lightning as nl
from nemo.collections import llm
from nemo.lightning.pytorch.optim import WarmupHoldPolicyScheduler

from nemo_kcpt.data import InstructionDataModule, PackedPretrainingDataModule
from nemo_kcpt.models.llama import KcptLlamaModel, KcptTinyConfig
from nemo_kcpt.packing.store import read_info
from nemo_kcpt.training.metrics import METRICS, MetricsFile
from nemo_kcpt.training.strategy import KcptMegatronStrategy, cpu_strategy_options
from nemo_kcpt.training.steps import steps_for


@run.cli.factory(target=llm.pretrain, name="kcpt_tiny")
def kcpt_tiny(
    pack: str = "packs/concat-512",
    dir: str = "nemo_experiments/kcpt_tiny",
    restore: Optional[str] = None,
    epochs: float = 2.0,
    steps_like: Optional[str] = None,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
) -> run.Partial:
    """Continual pretraining of the tiny Llama on a pack.

    Args:
        pack: folder of kcpt pack (modes concat, raw); it sets the context length and the vocabulary's rows.
        dir: log, metrics and checkpoints go there; a run that was interrupted resumes from it.
        restore: checkpoint whose weights to start from; without it the weights are random, as for a first base.
        epochs: passes over the pack; the method takes 2.
        steps_like: another pack, whose number of steps to take instead: a comparison at equal budget.
        tensor_parallel: ranks that share each layer.
        pipeline_parallel: ranks that share the layers.
        processes: ranks in all; give `run.executor=kcpt_torchrun` for more than one.
    """
    info = read_info(Path(pack))
    data = run.Config(PackedPretrainingDataModule, pack=pack, micro_batch_size=4, global_batch_size=4)
    steps = steps_for(read_info(Path(steps_like or pack)).windows, epochs, data.global_batch_size)
    return run.Partial(
        llm.pretrain,
        model=run.Config(
            KcptLlamaModel, config=run.Config(KcptTinyConfig, seq_length=info.seq_length, vocab_rows=info.vocab_size)
        ),
        data=data,
        trainer=run.Config(
            nl.Trainer,
            accelerator="gpu" if torch.cuda.is_available() else "cpu",
            devices=processes,
            max_steps=steps,
            strategy=run.Config(
                KcptMegatronStrategy,
                tensor_model_parallel_size=tensor_parallel,
                pipeline_model_parallel_size=pipeline_parallel,
                ddp=run.Config(DistributedDataParallelConfig),
                **cpu_strategy_options(),
            ),
            callbacks=[run.Config(MetricsFile, path=f"{dir}/{METRICS}")],
            limit_val_batches=0,
            num_sanity_val_steps=0,
            log_every_n_steps=10,
            logger=False,
            enable_progress_bar=False,
            use_distributed_sampler=False,
        ),
        optim=run.Config(
            nl.MegatronOptimizerModule,
            config=run.Config(
                OptimizerConfig,
                optimizer="adam",
                lr=2e-3,
                weight_decay=0.1,
                adam_beta1=0.9,
                adam_beta2=0.95,
                clip_grad=1.0,
                bf16=False,
                params_dtype=torch.float32,
                use_distributed_optimizer=False,
            ),
            lr_scheduler=run.Config(
                nl.lr_scheduler.CosineAnnealingScheduler, warmup_steps=max(1, steps // 20), constant_steps=0, min_lr=2e-4
            ),
        ),
        log=run.Config(
            nl.NeMoLogger,
            explicit_log_dir=dir,
            ckpt=run.Config(nl.ModelCheckpoint, monitor=None, save_top_k=-1, save_last=False, every_n_train_steps=steps),
        ),
        resume=run.Config(
            nl.AutoResume,
            resume_if_exists=True,
            resume_ignore_no_checkpoint=True,
            restore_config=run.Config(nl.RestoreConfig, path=restore) if restore else None,
        ),
    )


@run.cli.factory(target=llm.finetune, name="kcpt_sft_tiny")
def kcpt_sft_tiny(
    pack: str = "packs/instruction-512",
    dir: str = "nemo_experiments/kcpt_sft_tiny",
    restore: Optional[str] = None,
    epochs: float = 1.0,
    steps_like: Optional[str] = None,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
) -> run.Partial:
    """Instruction tuning of the tiny Llama on a pack of mode `instruction`, loss on responses only.

    The arguments are those of `kcpt_tiny`, of which it differs in data and learning rate.
    """
    recipe = kcpt_tiny(pack, dir, restore, epochs, steps_like, tensor_parallel, pipeline_parallel, processes)
    fdl.update_callable(recipe, llm.finetune)
    fdl.update_callable(recipe.data, InstructionDataModule)
    recipe.tokenizer = None  # the pack holds ids
    return recipe
