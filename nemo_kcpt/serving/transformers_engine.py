"""Answers through transformers, in this process, greedy or sampled: for tiny models, and for platforms without vLLM.

About five times slower than vLLM on a CPU at batch 16; the tokens are the same in float32.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nemo_kcpt.hf.load import load_causal_lm
from nemo_kcpt.serving.prompts import Decoder, ModelRequest, Prompt
from nemo_kcpt.serving.thought_limit import Answer, generate_within
from nemo_kcpt.text import thoughts

BATCH = 16


def _batches(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """Prompts of like length together, so that little is padded."""
    ordered = sorted(prompts, key=lambda prompt: len(prompt.prompt_ids))
    return [ordered[start : start + BATCH] for start in range(0, len(ordered), BATCH)]


def _cut(ids: list[int], ends: set[int]) -> tuple[list[int], str]:
    """Tokens up to and with the first end token, and the finish reason by OpenAI's names."""
    for index, token in enumerate(ids):
        if token in ends:
            return ids[: index + 1], "stop"
    return ids, "length"


def in_order(prompts: Sequence[Prompt]) -> list[list[Prompt]]:
    """Batches that do not depend on what prompts say, for samples: those of a batch share one seed."""
    return [list(prompts[start : start + BATCH]) for start in range(0, len(prompts), BATCH)]


class _Greedy:
    """A model that continues prompts."""

    def __init__(self, request: ModelRequest, dtype: str) -> None:
        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = load_causal_lm(request.folder, dtype).to(self._device)  # its generation config is greedy
        config = self._model.generation_config
        self._ends, self._pad = set(config.eos_token_id or ()), config.pad_token_id

    def __call__(
        self, prompts: list[list[int]], most: list[int], sampled: Mapping[str, Any] | None = None
    ) -> list[tuple[list[int], str]]:
        """At most so many tokens after each prompt, and the finish reason; `sampled` is how, if not greedily."""
        import torch

        width = max(map(len, prompts))
        ids = torch.tensor([[self._pad] * (width - len(prompt)) + prompt for prompt in prompts], device=self._device)
        mask = torch.tensor(
            [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts], device=self._device
        )
        with torch.inference_mode():
            options = {"do_sample": False} if sampled is None else {"do_sample": True, "top_k": 0, **sampled}
            output = self._model.generate(ids, attention_mask=mask, max_new_tokens=max(most), **options)
        return [_cut(row[:count], self._ends) for row, count in zip(output[:, width:].tolist(), most)]


def _answers(request: ModelRequest, batch: Sequence[Prompt], greedy: _Greedy, most: int) -> list[Answer]:
    prompts, limit, how = [prompt.prompt_ids for prompt in batch], request.thought_limit, request.sampling
    if how is not None:
        import torch

        with torch.random.fork_rng():
            torch.manual_seed(how.seed_of(batch[0].question_id))
            generated = greedy(prompts, [most] * len(prompts), how.options)
        return [Answer(ids, reason, False) for ids, reason in generated]
    if limit is None:
        return [Answer(ids, reason, False) for ids, reason in greedy(prompts, [most] * len(prompts))]
    return generate_within(prompts, limit, most, greedy, Decoder(request.folder).written, thoughts)


def generate(
    requests: Sequence[ModelRequest],
    journal: Path,
    max_new_tokens: int,
    dtype: str,
    progress: Callable[[str, int], None],
) -> None:
    """Answer every request, appending records of token ids to `journal`; `progress` gets a model's name and a count."""
    with journal.open("a", encoding="utf-8") as stream:
        for request in requests:
            greedy = _Greedy(request, dtype)
            for batch in (_batches if request.sampling is None else in_order)(request.prompts):
                for prompt, answer in zip(batch, _answers(request, batch, greedy, max_new_tokens)):
                    record = {
                        "question_id": prompt.question_id,
                        "model": request.name,
                        "token_ids": answer.ids,
                        "finish_reason": answer.reason,
                        **({"thought_cut": True} if answer.cut else {}),
                        "engine": "transformers",
                    }
                    stream.write(json.dumps(record) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
                progress(request.name, len(batch))
            del greedy
