"""Tokenise papers with their instruction data, or an instruction-tuning set, and pack them into windows.

Modes:
  concat       text, then its instruction-output pairs, next paper: one stream cut into windows (the method's way)
  raw          the texts alone, the same way: what continual pretraining without synthetic data would see
  instruction  the samples of one sft/*.jsonl, for `nemo llm finetune`

Writes tokens.bin/.idx (Megatron-Core IndexedDataset, one window a document), windows.parquet and manifest.json.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.packing.concat import concat_windows
from nemo_kcpt.packing.segments import Segment, instruction_segments, paper_segments
from nemo_kcpt.packing.statistics import PackStatistics
from nemo_kcpt.packing.store import write_windows
from nemo_kcpt.packing.tokenise import PackTokenizer, tokenizer_inputs
from nemo_kcpt.runs import shaping, stage

MODES = ("concat", "raw", "instruction")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt pack`."""

    out: Path = Path(MISSING)
    """Folder of the pack, by custom packs/<mode>-<seq_length>."""
    mode: str = "concat"
    """concat, raw or instruction; see above."""
    seq_length: int = 4096
    """Tokens in a window, the context length of the training."""
    tokenizer: Path = Path(MISSING)
    """Hugging Face tokenizer folder (tokenizer.json, tokenizer_config.json with a chat template)."""
    corpus: Path | None = None
    """Folder of kcpt corpus (papers.jsonl, split.json); for concat and raw."""
    synthetic: Path | None = None
    """Folder of kcpt synthesize (synthetic.jsonl); for concat."""
    sft: Path | None = None
    """One file of kcpt sft-data, such as sft/all_included.jsonl; for instruction."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode: '{self.mode}' is not one of {', '.join(MODES)}")
        if self.seq_length < 8:
            raise ValueError(f"seq_length: {self.seq_length} is too short, at least 8 tokens are needed")


def _inputs(config: Config) -> dict[str, Path]:
    wanted = {"concat": ("corpus", "synthetic"), "raw": ("corpus",), "instruction": ("sft",)}[config.mode]
    inputs = tokenizer_inputs(config.tokenizer)
    for name in wanted:
        path = getattr(config, name)
        if path is None:
            raise BadInput(f"mode={config.mode} needs {name}=PATH; see kcpt pack --help")
        inputs[name] = path
    return inputs


def _segments(config: Config, tokenizer: PackTokenizer) -> Iterator[Segment]:
    if config.mode == "instruction":
        assert config.sft is not None
        yield from instruction_segments(read_jsonl(config.sft, ("messages", "origin")), tokenizer)
        return
    assert config.corpus is not None
    papers = read_jsonl(config.corpus / "papers.jsonl", ("paper_id", "text"))
    heldout = read_json(config.corpus / "split.json")["heldout"]
    records: Iterator[dict[str, Any]] = iter(())
    if config.mode == "concat":
        assert config.synthetic is not None
        records = read_jsonl(config.synthetic / "synthetic.jsonl", ("paper_id", "kind", "pairs"))
    yield from paper_segments(papers, records, heldout, tokenizer, include_pairs=config.mode == "concat")


def run(config: Config, redo: bool = False) -> None:
    """Make the pack unless it is there."""
    inputs = _inputs(config)
    shape = shaping(config, "corpus", "synthetic", "sft")
    with stage("pack", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("pack: %s is finished", config.out)
            return
        tokenizer = PackTokenizer(config.tokenizer)
        windows = concat_windows(_segments(config, tokenizer), config.seq_length, tokenizer.pad_id)
        statistics = PackStatistics(config.seq_length)
        paths = write_windows(config.out, map(statistics.add, windows), tokenizer.vocab_size)
        if not statistics.windows:
            raise BadInput(f"{config.out}: nothing to pack; the input holds no text")
        current.add(*paths)
        current.counts = {
            **statistics.counts(),
            "tokenizer_sha256": tokenizer.sha256,
            "vocab_size": tokenizer.vocab_size,
        }
        LOG.info("pack: %s", statistics.summary())
