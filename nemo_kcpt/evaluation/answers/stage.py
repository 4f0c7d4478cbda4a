"""Answers from memory: every question put to every model through its chat template, without the paper, greedy.

Engines:
  vllm          in the serve environment ($KCPT_SERVE_PYTHON, else .venv-serve), as a process of its own
  transformers  in this process; for tiny models
  server        any server with OpenAI's chat completions; models=NAME=MODEL then names models of that server, and
                template=FOLDER (the tokenizer that training used) lets the prompts' lengths be compared with training's
  auto          vllm; where there is none (not Linux on x86-64 or ARM, or Python 3.10) transformers, and says so

Models are given as NAME=FOLDER, separated by commas:
  kcpt generate questions=runs/a/questions out=runs/a/answers models=base=runs/a/base/hf,trained=runs/a/trained/hf
  kcpt generate questions=… out=… engine=server base_url=http://localhost:8000/v1 models=trained=my-model
or in --config FILE.yaml as a mapping (models: {base: runs/a/base/hf, trained: ...}). Call the untrained one base.

Answers are kept in a journal batch by batch; a killed run resumes where it stopped. Writes answers.jsonl.
"""

from __future__ import annotations

import time
from pathlib import Path

from nemo_kcpt.evaluation.answers.config import Config as Config
from nemo_kcpt.evaluation.answers.from_folders import from_folders
from nemo_kcpt.evaluation.answers.from_server import from_server
from nemo_kcpt.evaluation.answers.plain import tell_faults
from nemo_kcpt.files import sha256_text, write_jsonl
from nemo_kcpt.hf.chat_template import given_template
from nemo_kcpt.hf.thinking import OFF
from nemo_kcpt.hf.tokenizer import thinks
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.inputs import read_questions
from nemo_kcpt.runs import shaping, stage
from nemo_kcpt.serving.models import parse_models
from nemo_kcpt.serving.prompts import JOURNALS, Journal, model_files


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
        records, used = (from_server if served else from_folders)(config, models, questions, journal, before)
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
