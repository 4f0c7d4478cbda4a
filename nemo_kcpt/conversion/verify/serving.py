"""Does vLLM, in its own environment, read prompts and continue them as transformers does here?"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from nemo_kcpt.conversion.verify.prompts import ids_of, user
from nemo_kcpt.conversion.verify.result import FAILED, Part, not_checked, verdict
from nemo_kcpt.conversion.verify.sides import Side, obstacle
from nemo_kcpt.environments import SERVE_REMEDY, serve_python
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.files import read_jsonl
from nemo_kcpt.hf.load import load_causal_lm, stop_ids
from nemo_kcpt.hf.thinking import Form
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.progress import progress
from nemo_kcpt.serving.prompts import ModelRequest, Prompt
from nemo_kcpt.serving.vllm_engine import NoVllm, generate

NAME = "vllm"
BATCH = 8


@dataclass(kw_only=True)
class TextPrompt(Prompt):
    """A prompt of a model without a chat template: plain text."""

    text: str


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """Tokens of the largest logits, and at each how far the second largest was below."""

    tokens: list[int]
    gaps: list[float]


def greedy(model: Any, ids: Sequence[int], count: int, ends: set[int]) -> Greedy:
    """At most `count` tokens after `ids`, one by one, up to and with one of `ends`."""
    import torch

    tokens: list[int] = []
    gaps: list[float] = []
    given, cache = torch.tensor([list(ids)]), None
    with torch.no_grad():
        while len(tokens) < count and not (tokens and tokens[-1] in ends):
            output = model(given, past_key_values=cache, use_cache=True)
            best = output.logits[0, -1].float().topk(2)
            tokens.append(int(best.indices[0]))
            gaps.append(float(best.values[0] - best.values[1]))
            given, cache = best.indices[None, :1], output.past_key_values
    return Greedy(tokens=tokens, gaps=gaps)


def _through_transformers(request: ModelRequest, count: int, seen: Callable[[], object]) -> dict[str, Greedy]:
    model, ends, continuations = load_causal_lm(request.folder), stop_ids(request.folder), {}
    for prompt in request.prompts:
        continuations[prompt.question_id] = greedy(model, prompt.prompt_ids, count, ends)
        seen()
    return continuations


def _through_vllm(
    requests: Sequence[ModelRequest], python: Path, count: int, seen: Callable[[str, int], None]
) -> tuple[dict[tuple[str, str], list[int]], str]:
    """Tokens by model and prompt, and vLLM's version."""
    with TemporaryDirectory() as temporary:
        folder = Path(temporary)
        timings = generate(
            requests,
            python=python,
            journal=folder / "journal.jsonl",
            log=folder / "vllm.log",
            max_new_tokens=count,
            dtype="float32",
            batch_size=BATCH,
            progress=seen,
        )
        records = list(read_jsonl(folder / "journal.jsonl"))
    return {(record["model"], record["question_id"]): record["token_ids"] for record in records}, timings["version"]


def difference(expected: Greedy, actual: Sequence[int], tie: float) -> dict[str, Any] | None:
    """Where vLLM's tokens first differ from transformers', and whether that is a near tie; None if they are equal."""
    if expected.tokens == list(actual):
        return None
    length = min(len(expected.tokens), len(actual))
    index = next((at for at in range(length) if expected.tokens[at] != actual[at]), length)
    gap = expected.gaps[index] if index < len(expected.gaps) else None
    return {
        "token": index,
        "transformers": expected.tokens[index:][:4],
        "vllm": list(actual[index:][:4]),
        "gap": gap,
        "near_tie": gap is not None and gap <= tie,
    }


def _prompts(tokenizer: PackTokenizer, texts: Sequence[str]) -> list[Prompt]:
    prompts: list[Prompt] = []
    templated = tokenizer.has_template
    for index, (text, ids) in enumerate(zip(texts, ids_of(tokenizer, texts))):
        given: dict[str, Any] = {"question_id": str(index), "prompt_ids": ids}
        if templated:
            own = tokenizer.holds_special(user(text))
            prompts.append(Prompt(messages=user(text), own_ids=own, **given))
        else:
            prompts.append(TextPrompt(messages=[], text=text, **given))
    return prompts


