"""Answers from vLLM, greedy or sampled: a script for the serve environment's python, without our package.

    python vllm_worker.py REQUEST.json

The request names the models, each with its questions and the prompt ids that training's chat template gives them;
answers are appended to a journal, one JSON line each, batch by batch, with fsync. All models run in this one process,
one after the other. Events go to standard output as JSON lines (import, engine, answers, mismatch, done); what vLLM
prints goes to standard error.

Start-up is kept short for runs of minutes: no engine subprocess, eager mode, a KV cache of just the size that is needed
(zeroing 1 GiB takes 2-3 s), the model classes registered directly (else vLLM inspects each in a subprocess, 8 s on a
fresh machine), garbage collection held back while modules load.
"""

from __future__ import annotations

import gc
import importlib.util
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

    Templates that write today's date are given the model's `day` instead, as in training. Where the model has a
    `reply`, the prompt is what its template writes before a reply of its own.
    """
    if "text" in question:
        return list(tokenizer(question["text"], add_special_tokens=False)["input_ids"])
    options = {"strftime_now": date.fromisoformat(model["day"]).strftime, **model["rendering"]}
    messages, reply = question["messages"], model["reply"]
    if reply is None:
        options |= {"add_generation_prompt": True, "tokenize": True, "return_dict": True}
        return list(tokenizer.apply_chat_template(messages, **options)["input_ids"])
    text = tokenizer.apply_chat_template(
        [*messages, {"role": "assistant", "content": reply}], tokenize=False, **options
    )
    return list(tokenizer(text[: text.rindex(reply)], add_special_tokens=False)["input_ids"])


def first_difference(tokenizer: Any, model: dict[str, Any]) -> dict[str, Any] | None:
    """The first question whose prompt this environment tokenises otherwise than training does, or None.

    Where a question writes a special token out, training has it as text: there ids are not compared.
    """
    for question in model["questions"]:
        if question.get("own_ids"):
            continue
        ids = prompt_ids(tokenizer, question, model)
        if ids != question["prompt_ids"]:
            return {"question_id": question["question_id"], "expected": question["prompt_ids"], "found": ids}
    return None


def append(journal: TextIO, records: list[dict[str, Any]]) -> None:
    """Append records to the journal, to disk before returning."""
    journal.write("".join(json.dumps(record) + "\n" for record in records))
    journal.flush()
    os.fsync(journal.fileno())


def load(path: str) -> Any:
    """A module of ours that imports nothing but the standard library, by its file."""
    spec = importlib.util.spec_from_file_location(os.path.basename(path).removesuffix(".py"), path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answerer(llm: Any, model: dict[str, Any], request: dict[str, Any], vllm: Any) -> Callable[..., Any]:
    """What answers prompts: for each the token ids, the finish reason and whether its thought was cut.

    It takes lists of the prompts' ids and of their seeds, which only sampled answers have.
    """
    most, limit, how = request["max_new_tokens"], model["thought_limit"], model["sampling"] or {"temperature": 0.0}

    def generate(
        prompts: list[list[int]], counts: list[int], seeds: list[int | None] | None = None
    ) -> list[tuple[list[int], str]]:
        sampling = [
            vllm.SamplingParams(**how, max_tokens=count, detokenize=False, seed=seed)
            for count, seed in zip(counts, seeds or [None] * len(counts))
        ]
        outputs = llm.generate([{"prompt_token_ids": ids} for ids in prompts], sampling, use_tqdm=False)
        return [(list(output.outputs[0].token_ids), output.outputs[0].finish_reason) for output in outputs]

    if limit is None:
        return lambda prompts, seeds: [(*answer, False) for answer in generate(prompts, [most] * len(prompts), seeds)]
    thoughts, within = (load(request["modules"][name]) for name in ("thoughts", "thought_limit"))
    tokenizer = llm.get_tokenizer()

    def text_of(ids: list[int]) -> str:
        return str(tokenizer.decode(ids, skip_special_tokens=False))

    return lambda prompts, _: within.generate_within(prompts, limit, most, generate, text_of, thoughts)


def answer_model(
    model: dict[str, Any], request: dict[str, Any], journal: TextIO, emit: Callable[..., None], vllm: Any
) -> bool:
    """Generate all answers of one model; False if its prompts differ from training's."""
    started = time.perf_counter()
    options = dict(request["engine_options"])
    if vllm.platforms.current_platform.is_cpu():
        options["kv_cache_memory_bytes"] = model["kv_cache_bytes"]
    llm = vllm.LLM(model=model["folder"], tokenizer=model["tokenizer"], **options)
    emit(event="engine", model=model["name"], seconds=round(time.perf_counter() - started, 2))
    difference = first_difference(llm.get_tokenizer(), model)
    if difference is not None:
        emit(event="mismatch", model=model["name"], **difference)
        return False
    answers = answerer(llm, model, request, vllm)
    questions = model["questions"]
    for start in range(0, len(questions), request["batch_size"]):
        batch = questions[start : start + request["batch_size"]]
        results = answers([question["prompt_ids"] for question in batch], [question.get("seed") for question in batch])
        append(
            journal,
            [
                {
                    "question_id": question["question_id"],
                    "model": model["name"],
                    "token_ids": ids,
                    "finish_reason": reason,
                    **({"thought_cut": True} if cut else {}),
                    "engine": "vllm",
                }
                for question, (ids, reason, cut) in zip(batch, results)
            ],
        )
        emit(event="answers", model=model["name"], count=len(batch))
    return True


def import_vllm(request: dict[str, Any]) -> Any:
    """vLLM, with the models' classes registered: those that it knows by name only it looks at in another process."""
    gc.disable()
    import vllm
    import vllm.platforms

    architectures: set[str] = set()
    for model in request["models"]:
        with open(os.path.join(model["folder"], "config.json"), encoding="utf-8") as stream:
            architectures.update(json.load(stream).get("architectures") or [])
    for name in architectures & set(vllm.ModelRegistry.models):
        known = vllm.ModelRegistry.models[name]
        if hasattr(known, "module_name"):
            vllm.ModelRegistry.register_model(name, known.load_model_cls())
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
