"""Data modules over a pack store, with a stream that resumes at the very next sample.

Where training stands (`consumed_samples`) and the pack's fingerprint live in the checkpoint; a checkpoint that was
trained on another pack is refused instead of going on with other data.
"""

from pathlib import Path
from typing import Any

import lightning.pytorch as pl
from nemo.lightning.data import WrappedDataLoader
from nemo.lightning.io.mixin import IOMixin
from nemo.lightning.pytorch.plugins import MegatronDataSampler

from nemo_kcpt.data.windows import LOSS_ON, WindowDataset
from nemo_kcpt.errors import BadInput
from nemo_kcpt.packing.store import read_info


class PackedPretrainingDataModule(pl.LightningDataModule, IOMixin):
    """Windows of a pack (`kcpt pack`) for `nemo llm pretrain`.

    Args:
        pack: folder of the pack.
        micro_batch_size: windows per forward pass and rank.
        global_batch_size: windows per optimizer step over all ranks.
        loss: "all" tokens (the method's choice) or "outputs", the replies only.
        seed: of the order of windows; every epoch has its own.
        num_workers: loader processes per rank.

    Raises:
        BadInput: not a finished pack, a pack of the wrong mode, an unknown `loss`.
    """

    for_instructions = False
    """Whether the pack is of mode `instruction`; NeMo's serializer needs a constructor without such a switch."""

    def __init__(
        self,
        pack: str,
        micro_batch_size: int = 1,
        global_batch_size: int = 8,
        loss: str = "all",
        seed: int = 1234,
        num_workers: int = 0,
    ) -> None:
        super().__init__()
        if loss not in LOSS_ON:
            raise BadInput(f"data.loss: '{loss}' is not one of {', '.join(LOSS_ON)}")
        self.info = read_info(Path(pack))
        if (self.info.mode == "instruction") != self.for_instructions:
            command = "nemo llm finetune" if self.info.mode == "instruction" else "nemo llm pretrain"
            raise BadInput(f"{pack}: is a pack of mode {self.info.mode}, which belongs to `{command}`")
        self.pack, self.loss, self.seed, self.num_workers = pack, loss, seed, num_workers
        self.micro_batch_size, self.global_batch_size = micro_batch_size, global_batch_size
        self.seq_length = self.info.seq_length
        self.tokenizer = None  # the pack holds ids; NeMo asks data modules for this name
        self.init_global_step = 0
        self.data_sampler = MegatronDataSampler(
            seq_len=self.seq_length,
            micro_batch_size=micro_batch_size,
            global_batch_size=global_batch_size,
            dataloader_type="single",
        )

    def train_dataloader(self) -> WrappedDataLoader:
        """The whole training's samples in order; NeMo's sampler gives each rank its share and skips consumed ones."""
        assert self.trainer is not None
        self.init_global_step = self.trainer.global_step
        self.data_sampler.init_global_step = self.init_global_step
        # One step more than is trained: NeMo's sampler refuses to start where no sample is left, so a training that had
        # ended could not be started again to find that out.
        samples = (self.trainer.max_steps + 1) * self.global_batch_size
        dataset = WindowDataset(Path(self.pack), samples=samples, seed=self.seed, loss=self.loss)
        return WrappedDataLoader(
            mode="train", dataset=dataset, num_workers=self.num_workers, persistent_workers=self.num_workers > 0
        )

    def val_dataloader(self) -> list[Any]:
        """No validation windows: knowledge is measured by questions, not by perplexity on the same pack."""
        return []

    def state_dict(self) -> dict[str, Any]:
        """Samples consumed and the pack they came from, for the checkpoint."""
        assert self.trainer is not None
        consumed = self.data_sampler.compute_consumed_samples(self.trainer.global_step - self.init_global_step)
        return {"consumed_samples": consumed, "pack_fingerprint": self.info.fingerprint, "seed": self.seed}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the next sample.

        Raises:
            BadInput: the checkpoint was trained on another pack or in another order.
        """
        from megatron.core.num_microbatches_calculator import update_num_microbatches

        for name, mine in (("pack_fingerprint", self.info.fingerprint), ("seed", self.seed)):
            theirs = state_dict.get(name)
            if theirs != mine:
                raise BadInput(
                    f"the checkpoint was trained on data with {name} {theirs}, {self.pack} has {mine}. Resume with the "
                    "pack and seed it was made with, or start a new run (another log.log_dir) from its weights"
                )
        consumed = int(state_dict["consumed_samples"])
        self.data_sampler.init_consumed_samples = consumed
        self.data_sampler.prev_consumed_samples = consumed
        self.data_sampler.if_first_step = 1
        update_num_microbatches(consumed_samples=consumed, consistency_check=False)


class InstructionDataModule(PackedPretrainingDataModule):
    """Windows of an instruction-tuning pack for `nemo llm finetune`, loss on responses only."""

    for_instructions = True

    def __init__(
        self,
        pack: str,
        micro_batch_size: int = 1,
        global_batch_size: int = 8,
        loss: str = "outputs",
        seed: int = 1234,
        num_workers: int = 0,
    ) -> None:
        super().__init__(pack, micro_batch_size, global_batch_size, loss, seed, num_workers)
