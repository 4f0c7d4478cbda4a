"""Continual pretraining and instruction tuning on GPUs: one recipe for each GPU entry of the catalogue.

All have the arguments of :func:`arguments`, and differ in model, sequence length and task alone; so another model or
length is a line in `nemo_kcpt/planning/catalogue.py`.
"""

import inspect
from collections.abc import Callable
from pathlib import Path
from typing import Any, Optional

import nemo_run as run
from nemo.collections import llm

from nemo_kcpt.data import PackedPretrainingDataModule
from nemo_kcpt.errors import BadInput
from nemo_kcpt.logs import LOG
from nemo_kcpt.models.llama import KcptLlamaConfig, KcptLlamaModel, config_options
from nemo_kcpt.planning.catalogue import FINETUNE, RECIPES, Entry
from nemo_kcpt.planning.hardware import Cluster, known_gpu
from nemo_kcpt.planning.layout import Layout
from nemo_kcpt.planning.layouts import chosen
from nemo_kcpt.planning.recipes_stage import tuning_fixed
from nemo_kcpt.planning.rope import reason, rotary_base
from nemo_kcpt.planning.steps import TOKENS_PER_STEP, TUNING_BATCH, steps_for, windows_per_step
from nemo_kcpt.records.packs import PackInfo, read_info
from nemo_kcpt_recipes import common

LEARNING_RATE = 1e-4
"""For continual pretraining, falling to 1e-5: llm-jp's public example of the v3 line (github.com/llm-jp/scripts,
pretrain/installers/v3-megatron-sakura/example/train.sh). From nothing, its 13B took 3e-4
(github.com/llm-jp/Megatron-LM, scripts/tsubame/13b-llm-jp-v2-cc-100k.sh)."""
Z_LOSS = 1e-4
"""For llm-jp-3: that example asks for it (`--use-z-loss`); the coefficient is PaLM's (Chowdhery et al. 2022, §5)."""
TUNING_LEARNING_RATE = 2e-5
"""llm-jp's tuning of the family (the method, §4)."""
CHECKPOINTS = 10
"""About so many in a training: more cost time, fewer cost more work after a failure."""


def arguments(
    model: str,
    pack: str,
    dir: str,
    restore: Optional[str] = None,
    epochs: float = 2.0,
    steps_like: Optional[str] = None,
    validation: Optional[str] = None,
    rope: str = "auto",
    nodes: int = 1,
    gpus: int = 8,
    gpu: str = "h100-80gb",
    tensor_parallel: Optional[int] = None,
    pipeline_parallel: Optional[int] = None,
    context_parallel: Optional[int] = None,
    micro_batch_size: Optional[int] = None,
    recompute: Optional[str] = None,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
    lora: int = 0,
    lora_alpha: Optional[float] = None,
    lora_targets: str = common.LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
) -> run.Partial:
    """What each recipe here takes, in this order.

    Args:
        model: of `kcpt_model` and `kcpt_sft_model` alone: a Hugging Face folder, of which `config.json` is read.
        pack: folder of kcpt pack.
        dir: log, metrics and checkpoints go there; a run that was interrupted resumes from it.
        restore: checkpoint (`kcpt convert import`), or folder of another training, whose weights to start from.
        epochs: passes over the pack; the method takes 2 (1 for tuning).
        steps_like: another pack, whose number of steps to take instead: a comparison at equal budget.
        validation: another pack, to measure the loss on before each checkpoint; the best one is kept, too.
        rope: RoPE base above the model's own positions: auto (500,000), ntk, or a number.
        nodes: machines.
        gpus: GPUs of each.
        gpu: which, for the planner; see `kcpt plan`.
        tensor_parallel: ranks that share each layer; None, here and below, leaves it to the planner (`kcpt plan`). With
            all five given it is not asked whether they fit.
        pipeline_parallel: ranks that share the layers.
        context_parallel: ranks that share each window.
        micro_batch_size: windows of a forward pass.
        recompute: none, selective or full: what the backward pass computes again.
        distillation: folder of kcpt distill for this pack, whose teacher's distributions are learnt, too.
        kl_weight: weight of the KL to them (1).
        ce_weight: weight of the cross entropy on the written tokens beside it (1).
        lora: rank of low-rank adapters (LoRA), trained in place of the weights, which stay as they are; 0: none.
        lora_alpha: the adapters' output is multiplied by this over their rank; None: twice the rank.
        lora_targets: linear layers that get them, with + between them.
        lora_dropout: share of the adapters' inputs that is left out in training.
        lora_embeddings: train the embedding and the output layer, too, whole.
    """
    raise NotImplementedError("a signature; see recipe()")


def _signature(entry: Entry) -> inspect.Signature:
    """That of :func:`arguments`, with the recipe's own defaults."""
    own = {"pack": entry.default_pack, "dir": entry.default_dir}
    if entry.task == FINETUNE:
        own["epochs"] = 1.0  # type: ignore[assignment]
    given = inspect.signature(arguments)
    parameters = [one.replace(default=own.get(name, one.default)) for name, one in given.parameters.items()]
    return given.replace(parameters=parameters if entry.from_folder else parameters[1:])


