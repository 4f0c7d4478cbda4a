"""What recipes share: the trainer, the optimizer, where a run's files go. Each recipe changes what is its own."""

from pathlib import Path
from typing import Optional

import fiddle as fdl
import nemo_run as run
import torch
from megatron.core.distributed import DistributedDataParallelConfig
from megatron.core.optimizer import OptimizerConfig
from nemo import lightning as nl
from nemo.collections import llm

from nemo_kcpt.checkpoints.checkpoint import find_checkpoint, read_shape
from nemo_kcpt.checkpoints.importing import TOKENIZER
from nemo_kcpt.config import nearest
from nemo_kcpt.data import InstructionDataModule
from nemo_kcpt.data.windows import SPLIT
from nemo_kcpt.distillation.shards import read_distillation
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.adapters import TARGETS, AdapterPlan
from nemo_kcpt.records.packs import PackInfo
from nemo_kcpt.runs import MANIFEST, read_manifest
from nemo_kcpt.training.cpu_speed import CpuSpeed
from nemo_kcpt.training.lora import KcptLora
from nemo_kcpt.training.metrics import METRICS, MetricsFile
from nemo_kcpt.training.resume import KcptAutoResume
from nemo_kcpt.training.strategy import KcptMegatronStrategy


def trainer(
    recipe: str, folder: str, steps: int, devices: int, tensor_parallel: int, pipeline_parallel: int
) -> run.Config:
    """`steps` optimizer steps on `devices` GPUs, or processes where there is none; metrics.jsonl goes to `folder`.

    `recipe` is the name under which checkpoints and exported models say what they were trained by.
    """
    return run.Config(
        nl.Trainer,
        accelerator="auto",
        devices=devices,
        max_steps=steps,
        strategy=run.Config(
            KcptMegatronStrategy,
            tensor_model_parallel_size=tensor_parallel,
            pipeline_model_parallel_size=pipeline_parallel,
            pipeline_dtype=torch.float32,
        ),
        callbacks=[run.Config(MetricsFile, path=f"{folder}/{METRICS}", every=1, recipe=recipe)],
        limit_val_batches=0,
        num_sanity_val_steps=0,
        log_every_n_steps=10,
        logger=False,
        use_distributed_sampler=False,
    )


