"""The teacher: a Hugging Face model's most likely tokens at the places that are asked for, in this process.

Sequences of like length are batched and padded on their right, which causal attention never looks at; logits are made
for the asked places alone, some rows at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nemo_kcpt.hf.load import load_causal_lm

ROWS = 256
"""Places whose logits are in memory at once."""
PROBE = (1, 2, 3, 5, 8, 13, 21, 34)
"""Token ids on which the short way is compared with the model's own logits."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """What the teacher reads: `ids` int32 [n], and the places in it whose next token is asked for, int64 [rows]."""

    ids: NDArray[np.int32]
    places: NDArray[np.int64]


@dataclass(frozen=True, kw_only=True)
class Said:
    """`ids` int32 [rows, k], most likely first; `logprobs` float32 [rows, k]; `rest` float32 [rows]."""

    ids: NDArray[np.int32]
    logprobs: NDArray[np.float32]
    rest: NDArray[np.float32]

    @classmethod
    def none(cls, k: int) -> Said:
        """No rows."""
        floats = np.zeros((0, k), np.float32)
        return cls(ids=np.zeros((0, k), np.int32), logprobs=floats, rest=np.zeros(0, np.float32))


def batched(sequences: Sequence[Reading], most: int) -> list[list[int]]:
    """Numbers of sequences in batches of at most `most` tokens, padding included, of like length."""
    order = sorted(range(len(sequences)), key=lambda number: -len(sequences[number].ids))
    batches: list[list[int]] = []
    for number in order:
        width = len(sequences[batches[-1][0]].ids) if batches else 0
        if batches and width * (len(batches[-1]) + 1) <= most:
            batches[-1].append(number)
        else:
            batches.append([number])
    return batches


class Teacher:
    """The starting model.

    Args:
        folder: of the Hugging Face model.
        k: how many tokens of each distribution.
        temperature: by which logits are divided first.
        dtype: float32, bfloat16 or float16; logits become float32 before the softmax in any case.
        batch_tokens: of a forward pass, padding included.
    """

    def __init__(self, folder: Path, k: int, temperature: float, dtype: str, batch_tokens: int) -> None:
        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = load_causal_lm(folder, dtype).to(self._device)
        self._k, self._temperature, self._batch_tokens = k, temperature, batch_tokens
        self._short = self._body_and_head_suffice()

    def _body_and_head_suffice(self) -> bool:
        """Whether logits are the output layer of the hidden states; some models scale or cap them after it."""
        import torch

        rows = self._model.get_output_embeddings().weight.shape[0]
        ids = torch.tensor([[token % rows for token in PROBE]], device=self._device)
        with torch.inference_mode():
            logits = self._model(ids).logits
            hidden = self._model.base_model(ids)[0]
            return bool(torch.allclose(self._model.get_output_embeddings()(hidden), logits, rtol=1e-3, atol=1e-4))

    def say(self, sequences: Sequence[Reading]) -> list[Said]:
        """The distributions of each sequence's places."""
        said: dict[int, Said] = {}
        for batch in batched(sequences, self._batch_tokens):
            parts = self._batch([sequences[number] for number in batch])
            said.update(zip(batch, parts))
        return [said[number] for number in range(len(sequences))]

    def _batch(self, sequences: Sequence[Reading]) -> Iterator[Said]:
        import torch

        width = max(len(sequence.ids) for sequence in sequences)
        ids = np.zeros((len(sequences), width), dtype=np.int64)
        for number, sequence in enumerate(sequences):
            ids[number, : len(sequence.ids)] = sequence.ids
        flat = np.concatenate([number * width + sequence.places for number, sequence in enumerate(sequences)])
        given = torch.from_numpy(ids).to(self._device)
        with torch.inference_mode():
            parts = [self._most_likely(logits) for logits in self._logits(given, torch.from_numpy(flat))]
        said = [np.concatenate(column) for column in zip(*parts)]
        done = 0
        for sequence in sequences:
            rows = slice(done, done + len(sequence.places))
            done += len(sequence.places)
            yield Said(ids=said[0][rows], logprobs=said[1][rows], rest=said[2][rows])

    def _logits(self, ids: Any, places: Any) -> Iterator[Any]:
        """[rows, vocabulary] of the places, counted over the flattened batch, some rows at a time."""
        if self._short:
            hidden = self._model.base_model(ids)[0].flatten(0, 1)[places.to(self._device)]
            for part in hidden.split(ROWS):
                yield self._model.get_output_embeddings()(part)
            return
        logits = self._model(ids).logits.flatten(0, 1)[places.to(self._device)]
        yield from logits.split(ROWS)

    def _most_likely(self, logits: Any) -> tuple[NDArray[np.int32], NDArray[np.float32], NDArray[np.float32]]:
        import torch

        logprobs = torch.log_softmax(logits.float() / self._temperature, -1)
        values, ids = logprobs.topk(self._k, -1)
        # Not 1 minus what is kept: a difference of nearly equal numbers.
        rest = logprobs.exp_().scatter_(-1, ids, 0.0).sum(-1)
        return ids.int().cpu().numpy(), values.cpu().numpy(), rest.cpu().numpy()
