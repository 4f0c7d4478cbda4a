"""What models are compared on: built-in prompts or a file's, as token ids of their tokenizer."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.conversion.verify.sides import Side
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.tokenizer import Messages, PackTokenizer
from nemo_kcpt.records.prompts import read_prompts

PROMPTS = (
    "この論文が提案する手法の名前と、その学習に使ったデータの件数を答えてください。",
    "継続事前学習とは何ですか？",
    "Which base model was used, and what score did it reach in 2021?",
)
MORE_PROMPTS = (
    "再現率83.7％は、何件の文書で測られましたか。単位も書いてください。",
    "東京から京都まで、新幹線では何時間かかりますか？",
    "Explain in one sentence why the sky is blue.",
    "def mean(values: list[float]) -> float:\n    return",
)
RANDOM_LENGTHS = (1, 7, 32, 100)
"""Token ids of the prompts that stand in where there is no tokenizer."""


def user(text: str) -> Messages:
    """The conversation that a prompt begins."""
    return [{"role": "user", "content": text}]


def read_texts(path: Path | None) -> list[str]:
    """Prompts of a file: lines of text, or of a `.jsonl` the field `prompt` or `question`; None for the built-in ones.

    Raises:
        BadInput: the file is missing, not UTF-8, has no prompts, or records without such a field.
    """
    return [*PROMPTS, *MORE_PROMPTS] if path is None else read_prompts(path)


def ids_of(tokenizer: PackTokenizer, texts: Sequence[str]) -> list[list[int]]:
    """Ids of prompts: in the tokenizer's chat template if it has one, else as plain text."""
    if tokenizer.has_template:
        return [tokenizer.prompt_ids(user(text)) for text in texts]
    return [ids.tolist() for ids in tokenizer.text_ids(texts)]


@dataclass(frozen=True, kw_only=True)
class PromptIds:
    """Prompts as token ids.

    Args:
        ids: of each prompt.
        origin: whose they are, in words.
        left_out: number of prompts that do not fit the models' positions.
    """

    ids: list[list[int]]
    origin: str
    left_out: int


def prompt_ids(texts: Sequence[str], a: Side, b: Side, seed: int) -> PromptIds:
    """Ids by A's tokenizer, else by B's: of its chat template if it has one; without a tokenizer random ones.

    Raises:
        BadInput: the tokenizer gives ids for which a model has no rows.
    """
    positions = min(side.shape.positions for side in (a, b))
    rows = min(side.shape.vocab_rows for side in (a, b))
    rendering = a.rendering or b.rendering
    if rendering is None:
        source = random.Random(seed)
        ids = [[source.randrange(rows) for _ in range(min(length, positions))] for length in RANDOM_LENGTHS]
        return PromptIds(ids=ids, origin=f"random ids (seed {seed}): neither side has a tokenizer", left_out=0)
    tokenizer, folder = rendering.tokenizer(), a.tokenizer or b.tokenizer
    ids = ids_of(tokenizer, texts)
    how = "chat template" if tokenizer.has_template else "plain text, no chat template"
    kept = [sequence for sequence in ids if 0 < len(sequence) <= positions]
    largest = max((max(sequence) for sequence in kept), default=0)
    if largest >= rows:
        raise BadInput(
            f"{folder}: the tokenizer gives the id {largest}, the models have {rows} vocabulary rows; it is of another "
            "model, give tokenizer= the right one"
        )
    return PromptIds(ids=kept, origin=f"ids of {folder} ({how})", left_out=len(ids) - len(kept))
