"""Instruction-tuning sets in OpenAI chat form, one file a set: sft/{ichikara,one_shot,zero_shot,all_included}.jsonl.

The four sets of the method (§4):
    ichikara      single-turn instructions written by people, from your own files {ID, text, output}
    one_shot      what a teacher wrote about the papers with an ichikara sample before it (kcpt synthesize examples=…)
    zero_shot     the same without a sample
    all_included  the three together

Of the teacher's data, the five qa_* kinds and keywords are used, of train papers only: those of held-out papers are the
test questions. A set whose source was not given is not made. A source with less than `samples` gives what it has, and
that is reported; nothing is repeated to fill a set.

    kcpt sft-data corpus=runs/mine/corpus synthetic=runs/mine/zero one_shot=runs/mine/one ichikara=~/ichikara \\
        out=runs/mine/sft
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING, check_least
from nemo_kcpt.corpus.names import name_form
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import SYNTHETIC
from nemo_kcpt.records.inputs import read_split
from nemo_kcpt.records.kinds import HELDOUT_KINDS, is_heldout
from nemo_kcpt.runs import hash_files, shaping, stage
from nemo_kcpt.synthesis.ichikara import read_samples

SETS = ("ichikara", "one_shot", "zero_shot")
ALL = "all_included"


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt sft-data`."""

    corpus: Path = Path(MISSING)
    """Folder of kcpt corpus (split.json)."""
    synthetic: Path = Path(MISSING)
    """Folder of kcpt synthesize (synthetic.jsonl): the zero-shot set."""
    one_shot: Path | None = None
    """Folder of kcpt synthesize examples=…: the one-shot set."""
    ichikara: Path | None = None
    """File or folder of instructions written by people, {ID, text, output}."""
    general: Path | None = None
    """Stands in for ichikara: folder of another kcpt synthesize, whose QA pairs serve as general instructions."""
    out: Path = Path(MISSING)
    """Folder for the sets."""
    samples: int = 10000
    """Samples wanted in each set; all_included has the sets together. A shortfall is reported, never padded."""
    seed: int = 0
    """Seed of the sampling."""

    def __post_init__(self) -> None:
        check_least(self, samples=1)
        if self.general is not None and self.ichikara is not None:
            raise ValueError("general and ichikara: give one of the two; general only replaces ichikara")


def _sample(instruction: str, output: str, origin: str, paper_id: str | None) -> dict[str, Any]:
    messages = [{"role": "user", "content": instruction}, {"role": "assistant", "content": output}]
    return {"messages": messages, "origin": origin, "paper_id": paper_id}


def _from_pairs(synthetic: Path, excluded: set[str], origin: str) -> Iterator[dict[str, Any]]:
    for record in SYNTHETIC.read(synthetic):
        if is_heldout(record) and not excluded & {record["paper_id"], name_form(str(record["paper_id"]))}:
            for pair in record["pairs"]:
                yield _sample(pair["instruction"], pair["output"], origin, record["paper_id"])


def _sources(config: Config, excluded: set[str]) -> dict[str, list[dict[str, Any]]]:
    """Everything there is for each set, the sets in the order in which they are drawn."""
    sources = {"zero_shot": list(_from_pairs(config.synthetic, excluded, "zero_shot"))}
    if not sources["zero_shot"]:
        raise BadInput(f"{config.synthetic}: no pair of {', '.join(HELDOUT_KINDS)} about a train paper")
    if config.general is not None:
        sources["ichikara"] = list(_from_pairs(config.general, set(), "ichikara"))
    if config.ichikara is not None:
        people = read_samples(config.ichikara.expanduser())
        sources["ichikara"] = [_sample(sample.text, sample.output, "ichikara", None) for sample in people]
    if config.one_shot is not None:
        sources["one_shot"] = list(_from_pairs(config.one_shot, excluded, "one_shot"))
    return sources


def run(config: Config, redo: bool = False) -> None:
    """Make the sets unless they are there."""
    inputs: dict[str, Path | str] = {"corpus": config.corpus, "synthetic": config.synthetic}
    inputs |= {name: path for name in ("one_shot", "general") if (path := getattr(config, name)) is not None}
    if config.ichikara is not None:
        inputs["ichikara"] = hash_files(config.ichikara)
    with stage("sft-data", config.out, config=shaping(config), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("sft-data: %s is finished", config.out)
            return
        heldout = read_split(config.corpus / "split.json", "heldout")["heldout"]
        sets = _sources(config, {*heldout, *(name_form(str(paper_id)) for paper_id in heldout)})
        generator = random.Random(config.seed)
        for name, samples in sets.items():
            generator.shuffle(samples)
            if len(samples) < config.samples:
                LOG.warning("sft-data: %s has %d samples, %d were wanted", name, len(samples), config.samples)
            del samples[config.samples :]
        sets[ALL] = [sample for samples in sets.values() for sample in samples]
        generator.shuffle(sets[ALL])
        if absent := [name for name in SETS if name not in sets]:
            LOG.info("sft-data: no source was given for %s, so all_included is without", " and ".join(absent))
        for name in [*sets]:
            if config.general is not None and name == "ichikara":
                continue  # a stand-in is no set of its own
            path = config.out / f"{name}.jsonl"
            write_jsonl(path, sets[name])
            current.add(path)
        current.counts = {name: len(samples) for name, samples in sets.items()}
        current.counts["short_of"] = {
            name: config.samples - len(sets[name]) for name in sets if name != ALL and len(sets[name]) < config.samples
        }
        LOG.info("sft-data: %d samples in all_included", len(sets[ALL]))
