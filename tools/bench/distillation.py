"""What a distillation costs and keeps: bytes a token and KL to the full distributions by k, and seconds a step.

    .venv/bin/python tools/bench/distillation.py                     exactness, size, teacher's speed and a step's time
    .venv/bin/python tools/bench/distillation.py --steps 0           without the trainings

The model is SmolLM2-135M-Instruct (tools/smollm2.py), the pack anchored, of fictional English papers. Exactness: for
every asked token of some windows the full distribution of the teacher p (with the passage) and of the student q (the
same model, the pair alone) are at hand; KL(p || q) with all others than the k likeliest as one bucket is compared with
the full one, with log-probabilities in float32 and float16. Time: two trainings of the recipe, plain and distilled, on
the same windows with the same attention; the first steps are left out.
"""

from __future__ import annotations

import argparse
import json
import shutil
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

BUILD = Path("build/bench-distillation")
MODEL = Path("build/smollm2-135m-instruct")
SEQ_LENGTH, TOKENS_PER_STEP = 256, 1024
KS = (8, 16, 32, 64, 128, 256)
SKIPPED = 2


def _run(*commands: list[str]) -> None:
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def _kcpt(*words: str) -> list[str]:
    return [sys.executable, "-m", "nemo_kcpt.cli", *words]


def prepare() -> None:
    """Weights, their Megatron form and the pack; what is there is kept."""
    world, corpus, synthetic = BUILD / "world", BUILD / "corpus", BUILD / "synthetic"
    _run(
        [sys.executable, "tools/smollm2.py", "--out", str(MODEL)],
        _kcpt("convert", "import", str(MODEL), "--to", str(BUILD / "base")),
        _kcpt("demo-world", f"out={world}", "papers=12", "base_papers=4", "language=en"),
        _kcpt("corpus", f"input={world}/own/documents.jsonl", f"out={corpus}"),
        _kcpt("synthesize", f"corpus={corpus}", f"facts={world}/own/facts.jsonl", f"out={synthetic}"),
        _kcpt(
            "pack",
            f"seq_length={SEQ_LENGTH}",
            f"tokenizer={MODEL}",
            f"corpus={corpus}",
            f"synthetic={synthetic}",
            f"out={BUILD / 'pack'}",
        ),
    )


def distil(k: int) -> dict[str, Any]:
    """`kcpt distill` of the pack with this k: its counts and seconds."""
    out = BUILD / f"teacher-{k}"
    shutil.rmtree(out, ignore_errors=True)
    _run(_kcpt("distill", f"pack={BUILD / 'pack'}", f"model={MODEL}", f"out={out}", f"k={k}"))
    manifest: dict[str, Any] = json.loads((out / "manifest.json").read_text())
    return {**manifest["counts"], "seconds": manifest["seconds"]}


def exactness(windows: int) -> dict[str, Any]:
    """Mean KL of the full distributions, and of what is kept of them by k and type, over the first windows."""
    import numpy as np
    import torch

    from nemo_kcpt.distillation.reading import Reader
    from nemo_kcpt.distillation.texts import PaperTexts
    from nemo_kcpt.distillation.views import Wanted
    from nemo_kcpt.hf.load import load_causal_lm
    from nemo_kcpt.packing.store import iterate_table, open_tokens

    pack = BUILD / "pack"
    tokens = open_tokens(pack)
    rows = list(iterate_table(pack))
    reader = Reader(tokens, PaperTexts(rows, tokens), Wanted(), SEQ_LENGTH, begin=None, positions=None)
    model = load_causal_lm(MODEL)
    kept: dict[str, list[float]] = {"full": []}
    errors: dict[str, list[float]] = {}
    masses: dict[int, list[float]] = {k: [] for k in KS}

    def note(name: str, values: Any, full: Any) -> None:
        kept.setdefault(name, []).extend(values.tolist())
        errors.setdefault(name, []).extend((full - values).abs().tolist())

    with torch.inference_mode():
        for window, row in enumerate(rows[:windows]):
            view = reader.view(window, row)
            ids = torch.from_numpy(np.asarray(tokens[window]).astype(np.int64))
            for unit in view.units:
                reading = unit.reading
                own = len(reading.places) + 1
                p = _logprobs(model, torch.from_numpy(reading.ids.astype(np.int64)))[torch.from_numpy(reading.places)]
                begin = int(unit.places[0])
                q = _logprobs(model, ids[begin : begin + own])[torch.from_numpy(unit.places.astype(np.int64)) - begin]
                full = (p.exp() * (p - q)).sum(-1)
                kept["full"].extend(full.tolist())
                for k in KS:
                    values, top = p.topk(k, -1)
                    masses[k].extend((1 - values.exp().sum(-1)).clamp_min(0).tolist())
                    for name, stored in (("float32", values), ("float16", values.half().float())):
                        note(f"{name} k={k}", _bucketed(stored, p, q, top), full)
    mean = {name: statistics.fmean(values) for name, values in kept.items()}
    return {
        "tokens": len(kept["full"]),
        "kl": mean,
        "share_of_full": {name: mean[name] / mean["full"] for name in errors},
        "mean_error": {name: statistics.fmean(values) for name, values in errors.items()},
        "mean_mass_beyond": {k: statistics.fmean(values) for k, values in masses.items()},
    }


def _logprobs(model: Any, ids: Any) -> Any:
    """[tokens, vocabulary] in float64."""
    return model(ids[None]).logits[0].double().log_softmax(-1)


