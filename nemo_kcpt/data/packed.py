"""Data modules over a pack store, with a stream that resumes at the very next sample.

Where training stands (`consumed_samples`) and the pack's fingerprint live in the checkpoint; a checkpoint that was
trained on another pack is refused instead of going on with other data.
"""

import json
import math
from pathlib import Path
from typing import Any, Optional

import lightning.pytorch as pl
from nemo.lightning.data import WrappedDataLoader
from nemo.lightning.io.mixin import IOMixin
from nemo.lightning.pytorch.plugins import MegatronDataSampler
from nemo.utils import logging

from nemo_kcpt.data.stream import check_stream
from nemo_kcpt.data.taught import check_distillation, check_student
from nemo_kcpt.data.windows import ATTENTION, BLOCK_DIAGONAL, LOSS_ON, SPLIT, WindowDataset
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import canonical_json
from nemo_kcpt.records.packs import PackInfo, read_info


class PackedPretrainingDataModule(pl.LightningDataModule, IOMixin):
    """Windows of a pack (`kcpt pack`) for `nemo llm pretrain`.

    Args:
        pack: folder of the pack.
        micro_batch_size: windows per forward pass and rank.
        global_batch_size: windows per optimizer step over all ranks.
        loss: "all" tokens (the method's choice), "outputs", the replies only, or "content", all but the prompts of the
            documents' pairs.
        attention: "causal" over the whole window, or "block_diagonal": no token attends to another paper's, and
            positions restart with each paper; or "split", with a distillation: each pair, and each half of a passage,
            alone. Validation then stops between papers.
        seed: of the order of windows; every epoch has its own.
        num_workers: loader processes per rank.
        validation: folder of another pack, of the same length and tokenizer, to measure the loss on; the trainer says
            when and on how many global batches (`val_check_interval`, `limit_val_batches`).
        distillation: folder of `kcpt distill` for this pack; the model's kl_weight says what it counts.
        see_passage: let the student see what the attention lets it, with a distillation and another attention than
            split: the passage beside a pair, too.

    Raises:
        BadInput: not a finished pack, a pack of the wrong mode, an unknown `loss`, a validation pack or a distillation
            that does not go with it.
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
        attention: str = "causal",
        validation: Optional[str] = None,
        distillation: Optional[str] = None,
        see_passage: bool = False,
    ) -> None:
        super().__init__()
        for name, value, known in (("loss", loss, LOSS_ON), ("attention", attention, ATTENTION)):
            if value not in known:
                raise BadInput(f"data.{name}: '{value}' is not one of {', '.join(known)}")
        if global_batch_size % micro_batch_size:
            raise BadInput(
                f"data.global_batch_size: {global_batch_size} is not a multiple of data.micro_batch_size "
                f"{micro_batch_size}"
            )
        self.info = self._read_info(pack)
        self.validation = validation
        if validation is not None:
            self._check_validation(validation)
        self.distillation, self.see_passage = distillation, see_passage
        self.taught = check_distillation(self.info, distillation, attention, see_passage)
        self.pack, self.loss, self.attention = pack, loss, attention
        self.seed, self.num_workers = seed, num_workers
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

    def _read_info(self, pack: str) -> PackInfo:
        info = read_info(Path(pack))
        if (info.mode == "instruction") != self.for_instructions:
            command = "nemo llm finetune" if info.mode == "instruction" else "nemo llm pretrain"
            raise BadInput(f"{pack}: is a pack of mode {info.mode}, which belongs to `{command}`")
        return info

    def _check_validation(self, validation: str) -> None:
        theirs = self._read_info(validation)
        for what, ours, other in (
            ("windows of", f"{self.info.seq_length} tokens", f"{theirs.seq_length} tokens"),
            ("a tokenizer with hash", self.info.tokenizer_sha256[:12], theirs.tokenizer_sha256[:12]),
        ):
            if ours != other:
                raise BadInput(
                    f"data.validation: {validation} has {what} {other}, {self.info.folder} has {ours}; pack both with "
                    "the same seq_length and tokenizer"
                )

    def train_dataloader(self) -> WrappedDataLoader:
        """The whole training's samples in order; NeMo's sampler gives each rank its share and skips consumed ones.

        Raises:
            BadInput: the model has fewer vocabulary rows than the pack's tokenizer, or another sequence length.
        """
        assert self.trainer is not None
        self._check_model(getattr(self.trainer, "lightning_module", None))
        self.init_global_step = self.trainer.global_step
        self.data_sampler.init_global_step = self.init_global_step
        # One step more than is trained: NeMo's sampler refuses to start where no sample is left, so a training that had
        # ended could not be started again to find that out.
        self._tell_rule(self.trainer.max_steps)
        samples = (self.trainer.max_steps + 1) * self.global_batch_size
        return self._loader("train", self.pack, samples, self.attention, self.distillation)

    def _tell_rule(self, steps: int) -> None:
        """Say how windows become steps, from what the trainer will do after every override."""
        read, windows = steps * self.global_batch_size, self.info.epoch_windows
        logging.info(
            f"{self.pack}: {windows} windows of {self.seq_length} tokens; {steps} steps of {self.global_batch_size} "
            f"windows ({self.global_batch_size * self.seq_length:,} tokens) read {read}, {read / windows:.2f} epochs. "
            "A step that crosses the end of an epoch is filled from the next one"
        )

    def _loader(
        self, mode: str, pack: str, samples: int, attention: str, distillation: Optional[str] = None
    ) -> WrappedDataLoader:
        dataset = WindowDataset(
            Path(pack),
            samples=samples,
            seed=self.seed,
            loss=self.loss,
            attention=attention,
            distillation=None if distillation is None else Path(distillation),
        )
        return WrappedDataLoader(
            mode=mode,
            dataset=dataset,
            num_workers=self.num_workers,
            persistent_workers=self.num_workers > 0,
            collate_fn=dataset.collate_fn,
        )

    def _check_model(self, model: Any) -> None:
        """A pack that `data=` gave to a recipe made for another one."""
        config = getattr(model, "config", None)
        rows = getattr(config, "vocab_rows", None) or getattr(config, "vocab_size", None)
        if rows is not None and rows < self.info.vocab_size:
            raise BadInput(
                f"{self.pack}: its tokenizer has {self.info.vocab_size} entries, the model only {rows} vocabulary "
                "rows; pack with the model's own tokenizer"
            )
        length = getattr(config, "seq_length", self.seq_length)
        if length != self.seq_length:
            raise BadInput(
                f"{self.pack}: has windows of {self.seq_length} tokens, the model's sequence length is {length}; "
                f"give a pack of that length, or model.config.seq_length={self.seq_length}"
            )
        check_student(config, self.taught)

    def val_dataloader(self) -> Any:
        """The validation pack in whole global batches, the last one filled up from its start; none without such a pack.

        Each validation reads the same windows in the same order.
        """
        if self.validation is None:
            return []
        windows = read_info(Path(self.validation)).epoch_windows
        attention = BLOCK_DIAGONAL if self.attention == SPLIT else self.attention
        return self._loader("validation", self.validation, whole_batches(windows, self.global_batch_size), attention)

    def state_dict(self) -> dict[str, Any]:
        """Samples consumed and the pack they came from, for the checkpoint."""
        assert self.trainer is not None
        consumed = self.data_sampler.compute_consumed_samples(self.trainer.global_step - self.init_global_step)
        return {"consumed_samples": consumed, "pack_fingerprint": self.info.fingerprint, "made_of": self._made_of()}

    def _made_of(self) -> dict[str, Any]:
        """What the stream of samples is made of, name by name, to tell how two differ."""
        own = {"data.seed": self.seed, "data.loss": self.loss, "data.attention": self.attention}
        if self.taught is not None:
            own["data.distillation"] = self.taught.fingerprint
        return json.loads(canonical_json({**self.info.made_of, **own}))

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Go on at the next sample.

        Raises:
            BadInput: the checkpoint was trained on another pack, in another order, or with another loss or attention.
        """
        from megatron.core.num_microbatches_calculator import update_num_microbatches

        check_stream("the checkpoint", state_dict, self.info, self._made_of())
        consumed = int(state_dict["consumed_samples"])
        self.data_sampler.init_consumed_samples = consumed
        self.data_sampler.prev_consumed_samples = consumed
        self.data_sampler.if_first_step = 1
        update_num_microbatches(consumed_samples=consumed, consistency_check=False)


def whole_batches(windows: int, global_batch_size: int) -> int:
    """Samples of one validation: `windows`, rounded up to whole global batches."""
    return math.ceil(windows / global_batch_size) * global_batch_size


class InstructionDataModule(PackedPretrainingDataModule):
    """Windows of an instruction-tuning pack for `nemo llm finetune`, loss on responses only.

    Its arguments are those of `PackedPretrainingDataModule`. Attention stops between samples, so that packing them
    trains what each alone would.
    """

    for_instructions = True

    def __init__(
        self,
        pack: str,
        micro_batch_size: int = 1,
        global_batch_size: int = 8,
        loss: str = "outputs",
        seed: int = 1234,
        num_workers: int = 0,
        attention: str = "block_diagonal",
        validation: Optional[str] = None,
        distillation: Optional[str] = None,
        see_passage: bool = False,
    ) -> None:
        taught = distillation, see_passage
        super().__init__(
            pack, micro_batch_size, global_batch_size, loss, seed, num_workers, attention, validation, *taught
        )
