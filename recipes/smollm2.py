"""SmolLM2-135M, a real pretrained model that a laptop CPU can train: a few hundred tokens a second on two cores."""

import math
from pathlib import Path
from typing import Optional

import nemo_run as run
from nemo.collections import llm

from nemo_kcpt.hf.model_shape import KNOWN
from nemo_kcpt.models.llama import KcptLlamaConfig, config_options
from nemo_kcpt.planning.rope import rotary_base
from nemo_kcpt.planning.steps import steps_for, windows_per_step
from nemo_kcpt.records.packs import read_info
from nemo_kcpt_recipes import common
from nemo_kcpt_recipes.tiny import kcpt_tiny

TOKENS_PER_STEP, MICRO_BATCH_TOKENS = 4096, 1024
LEARNING_RATE, TUNING_LEARNING_RATE = 3e-4, 1e-4
"""SmolLM2-135M's own pretraining peaked at 3e-3 (Ben Allal et al. 2025, SmolLM2); a tenth of that serves a training
that goes on from its end."""


@run.cli.factory(target=llm.pretrain, name="kcpt_smollm2_135m")
def kcpt_smollm2_135m(
    pack: str = "packs/anchored-512",
    dir: str = "nemo_experiments/kcpt_smollm2_135m",
    restore: Optional[str] = None,
    epochs: float = 2.0,
    steps_like: Optional[str] = None,
    rope: str = "auto",
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
    tokens_per_step: int = TOKENS_PER_STEP,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
    lora: int = 0,
    lora_alpha: Optional[float] = None,
    lora_targets: str = common.LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
) -> run.Partial:
    """Continual pretraining of SmolLM2-135M on a pack made with its tokenizer.

    Its arguments are those of `kcpt_tiny`, from which it differs in model, learning rate and tokens per step, in
    micro-batches of 1,024 tokens; it rounds matrix products to bfloat16 where a CPU is faster so, and has `rope` as in
    `kcpt_llama`. Fewer `tokens_per_step` make more steps, which few documents need. The weights come from `restore`, a
    checkpoint of `kcpt convert import`.
    """
    info = read_info(Path(pack))
    recipe = kcpt_tiny(pack, dir, restore, epochs, steps_like, tensor_parallel, pipeline_parallel, processes)
    shape = common.shape_of_weights(KNOWN["smollm2-135m"], restore)
    common.check_tokenizer(info, restore)
    base = rotary_base(shape, info.seq_length, rope)
    recipe.model.config = run.Config(KcptLlamaConfig, **config_options(shape, info.seq_length, base))
    recipe.data.global_batch_size = windows_per_step(info.seq_length, tokens_per_step)
    windows = max(1, recipe.data.global_batch_size * tensor_parallel * pipeline_parallel // processes)
    recipe.data.micro_batch_size = math.gcd(max(1, MICRO_BATCH_TOKENS // info.seq_length), windows)
    recipe.trainer.strategy.progress_interval = 1
    common.bf16_products(recipe)
    common.name(recipe, "kcpt_smollm2_135m")
    steps = steps_for(read_info(Path(steps_like or pack)).step_tokens, epochs, tokens_per_step)
    recipe = common.take_steps(recipe, steps, LEARNING_RATE)
    common.adapters(recipe, lora, lora_alpha, lora_targets, lora_dropout, lora_embeddings)
    return common.distil(recipe, distillation, kl_weight, ce_weight)


@run.cli.factory(target=llm.finetune, name="kcpt_sft_smollm2_135m")
def kcpt_sft_smollm2_135m(
    pack: str = "packs/instruction-512",
    dir: str = "nemo_experiments/kcpt_sft_smollm2_135m",
    restore: Optional[str] = None,
    epochs: float = 1.0,
    tensor_parallel: int = 1,
    pipeline_parallel: int = 1,
    processes: int = 1,
    tokens_per_step: int = TOKENS_PER_STEP,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
    lora: int = 0,
    lora_alpha: Optional[float] = None,
    lora_targets: str = common.LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
) -> run.Partial:
    """Instruction tuning of SmolLM2-135M; its arguments are those of `kcpt_sft_tiny`, and `tokens_per_step`."""
    parallel = tensor_parallel, pipeline_parallel, processes
    taught = distillation, kl_weight, ce_weight
    recipe = kcpt_smollm2_135m(pack, dir, restore, epochs, None, "auto", *parallel, tokens_per_step, *taught)
    common.adapters(recipe, lora, lora_alpha, lora_targets, lora_dropout, lora_embeddings)
    return common.tuning(recipe, "kcpt_sft_smollm2_135m", TUNING_LEARNING_RATE)
