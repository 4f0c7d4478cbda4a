"""Show the hostile files of tests/conversion/hostile.py to our loaders and to NeMo's own; prints the table of
docs/security.md.

Each file is loaded in a process of its own, with a limit to its memory and its time. NeMo's column is what happened in:
Megatron-Core's `dist_checkpointing.load` for weights/, after `restore_sharded_modelopt_state`, as in NeMo's strategy;
`nl.AutoResume` for context/io.json; for model folders what `HFLlamaImporter.apply` reads them with, which goes on to
build the model and needs a GPU for that.

    .venv/bin/python tools/hostile_files.py
"""

from __future__ import annotations

import contextlib
import os
import re
import resource
import signal
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import ModuleType

# The tests' files, and not a package `tests` that somebody has installed.
sys.modules["tests"] = ModuleType("tests")
sys.modules["tests"].__path__ = [str(Path(__file__).parents[1] / "tests")]

from tests.conversion.hostile import HOSTILE, YAML, Hostile, make, sound  # noqa: E402

MEMORY = 3 << 30
SECONDS = 60
SHOWN = 110


def restore(kind: type, checkpoint: Path) -> None:
    """What restore= does with a checkpoint's context, by our AutoResume or NeMo's."""
    from nemo import lightning as nl

    from nemo_kcpt.models.llama import KcptLlamaModel, KcptTinyConfig
    from nemo_kcpt.training.strategy import KcptMegatronStrategy

    trainer = nl.Trainer(accelerator="cpu", devices=1, strategy=KcptMegatronStrategy(), logger=False)
    resume = kind(
        restore_config=nl.RestoreConfig(path=str(checkpoint)),
        resume_if_exists=True,
        resume_from_directory=str(checkpoint / "none"),
        resume_ignore_no_checkpoint=True,
    )
    resume.setup(trainer, KcptLlamaModel(KcptTinyConfig(vocab_rows=8)))


def ours(hostile: Hostile, folder: Path, out: Path) -> None:
    """Our loader of the file."""
    from nemo_kcpt.conversion import import_stage, stage
    from nemo_kcpt.training.resume import KcptAutoResume

    if hostile.file == "context/io.json":
        restore(KcptAutoResume, folder)
    elif hostile.hf:
        import_stage.run(import_stage.Config(hf=folder, out=out))
    else:
        stage.run(stage.Config(checkpoint=folder, out=out, tokenizer=folder.parent.parent / "good/hf", check=False))


def nemos(hostile: Hostile, folder: Path, out: Path) -> None:
    """NeMo's loader of the file."""
    from nemo import lightning as nl
    from nemo.collections.llm.gpt.model.llama import HFLlamaImporter
    from transformers import AutoConfig, AutoModelForCausalLM

    if hostile.file == "context/io.json":
        restore(nl.AutoResume, folder)
    elif hostile.hf:
        AutoConfig.from_pretrained(str(folder))
        AutoModelForCausalLM.from_pretrained(str(folder), torch_dtype="auto")
        importer = HFLlamaImporter(str(folder))
        assert importer.tokenizer
    else:
        load_weights(folder, out)


def load_weights(checkpoint: Path, out: Path) -> None:
    """NeMo's loading of a checkpoint's weights into the model of the sound one."""
    import modelopt.torch.opt as mto
    from megatron.core.dist_checkpointing import load

    from nemo_kcpt import cpu_backend
    from nemo_kcpt.checkpoints.checkpoint import read_shape
    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.models.llama import KcptLlamaConfig
    from nemo_kcpt.training.single_process import single_process_groups

    cpu_backend.activate()
    shape = read_shape(checkpoint.parent.parent / "good/checkpoint")
    with single_process_groups():
        model = KcptLlamaConfig(**config_options(shape, shape.positions, shape.rotary_base)).configure_model(None)
        mto.plugins.restore_sharded_modelopt_state([model], str(checkpoint / "weights"), prefix="module.")
        load(model.sharded_state_dict(prefix="module."), str(checkpoint / "weights"))


def taken() -> int:
    """Address space of this process, in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def observed(load: Callable[[], None], folder: Path, *, passed_over: bool) -> str:
    """What loading comes to in a process of its own."""
    result = folder / "result"
    child = os.fork()
    if not child:
        os.setsid()
        resource.setrlimit(resource.RLIMIT_AS, (taken() + MEMORY, taken() + MEMORY))
        with (folder / "log").open("w") as log, contextlib.suppress(BaseException):
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
            try:
                load()
                text = "reads the folder without it" if passed_over else "read it"
            except BaseException as error:
                text = described(error, folder)
            result.write_text(text)
        os._exit(0)
    end, status = time.monotonic() + SECONDS, 0
    while not (done := os.waitpid(child, os.WNOHANG))[0] and time.monotonic() < end:
        time.sleep(0.05)
    if not done[0]:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        text = f"went on for {SECONDS} s"
    else:
        status = done[1]
        text = result.read_text() if result.is_file() else f"died of signal {status & 127}"
    return "**ran the code**" if (folder / "canary").exists() else text


def described(error: BaseException, folder: Path) -> str:
    """An error in a table: its type, and the beginning of what it says."""
    text = str(error).replace(str(folder / "given"), "").replace(str(folder), "..").replace("|", "/")
    text = re.sub(r"\x1b\[[0-9;]*m", "", text)  # colours
    if isinstance(error, MemoryError) or "allocate memory" in text or "not enough memory" in text:
        return f"**asked for more than {MEMORY >> 30} GB**"
    inner = re.findall(r"^(?:\w+\.)*\w+(?:Error|Exception): .*", text, re.MULTILINE)
    if "Traceback" in text and inner:  # Megatron's own exception, with that of a rank in it
        return textwrap.shorten(inner[-1], SHOWN, placeholder=" …")
    name = type(error).__name__
    shortened = textwrap.shorten(text.lstrip("/: "), SHOWN, placeholder=" …")
    return f"{'refused' if name == 'BadInput' else name}: {shortened}"


def main() -> None:
    """Print the table."""
    import megatron.core
    import modelopt.torch.opt  # noqa: F401 - before the memory is limited
    import nemo
    import torch
    import transformers
    from nemo import lightning  # noqa: F401
    from nemo.collections import llm  # noqa: F401

    import nemo_kcpt.conversion.stage
    import nemo_kcpt.models.llama  # noqa: F401

    versions = {module.__name__: module.__version__ for module in (nemo, megatron.core, torch, transformers)}
    with tempfile.TemporaryDirectory(prefix="hostile-") as temporary:
        root = Path(temporary)
        child = os.fork()  # here nothing may start threads before the others are forked
        if not child:
            sound(root / "good")
            os._exit(0)
        os.waitpid(child, 0)
        rows = []
        for number, (name, hostile) in enumerate(HOSTILE.items()):
            cells = []
            for side in (ours, nemos):
                folder = root / f"{number}-{side.__name__}"
                target, _ = make(name, root / "good", folder)
                unread = side is nemos and hostile.file == YAML
                load = partial(side, hostile, target, folder / "written/out")
                cells.append("does not read it" if unread else observed(load, folder, passed_over=not hostile.message))
            rows.append(f"| `{hostile.file}` | {hostile.what} | {cells[0]} | {cells[1]} |")
            print(rows[-1], file=sys.stderr, flush=True)
    print(", ".join(f"{name} {version}" for name, version in versions.items()))
    print("\n| file | what is wrong with it | nemo_kcpt | NeMo |\n|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    main()
