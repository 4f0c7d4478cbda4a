"""Perplexity of models on general text: what a training cost. Lower is better; a model that forgets has a higher one.

    kcpt perplexity models=base=runs/a/base/hf,trained=runs/a/trained/hf out=runs/a/perplexity
    kcpt perplexity models=… text=general.jsonl out=…       # held-out text of your own: one with a field `text` a line

Without text= it is measured on 24 short texts that were written for this project (language=ja, en or both); for
figures to publish give more text, of the kind that your model is meant to keep. Texts beyond the window are read in
windows that overlap by half, so that all but a text's first tokens have at least half a window before them. Bits per
byte compare models with different tokenizers; perplexity is per token.

The same for knowledge: `kcpt questions general=en out=…` writes general questions for kcpt generate and kcpt score.

Writes perplexity.jsonl (question_id of the text, model, tokens, bytes, nats) and perplexity.json: for each model
perplexity, bits per byte and their 95 % intervals over texts, and the difference of bits per byte to the base model.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl, write_json, write_jsonl
from nemo_kcpt.hf.load import load_causal_lm
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.records.files import PAPERS
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.serving.models import DTYPES, parse_models
from nemo_kcpt.serving.prompts import JOURNALS, Journal, Key, model_files
from nemo_kcpt.stats.statistics import ratio_interval

GENERAL = Path(__file__).resolve().parents[1] / "general"
LANGUAGES = ("both", "ja", "en")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt perplexity`."""

    out: Path = Path(MISSING)
    """Folder for perplexity.json."""
    models: Any = MISSING
    """NAME=FOLDER[,NAME=FOLDER...], a list of those, or in YAML a mapping of names to Hugging Face folders."""
    text: Path | None = None
    """Folder of kcpt corpus, or JSON Lines with `text` and perhaps `paper_id`; without it the project's own texts."""
    language: str = "both"
    """Language of the project's own texts: ja, en or both."""
    base: str = "base"
    """Name of the model that others are compared with."""
    window: int = 1024
    """Tokens that a model sees at a time; less where it has fewer positions."""
    dtype: str = "float32"
    """Arithmetic: float32, bfloat16 or float16."""

    def __post_init__(self) -> None:
        check_choices(self, language=LANGUAGES, dtype=DTYPES)
        check_least(self, window=2)


def _texts(config: Config) -> dict[str, str]:
    """The texts by id.

    Raises:
        BadInput: a text is missing or empty, an id appears twice, or there is none.
    """
    path = PAPERS.path(config.text) if config.text is not None else GENERAL / "texts.jsonl"
    texts: dict[str, str] = {}
    for number, record in enumerate(read_jsonl(path, ("text",)), start=1):
        if config.text is None and config.language not in ("both", record["language"]):
            continue
        name = str(record.get("paper_id") or f"line {number}")
        if not isinstance(record["text"], str) or not record["text"].strip():
            raise BadInput(f"{path}, record {number}: text is empty or no text")
        if name in texts:
            raise BadInput(f"{path}, record {number}: paper_id '{name}' appears twice")
        texts[name] = record["text"]
    if not texts:
        raise BadInput(f"{path}: no text in it")
    return texts


