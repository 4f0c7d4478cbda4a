"""Greedy answers from vLLM: a script for the serve environment's python, where our package is not installed.

    python vllm_worker.py REQUEST.json

The request names the models, each with its questions and the prompt ids that training's chat template gives them;
answers are appended to a journal, one JSON line each, batch by batch, with fsync. All models run in this one process,
one after the other. Events go to standard output as JSON lines (import, engine, answers, mismatch, done); what vLLM
prints goes to standard error.

Start-up is kept short for runs of minutes: no engine subprocess, eager mode, a KV cache of just the size that is needed
(zeroing 1 GiB takes 2-3 s), the Llama class registered directly (else vLLM inspects it in a subprocess, 8 s on a fresh
machine), garbage collection held back while modules load.
"""

from __future__ import annotations

import gc
import json
import os
import sys
import time
from collections.abc import Callable
from datetime import date
from typing import Any, TextIO


def events_descriptor() -> int:
    """A descriptor for events, which are then alone on standard output: whatever else is printed goes to the error."""
    events = os.dup(1)
    os.dup2(2, 1)
    return events


def prompt_ids(tokenizer: Any, question: dict[str, Any], model: dict[str, Any]) -> list[int]:
    """A question's prompt as this environment tokenises it; one that has a `text` is that text without a template.

    Templates that write today's date are given the model's `day` instead, as in training.
    """
    if "text" in question:
        return list(tokenizer(question["text"], add_special_tokens=False)["input_ids"])
    options: dict[str, Any] = {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
    options |= {"strftime_now": date.fromisoformat(model["day"]).strftime, **model["rendering"]}
    return list(tokenizer.apply_chat_template(question["messages"], **options)["input_ids"])


def first_difference(tokenizer: Any, model: dict[str, Any]) -> dict[str, Any] | None:
    """The first question whose prompt this environment tokenises otherwise than training does, or None."""
    for question in model["questions"]:
        found = prompt_ids(tokenizer, question, model)
        if found != question["prompt_ids"]:
            return {"question_id": question["question_id"], "expected": question["prompt_ids"], "found": found}
    return None


def append(journal: TextIO, records: list[dict[str, Any]]) -> None:
    """Append records to the journal, to disk before returning."""
    journal.write("".join(json.dumps(record) + "\n" for record in records))
    journal.flush()
    os.fsync(journal.fileno())


def answer_model(
    model: dict[str, Any], request: dict[str, Any], journal: TextIO, emit: Callable[..., None], vllm: Any
) -> bool:
    """Generate all answers of one model; False if its prompts differ from training's."""
    started = time.perf_counter()
    options = dict(request["engine_options"])
    if vllm.platforms.current_platform.is_cpu():
        options["kv_cache_memory_bytes"] = model["kv_cache_bytes"]
    llm = vllm.LLM(model=model["folder"], **options)
    emit(event="engine", model=model["name"], seconds=round(time.perf_counter() - started, 2))
    difference = first_difference(llm.get_tokenizer(), model)
    if difference is not None:
        emit(event="mismatch", model=model["name"], **difference)
        return False
    sampling = vllm.SamplingParams(temperature=0.0, max_tokens=request["max_new_tokens"], detokenize=False)
    questions = model["questions"]
    for start in range(0, len(questions), request["batch_size"]):
        batch = questions[start : start + request["batch_size"]]
        prompts = [{"prompt_token_ids": question["prompt_ids"]} for question in batch]
        outputs = llm.generate(prompts, sampling, use_tqdm=False)
        append(
            journal,
            [
                {
                    "question_id": question["question_id"],
                    "model": model["name"],
                    "token_ids": list(output.outputs[0].token_ids),
                    "finish_reason": output.outputs[0].finish_reason,
                    "engine": "vllm",
                }
                for question, output in zip(batch, outputs)
            ],
        )
        emit(event="answers", model=model["name"], count=len(batch))
    return True


def import_vllm(request: dict[str, Any]) -> Any:
    """vLLM, with the Llama class registered when a model is one."""
    gc.disable()
    import vllm
    import vllm.platforms

    architectures: set[str] = set()
    for model in request["models"]:
        with open(os.path.join(model["folder"], "config.json"), encoding="utf-8") as stream:
            architectures.update(json.load(stream).get("architectures") or [])
    if "LlamaForCausalLM" in architectures:
        from vllm.model_executor.models.llama import LlamaForCausalLM

        vllm.ModelRegistry.register_model("LlamaForCausalLM", LlamaForCausalLM)
    gc.enable()
    gc.freeze()
    return vllm


def main() -> int:
    """Answer the request; returns the exit code: 0 done, 1 prompts differ, 3 vLLM cannot be imported."""
    events = events_descriptor()

    def emit(**event: Any) -> None:
        os.write(events, (json.dumps(event) + "\n").encode())

    with open(sys.argv[1], encoding="utf-8") as stream:
        request = json.load(stream)
    started = time.perf_counter()
    try:
        vllm = import_vllm(request)
    except Exception as error:  # whatever is broken in the environment, the parent reports it with the remedy
        emit(event="no_vllm", error=f"{type(error).__name__}: {error}")
        return 3
    emit(event="import", seconds=round(time.perf_counter() - started, 2), version=vllm.__version__)
    with open(request["journal"], "a", encoding="utf-8") as journal:
        for model in request["models"]:
            if not answer_model(model, request, journal, emit, vllm):
                return 1
            gc.freeze()
    emit(event="done")
    return 0


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # vLLM's own tear-down takes 2 s and has nothing left to save
