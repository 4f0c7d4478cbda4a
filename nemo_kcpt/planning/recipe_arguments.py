"""The arguments of the recipes, of both backends: names, defaults, and what each means.

nemo_run reads a recipe's annotations, and neither text (`from __future__ import annotations`) nor `int | None`: hence
`Optional` here.
"""

import inspect
import re
from typing import Any, Optional

from nemo_kcpt.planning.adapters import TARGETS
from nemo_kcpt.planning.catalogue import FINETUNE, Entry
from nemo_kcpt.planning.steps import TOKENS_PER_STEP

LORA_TARGETS = "+".join(TARGETS)
"""All linear layers, which loses least against full training (Biderman et al. 2024, LoRA Learns Less and Forgets Less,
arXiv 2405.09673, section 5)."""


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
    processes: int = 1,
    tokens_per_step: int = TOKENS_PER_STEP,
    distillation: Optional[str] = None,
    kl_weight: Optional[float] = None,
    ce_weight: Optional[float] = None,
    lora: int = 0,
    lora_alpha: Optional[float] = None,
    lora_targets: str = LORA_TARGETS,
    lora_dropout: float = 0.0,
    lora_embeddings: bool = False,
    expert_parallel: Optional[int] = None,
) -> None:
    """What recipes take, in this order, each as much of it as :func:`signature` leaves.

    Args:
        model: a Hugging Face folder, of which `config.json` is read.
        pack: folder of kcpt pack; it sets the windows' length, and of a tiny model the vocabulary's rows.
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
            all of these sizes given it is not asked whether they fit.
        pipeline_parallel: ranks that share the layers.
        context_parallel: ranks that share each window.
        micro_batch_size: windows of a forward pass.
        recompute: none, selective or full: what the backward pass computes again.
        processes: ranks in all; for `nemo llm` give `run.executor=kcpt_torchrun`, too, for more than one.
        tokens_per_step: of one optimizer step; fewer make more steps, which few documents need.
        distillation: folder of kcpt distill for this pack, whose teacher's distributions are learnt, too.
        kl_weight: weight of the KL to them (1).
        ce_weight: weight of the cross entropy on the written tokens beside it (1).
        lora: rank of low-rank adapters (LoRA), trained in place of the weights, which stay as they are; 0: none.
        lora_alpha: the adapters' output is multiplied by this over their rank; None: twice the rank.
        lora_targets: linear layers that get them, with + between them.
        lora_dropout: share of the adapters' inputs that is left out in training.
        lora_embeddings: train the embedding and the output layer, too, whole.
        expert_parallel: of a mixture of experts: data- and context-parallel ranks that share the experts of each layer;
            one of the sizes that the planner chooses.
    """
    raise NotImplementedError("a signature; see plan_training()")


def signature(entry: Entry) -> inspect.Signature:
    """What a recipe takes: of :func:`arguments` those of its kind, with its own defaults."""
    lacking = set() if entry.from_folder else {"model"}
    own: dict[str, Any] = {"pack": entry.default_pack, "dir": entry.default_dir, "nodes": entry.nodes}
    own |= {"epochs": 1.0} if entry.task == FINETUNE else {}
    if entry.on_gpus:
        lacking |= {"processes", "tokens_per_step"}
    else:
        lacking |= {"validation", "nodes", "gpus", "gpu", "context_parallel", "micro_batch_size", "recompute"}
        lacking |= {"expert_parallel"}
        lacking |= {"steps_like", "rope"} if entry.task == FINETUNE else set()
        lacking |= {"rope", "tokens_per_step"} if entry.own else set()
        own |= {"tensor_parallel": 1, "pipeline_parallel": 1, "tokens_per_step": entry.tokens_per_step}
    every = inspect.signature(arguments).parameters.values()
    kept = [
        parameter
        for parameter in every
        if parameter.name not in lacking and (entry.adapters or not parameter.name.startswith("lora"))
    ]
    return inspect.Signature(
        [_with_default(parameter, own[parameter.name]) if parameter.name in own else parameter for parameter in kept]
    )


def _with_default(parameter: inspect.Parameter, default: Any) -> inspect.Parameter:
    """Where None is no choice any more, the annotation does not say so either."""
    given = int if parameter.annotation == Optional[int] else parameter.annotation
    return parameter.replace(default=default, annotation=given)


def meanings(entry: Entry) -> dict[str, str]:
    """A recipe's arguments, each with what it means, in a line of text."""
    matches = re.findall(r"^    (\w+): (.*(?:\n        .*)*)", inspect.cleandoc(arguments.__doc__ or ""), re.MULTILINE)
    return {name: " ".join(text.split()) for name, text in matches if name in signature(entry).parameters}


def title(entry: Entry) -> str:
    """What a recipe does, in a sentence."""
    what = "Instruction tuning" if entry.task == FINETUNE else "Continual pretraining"
    if entry.own:
        return f"{what} of a Llama of {entry.own.parameters(embeddings=False) / 1e6:.1f} million parameters on a CPU."
    model = "the model in a Hugging Face folder" if entry.from_folder else str(entry.model)
    return f"{what} of {model}{f' at {entry.seq_length} tokens' if entry.seq_length else ''}."
