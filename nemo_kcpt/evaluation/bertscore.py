"""BERTScore F by the bert-score library (Zhang et al., ICLR 2020), with a local encoder and its failures kept away.

bert-score fails on empty texts with transformers 5, overflows on tokenizers without `model_max_length`, and sorts by
words, so that Japanese is padded to the longest text; here empty texts score 0, the limit comes from the encoder's
positions, and texts of like length are scored together. Texts beyond the encoder's limit are truncated, and counted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

_UNLIMITED = 1_000_000
"""transformers writes 10**30 where a tokenizer has no limit."""


def encoder_layers(folder: Path) -> int:
    """Number of layers of the encoder in a Hugging Face folder.

    Raises:
        BadInput: no such folder, or not an encoder's.
    """
    layers = read_json(folder / "config.json").get("num_hidden_layers")
    if not isinstance(layers, int):
        raise BadInput(f"{folder}/config.json: no num_hidden_layers; an encoder folder such as BERT's was expected")
    return layers


@dataclass
class BertScore:
    """Scores texts with one encoder; loads it once."""

    folder: Path
    """Hugging Face folder of the encoder."""
    layers: int = 0
    """Layer whose embeddings are compared; 0 takes the last."""
    batch_size: int = 64
    """Pairs that are encoded together."""
    _scorer: Any = field(default=None, repr=False)
    _measured: dict[str, bool] = field(default_factory=dict, repr=False)

    @property
    def truncated(self) -> int:
        """Different texts so far that were longer than the encoder's limit."""
        return sum(self._measured.values())

    def _load(self) -> Any:
        if self._scorer is None:
            from bert_score import BERTScorer

            layers = self.layers or encoder_layers(self.folder)
            scorer = BERTScorer(model_type=str(self.folder), num_layers=layers, batch_size=self.batch_size, idf=False)
            tokenizer: Any = scorer._tokenizer
            if tokenizer.model_max_length > _UNLIMITED:
                config = scorer._model.config
                # RoBERTa's positions begin after its padding id, so two of them are not for tokens.
                reserved = config.pad_token_id + 1 if "roberta" in config.model_type else 0
                tokenizer.model_max_length = config.max_position_embeddings - reserved
            self._scorer = scorer
        return self._scorer

    def _count_truncated(self, texts: set[str]) -> None:
        tokenizer = self._scorer._tokenizer
        limit = tokenizer.model_max_length
        # A token is at least a byte of text, but for the two around it.
        suspects = [text for text in texts if len(text.encode()) + 2 > limit and text not in self._measured]
        if suspects:
            lengths = [len(ids) for ids in tokenizer(suspects, truncation=False, verbose=False)["input_ids"]]
            self._measured |= {text: length > limit for text, length in zip(suspects, lengths)}

    def f1(self, candidates: Sequence[str], references: Sequence[str]) -> list[float]:
        """BERTScore F of each candidate against its reference, 0 where either is empty.

        Raises:
            ValueError: the two are of different length.
        """
        if len(candidates) != len(references):
            raise ValueError(f"{len(candidates)} candidates and {len(references)} references")
        scores = [0.0] * len(candidates)
        pairs = zip(candidates, references)
        order = [index for index, (first, second) in enumerate(pairs) if first.strip() and second.strip()]
        if not order:
            return scores
        scorer = self._load()
        self._count_truncated({text for index in order for text in (candidates[index], references[index])})
        order.sort(key=lambda index: (len(references[index]), references[index], len(candidates[index])))
        for start in range(0, len(order), self.batch_size):
            batch = order[start : start + self.batch_size]
            _, _, f1 = scorer.score([candidates[index] for index in batch], [references[index] for index in batch])
            for index, value in zip(batch, f1.tolist()):
                scores[index] = float(value)
        return scores
