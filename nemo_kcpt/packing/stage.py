"""Tokenise papers with their instruction data, or an instruction-tuning set, and pack them into windows.

Modes:
  anchored     each window holds passages of papers, each followed by whole pairs that are about it: a pair that fits a
               window is never cut, and a paper that fits one stays whole
  concat       text, then its instruction-output pairs, next paper: one stream cut into windows (the method's way)
  raw          the texts alone, cut the same way: what continual pretraining without synthetic data would see
  instruction  the samples of one sft/*.jsonl, whole, for `nemo llm finetune`

Writes tokens.bin/.idx (Megatron-Core IndexedDataset, one window a document), windows.parquet and manifest.json.
Questions and keywords of held-out papers are left out in every mode. What bears loss (all tokens, or outputs only) and
whether attention stops between papers are keys of the data module (data.loss, data.attention): one pack serves all.

kcpt pack out=PACK tokenizer=FOLDER --inspect 3   prints window 3 of a pack, decoded, a colour for each role
kcpt pack out=PACK --report                       writes PACK/pack.html: fill, lengths, pairs beside their passage
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write
from nemo_kcpt.hf.chat_template import DATE, given_template, writes_date
from nemo_kcpt.hf.thinking import OFF
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG
from nemo_kcpt.packing.anchored import anchored_windows, sample_windows
from nemo_kcpt.packing.concat import concat_segments, concat_windows
from nemo_kcpt.packing.config import LEAST_PASSAGE, NOT_SHAPING, inputs_of, required, split_file
from nemo_kcpt.packing.config import Config as Config
from nemo_kcpt.packing.inspect import print_window
from nemo_kcpt.packing.page import write_page
from nemo_kcpt.packing.papers import (
    Settings,
    TokenisedPaper,
    checked_messages,
    chunked,
    in_parallel,
    tokenise,
    tokenise_samples,
    workers_for,
)
from nemo_kcpt.packing.replay import conversation_windows, holds_conversations, replay_windows
from nemo_kcpt.packing.sources import Records, sources
from nemo_kcpt.packing.statistics import PackStatistics
from nemo_kcpt.packing.store import write_windows
from nemo_kcpt.packing.windows import Window
from nemo_kcpt.progress import progress
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.records.files import CONVERSATIONS, PAPERS, SAMPLES, SYNTHETIC
from nemo_kcpt.records.inputs import read_split
from nemo_kcpt.runs import MANIFEST, shaping, stage

TEMPLATE = "chat_template.jinja"
"""In a pack: the chat template that was given instead of the tokenizer's."""