def windows(tokens: int, window: int) -> list[tuple[int, int, int]]:
    """Windows over a text of `tokens` tokens (a beginning-of-sequence token included).

    Returns:
        For each window (start, end, first): tokens start to end are read, and those from `first` on are scored. Every
        token but the first of the text is scored once, and with at least half a window before it or the whole text.
    """
    spans = [(0, min(tokens, window), 1)]
    while spans[-1][1] < tokens:
        scored = spans[-1][1]
        end = min(tokens, scored + max(1, window // 2))
        spans.append((max(0, end - window), end, scored))
    return spans


class _Model:
    """A model that scores texts."""

    def __init__(self, folder: Path, window: int, dtype: str) -> None:
        import torch

        self._device = "cuda" if torch.cuda.is_available() else "cpu"
        self._model: Any = load_causal_lm(folder, dtype).to(self._device)
        self._tokenizer = PackTokenizer(folder)
        positions = int(read_json(folder / "config.json").get("max_position_embeddings") or window)
        self._window = min(window, positions)

    def nats(self, text: str) -> tuple[int, float]:
        """Tokens of a text that are scored, and their negative log likelihood."""
        import torch
        from torch.nn.functional import cross_entropy

        first = self._tokenizer.token_id("bos_token")
        ids = [*([first] if first is not None else []), *map(int, self._tokenizer.text_ids([text])[0])]
        total = 0.0
        for start, end, scored in windows(len(ids), self._window):
            if scored >= end:
                continue
            piece = torch.tensor([ids[start:end]], device=self._device)
            with torch.inference_mode():
                logits = self._model(piece).logits[0, scored - start - 1 : -1].float()
            total += float(cross_entropy(logits, piece[0, scored - start :], reduction="sum"))
        return len(ids) - 1, total


def measure(records: Sequence[Mapping[str, Any]], base: str) -> list[dict[str, Any]]:
    """Perplexity and bits per byte of each model, with intervals over texts, and the difference to the base."""
    by_model: dict[str, dict[str, Mapping[str, Any]]] = {}
    for record in records:
        by_model.setdefault(record["model"], {})[record["question_id"]] = record
    rows = []
    for name, by_text in by_model.items():
        nats = [record["nats"] for record in by_text.values()]
        tokens, size = ([record[field] for record in by_text.values()] for field in ("tokens", "bytes"))
        bits = [value / math.log(2) for value in nats]
        row: dict[str, Any] = {
            "model": name,
            "texts": len(by_text),
            "tokens": sum(tokens),
            "perplexity": math.exp(sum(nats) / sum(tokens)),
            "perplexity_ci95": [math.exp(end) for end in ratio_interval(nats, tokens)],
            "bits_per_byte": sum(bits) / sum(size),
            "bits_per_byte_ci95": [*ratio_interval(bits, size)],
            "difference": None,
            "difference_ci95": None,
        }
        if name != base and base in by_model:
            apart = [(record["nats"] - by_model[base][text]["nats"]) / math.log(2) for text, record in by_text.items()]
            row["difference"] = sum(apart) / sum(size)
            row["difference_ci95"] = [*ratio_interval(apart, size)]
        rows.append(row)
    return rows


def run(config: Config, redo: bool = False) -> None:
    """Write perplexity.json unless it is there; a killed run resumes at the next text."""
    models = parse_models(config.models)
    inputs = {f"{name}/{file}": path for name, folder in models.items() for file, path in model_files(folder).items()}
    inputs["text"] = config.text if config.text is not None else GENERAL / "texts.jsonl"
    shape = shaping(config, "models", "text") | {"models": list(models)}
    with stage("perplexity", config.out, config=shape, inputs=inputs, redo=redo, scrap=JOURNALS) as current:
        if current.done:
            LOG.info("perplexity: %s is finished", config.out)
            return
        texts = _texts(config)
        journal = Journal(config.out, current.fingerprint)
        if redo:
            journal.remove()
        scored: dict[Key, dict[str, Any]] = journal.read()
        with progress() as bar, journal.path.open("a", encoding="utf-8") as stream:
            for name, folder in models.items():
                left = {text: body for text, body in texts.items() if (text, name) not in scored}
                task = bar.add_task(f"perplexity of {name}", total=len(texts), completed=len(texts) - len(left))
                model = _Model(folder, config.window, config.dtype) if left else None
                for text, body in left.items():
                    assert model is not None
                    tokens, nats = model.nats(body)
                    if not tokens or not math.isfinite(nats):
                        raise BadInput(
                            f"{folder}: text '{text}' has {tokens} tokens and {nats} nats; it cannot be scored"
                        )
                    record = {"question_id": text, "model": name, "tokens": tokens}
                    record |= {"bytes": len(body.encode()), "nats": nats}
                    stream.write(json.dumps(record) + "\n")
                    stream.flush()
                    os.fsync(stream.fileno())
                    scored[text, name] = record
                    bar.advance(task)
        records = [scored[text, name] for name in models for text in texts]
        write_jsonl(config.out / "perplexity.jsonl", records)
        rows = measure(records, config.base)
        write_json(config.out / "perplexity.json", {"base": config.base, "models": rows})
        current.add(config.out / "perplexity.jsonl", config.out / "perplexity.json")
        current.counts = {"texts": len(texts), "models": list(models)}
        for row in rows:
            apart = ""
            if row["difference"] is not None:
                low, high = row["difference_ci95"]
                apart = f", {row['difference']:+.4f} to {config.base} ({low:+.4f} to {high:+.4f})"
            LOG.info(
                "perplexity: %s: %.2f, %.4f bits per byte%s",
                row["model"],
                row["perplexity"],
                row["bits_per_byte"],
                apart,
            )
