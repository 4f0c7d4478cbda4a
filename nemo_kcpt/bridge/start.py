"""What is settled and looked at before Megatron-Bridge starts, so that a run ends with a reason then and not later."""

from __future__ import annotations

import os
import socket
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from megatron.bridge.training import initialize
from megatron.bridge.training.config import ConfigContainer
from megatron.bridge.training.utils.omegaconf_utils import (
    apply_overrides,
    create_omegaconf_dict_config,
    parse_hydra_overrides,
)
from megatron.core import datasets
from omegaconf import OmegaConf

from nemo_kcpt.bridge.checkpoints import check_adapters, check_resumed_schedule, check_resumed_stream
from nemo_kcpt.checkpoints.adapters import read_lora
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.layout import BRIDGE, check_layout
from nemo_kcpt.data.taught import check_distillation, check_student
from nemo_kcpt.errors import BadInput
from nemo_kcpt.planning.layout import refusals
from nemo_kcpt.planning.planned import shape_of_weights
from nemo_kcpt.planning.training import TrainingPlan
from nemo_kcpt.records.packs import read_info


def compile_nothing() -> None:
    """Keep Megatron-Core from running `make` where its wheel has no Makefile: it would end the program (exit code 1).

    What would be made is the index builder of Megatron's own datasets, which a pack does not need.
    """
    if not (Path(datasets.__file__).parent / "Makefile").is_file():
        initialize.compile_helpers = lambda: None


def own_rendezvous() -> None:
    """A free port for a training of one process: the default is the same for all trainings of a machine.

    Where several ranks are started, as by torchrun, they have been told theirs.
    """
    if "WORLD_SIZE" in os.environ:
        return
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        os.environ.setdefault("MASTER_ADDR", "127.0.0.1")
        os.environ.setdefault("MASTER_PORT", str(listener.getsockname()[1]))


def weights(plan: TrainingPlan) -> Path | None:
    """The checkpoint, in the Bridge's layout, that a training starts from.

    Raises:
        BadInput: there is none where the plan says, one of NeMo's, one of another model, or adapters alone.
    """
    if plan.restore is None:
        return None
    base = find_checkpoint(Path(plan.restore))
    check_layout(base, BRIDGE)
    if (there := read_lora(base)) is not None:
        raise BadInput(
            f"{base}: holds adapters alone ({there.described()}), not the weights they go with; export the merged "
            f"model and take that: kcpt convert export {base} --to HF, kcpt convert import HF --to BASE backend=bridge"
        )
    shape_of_weights(plan.shape, plan.restore)
    return base


def override(config: ConfigContainer, words: Sequence[str]) -> None:
    """Set fields of the configuration by words in Hydra's syntax, as the Bridge's own scripts do.

    Raises:
        BadInput: a word that is none, or a field that there is not.
    """
    if not words:
        return
    try:
        settings, excluded = create_omegaconf_dict_config(config)
        settings = parse_hydra_overrides(settings, list(words))
        apply_overrides(config, OmegaConf.to_container(settings, resolve=True), excluded)
    except Exception as error:  # Hydra, OmegaConf and the Bridge each have their own
        raise BadInput(
            f"{' '.join(words)}: no override of Megatron-Bridge's ConfigContainer ({' '.join(str(error).split())}); "
            "expected as optimizer.lr=1e-4, model.z_loss=1e-4, train.train_iters=20"
        ) from None


def check(config: ConfigContainer, plan: TrainingPlan) -> None:
    """Hold model, data and layout against each other.

    Raises:
        BadInput: they do not go together.
    """
    info = read_info(Path(config.dataset.pack))
    model: Any = config.model
    if config.checkpoint.load is None and config.checkpoint.pretrained_checkpoint is None and not model.from_scratch:
        raise BadInput(
            "the training would start from random weights: there is no checkpoint to resume and restore= was not given."
            " Give restore=CHECKPOINT (from `kcpt convert import HF_DIR --to CHECKPOINT backend=bridge`), or, for a "
            "model from scratch, model.from_scratch=true"
        )
    if model.vocab_rows < info.vocab_size:
        raise BadInput(
            f"{info.folder}: its tokenizer has {info.vocab_size} entries, the model only {model.vocab_rows} vocabulary "
            "rows; pack with the model's own tokenizer"
        )
    if model.seq_length != info.seq_length:
        raise BadInput(
            f"{info.folder}: has windows of {info.seq_length} tokens, the model's sequence length is "
            f"{model.seq_length}; give a pack of that length, or model.seq_length={info.seq_length}"
        )
    if config.checkpoint.load is not None:
        check_resumed_stream(config.dataset, Path(config.checkpoint.load))
    check_adapters(config, plan.lora is not None and plan.lora.embeddings)
    check_resumed_schedule(config)
    data = config.dataset
    check_student(model, check_distillation(info, data.distillation, data.attention, data.see_passage))
    ranks = plan.nodes * plan.processes
    if reasons := refusals(plan.shape, plan.seq_length, plan.layout, plan.global_batch_size, ranks):
        raise BadInput(f"this layout cannot train this model: {'; '.join(reasons)}")
