"""Answers from memory: every question put to every model through its chat template, without the paper, greedy.

Engines:
  vllm          in the serve environment ($KCPT_SERVE_PYTHON, else .venv-serve), as a process of its own
  transformers  in this process; for tiny models
  server        any server with OpenAI's chat completions; models=NAME=MODEL then names models of that server, and
                template=FOLDER (the tokenizer that training used) lets the prompts' lengths be compared with training's
  auto          vllm; where it cannot be had (not Linux on x86-64 or ARM, or Python 3.10) transformers, and says so

Models are given as NAME=FOLDER, separated by commas:
  kcpt generate questions=runs/a/questions out=runs/a/answers models=base=runs/a/base/hf,trained=runs/a/trained/hf
  kcpt generate questions=… out=… engine=server base_url=http://localhost:8000/v1 models=trained=my-model
or in --config FILE.yaml as a mapping (models: {base: runs/a/base/hf, trained: ...}). Call the untrained one base.

Answers are kept in a journal batch by batch; a killed run resumes where it stopped. Writes answers.jsonl.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.environments import SERVE_REMEDY, serve_python, vllm_expected
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.answers import server as server_engine
from nemo_kcpt.evaluation.answers.config import Config as Config
from nemo_kcpt.evaluation.answers.plain import answered, tell_faults, told_by_others
from nemo_kcpt.files import sha256_text, write_jsonl
from nemo_kcpt.hf import limits as model_limits
from nemo_kcpt.hf.chat_template import given_template
from nemo_kcpt.hf.load import decoding_rules
from nemo_kcpt.hf.thinking import OFF
from nemo_kcpt.hf.tokenizer import thinks
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.records.inputs import read_questions
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.serving import transformers_engine, vllm_engine
from nemo_kcpt.serving.models import parse_models
from nemo_kcpt.serving.prompts import (
    JOURNALS,
    Decoder,
    Journal,
    Key,
    ModelRequest,
    build_prompts,
    model_files,
    opens_thought,
    prompt_tokenizer,
)
from nemo_kcpt.serving.thought_limit import thought_length
from nemo_kcpt.text.thoughts import closes, count_closes

OPTIONAL = ("served_model", "thought_characters", "thought_tokens")
"""Fields of a server's answer that not every one has."""


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
    found = {request.name: model_limits.dtype(request.folder) or "float32" for request in requests}
    if len(set(found.values())) > 1:
        said = ", ".join(f"{name}: {dtype}" for name, dtype in found.items())
        raise BadInput(
            f"dtype=auto: the models were saved in different arithmetic ({said}); give dtype= for all of them"
        )
    return next(iter(found.values()))


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
    questions: Mapping[str, Any], prompts: Mapping[str, ModelRequest], found: Mapping[Key, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """answers.jsonl from token ids: question by question, each by every model."""
    texts: dict[Key, str] = {}
    lengths: dict[Key, int] = {}
    thoughts: dict[Key, int] = {}
    opened = {name: opens_thought(request) for name, request in prompts.items()}
    for name, request in prompts.items():
        keys = [(prompt.question_id, name) for prompt in request.prompts]
        decoder = Decoder(request.folder)
        texts |= zip(keys, decoder.texts([found[key]["token_ids"] for key in keys]))
        thoughts |= {
            key: thought_length(found[key]["token_ids"], decoder.written, count_closes) if closes(texts[key]) else 0
            for key in keys
        }
        lengths |= {(prompt.question_id, name): len(prompt.prompt_ids) for prompt in request.prompts}
    return [
        answered(
            {
                "question_id": question_id,
                "model": name,
                "answer": texts[question_id, name],
                "finish_reason": found[question_id, name]["finish_reason"],
                "prompt_tokens": lengths[question_id, name],
                "completion_tokens": len(found[question_id, name]["token_ids"]),
                **({"thought_cut": True} if found[question_id, name].get("thought_cut") else {}),
                "engine": found[question_id, name]["engine"],
            },
            opened[name],
            thoughts[question_id, name],
        )
        for question_id in questions
        for name in prompts
    ]


def _from_server(
    config: Config,
    models: Mapping[str, Path],
    questions: Mapping[str, Any],
    journal: Journal,
    found: Mapping[Key, Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """answers.jsonl from a server's texts, in the same order, and the engine's name."""
    wanted = [(question_id, name) for question_id in questions for name in models]
    requests = [
        server_engine.Request(question_id, name, models[name].as_posix(), questions[question_id]["question"])
        for question_id, name in wanted
        if (question_id, name) not in found
    ]
    expected: dict[str, int] = {}
    llm = config.llm()
    if config.template is not None:
        given, how_much = given_template(config.chat_template), config.how_much
        tokenizer, _ = prompt_tokenizer(config.template, given, config.template_date, how_much)
        llm = replace(llm, extra_body=server_engine.fields_of(tokenizer))
        expected = server_engine.prompt_lengths(tokenizer, config.system, questions)
    server_engine.check_lengths(expected, found)
    if requests:
        with progress() as bars:
            tasks = {name: bars.add_task(f"answers of {name}", total=len(questions)) for name in models}
            for _, name in found:
                bars.advance(tasks[name])
            server_engine.generate(
                llm, config.system, requests, journal.path, expected, lambda name: bars.advance(tasks[name])
            )
        found = journal.read()
    fields = ("question_id", "model", "answer", "finish_reason", "prompt_tokens", "completion_tokens", "engine")
    records = [
        {field: found[key][field] for field in (*fields, *(one for one in OPTIONAL if found[key].get(one)))}
        for key in wanted
    ]
    return [answered(record, False) for record in told_by_others(records)], {"engine": "server"}


def _remaining(prompts: Mapping[str, ModelRequest], found: Mapping[Key, Any]) -> list[ModelRequest]:
    left = []
    for name, request in prompts.items():
        open_prompts = [prompt for prompt in request.prompts if (prompt.question_id, name) not in found]
        if open_prompts:
            left.append(replace(request, prompts=open_prompts))
    return left


def _from_folders(
    config: Config,
    models: Mapping[str, Path],
    questions: Mapping[str, Any],
    journal: Journal,
    found: Mapping[Key, Mapping[str, Any]],
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
    requests = _remaining(prompts, found)
    used: dict[str, Any] = _answer(config, requests, journal.path) if requests else {"engine": "journal"}
    return _records(questions, prompts, journal.read()), used | ({"rules_left_aside": rules} if rules else {})


def run(config: Config, redo: bool = False) -> None:
    """Write the answers unless they are there; resumes from the journal of a killed run."""
    models = parse_models(config.models)
    served = config.engine == "server"
    inputs: dict[str, Path | str] = {"questions": config.questions}
    given = given_template(config.chat_template)
    if given:
        inputs["chat_template"] = sha256_text(given)
    if not served:
        inputs |= {
            f"{name}/{file}": path for name, folder in models.items() for file, path in model_files(folder).items()
        }
        # Answers of before this form was used are to other prompts.
        inputs |= {
            f"{name}/thinking": OFF
            for name, folder in models.items()
            if config.thinking == "" and (thinks(folder) or (given and thinks(folder, given)))
        }
    shape = shaping(
        config,
        "models",
        "batch_size",
        "base_url",
        "api_key_env",
        "template",
        "concurrency",
        "timeout",
        "chat_template",
        "served_model",
    )
    shape["models"] = {name: folder.as_posix() for name, folder in models.items()} if served else list(models)
    with stage("generate", config.out, config=shape, inputs=inputs, redo=redo, scrap=JOURNALS) as current:
        if current.done:
            LOG.info("generate: %s is finished", config.out)
            return
        questions = read_questions(config.questions)
        journal = Journal(config.out, current.fingerprint)
        if redo:
            journal.remove()
        before = journal.read()
        if before:
            LOG.info("generate: %d of %d answers are in the journal already", len(before), len(questions) * len(models))
        started = time.perf_counter()
        records, used = (_from_server if served else _from_folders)(config, models, questions, journal, before)
        seconds = time.perf_counter() - started
        write_jsonl(config.out / "answers.jsonl", records)
        current.add(config.out / "answers.jsonl")
        made = [record for record in records if (record["question_id"], record["model"]) not in before]
        tokens = sum(record["completion_tokens"] for record in records)
        rate = sum(record["completion_tokens"] for record in made) / max(seconds, 1e-9)
        current.counts = {"answers": len(records), "models": list(models), "completion_tokens": tokens, **used}
        current.counts["tokens_per_second"] = round(rate, 1)
        current.counts |= tell_faults(records, config.max_new_tokens)
        LOG.info(
            "generate: %d answers of %s in %.0f s (%s, %.0f tokens/s with start-up)",
            len(records),
            ", ".join(models),
            seconds,
            used["engine"],
            rate,
        )