class _Pack:
    """One run: the windows of a config, and what was counted on the way."""

    def __init__(self, config: Config, tokenizer: PackTokenizer, template: str) -> None:
        self.config, self.pad_id = config, tokenizer.pad_id
        most = min(config.passage_tokens, max(1, config.seq_length // LEAST_PASSAGE))
        self.texts_alone = Settings(
            tokenizer=tokenizer.folder.resolve(),
            bos=config.bos,
            eos=config.eos,
            system=config.system,
            template=template,
            day=config.template_date,
        )
        self.settings = (
            self.texts_alone
            if config.mode == "raw"
            else replace(self.texts_alone, passage_tokens=most, support_tokens=config.seq_length // 2)
        )
        self.text_tokens = self.papers = self.empty_papers = self.samples = 0
        self.statistics = PackStatistics(config.seq_length, config.replay_passes)

    def windows(self) -> Iterator[Window]:
        """Every window of the pack, counted."""
        own = self._instruction() if self.config.mode == "instruction" else self._papers()
        yield from map(self.statistics.add, own)
        if self.config.replay is not None:
            yield from map(self.statistics.add, self._replay(CONVERSATIONS.path(self.config.replay)))

    def _workers(self, *paths: Path) -> int:
        return workers_for(sum(path.stat().st_size for path in paths), self.config.processes)

    def _papers(self) -> Iterator[Window]:
        config = self.config
        assert config.corpus is not None
        path, records = PAPERS.path(config.corpus), None
        read = [path]
        if config.mode != "raw":
            assert config.synthetic is not None
            heldout = self._heldout(config.corpus)
            read.append(SYNTHETIC.path(config.synthetic))
            records = Records.index(read[1], heldout, config.seed if config.shuffle_kinds else None, config.kinds)
        chunks = chunked(sources(path, records), lambda source: source.size)
        tokenised = self._counted(in_parallel(chunks, tokenise, self.settings, self._workers(*read)), path)
        if config.mode == "anchored":
            temporary = config.out / ".bundles.tmp"
            return anchored_windows(tokenised, config.seq_length, self.pad_id, config.repeat_budget, temporary)
        return concat_windows(concat_segments(tokenised), config.seq_length, self.pad_id)

    def _heldout(self, corpus: Path) -> list[str]:
        path = split_file(corpus)
        if corpus.is_file() and not path.is_file():
            LOG.warning("pack: %s: no split.json beside it, so nothing is held out", corpus)
            return []
        return read_split(path, "heldout")["heldout"]

    def _counted(self, chunks: Iterable[list[TokenisedPaper]], path: Path) -> Iterator[TokenisedPaper]:
        with path.open("rb") as stream:
            total = sum(1 for _ in stream)
        with progress() as bar:
            for paper in bar.track(chain.from_iterable(chunks), total=total, description="tokenising papers"):
                self.papers += 1
                self.text_tokens += len(paper.ids)
                if not len(paper.ids):
                    self.empty_papers += 1
                    LOG.warning("pack: paper %s has no text; its pairs stand alone", paper.paper_id)
                yield paper

    def _instruction(self) -> Iterator[Window]:
        config = self.config
        assert config.sft is not None
        chunks = chunked(
            _samples(config.sft), lambda sample: sum(len(message["content"]) for message in sample["messages"])
        )
        tokenised = in_parallel(chunks, tokenise_samples, self.settings, self._workers(config.sft))
        with progress() as bar:
            samples = bar.track(chain.from_iterable(tokenised), total=None, description="tokenising samples")
            yield from sample_windows(samples, config.seq_length, self.pad_id, config.out / ".bundles.tmp")

    def _replay(self, path: Path) -> Iterator[Window]:
        config = self.config
        wanted = round(self.statistics.tokens * config.replay_share / (1 - config.replay_share) / config.seq_length)
        wanted *= config.replay_passes
        LOG.info("pack: %d windows of replay from %s", wanted, path)
        given = path, wanted, self.texts_alone, self._workers(path), config.seq_length, self.pad_id
        if holds_conversations(path):
            yield from conversation_windows(*given, config.out / ".replay.tmp")
        else:
            yield from replay_windows(*given, first_document=self.papers)
        if 0 < self.statistics.replay_windows < config.replay_passes:
            raise BadInput(
                f"{path}: has text for {self.statistics.replay_windows} windows only, fewer than "
                f"replay_passes={config.replay_passes}; give more text, or fewer passes"
            )
        if self.statistics.replay_windows < wanted:
            LOG.warning(
                "pack: %s has text for %d windows only, %d were wanted for a share of %s; the share is smaller",
                path,
                self.statistics.replay_windows,
                wanted,
                config.replay_share,
            )

    def counts(self) -> dict[str, Any]:
        """The manifest's figures."""
        with_text = self.config.mode != "instruction"
        return {
            "papers": self.papers,
            "empty_papers": self.empty_papers,
            **self.statistics.counts(self.text_tokens if with_text else None),
        }


def _samples(path: Path) -> Iterator[dict[str, Any]]:
    for number, sample in SAMPLES.lines(path):
        checked_messages(sample["messages"], f"{path}, line {number}")
        yield sample


def run(config: Config, redo: bool = False) -> None:
    """Make the pack unless it is there; or look at one."""
    if config.inspect is not None:
        (tokenizer_folder,) = required(config, "tokenizer")
        kept = config.out / TEMPLATE
        template = kept.read_text(encoding="utf-8") if kept.is_file() else ""
        print_window(config.out, config.inspect, PackTokenizer(tokenizer_folder, template))
        return
    if config.report and config.tokenizer is None:
        _report(config)
        return
    check_folder(config.out, finished=MANIFEST)
    template = given_template(config.chat_template)
    inputs = inputs_of(config, template)
    shape = {**shaping(config, *NOT_SHAPING), "replay_share": config.replay_share if config.replay else None}
    if not config.kinds:
        del shape["kinds"]  # so that packs of before this key are still known
    with stage("pack", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("pack: %s is finished", config.out)
        else:
            assert config.tokenizer is not None
            tokenizer = PackTokenizer(config.tokenizer, template, config.template_date)
            if tokenizer.flattens:
                LOG.warning(
                    "pack: the tokenizer %s reads 10⁶ as 106 and H₂O as H2O (its normalizer), so the model cannot tell "
                    "raised numbers from others; where documents have many, write them as 10^6",
                    config.tokenizer,
                )
            if config.mode != "raw":
                _ = tokenizer.chat_template  # refused before anything is read
            pack = _Pack(config, tokenizer, template)
            paths = write_windows(config.out, pack.windows(), tokenizer.vocab_size)
            if not pack.statistics.windows:
                raise BadInput(f"{config.out}: nothing to pack; the input holds no text")
            current.add(*paths)
            if template:
                with atomic_write(config.out / TEMPLATE) as stream:
                    stream.write(template)
                current.add(config.out / TEMPLATE)
            current.counts = {
                **pack.counts(),
                "tokenizer_sha256": tokenizer.sha256,
                "vocab_size": tokenizer.vocab_size,
                **_written(config, tokenizer),
            }
            LOG.info("pack: %s", PackStatistics.summary(current.counts, config.seq_length))
    if config.report:
        _report(config)


def _written(config: Config, tokenizer: PackTokenizer) -> dict[str, str]:
    """For the manifest: a template that is not the tokenizer's own, and the date if the template writes one."""
    own = {"chat_template": config.chat_template} if config.chat_template else {}
    if config.mode != "raw" and tokenizer.form.thinks:
        own["thinking"] = OFF
    dated = config.mode != "raw" and (writes_date(tokenizer.chat_template) or config.template_date != DATE)
    return own | ({"template_date": config.template_date} if dated else {})


def _report(config: Config) -> None:
    LOG.info("pack: see %s", write_page(config.out))
