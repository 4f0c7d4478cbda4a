"""The starting model's distributions for a pack's tokens, computed once, for trainings that distil them.

For each asked token of a pair the teacher is the starting model with the pair's passage before the pair; the training's
student sees the pair alone. Of texts, cut into passages of at most twice half= tokens, the teacher sees the first half
before the second; the student sees each half alone. Of replay both see the text alone, which holds the student to what
the starting model says. With passage=false that holds for pairs and texts, too (and packs of mode instruction may be
given). A pair whose passage the packer could not tell has no teacher: it is trained on its written tokens alone.

  kcpt distill pack=PACK model=FOLDER out=PACK-teacher
  nemo llm pretrain --factory "kcpt_llama(model='FOLDER',pack='PACK',restore='BASE',distillation='PACK-teacher',…)"

Kept of each distribution are the k most likely tokens and the probability of all others together. Shards are written
one by one; a killed run resumes at the next one. Writes shard-*.safetensors and manifest.json.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.checkpoints.weights_identity import of_folder
from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.distillation.reading import Reader, Unit, View
from nemo_kcpt.distillation.shards import SHARDS, is_of, mean_rest, shard_path, write_shard
from nemo_kcpt.distillation.teacher import Said, Teacher
from nemo_kcpt.distillation.texts import PaperTexts
from nemo_kcpt.distillation.views import Wanted
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf import limits
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG
from nemo_kcpt.packing.stage import TEMPLATE
from nemo_kcpt.packing.store import SUPPORT_COLUMNS, columns, iterate_table, open_tokens
from nemo_kcpt.progress import progress
from nemo_kcpt.recipe_calls import check_folder
from nemo_kcpt.records.distillations import STAGE
from nemo_kcpt.records.packs import PackInfo, read_info
from nemo_kcpt.runs import MANIFEST, shaping, stage
from nemo_kcpt.serving.models import DTYPES
from nemo_kcpt.serving.prompts import model_files

LOSS_ON = ("all", "outputs")
STORED = {"float16": np.float16, "float32": np.float32}
LONGEST_UINT16 = 1 << 16


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt distill`."""

    out: Path = Path(MISSING)
    """Folder of the distillation, by custom that of the pack with -teacher after it."""
    pack: Path = Path(MISSING)
    """Folder of kcpt pack."""
    model: Path = Path(MISSING)
    """Hugging Face folder of the starting model, the one that kcpt convert import took."""
    k: int = 64
    """Tokens kept of each distribution, the most likely ones; docs/distillation.md says what more and fewer cost."""
    temperature: float = 1.0
    """Divides the teacher's logits, and in training the student's: above 1 unlikely tokens count more."""
    loss: str = "all"
    """Tokens of pairs that are asked for: all, or outputs, the replies only."""
    passage: bool = True
    """The teacher sees passages and first halves; false: it sees what the student sees, and holds it to that."""
    texts: bool = True
    """Ask for texts, too."""
    replay: bool = True
    """Ask for replay, too."""
    half: int = 64
    """Most tokens of half a passage of text."""
    dtype: str = "float32"
    """Arithmetic of the teacher: float32, bfloat16, float16, or auto: what the model's folder names."""
    stored: str = "float16"
    """Type in which log-probabilities are stored: float16 or float32."""
    batch_tokens: int = 4096
    """Tokens of a forward pass."""
    shard_tokens: int = 16384
    """Tokens of the windows of one shard, which is what a kill may lose."""

    def __post_init__(self) -> None:
        check_choices(self, loss=LOSS_ON, dtype=DTYPES, stored=tuple(STORED))
        check_least(self, k=1, half=8, batch_tokens=1, shard_tokens=1)
        if not self.temperature > 0:
            raise ValueError(f"temperature: {self.temperature} was given; more than 0 is needed")

    @property
    def wanted(self) -> Wanted:
        """What the teacher is asked about."""
        return Wanted(
            passage=self.passage,
            outputs_only=self.loss == "outputs",
            texts=self.texts,
            replay=self.replay,
            half=self.half,
        )


NOT_SHAPING = ("pack", "model", "batch_tokens")


def check_pack(info: PackInfo, passage: bool) -> None:
    """A pack must say which passage each pair is about, if a teacher is to see it.

    Raises:
        BadInput: it does not.
    """
    if not passage:
        return
    if info.mode == "instruction":
        raise BadInput(
            f"{info.folder}: a pack of mode instruction has no passages (support) for a teacher to see; give "
            "passage=false, for a teacher that sees what the student sees, or a pack of mode anchored or concat"
        )
    if absent := sorted(set(SUPPORT_COLUMNS) - columns(info.folder)):
        raise BadInput(
            f"{info.folder}: its windows.parquet has no {', '.join(absent)}, so the passage of a pair is not known; "
            "pack again with kcpt pack --redo, or give passage=false"
        )


def check_tokenizer(info: PackInfo, model: Path) -> PackTokenizer:
    """The model's tokenizer, which must be the pack's.

    Raises:
        BadInput: it is another one.
    """
    kept = info.folder / TEMPLATE
    tokenizer = PackTokenizer(model, kept.read_text(encoding="utf-8") if kept.is_file() else "")
    if tokenizer.sha256 != info.tokenizer_sha256:
        raise BadInput(
            f"{model}: its tokenizer with its chat template has hash {tokenizer.sha256[:12]}, the pack {info.folder} "
            f"was made with {info.tokenizer_sha256[:12]}; pack with tokenizer={model}, or give the model of the pack"
        )
    return tokenizer