def _requests(sides: Sequence[Side], texts: Sequence[str], count: int) -> tuple[list[ModelRequest], list[str]]:
    """What to ask of each Hugging Face folder, and of the others why not."""
    requests, reasons = [], []
    for side in sides:
        if side.is_checkpoint:
            reasons.append(f"{side.name} is a NeMo checkpoint, which vLLM does not read")
        elif side.tokenizer != side.path:
            reasons.append(f"{side.name} has no tokenizer in it, which vLLM needs")
        else:
            tokenizer = PackTokenizer(side.path)
            prompts = _prompts(tokenizer, texts)
            fitting = [prompt for prompt in prompts if len(prompt.prompt_ids) + count <= side.shape.positions]
            if fitting:
                form = tokenizer.form if tokenizer.has_template else Form()
                requests.append(ModelRequest(name=side.name, folder=side.path, prompts=fitting, form=form))
            else:
                reasons.append(f"{side.name}: no prompt fits into {side.shape.positions} positions")
    return requests, reasons


def compare_with_vllm(a: Side, b: Side, texts: Sequence[str], count: int, tie: float) -> Part:
    """Prompt ids and `count` greedy tokens of each Hugging Face folder by vLLM, against transformers' here; float32.

    Passes if all are equal but for near ties: where the two best logits are at most `tie` apart, rounding decides.
    """
    requests, reasons = _requests((a, b), texts, count)
    python = serve_python()
    if not requests:
        return not_checked(NAME, "; ".join(reasons))
    if python is None:
        return not_checked(NAME, f"the serve environment is missing: {SERVE_REMEDY}")
    if reason := obstacle([side for side in (a, b) if side.name in {request.name for request in requests}]):
        return not_checked(NAME, reason)
    total = sum(len(request.prompts) for request in requests)
    with progress() as bar:
        task = bar.add_task("verify: prompts through vLLM", total=total)
        try:
            actual, version = _through_vllm(requests, python, count, lambda _, done: bar.advance(task, done))
        except NoVllm as error:
            return not_checked(NAME, str(error))
        except (BadInput, KcptError) as error:
            return Part(name=NAME, state=FAILED, summary=str(error), numbers={"error": str(error)})
        task = bar.add_task("verify: prompts through transformers", total=total)
        expected = {
            request.name: _through_transformers(request, count, lambda: bar.advance(task)) for request in requests
        }
    differences = [
        {"model": request.name, "prompt": texts[int(prompt.question_id)], **where}
        for request in requests
        for prompt in request.prompts
        if (
            where := difference(
                expected[request.name][prompt.question_id], actual[request.name, prompt.question_id], tie
            )
        )
    ]
    ties = sum(entry["near_tie"] for entry in differences)
    names = " and ".join(request.name for request in requests)
    lines = [
        f"{entry['model']}, {entry['prompt'][:40]!r}: token {entry['token']} is {entry['vllm'][:1]}, transformers' "
        f"{entry['transformers'][:1]}"
        + (f", whose logits are {entry['gap']:.1e} apart: a near tie" if entry["near_tie"] else "")
        for entry in differences
    ]
    return Part(
        name=NAME,
        state=verdict(len(differences) == ties),
        summary=f"{names}: ids of {total} prompts equal, {total - len(differences)} of {total} continuations of up to "
        f"{count} tokens equal" + (f", {ties} differ at a near tie" if ties else "") + f"; vLLM {version}, float32",
        details=[*lines, *(f"not checked: {reason}" for reason in reasons)],
        numbers={
            "models": [request.name for request in requests],
            "version": version,
            "prompts": total,
            "prompts_left_out": len(texts) * len(requests) - total,
            "max_new_tokens": count,
            "equal": total - len(differences),
            "near_ties": ties,
            "near_tie": tie,
            "differences": differences,
            "not_checked": reasons,
        },
    )
