"""What Megatron-Bridge makes of our checkpoints and of its own: run by its environment's Python, prints JSON.

    python loading_program.py JOB.json

The job: `checkpoints` (name: folder), each loaded as the Bridge loads a model; `pretrained`, one that is loaded as
checkpoint.pretrained_checkpoint; `hf`, the Hugging Face folder that one was imported from; `lengths`, windows of a
training with another RoPE base; `trained` and `exports`, folders to save such a model in, and to let the Bridge export
it to, one for each length.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from nemo_kcpt.bridge import stand_ins

stand_ins.put_in_place()

import torch  # noqa: E402

from nemo_kcpt import cpu_backend  # noqa: E402
from nemo_kcpt.cpu_backend.bridge import OVERRIDES  # noqa: E402

ROTARY_BASE = 500_000


def hashes(model: Any) -> dict[str, str]:
    """Of each parameter's bytes, by name."""
    return {
        name: hashlib.sha256(parameter.detach().contiguous().view(torch.uint8).numpy().tobytes()).hexdigest()
        for name, parameter in model.named_parameters()
    }


def load(folder: str) -> list[Any]:
    from megatron.bridge.training.model_load_save import load_megatron_model

    found = load_megatron_model(folder, use_cpu_init=True, skip_temp_dist_context=True)
    return found if isinstance(found, list) else [found]


def load_pretrained(folder: str, model: list[Any]) -> None:
    """Into `model`, as a training does."""
    from types import SimpleNamespace

    from megatron.bridge.training.checkpointing import load_checkpoint
    from megatron.bridge.training.config import CheckpointConfig
    from megatron.bridge.training.state import TrainState

    none = SimpleNamespace
    config = none(
        model=model[0].config,
        checkpoint=CheckpointConfig(pretrained_checkpoint=folder, ckpt_format="torch_dist"),
        rng=none(data_parallel_random_init=False),
        optimizer=none(use_distributed_optimizer=False),
        ddp=none(use_megatron_fsdp=False),
        peft=None,
    )
    loggers = dict.fromkeys(("wandb_logger", "mlflow_logger", "comet_logger"))
    load_checkpoint(none(cfg=config, train_state=TrainState(), **loggers), model, None, None)


def export(source: str, trained: str, out: Path) -> None:
    """Both ways in which the Bridge exports."""
    from megatron.bridge import AutoBridge

    AutoBridge.from_hf_pretrained(source).export_ckpt(trained, out / "from_hf_pretrained", show_progress=False)
    AutoBridge.from_auto_config(trained, source).export_ckpt(trained, out / "from_auto_config", show_progress=False)


def main() -> None:
    job = json.loads(Path(sys.argv[1]).read_text())
    cpu_backend.activate(OVERRIDES)
    from megatron.bridge.training.model_load_save import save_megatron_model, temporary_distributed_context
    from megatron.bridge.utils.instantiate_utils import register_allowed_target_prefix

    register_allowed_target_prefix("nemo_kcpt.bridge")
    found: dict[str, Any] = {"loaded": {}}
    with temporary_distributed_context(backend="gloo"):
        for name, folder in job["checkpoints"].items():
            found["loaded"][name] = hashes(load(folder)[0])
        model = load(job["pretrained"])
        for parameter in model[0].parameters():
            torch.nn.init.zeros_(parameter)
        load_pretrained(job["pretrained"], model)
        found["pretrained"] = hashes(model[0])
        for length in job["lengths"]:
            model[0].config.rotary_base, model[0].config.seq_length = ROTARY_BASE, length
            save_megatron_model(model, f"{job['trained']}/{length}")
    for length in job["lengths"]:
        export(job["hf"], f"{job['trained']}/{length}", Path(job["exports"]) / str(length))
    print(json.dumps(found))


if __name__ == "__main__":
    main()