class _Shards:
    """The shards of one run, made in order."""

    def __init__(self, config: Config, info: PackInfo, reader: Reader, rows: int) -> None:
        self._config, self._info, self._reader = config, info, reader
        self._ids_type = np.uint16 if rows <= LONGEST_UINT16 else np.int32
        self._k = min(config.k, rows)
        self.windows = max(1, config.shard_tokens // info.seq_length)
        self.count = -(-info.windows // self.windows)
        self._teacher: Teacher | None = None

    def make(self, fingerprint: str) -> Iterator[Path]:
        """Every shard's file; those that are there already are passed over."""
        table = iterate_table(self._info.folder)
        for number in range(self.count):
            path = shard_path(self._config.out, number)
            first = number * self.windows
            views = [self._reader.view(first + index, row) for index, row in enumerate(islice(table, self.windows))]
            if not is_of(path, fingerprint):
                write_shard(self._config.out, number, self._tensors(views), fingerprint)
            yield path

    def _say(self, units: Sequence[Unit]) -> list[Said]:
        if self._teacher is None:
            config = self._config
            dtype = limits.dtype(config.model) or "float32" if config.dtype == "auto" else config.dtype
            self._teacher = Teacher(config.model, self._k, config.temperature, dtype, config.batch_tokens)
        return self._teacher.say([unit.reading for unit in units])

    def _tensors(self, views: list[View]) -> dict[str, NDArray[Any]]:
        units = [unit for view in views for unit in view.units]
        said = self._say(units) if units else []
        asked = [sum(len(unit.places) for unit in view.units) for view in views]
        none = Said.none(self._k)
        return {
            "ids": np.concatenate([none.ids, *(part.ids for part in said)]).astype(self._ids_type),
            "logprobs": np.concatenate([none.logprobs, *(part.logprobs for part in said)]).astype(
                STORED[self._config.stored]
            ),
            "rest": np.concatenate([none.rest, *(part.rest for part in said)]),
            "places": np.concatenate([np.zeros(0, np.int32), *(unit.places for unit in units)]),
            "row_borders": np.cumsum([0, *asked]).astype(np.int64),
            "blocks": np.concatenate([np.zeros(0, np.int32), *(view.borders for view in views)]),
            "block_borders": np.cumsum([0, *(len(view.borders) for view in views)]).astype(np.int64),
        }


def run(config: Config, redo: bool = False) -> None:
    """Write the distillation unless it is there; a killed run resumes at the next shard."""
    check_folder(config.out, finished=MANIFEST)
    info = read_info(config.pack)
    check_pack(info, config.passage)
    tokenizer = check_tokenizer(info, config.model)
    rows = limits.vocabulary(config.model)
    if rows < info.vocab_size:
        raise BadInput(
            f"{config.model}: has {rows} vocabulary rows, the tokenizer of {config.pack} {info.vocab_size} entries; "
            "give the model of that tokenizer"
        )
    inputs: dict[str, Path | str] = {"pack": config.pack, **model_files(config.model)}
    with stage(STAGE, config.out, config=shaping(config, *NOT_SHAPING), inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("distill: %s is finished", config.out)
            return
        if redo:
            for path in config.out.glob(SHARDS):
                path.unlink()
        tokens = open_tokens(config.pack)
        reader = Reader(
            tokens,
            PaperTexts(iterate_table(config.pack), tokens),
            config.wanted,
            info.seq_length,
            begin=tokenizer.token_id("bos_token") if info.made_of.get("bos", True) else None,
            positions=limits.positions(config.model),
        )
        shards = _Shards(config, info, reader, rows)
        with progress() as bar:
            made = bar.track(shards.make(current.fingerprint), total=shards.count, description="distill: shards")
            paths = list(made)
        for left in {*config.out.glob(SHARDS)} - {*paths}:  # of a run with other keys that was killed
            left.unlink()
        _refuse_nothing(config, reader.counts)
        current.add(*paths)
        current.counts = {
            "pack": info.fingerprint,
            "tokenizer_sha256": info.tokenizer_sha256,
            "vocab_rows": rows,
            "weights": of_folder(config.model),
            "k": min(config.k, rows),
            "windows": info.windows,
            "windows_per_shard": shards.windows,
            **reader.counts,
            "mean_rest": round(mean_rest(paths), 6),
            "bytes_per_token": round(sum(path.stat().st_size for path in paths) / reader.counts["asked_tokens"], 1),
        }
        _tell(config, current.counts)


def _refuse_nothing(config: Config, counts: dict[str, int]) -> None:
    if not counts["asked_tokens"]:
        raise BadInput(
            f"{config.pack}: nothing to ask a teacher: of its blocks {counts['no_teacher']} have none; no pair's "
            "passage is known (support), or texts=, replay= and loss= leave nothing"
        )


def _tell(config: Config, counts: dict[str, Any]) -> None:
    LOG.info(
        "distill: %s tokens; %s pairs after their passage, %s second halves, %s alone, %s blocks without a teacher; "
        "%.1f bytes a token, %.3f of the probability beyond the %d kept",
        f"{counts['asked_tokens']:,}",
        f"{counts['passage']:,}",
        f"{counts['before']:,}",
        f"{counts['alone']:,}",
        f"{counts['no_teacher']:,}",
        counts["bytes_per_token"],
        counts["mean_rest"],
        counts["k"],
    )
    for name, what in (("shortened", "longer than the model's positions"), ("lost_passages", "not whole in the pack")):
        if counts[name]:
            LOG.warning("distill: %s: %d passages with their blocks are %s", config.out, counts[name], what)
