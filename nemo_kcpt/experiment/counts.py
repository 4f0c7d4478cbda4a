"""A corpus in numbers, and the packs that will be made of it: counted where it is there, else estimated.

Where there is nothing to count yet, the assumptions are the constants here. Each says where it comes from; `costs:` of
an experiment's file can replace the numbers of the corpus.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.counting import token_counter
from nemo_kcpt.records.files import PAPERS, SYNTHETIC
from nemo_kcpt.records.packs import read_info
from nemo_kcpt.synthesis.prompts import load_prompts
from nemo_kcpt.text.language import prompt_language

TOKENS_PER_CHARACTER: Mapping[str, float] = {"ja": 0.55, "en": 0.25}
"""Tokens a character of the base model's tokenizer. ja: measured, llm-jp-3's on JaQuAD, 299,712 tokens of 547,903
characters. en: four characters a token, assumed."""
SAMPLE = 100
"""Papers whose tokens are counted; those of the others follow by their characters."""
LONG_KINDS = ("paraphrase", "generalized", "elaboration", "translation_en", "translation_zh")
LONG_SHARE = 0.5
"""Characters of a reply of these kinds for each of the paper's, assumed. The prompts ask for the whole content; LLMs
shorten. With what follows it gives 686 tokens a pair for the method's corpus; its published figures, by which 16 % of
pairs are cut at 4,096 tokens and 4 % at 16,384, mean 655 (of pairs that lie anywhere in a stream, length / window are
cut)."""
OUTPUT_CHARACTERS: Mapping[str, int] = {"summary": 500}
"""Characters of a reply with one output: the most its prompt asks for; others 800 (kg_extraction: 20 triples of 40)."""
PAIR_CHARACTERS: Mapping[str, int] = {"positive_negative": 300, "discussion": 300}
"""Characters of a pair, instruction and output, Japanese, assumed; others 150."""
OTHER_OUTPUT, OTHER_PAIR = 800, 150
WIDER: Mapping[str, float] = {"ja": 1.0, "en": 2.0}
"""Characters that say what one Japanese character says, roughly."""
ADDED: Mapping[int, float] = {1024: 0.277, 2048: 0.141, 4096: 0.120, 8192: 0.066, 16384: 0.017}
"""Text that `anchored` repeats, as a share of all tokens, by window; FILL likewise. Measured on JaQuAD:
docs/packing.md."""
FILL: Mapping[int, float] = {1024: 0.969, 2048: 0.990, 4096: 0.988, 8192: 0.984, 16384: 0.879}
SAMPLE_TOKENS = 300
"""Tokens of a sample for instruction tuning with its template, assumed."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """A corpus in numbers."""

    papers: int
    characters: int
    """Characters of all texts."""
    language: str = "ja"
    """ja or en: of the prompts, and of what is assumed of texts."""
    tokens_per_character: float | None = None
    """Counter of the base model's tokens; None: `TOKENS_PER_CHARACTER`."""
    teacher_tokens_per_character: float | None = None
    """Counter of the teacher's tokens; None: the cautious estimate with which `kcpt synthesize` divides papers."""
    synthetic_ratio: float | None = None
    """Characters of synthetic data of all kinds for each of the corpus; None: by what is assumed of replies."""
    by_kind: Mapping[str, float] | None = None
    """The same by kind, measured."""
    kinds: Sequence[str] = ()
    """Kinds that are written; empty: all that are shipped."""
    basis: str = "given"
    """Where the numbers come from."""

    def __post_init__(self) -> None:
        if self.language not in TOKENS_PER_CHARACTER:
            raise BadInput(f"language: '{self.language}' is not one of {', '.join(TOKENS_PER_CHARACTER)}")
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.name in ("language", "basis", "by_kind", "kinds") or value is None:
                continue
            least = 0 if field.name == "synthetic_ratio" else 1e-9
            if not isinstance(value, int | float) or isinstance(value, bool) or not value >= least:
                raise BadInput(f"{field.name}: {value!r} was given; a positive number is needed")

    @property
    def tokens(self) -> int:
        """Tokens of the corpus, by the base model's tokenizer."""
        return round(self.characters * (self.tokens_per_character or TOKENS_PER_CHARACTER[self.language]))


