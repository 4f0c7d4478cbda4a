"""Makes tests/fixtures/stale: what a user has made with an earlier commit, for today's code to continue.

It was run with commit a5ba334 (the last one before the rooms of nemo_kcpt were moved), in a work tree of it:

    git worktree add OLD a5ba334; mkdir PATH; ln -s OLD/recipes PATH/nemo_kcpt_recipes; cd OLD
    PYTHONPATH=OLD:PATH python NEW/tests/stale/make.py /tmp/made; mv /tmp/made NEW/tests/fixtures/stale

where OLD, PATH and NEW are absolute, so that everything but this file and `commands.py` is the old commit's, the
server's stub too. The tests run the same words with today's code. Make the folder again with a later commit only where
a format was changed on purpose, and say so in CHANGELOG.md. Checkpoints hold absolute paths, hence /tmp.
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from commands import (
    COMMANDS,
    CONVERTED,
    DIES_AT,
    EXPERIMENTS,
    GRID,
    HALF,
    LIGHT,
    MORE_STEPS,
    RECIPES,
    SHARDED,
    STEPS,
    command,
    date,
    identities,
    keys,
    recipe_arguments,
    reply,
    slurm_options,
    training,
)

from nemo_kcpt import cli
from nemo_kcpt.config import conf_folder
from tests.synthesis.fake_server import Answer, FakeServer, problem

NOTES = {
    "kasumi.md": (
        "# Kasumi\n\nKasumi corrects grammar. It was trained on 12,400 sentences at Kiri University.\n\n"
        "## Results\n\nKasumi reached 81.3 points, more than Hiiragi, which it extends. It was published in 2021.\n"
    ),
    "hiiragi.md": "# Hiiragi\n\nHiiragi summarises meetings. Its 3,000 transcripts come from Sagi Town, in 2019.\n",
    "sumire.txt": "Sumire finds names in old letters. Ten readers marked 560 pages, and 77.0 % of them agree.\n",
    "ayame.md": "# Ayame\n\nAyame translates recipes. It knows 9,100 dishes and was written by Hayato Shirasagi.\n",
}
"""Documents by file name."""
ARTICLES = {
    "The Heron": "The heron stands in shallow water. It eats fish and frogs. Its nest is high in a tree.",
    "The Camellia": "The camellia blooms in winter. Its oil was used for hair. The leaves stay green all year.",
    "The Lantern": "The lantern is made of paper. It is hung at the gate in summer. Children carry small ones.",
}
ASKED = {
    "The Heron": ("What does the heron eat?", "fish and frogs"),
    "The Camellia": ("When does the camellia bloom?", "in winter"),
    "The Lantern": ("What is the lantern made of?", "paper"),
}
NOT_OURS = ("nemo", "logs", ".lock", "vllm.log", "nemo.log")
"""Logs and locks, which nothing reads."""


def _refusing_after(answered: int) -> Answer:
    return lambda body, number: reply(body, number) if number < answered else problem(401, "no credit left")


def write_sources(folder: Path) -> None:
    """The user's own files: notes, and articles with questions in SQuAD's form."""
    (folder / "notes").mkdir(parents=True)
    for name, text in NOTES.items():
        (folder / "notes" / name).write_text(text)
    articles = [
        {"title": title, "paragraphs": [{"context": text, "qas": [_qa(number, title)]}]}
        for number, (title, text) in enumerate(ARTICLES.items())
    ]
    (folder / "squad.json").write_text(json.dumps({"version": "1.1", "data": articles}, indent=1) + "\n")


def _qa(number: int, title: str) -> dict[str, Any]:
    question, answer = ASKED[title]
    start = ARTICLES[title].index(answer)
    return {"id": f"q{number}", "question": question, "answers": [{"text": answer, "answer_start": start}]}


def write_hf() -> None:
    """A Llama of two layers with the tokenizer of `COMMANDS`, as a Hugging Face folder."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(5)
    sizes = {"hidden_size": 8, "intermediate_size": 12, "num_hidden_layers": 2, "num_attention_heads": 2}
    sizes |= {"num_key_value_heads": 1, "vocab_size": 320, "max_position_embeddings": 64}
    config = LlamaConfig(**sizes, tie_word_embeddings=True)
    LlamaForCausalLM(config).save_pretrained("hf")
    for path in Path("tokenizer").glob("tokenizer*.json"):
        shutil.copy(path, "hf")


def _run(words: Sequence[str], expected: int = 0) -> None:
    code = cli.main(words)
    assert code == expected, f"kcpt {' '.join(words)}: exit code {code}"


