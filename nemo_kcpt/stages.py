"""The stages of `kcpt`: which module each is, and in which words it is called. Importing this imports none of them."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput

STAGES: dict[str, tuple[str, str]] = {
    "corpus": ("nemo_kcpt.corpus.stage", "read documents, check them, hold papers out: papers.jsonl, split.json"),
    "synthesize": ("nemo_kcpt.synthesis.stage", "a teacher writes 16 kinds of instruction data: synthetic.jsonl"),
    "sft-data": ("nemo_kcpt.synthesis.sft_stage", "instruction-tuning sets in chat form: sft/*.jsonl"),
    "pack": ("nemo_kcpt.packing.stage", "tokenise and pack into windows for `nemo llm pretrain` / `finetune`"),
    "replay": ("nemo_kcpt.distillation.replay_stage", "conversations that the starting model has with itself"),
    "distill": ("nemo_kcpt.distillation.stage", "what the starting model says about a pack's tokens, for trainings"),
    "plan": ("nemo_kcpt.planning.stage", "memory, time and layouts of a training, before it runs"),
    "recipes": (
        "nemo_kcpt.planning.recipes_stage",
        "the recipes for `kcpt train` and `nemo llm`, with layout, memory and steps",
    ),
    "convert": (
        "nemo_kcpt.conversion.stage",
        "Hugging Face folder to checkpoint (import), back (export), to the other backend (switch), are they equal "
        "(verify), weights of two (mix)",
    ),
    "questions": ("nemo_kcpt.evaluation.questions.stage", "train and held-out questions: questions.jsonl"),
    "generate": ("nemo_kcpt.evaluation.answers.stage", "answers from memory with vLLM: answers.jsonl"),
    "judge": ("nemo_kcpt.evaluation.judging.stage", "an LLM judges each answer, with a reason: verdicts.jsonl"),
    "score": ("nemo_kcpt.evaluation.scoring.stage", "exact match and BERTScore: scores.jsonl"),
    "choose": (
        "nemo_kcpt.evaluation.scoring.choice_stage",
        "which mixture of base and trained model to take, on validation questions alone: choice.json",
    ),
    "perplexity": ("nemo_kcpt.evaluation.scoring.perplexity_stage", "what a training cost: perplexity on general text"),
    "divergence": (
        "nemo_kcpt.evaluation.scoring.divergence_stage",
        "how far a training moved a model: KL to the starting one on its own answers",
    ),
    "human": (
        "nemo_kcpt.evaluation.people.sheet_stage",
        "people rate: a blind sheet as page and workbook (sheet), and their ratings together (collect)",
    ),
    "report": ("nemo_kcpt.report.stage", "report.json, report.html, report.md"),
    "grid": (
        "nemo_kcpt.experiment.stage",
        "a whole experiment: lengths x sets, trained, tested and reported by one command",
    ),
    "study": ("nemo_kcpt.experiment.study", "an experiment, and the page with plots that publishes its results"),
    "demo": ("nemo_kcpt.experiment.demo_stage", "everything, end to end, on fictional papers, on a laptop CPU"),
    "doctor": ("nemo_kcpt.doctor", "what is installed, what is missing, and the command that fixes it"),
}

COMMANDS: dict[str, tuple[str, str]] = {
    "train": (
        "nemo_kcpt.experiment.train",
        "train a recipe, with NeMo or with Megatron-Bridge: metrics.jsonl, checkpoints",
    ),
    "slurm": ("nemo_kcpt.experiment.slurm.command", "recipes, stages and chains of them as Slurm jobs"),
}
"""Commands with options of their own; each module has `main(words)`, which returns the exit code."""

HIDDEN: dict[str, tuple[str, str]] = {
    "demo-world": ("nemo_kcpt.fiction.world", "fictional papers with known facts"),
    "demo-tokenizer": ("nemo_kcpt.fiction.tokenizer_stage", "the demo's small tokenizer"),
}
"""Steps of the demo that nobody needs for documents of their own."""

ACTIONS: dict[str, dict[str, tuple[str, tuple[str, ...]]]] = {
    "convert": {
        "import": ("nemo_kcpt.conversion.import_stage", ("hf",)),
        "export": ("nemo_kcpt.conversion.stage", ("checkpoint",)),
        "switch": ("nemo_kcpt.conversion.switch_stage", ("checkpoint",)),
        "verify": ("nemo_kcpt.conversion.verify_stage", ("a", "b")),
        "mix": ("nemo_kcpt.conversion.mix_stage", ("a", "b")),
    },
    "human": {
        "sheet": ("nemo_kcpt.evaluation.people.sheet_stage", ()),
        "collect": ("nemo_kcpt.evaluation.people.collect_stage", ()),
    },
}
"""Stages whose first word says what to do: the module, and the keys whose values may follow without their names.
Without such a word the stage's own module is meant."""

_KEY = re.compile(r"\w+=")


def find_stage(name: str, words: Sequence[str]) -> tuple[str, list[str]]:
    """The module of a stage, and `words` in the form that every stage takes: `import SOURCE --to OUT` with keys.

    Raises:
        BadInput: the stage has actions, and the first word is neither one of them nor a key.
    """
    module, rest = {**STAGES, **HIDDEN}[name][0], list(words)
    actions = ACTIONS.get(name, {})
    if not actions or not rest or rest[0].startswith("-") or _KEY.match(rest[0]):
        return module, rest
    action = rest.pop(0)
    if action not in actions:
        raise BadInput(f"command line: unknown action '{action}'; {nearest(action, list(actions))}")
    module, sources = actions[action]
    for index, source in enumerate(sources[: len(rest)]):
        if rest[index].startswith("-") or _KEY.match(rest[index]):
            break
        rest[index] = f"{source}={rest[index]}"
    return module, [re.sub(r"^--to(?==|$)", "--out", word) for word in rest]
