"""A base model for where none is given: pretrained and tuned on fictional papers of its own, as the demo does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from nemo_kcpt.grid.experiment import BASE, words_of
from nemo_kcpt.grid.nodes import Node, kcpt

if TYPE_CHECKING:
    from nemo_kcpt.grid.graph import Graph


def add_base_world(graph: Graph) -> None:
    """Other fictional papers, and instruction data about them: what the base model knows already."""
    run, folder = graph.run, graph.run / "base-world"
    commands = [
        ["corpus", f"input={run}/world/base/documents.jsonl", f"out={folder}/corpus", "heldout_fraction=0",
         "near_duplicates=0", "same_side=0"],
        ["synthesize", f"corpus={folder}/corpus", f"facts={run}/world/base/facts.jsonl",
         *words_of({key: graph.config.synthesize[key] for key in ("kinds",) if key in graph.config.synthesize}),
         f"out={folder}/synthetic"],
        ["sft-data", f"corpus={folder}/corpus", f"synthetic={folder}/synthetic", f"out={folder}/sft"],
    ]  # fmt: skip
    graph.add(
        Node(
            name="base-documents",
            kind="documents",
            command=kcpt(*commands),
            products=[folder / "synthetic/synthetic.jsonl"],
            folders=[folder],
            after=["world"],
            expected=5,
        )
    )


def add_small_base(graph: Graph) -> str:
    """A base model pretrained and tuned on fictional papers of its own."""
    config, run = graph.config, graph.run
    if "base-documents" not in graph.nodes:
        add_base_world(graph)
    folder, first = run / "base-world", graph.trainings[0]
    made = [f"corpus={folder}/corpus", f"synthetic={folder}/synthetic"]
    packs = run / "packs/base", run / "packs/base-tuning"
    length = f"seq_length={first.seq_length}"
    commands = [
        ["demo-tokenizer", *made, f"out={graph.tokenizer}"],
        ["pack", "mode=concat", length, f"tokenizer={graph.tokenizer}", *made, f"out={packs[0]}"],
        ["pack", "mode=instruction", length, f"tokenizer={graph.tokenizer}",
         f"sft={folder}/sft/all_included.jsonl", f"out={packs[1]}"],
    ]  # fmt: skip
    graph.add(
        Node(
            name="base-packs",
            kind="pack",
            command=kcpt(*commands),
            products=[one / "manifest.json" for one in packs],
            folders=[graph.tokenizer, *packs],
            after=["base-documents"],
        )
    )
    tuned = graph.nemo("base-pretraining", "pretrain", first, packs[0], config.base_epochs, None, ["base-packs"])
    tuned = graph.nemo("base-tuning", "finetune", first, packs[1], config.tuning_epochs, tuned, [tuned])
    graph.weights_node = "base-tuning"
    return graph.export(BASE, tuned)