COUNT_KEYS = tuple(
    field.name for field in dataclasses.fields(Counts) if field.name not in ("basis", "by_kind", "kinds")
)
"""Keys for :func:`counts_of`."""


@dataclass(frozen=True, kw_only=True)
class PackTokens:
    """The size of a pack."""

    tokens: int
    step_tokens: int
    """By which steps are counted: PackInfo.step_tokens."""
    measured: bool
    """The pack is there."""
    basis: str


def counts_of(
    corpus: Path | None,
    given: Mapping[str, Any] | None = None,
    *,
    tokenizer: Path | None = None,
    synthetic: Path | None = None,
    kinds: Sequence[str] = (),
    where: str = "costs",
) -> Counts:
    """The corpus in numbers: counted where it is there, else as given.

    Args:
        corpus: folder of kcpt corpus.
        given: some of `COUNT_KEYS`; what is there to be counted is counted all the same.
        tokenizer: the base model's folder, to count a sample of papers with.
        synthetic: folder of kcpt synthesize, or its synthetic.jsonl; where that is there the ratio is measured.
        kinds: that are written, for a ratio that is assumed; empty: all that are shipped.
        where: of `given`, for messages.

    Raises:
        BadInput: neither a corpus nor its numbers, or unknown keys.
    """
    given = {key: value for key, value in (given or {}).items() if value is not None}
    for key in given:
        if key not in COUNT_KEYS:
            raise BadInput(f"{where}: unknown key '{key}'; {nearest(str(key), COUNT_KEYS)}")
    basis = "given"
    if corpus is not None and PAPERS.path(corpus).is_file():
        given, basis = {**given, **_counted(corpus, tokenizer)}, "counted"
        path = SYNTHETIC.path(synthetic) if synthetic is not None else None
        if path is not None and path.is_file():
            given["by_kind"] = {kind: n / given["characters"] for kind, n in _synthetic_characters(path).items()}
    elif missing := [key for key in ("papers", "characters") if key not in given]:
        raise BadInput(
            f"{where}: no {' and no '.join(missing)}, and no corpus to count yet; give them for an estimate, as "
            "{papers: 1924, characters: 39000000}, or make the corpus first"
        )
    try:
        return Counts(**given, basis=basis, kinds=tuple(kinds))
    except BadInput as error:
        raise BadInput(f"{where}: {error}") from None


def _counted(corpus: Path, tokenizer: Path | None) -> dict[str, Any]:
    lengths, languages, path = [], Counter[str](), PAPERS.path(corpus)
    for paper in PAPERS.read(path):
        lengths.append(len(paper["text"]))
        languages[prompt_language(paper)] += len(paper["text"])
    if not sum(lengths):
        raise BadInput(f"{path}: there is no text in it; make the corpus again with kcpt corpus")
    counts = {"papers": len(lengths), "characters": sum(lengths), "language": languages.most_common(1)[0][0]}
    if tokenizer is None or not (tokenizer / "tokenizer.json").is_file():
        return counts
    count, _ = token_counter(tokenizer)
    texts = [paper["text"] for paper in sample(PAPERS.read(path), len(lengths))]
    return {**counts, "tokens_per_character": sum(map(count, texts)) / max(1, sum(map(len, texts)))}