def adamw(lr: float, steps: int) -> run.Config:
    """AdamW with β 0.9/0.95, ε 1e-8, weight decay 0.1, clipping at 1.0 and a cosine to a tenth, in float32.

    The figures of llm-jp's public runs (github.com/llm-jp/scripts, pretrain/installers/v3-megatron-sakura/example/
    train.sh), and of Llama 2 (Touvron et al. 2023, §2.2). Warm-up is a twentieth of the steps: theirs is 1,000 or
    2,000 steps, more than a whole continual pretraining of ours.
    """
    return run.Config(
        nl.MegatronOptimizerModule,
        config=run.Config(
            OptimizerConfig,
            optimizer="adam",
            lr=lr,
            weight_decay=0.1,
            adam_beta1=0.9,
            adam_beta2=0.95,
            adam_eps=1e-8,
            clip_grad=1.0,
            bf16=False,
            params_dtype=torch.float32,
            use_distributed_optimizer=False,
        ),
        lr_scheduler=run.Config(
            nl.lr_scheduler.CosineAnnealingScheduler,
            max_steps=steps,
            warmup_steps=max(1, steps // 20),
            constant_steps=0,
            min_lr=lr / 10,
        ),
    )


def logger(folder: str, every: int) -> run.Config:
    """NeMo's logs in `folder`/nemo (a resumed run moves the files of that folder away), checkpoints in
    `folder`/checkpoints: the newest one, written every `every` steps.

    The last one keeps the optimizer's state too, so that a training that had ended can be started again, to find
    nothing to do or to go on for more steps.
    """
    checkpoint = run.Config(
        nl.ModelCheckpoint,
        dirpath=f"{folder}/checkpoints",
        filename="{step}",
        monitor=None,
        save_top_k=0,
        save_last=True,
        save_optim_on_train_end=True,
        every_n_train_steps=every,
    )
    return run.Config(nl.NeMoLogger, explicit_log_dir=f"{folder}/nemo", ckpt=checkpoint)


def validate(recipe: run.Partial, pack: str) -> None:
    """Measure the loss on another pack before each checkpoint, and keep the checkpoint where it was lowest, too."""
    checkpoint = recipe.log.ckpt
    recipe.data.validation = pack
    recipe.trainer.val_check_interval = checkpoint.every_n_train_steps
    recipe.trainer.check_val_every_n_epoch = None
    # All of them: a number would count micro-batches of a rank, and NeMo hangs in a pipeline when it stops between two.
    recipe.trainer.limit_val_batches = 1.0
    # Lightning saves after each validation, by which the best is known, where no steps are given.
    checkpoint.every_n_train_steps, checkpoint.every_n_epochs = None, 1
    checkpoint.monitor, checkpoint.save_top_k = "val_loss", 1
    checkpoint.filename = "{step}-{val_loss:.4f}"


def resume(folder: str, restore: Optional[str]) -> run.Config:
    """Go on from the newest checkpoint in `folder`; a run that has none starts from the weights of `restore`, if given.

    Raises:
        BadInput: `restore` holds no finished checkpoint.
    """
    weights = run.Config(nl.RestoreConfig, path=str(find_checkpoint(Path(restore)))) if restore else None
    return run.Config(
        KcptAutoResume,
        resume_from_directory=f"{folder}/checkpoints",
        resume_if_exists=True,
        resume_ignore_no_checkpoint=True,
        restore_config=weights,
    )


def take_steps(recipe: run.Partial, steps: int, lr: float) -> run.Partial:
    """Train for `steps` steps from this learning rate, with a checkpoint in the middle and one at the end."""
    recipe.trainer.max_steps = steps
    recipe.optim = adamw(lr, steps)
    recipe.log.ckpt.every_n_train_steps = max(1, steps // 2)
    return recipe


def shape_of_weights(shape: ModelShape, restore: Optional[str]) -> ModelShape:
    """`shape` with the positions and RoPE base of the weights to start from, which an earlier training may have raised.

    Raises:
        BadInput: `restore` holds weights of another architecture, or no finished checkpoint.
    """
    if restore is None:
        return shape
    found = read_shape(find_checkpoint(Path(restore)))
    if differing := shape.differences(found):
        raise BadInput(
            f"{restore}: the recipe's model has {', '.join(differing)} in these weights; take the recipe of that "
            "model (kcpt recipes lists them), or kcpt_llama with its Hugging Face folder"
        )
    return found


def check_tokenizer(info: PackInfo, restore: Optional[str]) -> None:
    """A pack and the imported weights it is to train must be of one tokenizer.

    Raises:
        BadInput: `tokenizer.json` was another one.
    """
    manifest = find_checkpoint(Path(restore)) / MANIFEST if restore else None
    if manifest is None or not manifest.is_file():
        return  # a training's own checkpoint, whose pack was compared when it started
    theirs = read_manifest(manifest.parent)["counts"].get(TOKENIZER)
    ours = info.made_of.get("input tokenizer.json")
    if None not in (ours, theirs) and ours != theirs:
        raise BadInput(
            f"{info.folder}: was packed with a tokenizer.json of hash {str(ours)[:12]}, the weights in {restore} came "
            f"with {theirs[:12]}; pack with the tokenizer of that model (tokenizer=its Hugging Face folder)"
        )


def distil(
    recipe: run.Partial, distillation: Optional[str], kl_weight: Optional[float], ce_weight: Optional[float]
) -> run.Partial:
    """Learn from a distillation of `kcpt distill`, if one is given: each pair, and each half of a passage, alone.

    Raises:
        BadInput: a weight without a distillation, a negative one or none above 0, or no finished distillation.
    """
    if distillation is None:
        if kl_weight is not None or ce_weight is not None:
            raise BadInput("kl_weight, ce_weight: are for a training with distillation=FOLDER (kcpt distill)")
        return recipe
    kl, ce = (1.0 if given is None else given for given in (kl_weight, ce_weight))
    if min(kl, ce) < 0 or kl + ce == 0:
        raise BadInput(f"kl_weight={kl}, ce_weight={ce}: none may be below 0, and one must be above")
    info = read_distillation(Path(distillation))
    recipe.data.distillation, recipe.data.attention = distillation, SPLIT
    config = recipe.model.config
    config.kl_weight, config.ce_weight, config.temperature = kl, ce, info.temperature
    if recipe.trainer.strategy.pipeline_model_parallel_size > 1:
        recipe.data.micro_batch_size = 1  # packed windows and pipeline stages: see nemo_kcpt.models.llama
    return recipe


def name(recipe: run.Partial, given: str) -> None:
    """Give a recipe that was derived from another one its own name."""
    for callback in recipe.trainer.callbacks:
        if fdl.get_callable(callback) is MetricsFile:
            callback.recipe = given


def bf16_products(recipe: run.Partial) -> None:
    """Round the operands of matrix products to bfloat16 on a CPU where that is faster, see :class:`CpuSpeed`."""
    for callback in recipe.trainer.callbacks:
        if fdl.get_callable(callback) is CpuSpeed:
            callback.products = "auto"


def tuning(recipe: run.Partial, own_name: str, lr: float) -> run.Partial:
    """Make an instruction tuning of a continual pretraining on a pack of mode `instruction`: loss on responses only.

    Attention stops between samples, for which pipeline stages want one window in a micro-batch.
    """
    name(recipe, own_name)
    fdl.update_callable(recipe, llm.finetune)
    fdl.update_callable(recipe.data, InstructionDataModule)
    recipe.tokenizer = None  # the pack holds ids
    if recipe.trainer.strategy.pipeline_model_parallel_size > 1:
        recipe.data.micro_batch_size = 1
    recipe.optim.config.lr, recipe.optim.lr_scheduler.min_lr = lr, lr / 10
    return recipe


LORA_TARGETS = "+".join(TARGETS)
"""All linear layers, which loses least against full training (Biderman et al. 2024, LoRA Learns Less and Forgets Less,
arXiv 2405.09673, section 5)."""


def adapters(
    recipe: run.Partial, rank: int, alpha: Optional[float], targets: str, dropout: float, embeddings: bool
) -> run.Partial:
    """Train low-rank adapters in place of the weights; nothing changes where `rank` is 0.

    Raises:
        BadInput: a rank below 0, an alpha or a dropout that is none, or layers that a model does not have.
    """
    if rank == 0:
        given = {"lora_alpha": alpha is not None, "lora_dropout": dropout != 0, "lora_embeddings": embeddings}
        given["lora_targets"] = targets != LORA_TARGETS
        if alone := [name for name, there in given.items() if there]:
            raise BadInput(f"{alone[0]}: goes with lora=RANK")
        return recipe
    names = _layers(targets)
    alpha = 2 * rank if alpha is None else alpha
    if rank < 0 or not alpha > 0 or not 0 <= dropout < 1:
        raise BadInput(
            f"lora={rank}, lora_alpha={alpha}, lora_dropout={dropout}: a rank and an alpha above 0 and a dropout from "
            "0 to below 1 are needed"
        )
    options = {"dim": rank, "alpha": alpha, "dropout": dropout, "embeddings": embeddings}
    lora = run.Config(KcptLora, target_modules=names, **options)
    recipe.model.model_transform = lora
    recipe.trainer.callbacks.append(lora)
    return recipe


def _layers(targets: str) -> list[str]:
    """Names of linear layers, with + between them: NeMo's command line divides arguments at commas.

    Raises:
        BadInput: one that a model does not have.
    """
    names = [name.strip() for name in targets.replace(",", "+").split("+")]
    if wrong := [name for name in names if name not in TARGETS]:
        raise BadInput(f"lora_targets: '{wrong[0]}' is not one of {', '.join(TARGETS)}; {nearest(wrong[0], TARGETS)}")
    return names


def adapter_plan(rank: int, targets: str, embeddings: bool) -> Optional[AdapterPlan]:
    """What the planner is to know of adapters."""
    return AdapterPlan(rank=rank, targets=tuple(_layers(targets)), embeddings=embeddings) if rank > 0 else None


def bf16(recipe: run.Partial, data_parallel: int) -> None:
    """Train in bf16 with float32 gradients and main weights, the distributed optimizer, and its communication hidden.

    Without effect where there is no CUDA (:class:`KcptMegatronStrategy`), but for the distributed optimizer.
    """
    overlap = data_parallel > 1
    recipe.trainer.plugins = run.Config(
        nl.MegatronMixedPrecision,
        precision="bf16-mixed",
        params_dtype=torch.bfloat16,
        pipeline_dtype=torch.bfloat16,
        autocast_enabled=False,
        grad_reduce_in_fp32=True,
    )
    recipe.trainer.strategy.pipeline_dtype = torch.bfloat16
    recipe.trainer.strategy.ddp = run.Config(
        DistributedDataParallelConfig,
        check_for_nan_in_grad=True,
        grad_reduce_in_fp32=True,
        use_distributed_optimizer=True,
        overlap_grad_reduce=overlap,
        overlap_param_gather=overlap,
    )
    optimizer = recipe.optim.config
    optimizer.bf16, optimizer.params_dtype = True, torch.bfloat16
    optimizer.use_distributed_optimizer, optimizer.overlap_param_gather = True, overlap
