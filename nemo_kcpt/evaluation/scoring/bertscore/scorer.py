"""`BertScore`: which texts are encoded when, and which of them are kept."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np

from nemo_kcpt.evaluation.scoring.bertscore.encoder import Encoder, load_encoder
from nemo_kcpt.evaluation.scoring.bertscore.matching import NOTHING, Embedded, Prf, match, prf
from nemo_kcpt.evaluation.scoring.bertscore.source import DEFAULT_ENCODER, locate
from nemo_kcpt.evaluation.scoring.bertscore.windows import Window, plan_batches, plan_windows
from nemo_kcpt.files import sha256_text
from nemo_kcpt.progress import progress

OVERLAP = 0.25
"""Share of a window that its neighbour reads too: a token kept has at least half of it beside it on either side."""


@dataclass
class Statistics:
    """What a scorer has encoded so far."""

    texts: int = 0
    """Texts encoded; one that was dropped from the cache and encoded again counts twice."""
    windows: int = 0
    """Token sequences that the encoder read, one or more for each text."""
    real_tokens: int = 0
    """Their tokens."""
    padded_tokens: int = 0
    """Their tokens with padding."""

    @property
    def padding(self) -> float:
        """Padded / real tokens, at least 1."""
        return self.padded_tokens / self.real_tokens if self.real_tokens else 1.0


class BertScore:
    """Scores texts with one encoder, which is loaded when first needed.

    BERTScore without idf weights and without rescaling, as bert-score computes it, to 1e-5, wherever bert-score can
    (texts within the encoder's limit). Two differences are meant: a text of one token beside the one that its
    tokenizer adds is scored and not taken for empty, and a similarity below 0 is not raised to 0 by padding.

    The score of a pair does not depend on the order of the pairs. Each different text of a call is encoded once, and
    again only if `cache_bytes` of embeddings have been needed since.
    """

    def __init__(
        self,
        encoder: str | Path = DEFAULT_ENCODER,
        layers: int = 0,
        tokens_per_batch: int = 8192,
        allow_code: str = "",
        dtype: str = "float32",
        cache_bytes: int = 512 << 20,
    ) -> None:
        """Remember what to load.

        Args:
            encoder: a folder, or `owner/name` or `owner/name@revision` on Hugging Face.
            layers: the layer whose output is compared; 0 takes bert-score's for repositories in its table, else the
                last.
            tokens_per_batch: tokens, with padding, that are encoded together.
            allow_code: the encoder's own code that may run, as the refusal prints it; "" allows none.
            dtype: float32, bfloat16 or float16.
            cache_bytes: embeddings that are kept, in bytes; what one pair needs is kept whatever its size.
        """
        self._wanted = (encoder, allow_code, layers, dtype)
        self._tokens_per_batch = tokens_per_batch
        self._cache_bytes = cache_bytes
        self._cache: OrderedDict[str, Embedded] = OrderedDict()
        self._windowed: set[str] = set()
        self._seen: set[str] = set()
        self.statistics = Statistics()

    @cached_property
    def encoder(self) -> Encoder:
        """The loaded encoder.

        Raises:
            BadInput: it cannot be found or loaded, or its own code is not allowed.
        """
        encoder, allow_code, layers, dtype = self._wanted
        return load_encoder(locate(encoder, allow_code), layers, dtype)

    @property
    def name(self) -> str:
        """The encoder's name for reports: the folder's, or REPOSITORY@COMMIT."""
        return self.encoder.source.name

    @property
    def windowed(self) -> int:
        """Different texts so far that took more than one window."""
        return len(self._windowed)

    @property
    def windowed_rate(self) -> float:
        """Share of the different texts so far that took more than one window."""
        return len(self._windowed) / len(self._seen) if self._seen else 0.0

    @property
    def truncated(self) -> int:
        """Different texts so far that were cut: none, long ones are read in windows."""
        return 0

    def f1(self, candidates: Sequence[str], references: Sequence[str]) -> list[float]:
        """F alone; see `score`."""
        return [result.f1 for result in self.score(candidates, references)]

    def score(self, candidates: Sequence[str], references: Sequence[str], title: str = "") -> list[Prf]:
        """BERTScore of each candidate against its reference, all 0 where either has no text.

        Pairs are taken reference by reference, so give the answers of all models in one call.

        Args:
            candidates: the answers.
            references: what each is compared to, a sentence or a whole paper.
            title: of the progress bar; "" shows none.

        Raises:
            ValueError: the two are of different length.
            BadInput: the encoder cannot be found or loaded, or its own code is not allowed.
        """
        if len(candidates) != len(references):
            raise ValueError(f"{len(candidates)} candidates and {len(references)} references")
        pairs = [(_clean(first), _clean(second)) for first, second in zip(candidates, references)]
        todo = list(dict.fromkeys(pair for pair in pairs if all(pair)))
        if not todo:
            return [NOTHING] * len(pairs)
        texts = list(dict.fromkeys(text for pair in todo for text in pair))
        ids = dict(zip(texts, self.encoder.tokenise(texts)))
        todo.sort(key=lambda pair: (len(ids[pair[1]]), pair[1], len(ids[pair[0]]), pair[0]))
        scores: dict[tuple[str, str], Prf] = {}
        with progress() as bar:
            task = bar.add_task(title, total=len(todo), visible=bool(title))
            for chunk in self._chunks(todo, ids):
                scores.update(self._score_chunk(chunk, ids))
                bar.update(task, advance=len(chunk))
        return [scores.get(pair, NOTHING) for pair in pairs]

    def _chunks(self, pairs: Iterable[tuple[str, str]], ids: dict[str, np.ndarray]) -> Iterator[list[tuple[str, str]]]:
        """Cut the pairs so that the different texts of a chunk take at most half of the cache."""
        hidden = int(self.encoder.model.config.hidden_size)
        budget = self._cache_bytes // (2 * 4 * hidden)
        chunk: list[tuple[str, str]] = []
        held: dict[str, int] = {}
        for pair in pairs:
            new = {text: len(ids[text]) for text in pair if text not in held}
            if chunk and sum(held.values()) + sum(new.values()) > budget:
                yield chunk
                chunk, held, new = [], {}, {text: len(ids[text]) for text in pair}
            chunk.append(pair)
            held |= new
        yield chunk

    def _score_chunk(
        self, pairs: Sequence[tuple[str, str]], ids: dict[str, np.ndarray]
    ) -> Iterator[tuple[tuple[str, str], Prf]]:
        import torch

        texts = list(dict.fromkeys(text for pair in pairs for text in pair))
        missing = [text for text in texts if text not in self._cache]
        self._cache |= zip(missing, self._encode([ids[text] for text in missing]))
        self._note(texts, ids)
        with torch.inference_mode():
            full = [pair for pair in pairs if all(self._cache[text].counted for text in pair)]
            matches = [match(self._cache[candidate], self._cache[reference]) for candidate, reference in full]
            numbers = torch.stack(matches).tolist() if matches else []
        for text in texts:
            self._cache.move_to_end(text)
        self._evict(keep=pairs[-1][1])  # the next chunk may go on with this reference
        return ((pair, prf(*two)) for pair, two in zip(full, numbers))

    def _note(self, texts: Iterable[str], ids: dict[str, np.ndarray]) -> None:
        for text in texts:
            digest = sha256_text(text)
            self._seen.add(digest)
            if len(ids[text]) > self.encoder.capacity:
                self._windowed.add(digest)

    def _evict(self, keep: str) -> None:
        """Drop what was used least recently until the rest fits the cache."""
        held = sum(embedded.size for embedded in self._cache.values())
        for text in list(self._cache):
            if held <= self._cache_bytes:
                break
            if text != keep:
                held -= self._cache.pop(text).size

    def _encode(self, texts: Sequence[np.ndarray]) -> list[Embedded]:
        """Embeddings of texts given as token ids: prefix and suffix once, and every token between them once."""
        import torch

        encoder, counts = self.encoder, self.statistics
        before, behind = len(encoder.prefix), len(encoder.suffix)
        overlap = int(encoder.capacity * OVERLAP)
        plan: list[tuple[int, Window]] = [
            (number, window)
            for number, ids in enumerate(texts)
            for window in plan_windows(len(ids), encoder.capacity, overlap)
        ]
        around = [np.asarray(part, dtype=np.int32) for part in (encoder.prefix, encoder.suffix)]
        vectors: list[Any] = [None] * len(texts)
        counts.texts += len(texts)
        lengths = [before + window.end - window.start + behind for _, window in plan]
        for batch in plan_batches(lengths, self._tokens_per_batch):
            rows = encoder.embed(
                [np.concatenate((around[0], texts[n][w.start : w.end], around[1])) for n, w in (plan[i] for i in batch)]
            )
            counts.windows += len(batch)
            counts.real_tokens += sum(lengths[index] for index in batch)
            counts.padded_tokens += rows.shape[0] * rows.shape[1]
            for row, index in zip(rows, batch):
                number, window = plan[index]
                total = len(texts[number])
                if vectors[number] is None:
                    vectors[number] = row.new_empty((before + total + behind, row.shape[1]))
                first = 0 if window.first == 0 else before + window.first
                last = before + window.last + (behind if window.last == total else 0)
                vectors[number][first:last] = row[first - window.start : last - window.start]
        embedded = []
        for ids, rows in zip(texts, vectors):
            whole = np.concatenate((around[0], ids, around[1]))
            counting = ~np.isin(whole, list(encoder.silent))
            weights = torch.from_numpy(counting / max(int(counting.sum()), 1)).to(rows)
            embedded.append(Embedded(rows, weights, int(counting.sum())))
        return embedded


def _clean(text: str) -> str:
    """Without blanks around it, as bert-score strips them; half a surrogate pair, which is no text, becomes "?"."""
    return text.strip().encode("utf-8", "replace").decode("utf-8")
