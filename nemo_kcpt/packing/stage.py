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
from dataclasses import dataclass, field, replace
from itertools import chain
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import atomic_write, sha256_text
from nemo_kcpt.hf.chat_template import DATE, given_template, template_date, writes_date
from nemo_kcpt.hf.thinking import OFF
from nemo_kcpt.hf.tokenizer import PackTokenizer, thinks, tokenizer_inputs
from nemo_kcpt.logs import LOG
from nemo_kcpt.packing.anchored import anchored_windows, sample_windows
from nemo_kcpt.packing.concat import concat_segments, concat_windows
from nemo_kcpt.packing.inspect import print_window
from nemo_kcpt.packing.page import write_page
from nemo_kcpt.packing.papers import (
    Records,
    Settings,
    TokenisedPaper,
    checked_messages,
    chunked,
    in_parallel,
    sources,
    tokenise,
    tokenise_samples,
    workers_for,
)
from nemo_kcpt.packing.replay import conversation_windows, holds_conversations, replay_windows
from nemo_kcpt.packing.statistics import PackStatistics
from nemo_kcpt.packing.store import write_windows
from nemo_kcpt.packing.windows import Window
from nemo_kcpt.progress import progress
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.records.files import CONVERSATIONS, PAPERS, SAMPLES, SYNTHETIC
from nemo_kcpt.records.inputs import read_split
from nemo_kcpt.runs import MANIFEST, later, shaping, stage

