"""The training that follows from a recipe's arguments: what both backends train by."""

from __future__ import annotations

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.checkpoints.importing import TOKENIZER
from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.adapters import TARGETS
from nemo_kcpt.planning.catalogue import FINETUNE, Entry, find_entry
from nemo_kcpt.planning.hardware import Cluster, known_gpu
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.layouts import SIZES, chosen
from nemo_kcpt.planning.recipe_arguments import LORA_TARGETS, signature
from nemo_kcpt.planning.recipes_stage import tuning_fixed
from nemo_kcpt.planning.rope import rotary_base
from nemo_kcpt.planning.steps import TUNING_BATCH, steps_for, windows_per_step
from nemo_kcpt.planning.training import Distilling, Lora, TrainingPlan
from nemo_kcpt.records.distillations import read_distillation
from nemo_kcpt.records.packs import PackInfo, read_info
from nemo_kcpt.runs import MANIFEST, read_manifest

Z_LOSS = 1e-4
"""For llm-jp-3: its public example asks for it (`--use-z-loss`); the coefficient is PaLM's (Chowdhery et al. 2022,
§5)."""
CHECKPOINTS = 10
"""About so many in a training on GPUs: more cost time, fewer cost more work after a failure."""


def plan_training(recipe: Entry | str, **given: Any) -> TrainingPlan:
    """The training of a recipe with these arguments.

    Raises:
        BadInput: an unknown recipe or argument, one that is missing, or a training that cannot be; the message says
            which and what to do.
    """
    entry = find_entry(recipe) if isinstance(recipe, str) else recipe
    takes = signature(entry)
    if unknown := [name for name in given if name not in takes.parameters]:
        raise BadInput(f"{entry.name} has no argument {unknown[0]}; {nearest(unknown[0], [*takes.parameters])}")
    try:
        bound = takes.bind(**given)
    except TypeError as error:
        raise BadInput(f"{entry.name}: {error}; give model=FOLDER, a Hugging Face folder") from None
    bound.apply_defaults()
    return _planned(entry, **bound.arguments)


