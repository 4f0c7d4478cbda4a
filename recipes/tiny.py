"""Llamas that learn on a laptop CPU: one of about five million parameters, and the demo's of two million."""

from pathlib import Path
from typing import Optional

import nemo_run as run
from nemo.collections import llm

from nemo_kcpt.data import PackedPretrainingDataModule
from nemo_kcpt.models.llama import KcptDemoConfig, KcptLlamaModel, KcptTinyConfig
from nemo_kcpt.planning.steps import steps_for, windows_per_step
from nemo_kcpt.records.packs import read_info
from nemo_kcpt.training.cpu_speed import CpuSpeed
from nemo_kcpt_recipes import common

TOKENS_PER_STEP = 1024
"""The same at every context length, so that packs of one corpus are compared at an equal number of steps."""
LEARNING_RATE, TUNING_LEARNING_RATE = 3e-3, 3e-4
"""High, as befits a tiny model; chosen with a look at the demo's held-out questions, see docs/demo.md."""
DEMO_LEARNING_RATE = 5e-3
"""The demo's model is half as wide, which asks for a higher one still; chosen likewise."""


@run.cli.factory(target=llm.pretrain, name="kcpt_tiny")
def kcpt_tiny(
    pack: str = "packs/concat-64",
    dir: str = "nemo_experiments/kcpt_tiny",
    restore: Optional[str] = None,
    epochs: float = 2.0,
    steps_like: Optional[str] = None,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
    lora: int = 0,
    lora_alpha: Optional[float] = None,
    lora_targets: str = common.LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
) -> run.Partial:
    """Continual pretraining of the tiny Llama on a pack.

    Args:
        pack: folder of kcpt pack (modes concat, raw); it sets the context length and the vocabulary's rows.
        dir: log, metrics and checkpoints go there; a run that was interrupted resumes from it.
        restore: checkpoint, or folder of another training, whose weights to start from; without it the weights are
            random, as for a first base.
        epochs: passes over the pack; the method takes 2.
        steps_like: another pack, whose number of steps to take instead: a comparison at equal budget.
        tensor_parallel: ranks that share each layer.
        pipeline_parallel: ranks that share the layers.
        processes: ranks in all; give `run.executor=kcpt_torchrun` for more than one.
        distillation: folder of kcpt distill for this pack, whose teacher's distributions are learnt, too.
        kl_weight: weight of the KL to them (1).
        ce_weight: weight of the cross entropy on the written tokens beside it (1).
        lora: rank of low-rank adapters (LoRA), trained in place of the weights, which stay as they are; 0: none.
        lora_alpha: the adapters' output is multiplied by this over their rank; None: twice the rank.
        lora_targets: linear layers that get them, with + between them.
        lora_dropout: share of the adapters' inputs that is left out in training.
        lora_embeddings: train the embedding and the output layer, too, whole.
    """
    info = read_info(Path(pack))
    batch = windows_per_step(info.seq_length, TOKENS_PER_STEP)
    steps = steps_for(read_info(Path(steps_like or pack)).step_tokens, epochs, TOKENS_PER_STEP)
    recipe = run.Partial(
        llm.pretrain,
        model=run.Config(
            KcptLlamaModel, config=run.Config(KcptTinyConfig, seq_length=info.seq_length, vocab_rows=info.vocab_size)
        ),
        data=run.Config(
            PackedPretrainingDataModule,
            pack=pack,
            micro_batch_size=max(1, batch * tensor_parallel * pipeline_parallel // processes),
            global_batch_size=batch,
        ),
        trainer=common.trainer("kcpt_tiny", dir, steps, processes, tensor_parallel, pipeline_parallel),
        optim=common.adamw(LEARNING_RATE, steps),
        log=common.logger(dir, every=steps // 2),
        resume=common.resume(dir, restore),
    )
    recipe.trainer.strategy.progress_interval = 10
    recipe.trainer.callbacks.append(run.Config(CpuSpeed, matmul_precision="medium", fused_optimizer=True))
    common.adapters(recipe, lora, lora_alpha, lora_targets, lora_dropout, lora_embeddings)
    return common.distil(recipe, distillation, kl_weight, ce_weight)


@run.cli.factory(target=llm.finetune, name="kcpt_sft_tiny")
def kcpt_sft_tiny(
    pack: str = "packs/instruction-64",
    dir: str = "nemo_experiments/kcpt_sft_tiny",
    restore: Optional[str] = None,
    epochs: float = 1.0,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
    lora: int = 0,
    lora_alpha: Optional[float] = None,
    lora_targets: str = common.LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
) -> run.Partial:
    """Instruction tuning of the tiny Llama on a pack of mode `instruction`, loss on responses only.

    Its arguments are those of `kcpt_tiny`, from which it differs in task, data module and learning rate.
    """
    taught = distillation, kl_weight, ce_weight
    recipe = kcpt_tiny(pack, dir, restore, epochs, None, tensor_parallel, pipeline_parallel, processes, *taught)
    common.adapters(recipe, lora, lora_alpha, lora_targets, lora_dropout, lora_embeddings)
    return common.tuning(recipe, "kcpt_sft_tiny", TUNING_LEARNING_RATE)


def _as_demo(recipe: run.Partial, own_name: str) -> run.Partial:
    """The same training for the demo's smaller model."""
    config = recipe.model.config
    recipe.model.config = run.Config(KcptDemoConfig, seq_length=config.seq_length, vocab_rows=config.vocab_rows)
    common.name(recipe, own_name)
    return recipe


@run.cli.factory(target=llm.pretrain, name="kcpt_demo")
def kcpt_demo(
    pack: str = "packs/anchored-64",
    dir: str = "nemo_experiments/kcpt_demo",
    restore: Optional[str] = None,
    epochs: float = 2.0,
    steps_like: Optional[str] = None,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
) -> run.Partial:
    """Continual pretraining of the demo's Llama, about two million parameters.

    It is half as wide as that of `kcpt_tiny` and learns at a higher rate; a step takes less than half the time. Its
    arguments are those of `kcpt_tiny`.
    """
    recipe = kcpt_tiny(pack, dir, restore, epochs, steps_like, tensor_parallel, pipeline_parallel, processes)
    recipe.optim = common.adamw(DEMO_LEARNING_RATE, recipe.trainer.max_steps)
    return common.distil(_as_demo(recipe, "kcpt_demo"), distillation, kl_weight, ce_weight)


@run.cli.factory(target=llm.finetune, name="kcpt_sft_demo")
def kcpt_sft_demo(
    pack: str = "packs/instruction-64",
    dir: str = "nemo_experiments/kcpt_sft_demo",
    restore: Optional[str] = None,
    epochs: float = 1.0,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
) -> run.Partial:
    """Instruction tuning of the demo's Llama; its arguments are those of `kcpt_sft_tiny`."""
    recipe = kcpt_sft_tiny(pack, dir, restore, epochs, tensor_parallel, pipeline_parallel, processes)
    return common.distil(_as_demo(recipe, "kcpt_sft_demo"), distillation, kl_weight, ce_weight)