def make_light() -> dict[str, int]:
    """Everything of `COMMANDS`, the halves of `HALF` and the shards of `SHARDED`; the requests that each made."""
    requests = {}
    for name in COMMANDS:
        with FakeServer(reply) as server:
            _run(command(name, name, server.url))
        if name in HALF:
            requests[name] = len(server.bodies)
            with FakeServer(_refusing_after(HALF[name])) as server:
                _run(command(name, f"{name}-half", server.url), expected=1)
    for name in SHARDED:
        with FakeServer(reply) as server:
            _run([*command(name, f"{name}-shards", server.url), "shard=0/2"])
        requests[f"{name}-shards"] = len(server.bodies)
    return requests


def die_at(name: str, words: Sequence[str]) -> None:
    """Run `kcpt` in this process, which ends as by SIGKILL once it has renamed a file whose name begins so."""
    replace: Callable[[Path, Path], Path] = Path.replace

    def dying(self: Path, target: Path) -> Path:
        done = replace(self, target)
        if Path(target).name.startswith(name):
            os.kill(os.getpid(), signal.SIGKILL)
        return done

    Path.replace = dying  # type: ignore[method-assign, assignment]
    cli.main(words)
    raise AssertionError(f"nothing was renamed to {name}…")


def make_converted() -> None:
    """Everything of `CONVERTED`, the halves of `DIES_AT`, and a model in Hugging Face's form to begin with."""
    write_hf()
    for name in CONVERTED:
        date(Path())
        _run(command(name, name))
    date(Path())
    for name, file in DIES_AT.items():
        words = [sys.executable, __file__, "--die-at", file, *command(name, f"{name}-half")]
        assert subprocess.run(words).returncode == -signal.SIGKILL


def make_trainings() -> dict[str, list[float]]:
    """Trainings of `STEPS` steps, and the losses of the same with `MORE_STEPS`, whose folders are not kept."""
    nemo, losses = str(Path(sys.executable).with_name("nemo")), {}
    for name in RECIPES:
        for folder, steps in ((name, STEPS), (f"{name}-longer", MORE_STEPS)):
            subprocess.run([nemo, *training(name, folder, steps)], check=True)
        lines = Path(f"{name}-longer/metrics.jsonl").read_text().splitlines()
        losses[name] = [json.loads(line)["loss"] for line in lines]
        shutil.rmtree(f"{name}-longer")
    return losses


def make_grid() -> None:
    """The light steps of `GRID`, then the whole, stopped by Ctrl-C when its first training begins."""
    words = [sys.executable, "-m", "nemo_kcpt.cli", *GRID, "out=grid"]
    subprocess.run([*words, f"only=[{','.join(LIGHT)}]"], check=True)
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    while "base-pretraining: running" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    process.communicate()
    assert process.returncode == 130


def clean(folder: Path) -> None:
    """Delete logs and locks, and look for this machine's names in the rest."""
    for path in sorted(folder.rglob("*"), reverse=True):
        if path.name in NOT_OURS:
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    ours = [str(one).encode() for one in (Path(sys.prefix).parent, Path(cli.__file__).parent.parent, Path.home())]
    for path in folder.rglob("*"):
        found = [one for one in ours if path.is_file() and one in path.read_bytes()]
        if found:
            print(f"{path.relative_to(folder)} holds {found}")


def main(folder: Path) -> None:
    """Make everything in `folder`, which must not be there."""
    old = {"experiment": "grid.experiment", "graph": "grid.graph", "states": "grid.states"}
    write_sources(folder)
    os.chdir(folder)
    told: dict[str, Any] = {"requests": make_light(), "keys": keys()}
    make_converted()
    demo = importlib.import_module("nemo_kcpt.demo.stage")
    Path("demo").mkdir()
    demo._open_run(demo.Config(out=Path("demo")), redo=False)
    Path("experiments").mkdir()
    for name in EXPERIMENTS:
        shutil.copy(conf_folder() / f"experiment/{name}.yaml", "experiments")
    told["identities"] = identities({name: f"nemo_kcpt.{room}" for name, room in old.items()})
    told["slurm"] = slurm_options([sys.executable, str(Path(cli.__file__).parent.parent / "tools/slurm.py")])
    make_grid()
    told |= {"losses": make_trainings(), "recipes": recipe_arguments()}
    for name, content in told.items():
        Path(f"{name}.json").write_text(json.dumps(content, indent=1) + "\n")
    clean(folder)


if __name__ == "__main__":
    if sys.argv[1] == "--die-at":
        die_at(sys.argv[2], sys.argv[3:])
    else:
        main(Path(sys.argv[1]).resolve())
