"""SmolLM2-135M's recipe beside a plain transformers loop on the same windows: tokens a second, peak memory, losses.

    .venv/bin/python tools/bench/smollm2_training.py
    .venv/bin/python tools/bench/smollm2_training.py --lora 32    # adapters, with and without the mended gradient

Both start from the same weights (tools/smollm2.py), read the same windows in the same order in global batches of 4,096
tokens, and use fused AdamW with the same schedule, clipping, float32 weights and matrix products of precision "medium".
The loop takes one window at a time, the recipe 1,024 tokens; the recipe runs twice, with products of float32 and of
bfloat16 operands (`CpuSpeed`). Each arm runs in a process of its own; the first steps of each are left out.
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

from nemo_kcpt.processes import peak_memory

BUILD = Path("build/bench-smollm2")
MODEL = Path("build/smollm2-135m-instruct")
SEQ_LENGTH, TOKENS_PER_STEP = 512, 4096
SKIPPED = 2
MENDED = "frozen_linear_backward"
"""Override of the CPU backend that adapters are slow without."""


def prepare() -> None:
    """Weights, their Megatron form, and an anchored pack of fictional English papers; what is there is kept."""
    kcpt = str(Path(sys.executable).with_name("kcpt"))
    world, corpus, synthetic = BUILD / "world", BUILD / "corpus", BUILD / "synthetic"
    commands = [
        [sys.executable, "tools/smollm2.py", "--out", str(MODEL)],
        [kcpt, "convert", "import", str(MODEL), "--to", str(BUILD / "base")],
        [kcpt, "demo-world", f"out={world}", "papers=12", "base_papers=4", "language=en"],
        [kcpt, "corpus", f"input={world}/own/documents.jsonl", f"out={corpus}"],
        [kcpt, "synthesize", f"corpus={corpus}", f"facts={world}/own/facts.jsonl", f"out={synthetic}"],
        [
            kcpt,
            "pack",
            f"seq_length={SEQ_LENGTH}",
            f"tokenizer={MODEL}",
            f"corpus={corpus}",
            f"synthetic={synthetic}",
            f"out={BUILD / 'pack'}",
        ],
    ]
    for command in commands:
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout[-2000:]}{done.stderr[-2000:]}")


def plain_loop(steps: int, metrics: Path) -> None:
    """What somebody without NeMo would write; a line of metrics a step, as the recipe writes them."""
    import torch
    from transformers import LlamaForCausalLM, get_cosine_schedule_with_warmup

    from nemo_kcpt.data.windows import WindowDataset

    torch.set_float32_matmul_precision("medium")
    model = LlamaForCausalLM.from_pretrained(MODEL, torch_dtype=torch.float32, attn_implementation="sdpa").train()
    optimizer = torch.optim.AdamW(
        model.parameters(), lr=3e-4, betas=(0.9, 0.95), eps=1e-8, weight_decay=0.1, fused=True
    )
    schedule = get_cosine_schedule_with_warmup(optimizer, max(1, steps // 20), steps)
    batch = TOKENS_PER_STEP // SEQ_LENGTH
    windows = WindowDataset(BUILD / "pack", samples=steps * batch, seed=1234)
    last = time.perf_counter()
    with metrics.open("w", encoding="utf-8") as stream:
        for step in range(steps):
            total = 0.0
            for index in range(batch):
                window = windows[step * batch + index]
                logits = model(window["tokens"][None]).logits[0]
                losses = torch.nn.functional.cross_entropy(logits.float(), window["labels"], reduction="none")
                loss = (losses * window["loss_mask"]).sum() / window["loss_mask"].sum() / batch
                loss.backward()
                total += loss.item()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            now = time.perf_counter()
            speed = TOKENS_PER_STEP / (now - last)
            line = {"loss": total, "tokens_per_second": speed, "memory_gib": peak_memory() / 2**30}
            stream.write(json.dumps(line) + "\n")
            stream.flush()
            last = now


def recipe(steps: int, products: str, lora: int, without: str) -> None:
    """The recipe with `products` of its `CpuSpeed`, trained for `steps`; metrics go to :func:`arm_folder`.

    `lora` is the rank of its adapters, 0 for none, `without` an override of the CPU backend that is left out.
    """
    import fiddle as fdl

    from nemo_kcpt import cpu_backend
    from nemo_kcpt.training.cpu_speed import CpuSpeed
    from nemo_kcpt_recipes import kcpt_smollm2_135m

    cpu_backend.OVERRIDES = tuple(override for override in cpu_backend.OVERRIDES if override.name != without)
    out = str(arm_folder(products, lora, without))
    training = kcpt_smollm2_135m(str(BUILD / "pack"), out, str(BUILD / "base"), lora=lora)
    for callback in training.trainer.callbacks:
        if fdl.get_callable(callback) is CpuSpeed:
            callback.products = products
    training.data.attention = "causal"
    training.trainer.max_steps = training.log.ckpt.every_n_train_steps = steps
    fdl.build(training)()


def arm_folder(products: str, lora: int, without: str) -> Path:
    """Folder of an arm of the recipe."""
    return BUILD / "-".join(
        [products, *([f"lora-{lora}"] if lora else []), *([f"without-{without}"] if without else [])]
    )


def run_arm(name: str, command: list[str], metrics: Path) -> list[dict[str, float]]:
    """The metrics of one arm, a dict a step."""
    metrics.parent.mkdir(parents=True, exist_ok=True)
    metrics.unlink(missing_ok=True)
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode or not metrics.is_file():
        sys.exit(f"{name} failed:\n{done.stdout[-2000:]}{done.stderr[-3000:]}")
    return [json.loads(line) for line in metrics.read_text(encoding="utf-8").splitlines()]


def main() -> None:
    """Print both arms and their ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--plain-loop", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--products", help=argparse.SUPPRESS)
    parser.add_argument("--lora", type=int, default=0, help="adapters of this rank, with and without " + MENDED)
    parser.add_argument("--without", default="", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.products:
        recipe(given.steps, given.products, given.lora, given.without)
        return
    if given.plain_loop:
        plain_loop(given.steps, given.plain_loop)
        return
    prepare()

    own = [sys.executable, __file__, "--steps", str(given.steps), "--lora", str(given.lora)]
    arms = {}
    if not given.lora:
        loop = BUILD / "plain.jsonl"
        arms["plain transformers loop"] = run_arm("the loop", [*own, "--plain-loop", str(loop)], loop)
    for products, without in (
        [("float32", MENDED), ("float32", "")] if given.lora else [("float32", ""), ("bfloat16", "")]
    ):
        out = arm_folder(products, given.lora, without)
        shutil.rmtree(out, ignore_errors=True)
        command = [*own, "--products", products, "--without", without]
        arms[out.name] = run_arm("the recipe", command, out / "metrics.jsonl")
    print(f"SmolLM2-135M, windows of {SEQ_LENGTH}, {TOKENS_PER_STEP} tokens a step, {given.steps} steps, median")
    reference = None
    for name, lines in arms.items():
        speed = statistics.median(line["tokens_per_second"] for line in lines[SKIPPED:])
        memory = max(line["memory_gib"] for line in lines)
        reference = reference or (speed, memory)
        print(
            f"  {name:50s} {speed:7.0f} tokens/s {speed / reference[0]:5.2f} x   peak {memory:5.2f} GiB "
            f"{memory / reference[1]:5.2f} x   loss {lines[0]['loss']:.4f} to {lines[-1]['loss']:.4f}"
        )


if __name__ == "__main__":
    main()
