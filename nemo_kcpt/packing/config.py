"""Keys of `kcpt pack`, and what it reads."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import sha256_text
from nemo_kcpt.hf.chat_template import DATE, template_date
from nemo_kcpt.hf.thinking import OFF
from nemo_kcpt.hf.tokenizer import thinks, tokenizer_inputs
from nemo_kcpt.records.files import PAPERS
from nemo_kcpt.runs import later

MODES = ("anchored", "concat", "raw", "instruction")
LEAST_PASSAGE = 4
"""Passages whose tokens a window holds at least."""


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
    """Seed of the order of kinds."""
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
        check_choices(self, mode=MODES)
        if self.seq_length < 8:
            raise ValueError(f"seq_length: {self.seq_length} is too short, at least 8 tokens are needed")
        check_least(self, passage_tokens=1, replay_passes=1)
        if self.repeat_budget < 0:
            raise ValueError(f"repeat_budget: {self.repeat_budget} was given, 0 or more is needed")
        if not 0 < self.replay_share < 1:
            raise ValueError(f"replay_share: {self.replay_share} is not between 0 and 1; omit replay for none")
        template_date(self.template_date)


NOT_SHAPING = ("tokenizer", "chat_template", "corpus", "synthetic", "sft", "replay", "processes", "inspect", "report")
"""Keys that do not shape a pack, or whose content enters the fingerprint instead."""


def required(config: Config, *names: str) -> list[Path]:
    """The paths of keys.

    Raises:
        BadInput: a key that the mode needs was not given.
    """
    for name in names:
        if getattr(config, name) is None:
            raise BadInput(f"mode={config.mode} needs {name}=PATH; see kcpt pack --help")
    return [getattr(config, name) for name in names]


def inputs_of(config: Config, template: str) -> dict[str, Path | str]:
    """What the pack is made of, for its fingerprint; `template` is the text of the chat template that was given.

    Raises:
        BadInput: a key that the mode needs was not given, or one that does not go with it was.
    """
    names = {"raw": ("corpus",), "instruction": ("sft",)}.get(config.mode, ("corpus", "synthetic"))
    tokenizer, *paths = required(config, "tokenizer", *names)
    inputs: dict[str, Path | str] = {**tokenizer_inputs(tokenizer), **dict(zip(names, paths))}
    if template:
        inputs["chat_template"] = sha256_text(template)
    if config.mode != "raw" and thinks(tokenizer, template):
        inputs["thinking"] = OFF  # packs of before this form was used hold others
    corpus = config.corpus if "corpus" in inputs else None
    if corpus is not None and corpus.is_file() and (split := split_file(corpus)).is_file():
        inputs["split"] = split
    if config.replay is not None:
        if config.mode == "instruction":
            raise BadInput("replay: works in the modes anchored, concat and raw; mix sft files with kcpt sft-data")
        inputs["replay"] = config.replay
    return inputs


def split_file(corpus: Path) -> Path:
    """Where the split of a corpus is."""
    return PAPERS.path(corpus).with_name("split.json")