def _planned(
    entry: Entry,
    *,
    pack: str,
    dir: str,
    restore: str | None,
    epochs: float,
    distillation: str | None,
    kl_weight: float | None,
    ce_weight: float | None,
    model: str | None = None,
    steps_like: str | None = None,
    validation: str | None = None,
    rope: str = "auto",
    **rest: Any,
) -> TrainingPlan:
    info, tuning = read_info(Path(pack)), entry.task == FINETUNE
    _check_length(entry, info)
    shape = _shape(entry, model, info, restore)
    a_step = rest.get("tokens_per_step", entry.tokens_per_step)
    batch = TUNING_BATCH if tuning and entry.on_gpus else windows_per_step(info.seq_length, a_step)
    lora = _lora(**{name: rest.pop(name) for name in [*rest] if name.startswith("lora")})
    apart = tuning or distillation is not None
    layout = (_on_gpus if entry.on_gpus else _on_a_cpu)(entry, shape, info.seq_length, batch, apart, lora, **rest)
    if apart and layout.pipeline_parallel > 1:  # packed windows and pipeline stages: see nemo_kcpt.models.llama
        layout = replace(layout, micro_batch_size=1)
    tokens = batch * info.seq_length if tuning and entry.on_gpus else a_step
    steps = steps_for(read_info(Path(steps_like or pack)).step_tokens, epochs, tokens)
    if restore:
        find_checkpoint(Path(restore))
    return TrainingPlan(
        recipe=entry.name,
        task=entry.task,
        shape=shape,
        pack=pack,
        dir=dir,
        restore=restore,
        from_scratch=entry.own is not None,
        seq_length=info.seq_length,
        rotary_base=rotary_base(shape, info.seq_length, rope),
        layout=layout,
        nodes=rest.get("nodes", 1),
        processes=rest["gpus" if entry.on_gpus else "processes"],
        global_batch_size=batch,
        steps=steps,
        learning_rate=entry.learning_rate,
        checkpoint_every=max(1, steps // (CHECKPOINTS if entry.on_gpus else 2)),
        bf16=entry.on_gpus,
        validation=validation,
        z_loss=Z_LOSS if (entry.model or "").startswith("llm-jp-3") and not tuning else 0.0,
        rounded_products=not entry.on_gpus and entry.own is None,
        lora=lora,
        distilling=_distilling(distillation, kl_weight, ce_weight),
    )


def _check_length(entry: Entry, info: PackInfo) -> None:
    if entry.seq_length not in (None, info.seq_length):
        raise BadInput(
            f"{info.folder}: has windows of {info.seq_length} tokens, {entry.name} is for {entry.seq_length}; take the "
            "recipe of that length (kcpt recipes lists them), or pack with seq_length="
            f"{entry.seq_length}"
        )


def _shape(entry: Entry, model: str | None, info: PackInfo, restore: str | None) -> ModelShape:
    """The model as it comes; of its own one, whose weights are looked at when a training starts, as the pack is."""
    if entry.own:
        return replace(entry.own, vocab_rows=info.vocab_size, positions=info.seq_length)
    known = entry.shape(model)
    assert known is not None
    shape = shape_of_weights(known, restore)
    check_tokenizer(info, restore)
    return shape


def shape_of_weights(shape: ModelShape, restore: str | None) -> ModelShape:
    """`shape` with the positions and RoPE base of the weights to start from, which an earlier training may have raised.

    Raises:
        BadInput: `restore` holds weights of another architecture, or no finished checkpoint.
    """
    if restore is None:
        return shape
    restored = read_shape(find_checkpoint(Path(restore)))
    if differing := shape.differences(restored):
        raise BadInput(
            f"{restore}: the recipe's model has {', '.join(differing)} in these weights; take the recipe of that "
            "model (kcpt recipes lists them), or kcpt_model with its Hugging Face folder"
        )
    return restored


def check_tokenizer(info: PackInfo, restore: str | None) -> None:
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


def _on_gpus(
    entry: Entry, shape: ModelShape, seq_length: int, batch: int, apart: bool, lora: Lora | None, **rest: Any
) -> Layout:
    """The planner's layout, with what was given of it held fixed.

    Attention that stops between samples, or pairs (`apart`), does not go with context parallelism:
    nemo_kcpt.models.llama.
    """
    fixed = {name: rest[name] for name in SIZES}
    fixed |= tuning_fixed(fixed["micro_batch_size"]) if apart else {}
    cluster = Cluster(nodes=rest["nodes"], gpus_per_node=rest["gpus"], gpu=known_gpu(rest["gpu"]))
    return chosen(shape, seq_length, batch, cluster, fixed, lora.plan if lora else None).layout


def _on_a_cpu(
    entry: Entry,
    shape: ModelShape,
    seq_length: int,
    batch: int,
    apart: bool,
    lora: Lora | None,
    *,
    tensor_parallel: int,
    pipeline_parallel: int,
    processes: int,
    **rest: Any,
) -> Layout:
    """As given; a rank takes its windows of a step at once, or as many as have `micro_batch_tokens`."""
    windows = max(1, batch * tensor_parallel * pipeline_parallel // processes)
    if entry.micro_batch_tokens:
        windows = math.gcd(max(1, entry.micro_batch_tokens // seq_length), windows)
    return Layout(
        tensor_parallel=tensor_parallel,
        pipeline_parallel=pipeline_parallel,
        context_parallel=1,
        data_parallel=max(1, processes // (tensor_parallel * pipeline_parallel)),
        micro_batch_size=windows,
        recompute="none",
    )


def _lora(
    lora: int = 0,
    lora_alpha: float | None = None,
    lora_targets: str = LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
) -> Lora | None:
    """The adapters, None where the rank is 0.

    Raises:
        BadInput: a rank below 0, an alpha or a dropout that is none, or layers that a model does not have.
    """
    if lora == 0:
        given = {"lora_alpha": lora_alpha is not None, "lora_dropout": lora_dropout != 0}
        given |= {"lora_embeddings": lora_embeddings, "lora_targets": lora_targets != LORA_TARGETS}
        if alone := [name for name, there in given.items() if there]:
            raise BadInput(f"{alone[0]}: needs lora=RANK")
        return None
    # With + between them: NeMo's command line divides arguments at commas.
    targets = tuple(name.strip() for name in lora_targets.replace(",", "+").split("+"))
    if wrong := [name for name in targets if name not in TARGETS]:
        raise BadInput(f"lora_targets: '{wrong[0]}' is not one of {', '.join(TARGETS)}; {nearest(wrong[0], TARGETS)}")
    alpha = 2 * lora if lora_alpha is None else lora_alpha
    if lora < 0 or not alpha > 0 or not 0 <= lora_dropout < 1:
        raise BadInput(
            f"lora={lora}, lora_alpha={alpha}, lora_dropout={lora_dropout}: a rank and an alpha above 0 and a dropout "
            "from 0 to below 1 are needed"
        )
    return Lora(rank=lora, alpha=alpha, targets=targets, dropout=lora_dropout, embeddings=lora_embeddings)


def _distilling(folder: str | None, kl_weight: float | None, ce_weight: float | None) -> Distilling | None:
    """What is learnt from a distillation of `kcpt distill`, None without one.

    Raises:
        BadInput: a weight without a distillation, a negative one or none above 0, or no finished distillation.
    """
    if folder is None:
        if kl_weight is not None or ce_weight is not None:
            raise BadInput("kl_weight, ce_weight: are for a training with distillation=FOLDER (kcpt distill)")
        return None
    kl, ce = (1.0 if given is None else given for given in (kl_weight, ce_weight))
    if min(kl, ce) < 0 or kl + ce == 0:
        raise BadInput(f"kl_weight={kl}, ce_weight={ce}: none may be below 0, and one must be above")
    return Distilling(
        folder=folder, kl_weight=kl, ce_weight=ce, temperature=read_distillation(Path(folder)).temperature
    )
