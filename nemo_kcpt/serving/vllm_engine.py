"""Runs `vllm_worker.py` in the serve environment and follows its events; see there for what it does.

NeMo and vLLM pin different transformers and numpy, so vLLM is in an environment of its own, as its own process.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nemo_kcpt import processes
from nemo_kcpt.checkpoints.hf_tokenizer import LARGEST, write_tokenizer
from nemo_kcpt.environments import SERVE_REMEDY
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import write_json
from nemo_kcpt.hf import limits as model_limits
from nemo_kcpt.hf.chat_template import date_string
from nemo_kcpt.hf.load import has_own_code
from nemo_kcpt.serving import thought_limit
from nemo_kcpt.serving.prompts import ModelRequest, Prompt, context_length, kv_cache_bytes
from nemo_kcpt.text import thoughts

WORKER = Path(__file__).with_name("vllm_worker.py")
BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}


class NoVllm(KcptError):
    """The serve environment's python cannot import vLLM."""


def worker_environment(environ: Mapping[str, str] = os.environ) -> dict[str, str]:
    """The environment variables of the worker.

    One process and no thread pinning (vLLM's pinning leaves one of two cores unused and stalls beside other work), no
    usage statistics, no look-ups on a hub for models that are local folders. VLLM_CPU_KVCACHE_SPACE is taken out, since
    it overrides the size asked for.
    """
    ours = {
        "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
        "VLLM_CPU_OMP_THREADS_BIND": "nobind",
        "VLLM_NO_USAGE_STATS": "1",
        "VLLM_LOGGING_LEVEL": environ.get("VLLM_LOGGING_LEVEL", "WARNING"),
        "OMP_NUM_THREADS": environ.get(
            "OMP_NUM_THREADS",
            str(len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1),
        ),
        "OMP_WAIT_POLICY": environ.get("OMP_WAIT_POLICY", "PASSIVE"),  # spinning threads stall on busy cores
        "HF_HUB_OFFLINE": "1",
        "PYTHONUNBUFFERED": "1",
    }
    dropped = ("VLLM_CPU_KVCACHE_SPACE", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")
    return {name: value for name, value in environ.items() if name not in dropped} | ours


def _asked(request: ModelRequest, prompt: Prompt) -> dict[str, Any]:
    seed = {} if request.sampling is None else {"seed": request.sampling.seed_of(prompt.question_id)}
    return {**vars(prompt), **seed}


def worker_request(
    requests: Sequence[ModelRequest],
    journal: Path,
    max_new_tokens: int,
    dtype: str,
    batch_size: int,
    tokenizers: Mapping[str, Path],
) -> dict[str, Any]:
    """The JSON document that the worker reads; `tokenizers` are folders for models whose own it cannot load."""
    longest = max(context_length(request, max_new_tokens) for request in requests)
    return {
        "journal": str(journal.resolve()),
        "max_new_tokens": max_new_tokens,
        "batch_size": batch_size,
        "modules": {"thoughts": thoughts.__file__, "thought_limit": thought_limit.__file__},
        "engine_options": {
            "dtype": dtype,
            "max_model_len": longest,
            "max_num_seqs": batch_size,
            "enforce_eager": True,
            "disable_log_stats": True,
            "seed": 0,
        },
        "models": [
            {
                "name": request.name,
                "folder": str(request.folder.resolve()),
                "tokenizer": str((tokenizers.get(request.name) or request.folder).resolve()),
                "kv_cache_bytes": kv_cache_bytes(request, max_new_tokens, batch_size, BYTES[dtype]),
                "day": request.day,
                "rendering": {
                    "chat_template": request.template or None,
                    **date_string(request.day),
                    **request.form.options,
                },
                "reply": request.form.reply,
                "thought_limit": request.thought_limit,
                "sampling": None if request.sampling is None else request.sampling.options,
                "questions": [_asked(request, prompt) for prompt in request.prompts],
            }
            for request in requests
        ],
    }


def _tokenizers(requests: Sequence[ModelRequest], out: Path) -> dict[str, Path]:
    """Tokenizer folders, by model, in place of those whose class is code of their own, which nobody runs."""
    folders = {}
    for number, request in enumerate(requests):
        if has_own_code(request.folder):
            folders[request.name] = out / str(number)
            folders[request.name].mkdir()
            positions = model_limits.positions(request.folder) or LARGEST
            write_tokenizer(request.folder, folders[request.name], positions, request.template, request.day)
    return folders


def _events(process: subprocess.Popen[bytes]) -> Iterator[dict[str, Any]]:
    assert process.stdout is not None
    for line in process.stdout:
        yield json.loads(line)


def _refuse_prompts(event: dict[str, Any]) -> None:
    raise BadInput(
        f"model '{event['model']}', question '{event['question_id']}': vLLM's environment tokenises the prompt "
        f"differently from training: ids {event['found'][:24]}, expected {event['expected'][:24]}. "
        "Save the tokenizer as PreTrainedTokenizerFast (kcpt convert does), with its chat template"
    )


def generate(
    requests: Sequence[ModelRequest],
    *,
    python: Path,
    journal: Path,
    log: Path,
    max_new_tokens: int,
    dtype: str,
    batch_size: int,
    progress: Callable[[str, int], None],
) -> dict[str, Any]:
    """Answer every request through vLLM, appending to `journal`; returns the seconds of start-up.

    Raises:
        NoVllm: vLLM cannot be imported there.
        BadInput: prompts are tokenised differently there.
        KcptError: the worker failed; the message ends with the last lines of its log.
    """
    request_file = journal.with_name("vllm-request.json")
    with TemporaryDirectory() as temporary:
        tokenizers = _tokenizers(requests, Path(temporary))
        asked = worker_request(requests, journal, max_new_tokens, dtype, batch_size, tokenizers)
        write_json(request_file, asked)
        timings = _run(python, request_file, log, progress)
        request_file.unlink(missing_ok=True)
    return timings


def _run(python: Path, request_file: Path, log: Path, progress: Callable[[str, int], None]) -> dict[str, Any]:
    """Run the worker; returns the seconds of start-up.

    Raises:
        NoVllm, BadInput, KcptError: see :func:`generate`.
    """
    timings: dict[str, Any] = {"engine": {}}
    finished = False
    # -I keeps the folder of the script off sys.path, where our statistics.py would hide the standard one.
    command = [str(python), "-I", "-u", str(WORKER), str(request_file)]
    process = processes.start(command, log, only=worker_environment(), read=True, group=True)
    try:
        for event in _events(process):
            if event["event"] == "no_vllm":
                raise NoVllm(f"vLLM cannot be imported by {python} ({event['error']}); {SERVE_REMEDY}. Log: {log}")
            if event["event"] == "mismatch":
                _refuse_prompts(event)
            if event["event"] == "import":
                timings |= {"import": event["seconds"], "version": event["version"]}
            elif event["event"] == "engine":
                timings["engine"][event["model"]] = event["seconds"]
            elif event["event"] == "answers":
                progress(event["model"], event["count"])
            finished = event["event"] == "done"
    finally:
        if not finished:
            processes.end_group(process)  # it keeps nothing that is not in the journal
    code = process.wait()
    if not finished:
        raise KcptError(
            f"vLLM stopped early (exit code {code}); answers so far are kept; rerun the same command to resume. "
            f"Log: {log}, which ends with\n  {processes.tail(log)}"
        )
    return timings
