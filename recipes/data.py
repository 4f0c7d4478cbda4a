"""Data modules by name, for `data=…` on the command line: another pack for any recipe, NeMo's own ones included.

Their other arguments follow as overrides: `data="kcpt_packed(pack='packs/anchored-4096')" data.global_batch_size=128`.
"""

import lightning.pytorch as pl
import nemo_run as run

from nemo_kcpt.data import InstructionDataModule, PackedPretrainingDataModule


# nemo_run looks a type's factories up by its exact name, and LightningDataModule is what llm.pretrain asks for.
@run.cli.factory
def kcpt_packed(pack: str) -> run.Config[pl.LightningDataModule]:
    """Windows of a pack of mode anchored, concat or raw, for `nemo llm pretrain`."""
    return run.Config(PackedPretrainingDataModule, pack=pack)


@run.cli.factory
def kcpt_instructions(pack: str) -> run.Config[pl.LightningDataModule]:
    """Windows of a pack of mode instruction, for `nemo llm finetune`: loss on responses, attention within samples."""
    return run.Config(InstructionDataModule, pack=pack)
