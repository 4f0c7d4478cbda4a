"""Instruction-tuning sets in OpenAI chat form, one file a set: sft/{one_shot,zero_shot,…}.jsonl.

The demo makes two of the method's four sets (§4): `zero_shot` from the train papers' QA pairs and `all_included`, which
adds general instructions (here: QA about *other* fictional papers, standing in for ichikara). Held-out papers' `qa_*`
and `keywords` never enter.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.synthesis.kinds import HELDOUT_KINDS


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt sft-data`."""

    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus (split.json)."""
    synthetic: Path = Path(MISSING)
    """Folder of kcpt synthesize (synthetic.jsonl)."""
    general: Path | None = None
    """Folder of another kcpt synthesize, whose QA pairs serve as general instructions."""
    out: Path = Path(MISSING)
    """Folder for the sets."""
    samples: int = 10000
    """Samples wanted in each set before all_included; a shortfall is reported, never padded."""
    seed: int = 0
    """Of the sampling."""

    def __post_init__(self) -> None:
        if self.samples < 1:
            raise ValueError(f"samples: {self.samples} was given; at least 1 is needed")


def _samples(synthetic: Path, excluded: set[str], origin: str) -> Iterator[dict[str, Any]]:
    for record in read_jsonl(synthetic / "synthetic.jsonl", ("paper_id", "kind", "pairs")):
        if record["kind"] not in HELDOUT_KINDS or record["paper_id"] in excluded:
            continue
        for pair in record["pairs"]:
            messages = [
                {"role": "user", "content": pair["instruction"]},
                {"role": "assistant", "content": pair["output"]},
            ]
            yield {"messages": messages, "origin": origin, "paper_id": record["paper_id"]}


def run(config: Config, redo: bool = False) -> None:
    """Make the sets unless they are there."""
    inputs = {"corpus": config.corpus, "synthetic": config.synthetic}
    if config.general is not None:
        inputs["general"] = config.general
    with stage("sft-data", config.out, config=shaping(config, "general"), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("sft-data: %s is finished", config.out)
            return
        excluded = set(read_json(config.corpus / "split.json")["heldout"])
        sets = {"zero_shot": list(_samples(config.synthetic, excluded, "zero_shot"))}
        if config.general is not None:
            sets["ichikara"] = list(_samples(config.general, set(), "ichikara"))
        generator = random.Random(config.seed)
        for name, samples in sets.items():
            generator.shuffle(samples)
            if len(samples) < config.samples:
                LOG.info("sft-data: %s has %d samples, %d were wanted", name, len(samples), config.samples)
            del samples[config.samples :]
        sets["all_included"] = [sample for samples in sets.values() for sample in samples]
        generator.shuffle(sets["all_included"])
        if not sets["all_included"]:
            raise BadInput(f"{config.synthetic}: no pair of {', '.join(HELDOUT_KINDS)} about a train paper")
        for name in ("zero_shot", "all_included"):
            path = config.out / f"{name}.jsonl"
            write_jsonl(path, sets[name])
            current.add(path)
        current.counts = {name: len(samples) for name, samples in sets.items()}
        LOG.info("sft-data: %d samples in all_included", len(sets["all_included"]))
