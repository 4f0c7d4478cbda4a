"""Compare two models: Hugging Face folders or NeMo checkpoints, in any combination, as after a conversion.

Parts, each passed, FAILED or not checked: `config` (sizes, RoPE, positions), `weights` (bit by bit, by Hugging Face
names), `token_ids` (both tokenizers, under transformers 4 and 5), `logits` (float32, of Megatron's and transformers'
models, and the layer where they first depart), `vllm` (prompt ids and greedy tokens, of Hugging Face folders). What
cannot be checked here says why, and does not count as passed. Exit code 0 if no part failed, 1 if one did, 2 if the
input cannot be used.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import nemo_kcpt
from nemo_kcpt.config import MISSING
from nemo_kcpt.conversion.verify.logits import Tolerances, compare_logits
from nemo_kcpt.conversion.verify.prompts import prompt_ids, read_texts
from nemo_kcpt.conversion.verify.result import FAILED, NOT_CHECKED, Part, not_checked
from nemo_kcpt.conversion.verify.serving import compare_with_vllm
from nemo_kcpt.conversion.verify.sides import compare_configs, open_side
from nemo_kcpt.conversion.verify.token_ids import compare_token_ids
from nemo_kcpt.conversion.verify.weights import compare_weights
from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import write_json


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt convert verify`."""

    a: Path = Path(MISSING)
    """Hugging Face folder, NeMo checkpoint, or a training's folder, whose newest finished checkpoint is taken."""
    b: Path = Path(MISSING)
    """What it is compared with: any of the same kinds."""
    out: Path | None = None
    """File to write the result to, as JSON."""
    json: bool = False
    """Print the result as JSON, and nothing else."""
    tokenizer: Path | None = None
    """Hugging Face tokenizer folder for a side that has none; a checkpoint's is that of the model once imported."""
    prompts: Path | None = None
    """Prompts, one a line, or a .jsonl with `prompt` or `question`; default: seven built-in ones."""
    text: Path | None = None
    """Text file that both tokenizers read; default: a built-in text in several languages."""
    weights: bool = True
    """Compare the weights."""
    token_ids: bool = True
    """Compare the tokenizers' ids."""
    logits: bool = True
    """Compare logits and hidden states; each model in turn needs 4 bytes of memory a weight."""
    vllm: bool = True
    """Compare vLLM with transformers."""
    tolerance: float = 1e-4
    """Largest absolute difference of a logit that passes."""
    layer_tolerance: float = 1e-4
    """Difference of a hidden state, as a share of its size, from which models are said to depart there."""
    max_new_tokens: int = 16
    """Greedy tokens a prompt."""
    seed: int = 1234
    """Seed of the random ids that are compared where there is no tokenizer."""


def run(config: Config, redo: bool = False) -> None:
    """Run the parts that are on; nothing is kept, so `redo` changes nothing.

    Raises:
        KcptError: a part failed.
    """
    a, b = open_side("A", config.a, config.tokenizer), open_side("B", config.b, config.tokenizer)
    texts = read_texts(config.prompts)
    tolerances = Tolerances(logits=config.tolerance, states=config.layer_tolerance)
    # Logits that differ by at most the tolerance can change places where they are twice as far apart.
    tie = 2 * config.tolerance
    checks: dict[str, tuple[bool, Callable[[], Part]]] = {
        "config": (True, lambda: compare_configs(a, b)),
        "weights": (config.weights, lambda: compare_weights(a, b)),
        "token_ids": (config.token_ids, lambda: compare_token_ids(a, b, config.text, texts)),
        "logits": (config.logits, lambda: compare_logits(a, b, prompt_ids(texts, a, b, config.seed), tolerances)),
        "vllm": (config.vllm, lambda: compare_with_vllm(a, b, texts, config.max_new_tokens, tie)),
    }
    parts = []
    for name, (wanted, check) in checks.items():
        parts.append(check() if wanted else not_checked(name, f"{name}=false was given"))
        if not config.json:
            print("\n".join(parts[-1].lines()), flush=True)
    failed = [part.name for part in parts if part.state == FAILED]
    open_parts = [part.name for part in parts if part.state == NOT_CHECKED]
    document = {
        "passed": not failed,
        "failed": failed,
        "not_checked": open_parts,
        "a": a.document(),
        "b": b.document(),
        "parts": {part.name: part.document() for part in parts},
        "nemo_kcpt": nemo_kcpt.__version__,
    }
    if config.out is not None:
        write_json(config.out, document)
    if config.json:
        print(json.dumps(document, ensure_ascii=False, indent=2))
    if failed:
        raise KcptError(f"verify: FAILED: {', '.join(failed)}; {a.path} and {b.path} are not the same model")
    if not config.json:
        rest = f"; not checked: {', '.join(open_parts)}" if open_parts else ""
        print(f"passed: {', '.join(part.name for part in parts if part.name not in open_parts)}{rest}")
