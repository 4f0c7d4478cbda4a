"""Recipes: plain functions that `nemo llm pretrain --factory kcpt_…` and `nemo llm finetune --factory kcpt_…` find.

nemo_run imports this module through the entry point group `nemo_run.cli`; importing it registers the factories. Those
for GPUs, such as `kcpt_llmjp3_13b_4k`, are names of `nemo_kcpt_recipes.llama`.
"""

# ruff: noqa: E402 - torch reads its environment when it is loaded
from nemo_kcpt.threads import wait_briefly

wait_briefly()

from nemo_kcpt_recipes.data import kcpt_instructions, kcpt_packed
from nemo_kcpt_recipes.executors import kcpt_slurm, kcpt_torchrun
from nemo_kcpt_recipes.llama import EVERY, GPU_RECIPES
from nemo_kcpt_recipes.loggers import kcpt_tensorboard, kcpt_wandb

kcpt_demo, kcpt_sft_demo = EVERY["kcpt_demo"], EVERY["kcpt_sft_demo"]
kcpt_tiny, kcpt_sft_tiny = EVERY["kcpt_tiny"], EVERY["kcpt_sft_tiny"]
kcpt_smollm2_135m, kcpt_sft_smollm2_135m = EVERY["kcpt_smollm2_135m"], EVERY["kcpt_sft_smollm2_135m"]

__all__ = [
    "GPU_RECIPES",
    "kcpt_demo",
    "kcpt_instructions",
    "kcpt_packed",
    "kcpt_sft_demo",
    "kcpt_sft_smollm2_135m",
    "kcpt_sft_tiny",
    "kcpt_slurm",
    "kcpt_smollm2_135m",
    "kcpt_tensorboard",
    "kcpt_tiny",
    "kcpt_torchrun",
    "kcpt_wandb",
]
