"""Whether a distillation belongs to a pack and fits a model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from nemo_kcpt.data.windows import SPLIT
from nemo_kcpt.errors import BadInput
from nemo_kcpt.records.distillations import DistillationInfo, read_distillation
from nemo_kcpt.records.packs import PackInfo


def check_distillation(
    pack: PackInfo, folder: str | None, attention: str, see_passage: bool
) -> DistillationInfo | None:
    """The distillation in `folder`, which must be of this pack; None without a folder.

    Raises:
        BadInput: it is of another pack or tokenizer, or the student would see what only the teacher is to see.
    """
    if folder is None:
        if attention == SPLIT:
            raise BadInput("data.attention: split needs data.distillation=FOLDER, which says where blocks begin")
        return None
    info = read_distillation(Path(folder))
    for what, theirs, ours in (
        ("tokenizer", info.tokenizer_sha256, pack.tokenizer_sha256),
        ("pack", info.pack, pack.fingerprint),
    ):
        if theirs != ours:
            raise BadInput(
                f"{folder}: was made for another {what} ({theirs[:12]}) than that of {pack.folder} ({ours[:12]}); "
                f"make one with kcpt distill pack={pack.folder}"
            )
    if info.passage and attention != SPLIT and not see_passage:
        raise BadInput(
            f"{folder}: its teacher saw the passage before each pair, and with data.attention={attention} the student "
            "would see it, too, and learn to read instead of to know; set data.attention=split, or "
            "data.see_passage=True if that is meant"
        )
    return info


def check_student(config: Any, info: DistillationInfo | None) -> None:
    """A distillation and the model that is to learn from it.

    Raises:
        BadInput: the model asks for a teacher that the data do not have, has another vocabulary, or another
            temperature.
    """
    weight = getattr(config, "kl_weight", 0.0)
    if info is None:
        if weight:
            raise BadInput(
                f"model.config.kl_weight: is {weight}, but the data have no distillation; give "
                "data.distillation=FOLDER (kcpt distill), or kl_weight=0"
            )
        return
    rows = getattr(config, "vocab_rows", None) or getattr(config, "vocab_size", None)
    if rows is not None and rows != info.vocab_rows:
        raise BadInput(
            f"{info.folder}: its teacher has {info.vocab_rows} vocabulary rows, the model {rows}; make it "
            "with the Hugging Face folder that the training starts from"
        )
    temperature = getattr(config, "temperature", 1.0)
    if weight and temperature != info.temperature:
        raise BadInput(
            f"model.config.temperature: is {temperature}, {info.folder} was made at {info.temperature}; the teacher's "
            "probabilities are stored at that temperature, so set it, or make another with kcpt distill temperature="
        )
