"""Lightning data modules that feed pack stores to `nemo llm pretrain` and `nemo llm finetune`."""

from nemo_kcpt.data.packed import InstructionDataModule, PackedPretrainingDataModule

__all__ = ["InstructionDataModule", "PackedPretrainingDataModule"]
