"""Runs toy trainings one after the other in this process, as a JSON file lists them, and writes their losses.

``python toy_run.py jobs.json losses.json``, or the same under ``torchrun --nproc_per_node 2``. A job is a dict with
``name`` and any keyword of :func:`train`. Losses are keyed by name, then by global step (from 1).

Two launches may run at once and load each other's checkpoints: a job waits until the one that makes its checkpoint has
ended. Where one launch fails, the other stops too.
"""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path
from typing import Any


def train(
    *,
    folder: str,
    tp: int = 1,
    pp: int = 1,
    sequence_parallel: bool = False,
    distributed_optimizer: bool = False,
    max_steps: int = 6,
    save_every: int = 1000,
    load: str | None = None,
    packed: bool = False,
    tied: bool = False,
    micro_batch_size: int = 2,
    recompute: bool = False,
    z_loss: float = 0.0,
    validate_every: int = 0,
    resume: bool = False,
    products: str | None = None,
) -> dict[int | str, float]:
    """Trains a 2-layer Llama on toy data through ``llm.pretrain``.

    Args:
        folder: Takes logs, and every ``save_every`` steps a checkpoint ``step=N``, where N counts from 0 as NeMo does.
        load: Checkpoint to go on from, with optimizer, step and data position.
        resume: Go on from the newest finished checkpoint in ``folder``, if there is one.
        products: Of :class:`CpuSpeed`, which is left out without it.

    Returns:
        Training loss by global step, and that of each validation.
    """
    import torch
    from megatron.core.optimizer import OptimizerConfig
    from nemo import lightning as nl
    from nemo.collections import llm
    from toy import SEQUENCE, VOCABULARY, RecordLosses, ToyData

    from nemo_kcpt.models.llama import KcptLlamaModel, KcptTinyConfig
    from nemo_kcpt.training.cpu_speed import CpuSpeed
    from nemo_kcpt.training.resume import KcptAutoResume
    from nemo_kcpt.training.strategy import KcptMegatronStrategy

    options = {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    config = KcptTinyConfig(
        num_layers=2, hidden_size=64, ffn_hidden_size=96, num_attention_heads=4, num_query_groups=2, kv_channels=16,
        seq_length=SEQUENCE, vocab_rows=VOCABULARY, share_embeddings_and_output_weights=tied,
        z_loss=z_loss, **(options if recompute else {}),
    )  # fmt: skip
    optimizer = OptimizerConfig(
        optimizer="adam", lr=3e-3, clip_grad=0.5, bf16=False, fp16=False, params_dtype=torch.float32,
        use_distributed_optimizer=distributed_optimizer,
    )  # fmt: skip
    strategy = KcptMegatronStrategy(
        tensor_model_parallel_size=tp,
        pipeline_model_parallel_size=pp,
        sequence_parallel=sequence_parallel,
        pipeline_dtype=torch.float32,
    )
    strategy.store = fresh_store(folder)
    losses = RecordLosses()
    trainer = nl.Trainer(
        accelerator="cpu",
        devices=int(os.environ.get("WORLD_SIZE", "1")),
        strategy=strategy,
        max_steps=max_steps,
        limit_val_batches=1.0 if validate_every else 0,
        val_check_interval=validate_every or None,
        check_val_every_n_epoch=None,
        num_sanity_val_steps=0,
        logger=False,
        callbacks=[losses, *([CpuSpeed("highest", products=products)] if products else [])],
    )
    checkpoints = nl.ModelCheckpoint(
        dirpath=folder,
        filename="{step}",
        every_n_train_steps=save_every,
        save_top_k=-1,
        save_last=False,
        monitor=None,
        save_optim_on_train_end=True,
    )
    llm.pretrain(
        model=KcptLlamaModel(config),
        data=ToyData(micro_batch_size=micro_batch_size, packed=packed),
        trainer=trainer,
        log=nl.NeMoLogger(log_dir=folder, use_datetime_version=False, ckpt=checkpoints),
        resume=KcptAutoResume(
            resume_from_path=load, resume_from_directory=folder if resume else None, resume_if_exists=resume
        ),
        optim=nl.MegatronOptimizerModule(optimizer),
    )
    return losses.by_step


def fresh_store(name: str) -> Any:
    """A rendezvous of its own for one job under torchrun: a second process group must not meet the first one's keys."""
    import torch

    if "TORCHELASTIC_RUN_ID" not in os.environ:
        return None
    agent = torch.distributed.TCPStore(os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"]), is_master=False)
    return torch.distributed.PrefixStore(name, agent)


def forget_world() -> None:
    """Takes down the process group and Megatron's global state, so that another layout can follow in this process."""
    import torch
    from megatron.core import parallel_state
    from megatron.core.num_microbatches_calculator import destroy_num_microbatches_calculator

    torch.distributed.barrier()
    parallel_state.destroy_model_parallel()
    torch.distributed.destroy_process_group()
    destroy_num_microbatches_calculator()


def wait_for_checkpoint(checkpoint: Path, seconds: float = 500.0) -> None:
    """Returns when the job has ended that saves ``NAME/step=N``.

    Raises:
        RuntimeError: the launch that runs that job failed, or time is up.
    """
    deadline = time.monotonic() + seconds
    while not ended(checkpoint.parent).exists():
        failures = [path.name for path in checkpoint.parents[1].glob("*.failed")]
        if failures or time.monotonic() > deadline:
            raise RuntimeError(f"{checkpoint} was never made; {failures or 'time is up'}")
        time.sleep(0.05)


def ended(folder: Path) -> Path:
    """The file that says that the job in this folder has ended."""
    return folder.with_name(f"{folder.name}.ended")


def main(jobs_file: str, losses_file: str) -> None:
    results = {}
    try:
        for job in json.loads(Path(jobs_file).read_text()):
            name = job.pop("name")
            if job.get("load"):
                wait_for_checkpoint(Path(job["load"]))
            results[name] = train(**job)
            forget_world()
            if os.environ.get("RANK", "0") == "0":
                ended(Path(job["folder"])).touch()
        if os.environ.get("RANK", "0") == "0":
            Path(losses_file).write_text(json.dumps(results))
    except BaseException:
        Path(jobs_file).with_suffix(".failed").touch()
        raise


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[2]))
    main(*sys.argv[1:])
