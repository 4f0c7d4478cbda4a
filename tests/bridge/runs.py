"""Toy trainings through `nemo_kcpt.bridge.train`, for forks of a process that has imported Megatron-Bridge."""

from __future__ import annotations

import hashlib
import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.hf.families import family_of
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.training import Lora, TrainingPlan
from nemo_kcpt.records.packs import read_info

LORA = Lora(rank=4, alpha=8, targets=("linear_qkv", "linear_proj", "linear_fc1", "linear_fc2"))


def toy_shape(rows: int, positions: int, *, tied: bool = False) -> ModelShape:
    return ModelShape(
        family=family_of("llama", "the tests"),
        num_layers=2,
        hidden_size=64,
        ffn_hidden_size=96,
        num_attention_heads=4,
        num_query_groups=2,
        kv_channels=16,
        vocab_rows=rows,
        positions=positions,
        rotary_base=10_000.0,
        layernorm_epsilon=1e-5,
        tied=tied,
    )


def plan(
    folder: Path,
    pack: Path,
    *,
    tp: int = 1,
    pp: int = 1,
    dp: int = 1,
    micro: int = 1,
    steps: int = 6,
    every: int = 3,
    distributed: bool = False,
    restore: Path | None = None,
    lora: bool = False,
    tied: bool = False,
    **changes: Any,
) -> TrainingPlan:
    """A toy training on an instruction pack, four windows a step; two ranks divide its vocabulary without a rest."""
    info = read_info(pack)
    layout = Layout(
        tensor_parallel=tp,
        pipeline_parallel=pp,
        context_parallel=1,
        data_parallel=dp,
        micro_batch_size=micro,
        recompute="none",
    )
    own = TrainingPlan(
        recipe="kcpt_sft_tiny",
        task="finetune",
        shape=toy_shape(info.vocab_size + info.vocab_size % 2, info.seq_length, tied=tied),
        pack=str(pack),
        dir=str(folder),
        restore=None if restore is None else str(restore),
        from_scratch=restore is None,
        seq_length=info.seq_length,
        rotary_base=10_000.0,
        layout=layout,
        processes=tp * pp * dp,
        global_batch_size=4,
        steps=steps,
        learning_rate=3e-3,
        checkpoint_every=every,
        bf16=distributed,
        lora=LORA if lora else None,
    )
    return replace(own, **changes)


def train(
    plan: TrainingPlan, overrides: Sequence[str] = (), *, die_at: int = 0, without: str = ""
) -> tuple[dict[int, float], str]:
    """Losses by step, as `metrics.jsonl` has them, and a hash of this rank's weights after the last one.

    Args:
        plan: of the training.
        overrides: of the Bridge's ConfigContainer.
        die_at: the process is killed after this step.
        without: name of an override of the CPU backend that is left out.
    """
    from megatron.bridge.training.callbacks import Callback, CallbackContext

    from nemo_kcpt.bridge import train as program
    from nemo_kcpt.cpu_backend import bridge

    bridge.OVERRIDES = tuple(one for one in bridge.OVERRIDES if one.name != without)
    found: dict[str, str] = {}

    class Probe(Callback):
        def on_train_step_end(self, context: CallbackContext) -> None:
            if die_at and context.state.train_state.step + 1 == die_at:
                os.kill(os.getpid(), signal.SIGKILL)

        def on_train_end(self, context: CallbackContext) -> None:
            hashes = hashlib.sha256()
            for parameter in context.model[0].parameters():
                hashes.update(parameter.detach().numpy().tobytes())
            found["weights"] = hashes.hexdigest()

    program.train(plan, overrides, [Probe()])
    lines = (Path(plan.dir) / "metrics.jsonl").read_text().splitlines()
    return {line["step"]: line["loss"] for line in map(json.loads, lines)}, found.get("weights", "")