MODES = ("anchored", "concat", "raw", "instruction")
TEMPLATE = "chat_template.jinja"
"""In a pack: the chat template that was given instead of the tokenizer's."""
LEAST_PASSAGE = 4
"""A window holds at least so many passages' tokens."""


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt pack`."""

    out: Path = Path(MISSING)
    """Folder of the pack, by custom packs/<mode>-<seq_length>."""
    mode: str = "anchored"
    """anchored, concat, raw or instruction; see above."""
    seq_length: int = 4096
    """Tokens in a window, the context length of the training."""
    tokenizer: Path | None = None
    """Hugging Face tokenizer folder (tokenizer.json, tokenizer_config.json with a chat template)."""
    chat_template: str = later("")
    """Chat template instead of the tokenizer's own, for base models that have none: a file, or plain for the one that
    comes with kcpt."""
    template_date: str = later(DATE)
    """Date that chat templates write where they would write today's."""
    corpus: Path | None = None
    """Folder of kcpt corpus, or a papers.jsonl (held out is what a split.json beside it says); for anchored, concat and
    raw."""
    synthetic: Path | None = None
    """Folder of kcpt synthesize, or a file of such records (paper_id, kind, pairs); for anchored and concat."""
    kinds: list[str] = field(default_factory=list)
    """Kinds of synthetic data to pack, as [paraphrase,summary]; empty: all that are there."""
    sft: Path | None = None
    """One file of kcpt sft-data, such as sft/all_included.jsonl; for instruction."""
    bos: bool = True
    """Begin each paper's text with the tokenizer's bos_token, if it has one. Pairs are as the chat template writes."""
    eos: bool = True
    """End each paper's text with the tokenizer's eos_token, if it has one."""
    system: str = ""
    """A system message before each pair or sample that has none. llm-jp-3's template writes its opening sentence only
    where there is one: give that sentence, here and to kcpt generate."""
    passage_tokens: int = 128
    """Most tokens of a passage that a pair is assigned to (at most a quarter of the window): smaller ones say more
    exactly what a pair is about, larger ones are found more surely."""
    repeat_budget: float = 0.3
    """anchored: tokens of text that may be in the pack again (beside pairs that overflow a window, and around
    passages where a window would hold padding), as a share of all text and pairs: what repetition may add to the
    training. 0 repeats nothing."""
    shuffle_kinds: bool = False
    """Shuffle the kinds of each paper (by seed) instead of keeping the order of synthetic.jsonl."""
    seed: int = 0
    """Seed of that order."""
    replay: Path | None = None
    """JSON Lines with a field text: general text to train on beside the papers, against forgetting. It is read in
    order as far as needed, so shuffle it once. Or folder of kcpt replay: what the starting model says by itself."""
    replay_share: float = 0.1
    """Share of all tokens that is replay, if replay is given."""
    replay_passes: int = later(1)
    """Passes over the documents until replay is read again: the pack holds so many times the replay of one pass, and
    each pass takes the next part."""
    processes: int = 0
    """Processes that tokenise; 0 for one on each core."""
    inspect: int | None = None
    """Print this window of the finished pack in out (counted from 0) and do nothing else."""
    report: bool = False
    """Also write pack.html, a page with plots, into out."""

    def __post_init__(self) -> None:
        if self.mode not in MODES:
            raise ValueError(f"mode: '{self.mode}' is not one of {', '.join(MODES)}")
        if self.seq_length < 8:
            raise ValueError(f"seq_length: {self.seq_length} is too short, at least 8 tokens are needed")
        if self.passage_tokens < 1:
            raise ValueError(f"passage_tokens: {self.passage_tokens} was given, at least 1 is needed")
        if self.repeat_budget < 0:
            raise ValueError(f"repeat_budget: {self.repeat_budget} was given, 0 or more is needed")
        if not 0 < self.replay_share < 1:
            raise ValueError(f"replay_share: {self.replay_share} is not between 0 and 1; omit replay for none")
        if self.replay_passes < 1:
            raise ValueError(f"replay_passes: {self.replay_passes} was given, at least 1 is needed")
        template_date(self.template_date)


NOT_SHAPING = ("tokenizer", "chat_template", "corpus", "synthetic", "sft", "replay", "processes", "inspect", "report")


def _required(config: Config, *names: str) -> list[Path]:
    for name in names:
        if getattr(config, name) is None:
            raise BadInput(f"mode={config.mode} needs {name}=PATH; see kcpt pack --help")
    return [getattr(config, name) for name in names]


def _inputs(config: Config, template: str) -> dict[str, Path | str]:
    names = {"raw": ("corpus",), "instruction": ("sft",)}.get(config.mode, ("corpus", "synthetic"))
    tokenizer, *paths = _required(config, "tokenizer", *names)
    inputs: dict[str, Path | str] = {**tokenizer_inputs(tokenizer), **dict(zip(names, paths))}
    if template:
        inputs["chat_template"] = sha256_text(template)
    if config.mode != "raw" and thinks(tokenizer, template):
        inputs["thinking"] = OFF  # packs of before this form was used hold others
    corpus = config.corpus if "corpus" in inputs else None
    if corpus is not None and corpus.is_file() and (split := _split_file(corpus)).is_file():
        inputs["split"] = split
    if config.replay is not None:
        if config.mode == "instruction":
            raise BadInput("replay: works in the modes anchored, concat and raw; mix sft files with kcpt sft-data")
        inputs["replay"] = config.replay
    return inputs


def _split_file(corpus: Path) -> Path:
    return PAPERS.path(corpus).with_name("split.json")


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
        found = self._counted(in_parallel(chunks, tokenise, self.settings, self._workers(*read)), path)
        if config.mode == "anchored":
            temporary = config.out / ".bundles.tmp"
            return anchored_windows(found, config.seq_length, self.pad_id, config.repeat_budget, temporary)
        return concat_windows(concat_segments(found), config.seq_length, self.pad_id)

    def _heldout(self, corpus: Path) -> list[str]:
        path = _split_file(corpus)
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
        chunks = chunked(_samples(config.sft), lambda sample: sum(len(one["content"]) for one in sample["messages"]))
        found = in_parallel(chunks, tokenise_samples, self.settings, self._workers(config.sft))
        with progress() as bar:
            samples = bar.track(chain.from_iterable(found), total=None, description="tokenising samples")
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
        (tokenizer_folder,) = _required(config, "tokenizer")
        kept = config.out / TEMPLATE
        template = kept.read_text(encoding="utf-8") if kept.is_file() else ""
        print_window(config.out, config.inspect, PackTokenizer(tokenizer_folder, template))
        return
    if config.report and config.tokenizer is None:
        _report(config)
        return
    check_folder(config.out, finished=MANIFEST)
    template = given_template(config.chat_template)
    inputs = _inputs(config, template)
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
