"""Answers of models in folders, through vLLM or transformers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.environments import SERVE_REMEDY, serve_python, vllm_expected
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.answers.config import Config as Config
from nemo_kcpt.evaluation.answers.plain import answered
from nemo_kcpt.hf import limits as model_limits
from nemo_kcpt.hf.chat_template import given_template
from nemo_kcpt.hf.load import decoding_rules
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.serving import transformers_engine, vllm_engine
from nemo_kcpt.serving.prompts import Decoder, Journal, Key, ModelRequest, build_prompts, opens_thought
from nemo_kcpt.serving.thought_limit import thought_length
from nemo_kcpt.text.thoughts import closes, count_closes


@contextmanager
def _bars(requests: Sequence[ModelRequest]) -> Iterator[Callable[[str, int], None]]:
    """A bar per model; yields what moves a model's bar on by a count."""
    with progress() as bars:
        tasks = {
            request.name: bars.add_task(f"answers of {request.name}", total=len(request.prompts))
            for request in requests
        }
        yield lambda name, count: bars.advance(tasks[name], count)


def _engine_for(config: Config) -> tuple[str, Path | None]:
    """The engine to use and its python; says so where auto has to do without vLLM.

    Raises:
        KcptError: vLLM is wanted and its environment is not there.
    """
    if config.engine == "transformers":
        return "transformers", None
    python = serve_python()
    if python is not None:
        return "vllm", python
    if config.engine == "auto" and not vllm_expected():
        LOG.warning("generate: no vLLM for this platform or Python: through transformers instead, five times slower")
        return "transformers", None
    raise KcptError(f"the serve environment with vLLM is missing: {SERVE_REMEDY}. engine=transformers does without it")


def _dtype(config: Config, requests: Sequence[ModelRequest]) -> str:
    """The arithmetic, by the models' folders if that is asked for.

    Raises:
        BadInput: they were saved in different ones.
    """
    if config.dtype != "auto":
        return config.dtype
    dtypes = {request.name: model_limits.dtype(request.folder) or "float32" for request in requests}
    if len(set(dtypes.values())) > 1:
        said = ", ".join(f"{name}: {dtype}" for name, dtype in dtypes.items())
        raise BadInput(
            f"dtype=auto: the models were saved in different arithmetic ({said}); give dtype= for all of them"
        )
    return next(iter(dtypes.values()))


def _answer(config: Config, requests: list[ModelRequest], journal: Path) -> dict[str, Any]:
    """Fill the journal; returns engine name and start-up seconds."""
    engine, python = _engine_for(config)
    dtype = _dtype(config, requests)
    with _bars(requests) as advance:
        if engine == "vllm":
            assert python is not None
            try:
                timings = vllm_engine.generate(
                    requests,
                    python=python,
                    journal=journal,
                    log=config.out / "vllm.log",
                    max_new_tokens=config.max_new_tokens,
                    dtype=dtype,
                    batch_size=config.batch_size,
                    progress=advance,
                )
                return {"engine": "vllm", "start_up_seconds": timings}
            except vllm_engine.NoVllm as error:
                if config.engine == "vllm" or vllm_expected():
                    raise
                LOG.warning("generate: %s. Generating through transformers, which is slower", error)
        transformers_engine.generate(requests, journal, config.max_new_tokens, dtype, advance)
    return {"engine": "transformers"}


def _records(
    questions: Mapping[str, Any], prompts: Mapping[str, ModelRequest], entries: Mapping[Key, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """answers.jsonl from token ids: question by question, each by every model."""
    texts: dict[Key, str] = {}
    lengths: dict[Key, int] = {}
    thoughts: dict[Key, int] = {}
    opened = {name: opens_thought(request) for name, request in prompts.items()}
    for name, request in prompts.items():
        keys = [(prompt.question_id, name) for prompt in request.prompts]
        decoder = Decoder(request.folder)
        texts |= zip(keys, decoder.texts([entries[key]["token_ids"] for key in keys]))
        thoughts |= {
            key: thought_length(entries[key]["token_ids"], decoder.written, count_closes) if closes(texts[key]) else 0
            for key in keys
        }
        lengths |= {(prompt.question_id, name): len(prompt.prompt_ids) for prompt in request.prompts}
    return [
        answered(
            {
                "question_id": question_id,
                "model": name,
                "answer": texts[question_id, name],
                "finish_reason": entries[question_id, name]["finish_reason"],
                "prompt_tokens": lengths[question_id, name],
                "completion_tokens": len(entries[question_id, name]["token_ids"]),
                **({"thought_cut": True} if entries[question_id, name].get("thought_cut") else {}),
                "engine": entries[question_id, name]["engine"],
            },
            opened[name],
            thoughts[question_id, name],
        )
        for question_id in questions
        for name in prompts
    ]


def _remaining(prompts: Mapping[str, ModelRequest], entries: Mapping[Key, Any]) -> list[ModelRequest]:
    left = []
    for name, request in prompts.items():
        open_prompts = [prompt for prompt in request.prompts if (prompt.question_id, name) not in entries]
        if open_prompts:
            left.append(replace(request, prompts=open_prompts))
    return left


def from_folders(
    config: Config,
    models: Mapping[str, Path],
    questions: Mapping[str, Any],
    journal: Journal,
    entries: Mapping[Key, Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """answers.jsonl from models in folders, and the engine with its start-up times."""
    template, day = given_template(config.chat_template), config.template_date
    prompts = {
        name: build_prompts(
            name, folder, questions, config.max_new_tokens, config.system, template, day, config.how_much
        )
        for name, folder in models.items()
    }
    rules = {name: found_rules for name, folder in models.items() if (found_rules := decoding_rules(folder))}
    for name, left in rules.items():
        LOG.info("generate: %s: decoding is greedy; %s of its generation_config.json ignored", name, ", ".join(left))
    requests = _remaining(prompts, entries)
    used: dict[str, Any] = _answer(config, requests, journal.path) if requests else {"engine": "journal"}
    return _records(questions, prompts, journal.read()), used | ({"rules_left_aside": rules} if rules else {})