def _bucketed(stored: Any, p: Any, q: Any, top: Any) -> Any:
    """KL with all others than `top` as one bucket, the stored probabilities brought to a sum of 1."""
    import torch

    rest = p.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True).float()
    mass = torch.cat([stored.exp(), rest], -1).double()
    mass /= mass.sum(-1, keepdim=True)
    others = q.exp().scatter(-1, top, 0.0).sum(-1, keepdim=True).log()
    theirs = torch.cat([q.gather(-1, top), others], -1)
    return (torch.special.xlogy(mass, mass) - mass * theirs).sum(-1)


def loss_seconds(k: int, rounds: int = 7) -> dict[str, float]:
    """CPU seconds of Megatron's cross entropy and of the distilled loss, forward and backward, in turn: medians.

    On the logits of one step; processor time, which other work on the machine changes less than the clock's.
    """
    import torch
    from megatron.core.tensor_parallel import vocab_parallel_cross_entropy

    from nemo_kcpt import cpu_backend
    from nemo_kcpt.models.distillation_loss import Weights, distillation_loss
    from nemo_kcpt.training.single_process import single_process_groups

    cpu_backend.activate()
    vocabulary = json.loads((MODEL / "config.json").read_text())["vocab_size"]
    labels = torch.randint(vocabulary, (TOKENS_PER_STEP,))
    made = torch.randn(TOKENS_PER_STEP, vocabulary)
    top, ids = made.softmax(-1).topk(k, -1)
    mass = torch.cat([top, 1 - top.sum(-1, keepdim=True)], -1)
    weights = Weights(ce=1.0, kl=1.0, temperature=1.0, z_loss=0.0)

    def distilled(logits: Any) -> Any:
        return distillation_loss(logits, labels, ids.int(), mass, weights)[0]

    times: dict[str, list[float]] = {"plain": [], "distilled": []}
    with single_process_groups():
        for _ in range(rounds):
            for name, loss in (
                ("plain", lambda values: vocab_parallel_cross_entropy(values, labels)),
                ("distilled", distilled),
            ):
                logits = made.clone().requires_grad_()
                started = time.process_time()
                loss(logits * 1.0).sum().backward()
                times[name].append(time.process_time() - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in times.items()}


def step_seconds(k: int, rounds: int) -> dict[str, float]:
    """CPU seconds of forward and backward of the whole model, plain and distilled, in turn: medians without the first.

    Random weights of the model's shape, two windows of the pack in one micro-batch, the same for both.
    """
    from nemo_kcpt import cpu_backend
    from nemo_kcpt.data.windows import WindowDataset
    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.hf.model_shape import read_hf_shape
    from nemo_kcpt.models.forward import llama_forward_step
    from nemo_kcpt.models.llama import KcptLlamaConfig
    from nemo_kcpt.training.single_process import single_process_groups

    cpu_backend.activate()
    shape = read_hf_shape(MODEL)
    taught = BUILD / f"teacher-{k}"
    windows = WindowDataset(BUILD / "pack", samples=9, seed=1, attention="split", distillation=taught)
    batch = windows.collate_fn([windows[0], windows[1]])
    times: dict[str, list[float]] = {"plain": [], "distilled": []}
    with single_process_groups():
        model = KcptLlamaConfig(**config_options(shape, SEQ_LENGTH, shape.rotary_base)).configure_model(None).train()
        for _ in range(rounds + 1):
            for name, weight in (("plain", 0.0), ("distilled", 1.0)):
                model.config.kl_weight = weight
                model.zero_grad()
                started = time.process_time()
                (llama_forward_step(model, dict(batch)).view(-1) * batch["loss_mask"].view(-1)).sum().backward()
                times[name].append(time.process_time() - started)
    return {name: statistics.median(seconds[1:]) for name, seconds in times.items()}


def training(name: str, k: int, steps: int, keys: str, *overrides: str) -> dict[str, float]:
    """Seconds a step of the recipe, first steps left out."""
    out = BUILD / f"training-{name}"
    shutil.rmtree(out, ignore_errors=True)
    factory = (
        f"kcpt_smollm2_135m(pack='{BUILD}/pack',dir='{out}',restore='{BUILD}/base',"
        f"tokens_per_step={TOKENS_PER_STEP},distillation='{BUILD}/teacher-{k}',{keys})"
    )
    words = [f"trainer.max_steps={steps}", "log.ckpt.every_n_train_steps=100000", *overrides]
    nemo = str(Path(sys.executable).with_name("nemo"))
    started = time.perf_counter()
    _run([nemo, "llm", "pretrain", "--factory", factory, "--yes", *words])
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    seconds = [later["seconds"] - line["seconds"] for line, later in zip(lines[SKIPPED:], lines[SKIPPED + 1 :])]
    memory = max(line["memory_gib"] for line in lines)
    return {"seconds_a_step": statistics.median(seconds), "memory_gib": memory, "all": time.perf_counter() - started}


def main() -> None:
    """Print the figures as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--windows", type=int, default=8, help="windows of which the exactness is measured")
    parser.add_argument("--steps", type=int, default=12, help="steps of each training; 0 for none")
    parser.add_argument("--k", type=int, default=64, help="of the distillation that is trained on")
    given = parser.parse_args()
    prepare()
    result: dict[str, Any] = {"exactness": exactness(given.windows), "loss": loss_seconds(given.k)}
    print(json.dumps(result, indent=2), flush=True)
    result = {"distill": {given.k: distil(given.k)}, "step": step_seconds(given.k, 5)}
    if given.steps:
        # The same view and windows; without kl_weight the teacher's rows are read and not used.
        plain = training("plain", given.k, given.steps, "kl_weight=0")
        warm = training("distilled", given.k, given.steps, "kl_weight=1")
        result["training"] = {"plain": plain, "distilled": warm}
        result["training"]["ratio"] = warm["seconds_a_step"] / plain["seconds_a_step"]
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
