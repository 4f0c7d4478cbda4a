"""Recipes: plain functions that `nemo llm pretrain --factory kcpt_…` and `nemo llm finetune --factory kcpt_…` find.

nemo_run imports this module through the entry point group `nemo_run.cli`; importing it registers the factories.
"""

from nemo_kcpt_recipes.executors import kcpt_torchrun
from nemo_kcpt_recipes.tiny import kcpt_sft_tiny, kcpt_tiny

__all__ = ["kcpt_sft_tiny", "kcpt_tiny", "kcpt_torchrun"]