def sample(records: Iterable[dict[str, Any]], number: int) -> list[dict[str, Any]]:
    """At most about `SAMPLE` of them, evenly spread."""
    every = -(-number // SAMPLE)
    return [record for index, record in enumerate(records) if index % every == every // 2 or number <= SAMPLE]


def _synthetic_characters(path: Path) -> Counter[str]:
    characters = Counter[str]()
    for record in SYNTHETIC.read(path):
        characters[record["kind"]] += sum(len(pair["instruction"]) + len(pair["output"]) for pair in record["pairs"])
    return characters


def reply_characters(kind: str, form: str, pairs: int, paper: float, language: str) -> float:
    """Characters that a reply is assumed to have: see `LONG_SHARE`, `OUTPUT_CHARACTERS` and `PAIR_CHARACTERS`.

    Args:
        kind: of synthetic data.
        form: its prompt's schema, output or pairs.
        pairs: that it asks for.
        paper: characters of the paper, or of a part of it.
        language: of `WIDER`.
    """
    if kind in LONG_KINDS:
        return LONG_SHARE * paper
    each = OUTPUT_CHARACTERS.get(kind, OTHER_OUTPUT) if form == "output" else PAIR_CHARACTERS.get(kind, OTHER_PAIR)
    return each * (1 if form == "output" else pairs) * WIDER[language]


def synthetic_ratio(counts: Counts, kinds: Sequence[str] = ()) -> float:
    """Characters of synthetic data for each of the corpus: measured, given, or assumed from the shipped prompts.

    A given ratio is that of all kinds that are written; of some of them as much as they are assumed to have of it.
    """
    if counts.by_kind is not None:
        return sum(ratio for kind, ratio in counts.by_kind.items() if not kinds or kind in kinds)

    mean = counts.characters / counts.papers
    replies = {
        prompt.kind: reply_characters(prompt.kind, prompt.form, prompt.pairs, mean, counts.language) / mean
        for prompt in load_prompts([counts.language], kinds=counts.kinds)[counts.language].by_kind.values()
        if not counts.kinds or prompt.kind in counts.kinds
    }
    assumed = sum(ratio for kind, ratio in replies.items() if not kinds or kind in kinds)
    if counts.synthetic_ratio is None:
        return assumed
    return counts.synthetic_ratio * assumed / (sum(replies.values()) or 1)


def pack_tokens(
    pack: Path | None,
    counts: Counts | None,
    seq_length: int,
    *,
    mode: str = "concat",
    kinds: Sequence[str] = (),
    samples: int = 0,
) -> PackTokens:
    """The tokens of a pack: of a finished one its manifest's, else an estimate.

    The estimate is corpus tokens × (1 + :func:`synthetic_ratio`), for `raw` without the ratio; for `anchored` divided
    by 1 − `ADDED` and, to count steps, by `FILL`. Held-out questions, which packs leave out, are not taken off.

    Args:
        pack: folder of kcpt pack.
        counts: of the corpus; not needed for a finished pack and for `instruction`.
        seq_length: tokens of a window.
        mode: of kcpt pack.
        kinds: that are packed; empty: all.
        samples: of an instruction set.

    Raises:
        BadInput: neither a pack nor counts or samples.
    """
    if pack is not None and (pack / "manifest.json").is_file():
        info = read_info(pack)
        return PackTokens(tokens=info.tokens, step_tokens=info.step_tokens, measured=True, basis="the pack's manifest")
    if mode == "instruction":
        if not samples > 0:
            raise BadInput(f"samples: {samples} was given; an instruction set that is not there yet needs their number")
        tokens = samples * SAMPLE_TOKENS
        basis = f"estimated: {samples:,} samples of {SAMPLE_TOKENS} tokens, assumed"
        return PackTokens(tokens=tokens, step_tokens=tokens, measured=False, basis=basis)
    if counts is None:
        raise BadInput(f"{pack}: no finished pack, and no counts of the corpus to estimate it from")
    ratio = 0.0 if mode == "raw" else synthetic_ratio(counts, kinds)
    size = counts.tokens * (1 + ratio)
    measured = "measured" if counts.by_kind is not None else ""
    how = measured or ("assumed" if counts.synthetic_ratio is None else "given")
    synthetic = "" if mode == "raw" else f", × (1 + {ratio:.2f} of synthetic data, {how})"
    basis = f"estimated: {counts.tokens:,} tokens of the corpus, {counts.basis}{synthetic}"
    filled = size
    if mode == "anchored":
        window = min(ADDED, key=lambda known: abs(known - seq_length))
        size /= 1 - ADDED[window]
        filled = size / FILL[window]
        basis += f", {ADDED[window]:.1%} repeated, {FILL[window]:.1%} filled, as on JaQuAD at {window:,}"
    return PackTokens(tokens=round(size), step_tokens=round(filled), measured=False, basis=basis)


def stand_in_text(characters: int, language: str) -> str:
    """Text that stands for one of this length, for counts that are cautious."""
    return ("あ" if language == "ja" else "a") * characters


def stand_in(counts: Counts) -> dict[str, Any]:
    """A paper of mean length."""
    text = stand_in_text(round(counts.characters / counts.papers), counts.language)
    return {"paper_id": "mean", "title": text[:30], "text": text, "language": counts.language}