def recipe(entry: Entry) -> Callable[..., run.Partial]:
    """The function of a catalogue entry, registered under its name."""
    signature = _signature(entry)

    def function(*positional: Any, **named: Any) -> run.Partial:
        given = signature.bind(*positional, **named)
        given.apply_defaults()
        return _build(entry, **given.arguments)

    what = "Instruction tuning" if entry.task == FINETUNE else "Continual pretraining"
    where = "the model in a Hugging Face folder" if entry.from_folder else f"{entry.model} at {entry.seq_length} tokens"
    function.__name__ = function.__qualname__ = entry.name
    function.__doc__ = f"{what} of {where}.\n\n" + inspect.cleandoc(arguments.__doc__ or "").split("\n\n", 1)[1]
    function.__annotations__ = {name: one.annotation for name, one in signature.parameters.items()}
    function.__signature__ = signature  # type: ignore[attr-defined]
    target = llm.finetune if entry.task == FINETUNE else llm.pretrain
    registered: Callable[..., run.Partial] = run.cli.factory(function, target=target, name=entry.name)
    return registered


def _build(
    entry: Entry,
    *,
    pack: str,
    dir: str,
    restore: Optional[str],
    epochs: float,
    steps_like: Optional[str],
    validation: Optional[str],
    rope: str,
    nodes: int,
    gpus: int,
    gpu: str,
    distillation: Optional[str],
    kl_weight: Optional[float],
    ce_weight: Optional[float],
    lora: int,
    lora_alpha: Optional[float],
    lora_targets: str,
    lora_dropout: float,
    lora_embeddings: bool,
    model: Optional[str] = None,
    **fixed: Any,
) -> run.Partial:
    info = read_info(Path(pack))
    _check_length(entry, info)
    known = entry.shape(model)
    assert known is not None
    shape = common.shape_of_weights(known, restore)
    common.check_tokenizer(info, restore)
    tuning = entry.task == FINETUNE
    batch = TUNING_BATCH if tuning else windows_per_step(info.seq_length)
    if tuning or distillation is not None:
        # Attention that stops between samples, or pairs, does not go with context parallelism: nemo_kcpt.models.llama.
        fixed = {**fixed, **tuning_fixed(fixed["micro_batch_size"])}
    cluster = Cluster(nodes=nodes, gpus_per_node=gpus, gpu=known_gpu(gpu))
    adapters = common.adapter_plan(lora, lora_targets, lora_embeddings)
    layout = chosen(shape, info.seq_length, batch, cluster, fixed, adapters).layout
    tokens = batch * info.seq_length if tuning else TOKENS_PER_STEP
    steps = steps_for(read_info(Path(steps_like or pack)).step_tokens, epochs, tokens)
    base = rotary_base(shape, info.seq_length, rope)
    LOG.info("%s: %s", entry.name, reason(shape, info.seq_length, base))
    config = config_options(shape, info.seq_length, base)
    config.update(recompute_options(layout))
    if (entry.model or "").startswith("llm-jp-3") and not tuning:
        config["z_loss"] = Z_LOSS
    result = run.Partial(
        llm.pretrain,
        model=run.Config(KcptLlamaModel, config=run.Config(KcptLlamaConfig, **config)),
        data=run.Config(
            PackedPretrainingDataModule, pack=pack, micro_batch_size=layout.micro_batch_size, global_batch_size=batch
        ),
        trainer=common.trainer(entry.name, dir, steps, gpus, layout.tensor_parallel, layout.pipeline_parallel),
        optim=common.adamw(LEARNING_RATE, steps),
        log=common.logger(dir, every=max(1, steps // CHECKPOINTS)),
        resume=common.resume(dir, restore),
    )
    common.bf16(result, layout.data_parallel * layout.context_parallel)
    result.trainer.num_nodes = nodes
    strategy = result.trainer.strategy
    strategy.context_parallel_size, strategy.sequence_parallel = layout.context_parallel, layout.sequence_parallel
    if validation is not None:
        common.validate(result, validation)
    result = common.tuning(result, entry.name, TUNING_LEARNING_RATE) if tuning else result
    common.adapters(result, lora, lora_alpha, lora_targets, lora_dropout, lora_embeddings)
    return common.distil(result, distillation, kl_weight, ce_weight)


def _check_length(entry: Entry, info: PackInfo) -> None:
    if entry.seq_length not in (None, info.seq_length):
        raise BadInput(
            f"{info.folder}: has windows of {info.seq_length} tokens, {entry.name} is for {entry.seq_length}; take the "
            "recipe of that length (kcpt recipes lists them), or pack with seq_length="
            f"{entry.seq_length}"
        )


def recompute_options(layout: Layout) -> dict[str, Any]:
    """Keyword arguments of the model's config for what the layout recomputes in the backward pass."""
    if layout.recompute == "full":
        return {"recompute_granularity": "full", "recompute_method": "uniform", "recompute_num_layers": 1}
    return {"recompute_granularity": "selective"} if layout.recompute == "selective" else {}


GPU_RECIPES = {entry.name: recipe(entry) for entry in RECIPES.values() if entry.on_gpus}
globals().update(GPU_RECIPES)
