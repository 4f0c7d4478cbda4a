"""The history of a checkpoint's weights, which a training that writes it makes longer by itself."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from nemo_kcpt.checkpoints.origin import Origin, Training, read_origin
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.packing.stage import TEMPLATE
from nemo_kcpt.records.packs import PackInfo


def history(
    info: PackInfo,
    *,
    source: Path | None,
    resumed: bool,
    recipe: str,
    steps: int,
    global_batch_size: int,
    lora: str | None,
) -> Origin:
    """That of the weights which a training started from, and this training.

    Args:
        info: of the pack.
        source: the checkpoint that it started from or resumed; None: random weights.
        resumed: whether `source` is one of its own, whose last training is this one.
        recipe: its name.
        steps: done so far.
        global_batch_size: windows a step.
        lora: its adapters in words, None for whole weights.
    """
    earlier = read_origin(source) if source else Origin()
    before = earlier.trainings[:-1] if resumed else earlier.trainings
    template = info.folder / TEMPLATE
    own = Training(
        recipe=recipe,
        steps=steps,
        pack=info.fingerprint,
        mode=info.mode,
        seq_length=info.seq_length,
        tokens=steps * global_batch_size * info.seq_length,
        tokenizer_json=info.made_of.get("input tokenizer.json"),
        system=info.made_of.get("system") or "",
        chat_template=template.read_text(encoding="utf-8") if template.is_file() else None,
        lora=lora,
        template_date=info.made_of.get("template_date", DATE),
    )
    return replace(earlier, trainings=[*before, own])
