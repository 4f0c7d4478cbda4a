"""A training that was planned, in NeMo's words: model, data, trainer, optimizer, log, resume."""

from pathlib import Path
from typing import Optional

import nemo_run as run
import torch
from megatron.core.distributed import DistributedDataParallelConfig
from megatron.core.optimizer import OptimizerConfig
from nemo import lightning as nl
from nemo.collections import llm

from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.data import InstructionDataModule, PackedPretrainingDataModule
from nemo_kcpt.data.windows import SPLIT
from nemo_kcpt.hf.known_models import DEMO, TINY
from nemo_kcpt.hf.megatron_options import config_options, recompute_options
from nemo_kcpt.models.llama import KcptDemoConfig, KcptLlamaConfig, KcptLlamaModel, KcptTinyConfig
from nemo_kcpt.planning.catalogue import FINETUNE, RECIPES
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.training import ADAMW, TrainingPlan
from nemo_kcpt.records.files import STEPS
from nemo_kcpt.training.cpu_speed import CpuSpeed
from nemo_kcpt.training.lora import KcptLora
from nemo_kcpt.training.metrics import MetricsFile
from nemo_kcpt.training.resume import KcptAutoResume
from nemo_kcpt.training.strategy import KcptMegatronStrategy

OWN = {TINY: KcptTinyConfig, DEMO: KcptDemoConfig}
"""Models that come with the recipes, which checkpoints know by classes of their own."""


def training(plan: TrainingPlan) -> run.Partial:
    """What `nemo llm pretrain`, or `finetune`, runs; each part can be overridden from there."""
    tuning = plan.task == FINETUNE
    recipe = run.Partial(
        llm.finetune if tuning else llm.pretrain,
        model=run.Config(KcptLlamaModel, config=model(plan)),
        data=run.Config(
            InstructionDataModule if tuning else PackedPretrainingDataModule,
            pack=plan.pack,
            micro_batch_size=plan.layout.micro_batch_size,
            global_batch_size=plan.global_batch_size,
        ),
        trainer=trainer(plan),
        optim=adamw(plan),
        log=logger(plan.dir, plan.checkpoint_every),
        resume=resume(plan.dir, plan.restore),
    )
    if tuning:
        recipe.tokenizer = None  # the pack holds ids
    if plan.bf16:
        bf16(recipe, plan.layout)
    if plan.validation is not None:
        validate(recipe, plan.validation)
    if plan.lora is not None:
        lora = run.Config(
            KcptLora,
            target_modules=list(plan.lora.targets),
            dim=plan.lora.rank,
            alpha=plan.lora.alpha,
            dropout=plan.lora.dropout,
            embeddings=plan.lora.embeddings,
        )
        recipe.model.model_transform = lora
        recipe.trainer.callbacks.append(lora)
    if plan.distilling is not None:  # each pair, and each half of a passage, alone
        recipe.data.distillation, recipe.data.attention = plan.distilling.folder, SPLIT
        config = recipe.model.config
        config.kl_weight, config.ce_weight = plan.distilling.kl_weight, plan.distilling.ce_weight
        config.temperature = plan.distilling.temperature
    return recipe


def model(plan: TrainingPlan) -> run.Config:
    """The model's config."""
    if own := RECIPES[plan.recipe].own:
        return run.Config(OWN[own], seq_length=plan.seq_length, vocab_rows=plan.shape.vocab_rows)
    options = config_options(plan.shape, plan.seq_length, plan.rotary_base)
    config = run.Config(KcptLlamaConfig, **options, **recompute_options(plan.layout.recompute))
    if plan.z_loss:
        config.z_loss = plan.z_loss
    return config


def trainer(plan: TrainingPlan) -> run.Config:
    """Its steps on `processes` GPUs of each machine, or as many processes where there is none; its metrics file."""
    metrics = run.Config(MetricsFile, path=f"{plan.dir}/{STEPS.name}", every=1, recipe=plan.recipe)
    config = run.Config(
        nl.Trainer,
        accelerator="auto",
        devices=plan.processes,
        max_steps=plan.steps,
        strategy=run.Config(
            KcptMegatronStrategy,
            tensor_model_parallel_size=plan.layout.tensor_parallel,
            pipeline_model_parallel_size=plan.layout.pipeline_parallel,
            pipeline_dtype=torch.float32,
        ),
        callbacks=[metrics],
        limit_val_batches=0,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        logger=False,
        use_distributed_sampler=False,
    )
    if plan.bf16:
        config.num_nodes = plan.nodes
        config.strategy.context_parallel_size = plan.layout.context_parallel
        config.strategy.sequence_parallel = plan.layout.sequence_parallel
        config.strategy.expert_model_parallel_size = plan.layout.expert_parallel
    else:
        config.strategy.progress_interval = 10 if plan.from_scratch else 1
        products = {"products": "auto"} if plan.rounded_products else {}
        config.callbacks.append(run.Config(CpuSpeed, matmul_precision="medium", fused_optimizer=True, **products))
    return config


