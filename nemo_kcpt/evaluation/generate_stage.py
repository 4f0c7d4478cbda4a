"""Answers from memory: every question put to every model through its chat template, without the paper, greedy.

Engines:
  vllm          in the serve environment ($KCPT_SERVE_PYTHON, else .venv-serve), as a process of its own
  transformers  in this process; for tiny models
  auto          vllm; where it cannot be had (not Linux on x86-64 or ARM, or Python 3.10) transformers, and says so

Models are given as NAME=FOLDER, separated by commas:
  kcpt generate questions=runs/a/questions out=runs/a/answers models=base=runs/a/base/hf,trained=runs/a/trained/hf
or in --config FILE.yaml as a mapping (models: {base: runs/a/base/hf, trained: ...}). Call the untrained one base.

Answers are kept in a journal batch by batch; a killed run goes on where it stopped. Writes answers.jsonl.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.environments import SERVE_REMEDY, serve_python, vllm_expected
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.inputs import read_questions
from nemo_kcpt.evaluation.prompts import Journal, Key, ModelRequest, build_prompts, decode, model_files
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.progress import progress
from nemo_kcpt.runs import shaping, stage

ENGINES = ("auto", "vllm", "transformers")
DTYPES = ("float32", "bfloat16", "float16")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt generate`."""

    out: Path = Path(MISSING)
    """Folder for answers.jsonl."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    models: Any = MISSING
    """NAME=FOLDER[,NAME=FOLDER...], a list of those, or in YAML a mapping of names to Hugging Face folders."""
    engine: str = "auto"
    """auto, vllm or transformers; see above."""
    system: str = ""
    """A system message before each question, as kcpt pack had it."""
    max_new_tokens: int = 128
    """Longest answer, in tokens."""
    dtype: str = "float32"
    """Arithmetic: float32, bfloat16 or float16."""
    batch_size: int = 64
    """Questions that vLLM answers at a time, and at most lost by a kill."""

    def __post_init__(self) -> None:
        for name, allowed in (("engine", ENGINES), ("dtype", DTYPES)):
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name}: '{getattr(self, name)}' is not one of {', '.join(allowed)}")
        for name in ("max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}: {getattr(self, name)} given, at least 1 is needed")


def parse_models(given: Any) -> dict[str, Path]:
    """Names and folders of `models`, in any of its three forms.

    Raises:
        BadInput: another form, a name given twice, or no model.
    """
    if isinstance(given, Mapping):
        pairs = [(str(name), str(folder)) for name, folder in given.items()]
    else:
        words = given.split(",") if isinstance(given, str) else list(given) if isinstance(given, Sequence) else [given]
        pairs = []
        for word in words:
            name, equals, folder = str(word).strip().partition("=")
            if not equals or not name or not folder:
                raise BadInput(f"models: '{word}' is not of the form NAME=FOLDER; see kcpt generate --help")
            pairs.append((name.strip(), folder.strip()))
    models = {name: Path(folder) for name, folder in pairs}
    if len(models) < len(pairs):
        raise BadInput("models: a name is given twice; every model needs a name of its own")
    if not models:
        raise BadInput("models: none given; give NAME=FOLDER")
    return models


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


def _answer(config: Config, requests: list[ModelRequest], journal: Path) -> dict[str, Any]:
    """Fill the journal; returns engine name and start-up seconds."""
    from nemo_kcpt.evaluation import transformers_engine, vllm_engine

    engine, python = _engine_for(config)
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
                    dtype=config.dtype,
                    batch_size=config.batch_size,
                    progress=advance,
                )
                return {"engine": "vllm", "start_up_seconds": timings}
            except vllm_engine.NoVllm as error:
                if config.engine == "vllm" or vllm_expected():
                    raise
                LOG.warning("generate: %s. Generating through transformers, which is slower", error)
        transformers_engine.generate(requests, journal, config.max_new_tokens, config.dtype, advance)
    return {"engine": "transformers"}


def _records(
    questions: Mapping[str, Any], prompts: Mapping[str, ModelRequest], found: Mapping[Key, Mapping[str, Any]]
) -> list[dict[str, Any]]:
    """answers.jsonl: question by question, each by every model."""
    texts: dict[Key, str] = {}
    lengths: dict[Key, int] = {}
    for name, request in prompts.items():
        keys = [(prompt.question_id, name) for prompt in request.prompts]
        texts |= zip(keys, decode(request.folder, [found[key]["token_ids"] for key in keys]))
        lengths |= {(prompt.question_id, name): len(prompt.prompt_ids) for prompt in request.prompts}
    return [
        {
            "question_id": question_id,
            "model": name,
            "answer": texts[question_id, name],
            "finish_reason": found[question_id, name]["finish_reason"],
            "prompt_tokens": lengths[question_id, name],
            "completion_tokens": len(found[question_id, name]["token_ids"]),
            "engine": found[question_id, name]["engine"],
        }
        for question_id in questions
        for name in prompts
    ]


def _remaining(prompts: Mapping[str, ModelRequest], found: Mapping[Key, Any]) -> list[ModelRequest]:
    left = []
    for name, request in prompts.items():
        open_prompts = [prompt for prompt in request.prompts if (prompt.question_id, name) not in found]
        if open_prompts:
            left.append(ModelRequest(name=name, folder=request.folder, prompts=open_prompts))
    return left


def run(config: Config, redo: bool = False) -> None:
    """Write the answers unless they are there; goes on from the journal of a killed run."""
    models = parse_models(config.models)
    inputs = {"questions": config.questions}
    inputs |= {f"{name}/{file}": path for name, folder in models.items() for file, path in model_files(folder).items()}
    shape = shaping(config, "models", "batch_size") | {"models": list(models)}
    with stage("generate", config.out, config=shape, inputs=inputs, redo=redo) as current:
        if current.done:
            LOG.info("generate: %s is finished", config.out)
            return
        questions = read_questions(config.questions)
        prompts = {
            name: build_prompts(name, folder, questions, config.max_new_tokens, config.system)
            for name, folder in models.items()
        }
        journal = Journal(config.out, current.fingerprint)
        if redo:
            journal.remove()
        found = journal.read()
        requests = _remaining(prompts, found)
        wanted = len(questions) * len(models)
        if found:
            LOG.info("generate: %d of %d answers are in the journal already", len(found), wanted)
        started = time.perf_counter()
        used: dict[str, Any] = _answer(config, requests, journal.path) if requests else {"engine": "journal"}
        seconds = time.perf_counter() - started
        found = journal.read()
        records = _records(questions, prompts, found)
        write_jsonl(config.out / "answers.jsonl", records)
        journal.remove()
        current.add(config.out / "answers.jsonl")
        tokens = sum(record["completion_tokens"] for record in records)
        current.counts = {"answers": len(records), "models": list(models), "completion_tokens": tokens, **used}
        LOG.info("generate: %d answers of %s in %.0f s (%s)", wanted, ", ".join(models), seconds, used["engine"])