def adamw(plan: TrainingPlan) -> run.Config:
    """AdamW with β 0.9/0.95, ε 1e-8, weight decay 0.1, clipping at 1.0 and a cosine to a tenth, in float32.

    :data:`nemo_kcpt.planning.training.ADAMW` says where the figures come from. Warm-up is a twentieth of the steps:
    theirs is 1,000 or 2,000 steps, more than a whole continual pretraining of ours.
    """
    return run.Config(
        nl.MegatronOptimizerModule,
        config=run.Config(
            OptimizerConfig,
            **ADAMW,
            lr=plan.learning_rate,
            bf16=False,
            params_dtype=torch.float32,
            use_distributed_optimizer=False,
        ),
        lr_scheduler=run.Config(
            nl.lr_scheduler.CosineAnnealingScheduler,
            max_steps=plan.steps,
            warmup_steps=plan.warmup_steps,
            constant_steps=0,
            min_lr=plan.least_learning_rate,
        ),
    )


def logger(folder: str, every: int) -> run.Config:
    """NeMo's logs in `folder`/nemo (a resumed run moves the files of that folder away), checkpoints in
    `folder`/checkpoints: the newest one, written every `every` steps.

    The last one keeps the optimizer's state too, so that a training that had ended can be started again, to find
    nothing to do or, where its learning rate stays level, to continue for more steps.
    """
    checkpoint = run.Config(
        nl.ModelCheckpoint,
        dirpath=f"{folder}/checkpoints",
        filename="{step}",
        monitor=None,
        save_top_k=0,
        save_last=True,
        save_optim_on_train_end=True,
        every_n_train_steps=every,
    )
    return run.Config(nl.NeMoLogger, explicit_log_dir=f"{folder}/nemo", ckpt=checkpoint)


def validate(recipe: run.Partial, pack: str) -> None:
    """Measure the loss on another pack before each checkpoint, and keep the checkpoint where it was lowest, too."""
    checkpoint = recipe.log.ckpt
    recipe.data.validation = pack
    recipe.trainer.val_check_interval = checkpoint.every_n_train_steps
    recipe.trainer.check_val_every_n_epoch = None
    # All of them: a number would count micro-batches of a rank, and NeMo hangs in a pipeline when it stops between two.
    recipe.trainer.limit_val_batches = 1.0
    # Lightning saves after each validation, by which the best is known, where no steps are given.
    checkpoint.every_n_train_steps, checkpoint.every_n_epochs = None, 1
    checkpoint.monitor, checkpoint.save_top_k = "val_loss", 1
    checkpoint.filename = "{step}-{val_loss:.4f}"


def resume(folder: str, restore: Optional[str]) -> run.Config:
    """Go on from the newest checkpoint in `folder`; where there is none, start from the weights of `restore`."""
    weights = run.Config(nl.RestoreConfig, path=str(find_checkpoint(Path(restore)))) if restore else None
    return run.Config(
        KcptAutoResume,
        resume_from_directory=f"{folder}/checkpoints",
        resume_if_exists=True,
        resume_ignore_no_checkpoint=True,
        restore_config=weights,
    )


def bf16(recipe: run.Partial, layout: Layout) -> None:
    """Train in bf16 with float32 gradients and main weights, the distributed optimizer, and its communication hidden.

    Without effect where there is no CUDA (:class:`KcptMegatronStrategy`), but for the distributed optimizer.
    """
    overlap = layout.data_parallel * layout.context_parallel > 1
    recipe.trainer.plugins = run.Config(
        nl.MegatronMixedPrecision,
        precision="bf16-mixed",
        params_dtype=torch.bfloat16,
        pipeline_dtype=torch.bfloat16,
        autocast_enabled=False,
        grad_reduce_in_fp32=True,
    )
    recipe.trainer.strategy.pipeline_dtype = torch.bfloat16
    recipe.trainer.strategy.ddp = run.Config(
        DistributedDataParallelConfig,
        check_for_nan_in_grad=True,
        grad_reduce_in_fp32=True,
        use_distributed_optimizer=True,
        overlap_grad_reduce=overlap,
        overlap_param_gather=overlap,
    )
    optimizer = recipe.optim.config
    optimizer.bf16, optimizer.params_dtype = True, torch.bfloat16
    optimizer.use_distributed_optimizer, optimizer.overlap_param_gather = True, overlap
