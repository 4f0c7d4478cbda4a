"""kcpt slurm: its scripts are the golden ones, what they start arrives whole, and nothing leaves before --submit.

`.venv/bin/python tests/tools/test_slurm.py --write` writes the golden files again; look at what changed in them.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from nemo_kcpt.experiment.slurm import command

ROOT = Path(__file__).resolve().parents[2]
GOLDEN = Path(__file__).with_name("golden")
sys.path[:0] = [str(ROOT / "tools"), str(ROOT / "tests/slurm")]  # as a script it does not see tests as a package

from places import SECRETS, STUBS, make_place, normalised, stub  # noqa: E402

CHAIN = ROOT / "conf/slurm/chain-13b.yaml"
COMMON = ("--account", "acct", "--partition", "gpu", "--jobs", "../jobs")
VENV = ("--venv", "../venv")
SYNTHESIZE = ("synthesize", "corpus=runs/13b/corpus", "out=runs/new", "teacher=vllm", "tensor_parallel=8")
TRAIN_13B = "kcpt_llmjp3_13b_4k(pack='packs/anchored 4096',dir='runs/x/pretrain',restore='runs/13b/base')"

SCENARIOS: dict[str, tuple[str, ...]] = {
    "pretrain-13b-2-nodes-container": (
        "train", TRAIN_13B, "trainer.max_steps=100", "--nodes", "2", "--gpus", "8", "--retries", "2",
        "--container", "registry/nemo:25.02", "--mounts", "/data", "--env", "HF_TOKEN", "--sbatch", "qos=high",
    ),
    "bridge-13b-2-nodes-container": (
        "train", TRAIN_13B, "train.train_iters=100", "--backend", "bridge", "--nodes", "2", "--gpus", "8",
        "--container", "registry/megatron-bridge:0.6", "--mounts", "/data",
    ),
    "pretrain-1.8b-1-node-venv": (
        "train", "kcpt_llmjp3_1_8b_1k(pack='packs/anchored 4096',restore='runs/13b/base',gpus=4)", *VENV,
        "--cpus", "32", "--sbatch", "exclusive", "--time", "02:00:00",
    ),
    "finetune-13b": (
        "train", "kcpt_sft_llmjp3_13b_4k(pack='packs/sft',dir='runs/x/tune',restore='runs/13b/base',nodes=2)", *VENV,
    ),
    "finetune-tiny": ("train", "kcpt_sft_tiny('packs/sft')", "--gpus", "2", *VENV, "--name", "try out"),
    "synthesize-array-merge": (
        "stage", *SYNTHESIZE, "model=models/Qwen2.5-72B-Instruct", "--shards", "8", "--gpus", "8", *VENV,
        "--env", "OPENAI_API_KEY",
    ),
    "corpus": ("stage", "corpus", "--cpus", "16", "input=papers", "out=runs/my corpus", *VENV),
    "chain-13b": ("chain", str(CHAIN), *VENV),
}  # fmt: skip
"""Golden files by name, and the words that they come from."""


def call(project: Path, *words: str) -> tuple[int, str, str]:
    """The tool in this process, called in `project`: exit code, output, messages."""
    here, out, err = Path.cwd(), io.StringIO(), io.StringIO()
    os.chdir(project)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = command.main(words)
    except SystemExit as exited:  # argparse's own
        code = int(exited.code or 0)
    finally:
        os.chdir(here)
    return code, out.getvalue(), err.getvalue()


def scenario(name: str, place: Path) -> str:
    project = place / "my project"
    (project / "papers").mkdir(exist_ok=True)
    code, shown, messages = call(project, *SCENARIOS[name], *COMMON)
    assert code == 0, messages
    return normalised(shown, place)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    make_place(tmp_path)
    monkeypatch.setattr(sys, "stdin", io.StringIO())  # nemo-run's shell looks at it, which pytest's forbids
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("LOGLEVEL", raising=False)
    return tmp_path


def scripts(shown: str) -> list[str]:
    """The sbatch scripts and what each task runs, one after the other."""
    return ["#!" + part for part in shown.split("#!")[1:]]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_scripts_are_the_golden_ones(name: str, place: Path) -> None:
    shown = scenario(name, place)
    assert shown == (GOLDEN / f"{name}.sh").read_text(encoding="utf-8"), f"see {__doc__}"
    for script in scripts(shown):
        checked = subprocess.run(["bash", "-n"], input=script, capture_output=True, text=True)
        assert checked.returncode == 0, f"{script}\n{checked.stderr}"
    assert not any(secret in shown for secret in SECRETS.values())
    assert not (place / "jobs").exists(), "a dry run leaves nothing"
    assert "\x1b" not in shown and shown.endswith("# nothing was submitted; --submit does\n")


def test_a_container_sees_the_folders_under_their_own_paths() -> None:
    script = (GOLDEN / "pretrain-13b-2-nodes-container.sh").read_text(encoding="utf-8")
    words = shlex.split(next(line for line in script.splitlines() if line.startswith("srun")))
    mounts = words[words.index("--container-mounts") + 1].split(",")
    assert mounts[:2] == ["/home/me/my project:/home/me/my project", "/data:/data"] and mounts[2].endswith(":/nemo_run")


def test_the_example_chain_goes_from_synthesis_to_report() -> None:
    jobs = yaml.safe_load(CHAIN.read_text(encoding="utf-8"))["jobs"]
    kinds = [entry.get("stage", entry.get("train", "").partition("(")[0]) for entry in jobs.values()]
    assert kinds == [
        "synthesize",
        "sft-data",
        "pack",
        "pack",
        "questions",
        "kcpt_llmjp3_13b_4k",
        "kcpt_sft_llmjp3_13b_4k",
        "convert",
        "generate",
        "score",
        "report",
    ]


def submit(place: Path, project: Path, *words: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """The tool as a process with --submit and stubs; also what the stubs were called with, normalised."""
    (place / "venv/bin").mkdir(parents=True, exist_ok=True)
    (place / "calls").write_text("")
    for name, text in STUBS.items():
        stub(place / "venv/bin" / name, text)
    environment = {
        **os.environ,
        **SECRETS,
        "PATH": f"{place / 'venv/bin'}:{os.environ['PATH']}",
        "NEMORUN_HOME": str(place / "home"),
        "CALLS": str(place / "calls"),
        "LOG": str(place / "log"),
    }
    program = [sys.executable, "-m", "nemo_kcpt.cli", "slurm", *words, "--venv", str(place / "venv"), "--submit"]
    done = subprocess.run(program, cwd=project, env=environment, capture_output=True, text=True, timeout=200)
    return done, normalised((place / "calls").read_text(), place).splitlines()


@pytest.mark.timeout(300)
def test_a_submitted_chain_starts_what_it_should_in_order(tmp_path: Path) -> None:
    project = tmp_path / "nemo_run of me"  # nemo_run would take a part of the name for its own folder
    make_place(tmp_path).rename(project)
    chain = tmp_path / "chain.yaml"
    chain.write_text(
        """
        jobs:
          make corpus: {stage: corpus, keys: ["input=runs", "out=runs/it's new"], shards: 2}
          prepare: {stage: convert, keys: [import, "models/llm-jp-3-13b", --to, runs/imported], after: []}
          train:
            train: kcpt_tiny(pack="packs/anchored 4096", restore='runs/imported', dir='runs/cpt')
            overrides: ["log.name=a b", trainer.max_steps=3]
            gpus: 2
            after: [make corpus, prepare]
          tune: {train: "kcpt_sft_tiny(pack='packs/sft',restore='runs/cpt')"}
        """.replace("make corpus", "make-corpus")
    )
    jobs = ("--jobs", str(tmp_path / "jobs"), "--env", "OPENAI_API_KEY", "--retries", "1")
    done, calls = submit(tmp_path, project, "chain", str(chain), *jobs)
    assert done.returncode == 0, done.stderr

    home = "/home/me/nemo_run of me"
    folder = "/home/me/jobs/experiments/chain/chain_ID"
    submitted = {
        line.split()[-1].rsplit("/", 1)[1].removesuffix("_sbatch.sh"): line for line in calls if "sbatch" in line
    }
    ids = {name: re.findall(r"^sbatch (\d+)", line)[0] for name, line in submitted.items()}
    assert all(line.endswith(f"{folder}/{name}_sbatch.sh") for name, line in submitted.items())
    waits = {name: re.findall(r"--dependency=(\S+)", line) for name, line in submitted.items()}
    assert waits == {
        "make-corpus": [],
        "prepare": [],
        "make-corpus-merge": [f"afterok:{ids['make-corpus']}"],
        "train": [f"afterok:{ids['make-corpus-merge']}:{ids['prepare']}"],
        "tune": [f"afterok:{ids['train']}"],
    }
    corpus = f"<kcpt><corpus><input=runs><out={home}/runs/it's new>"
    pack = f"<pretrain><--factory><kcpt_tiny(pack='{home}/packs/anchored 4096',restore='{home}/runs/imported'"
    ran = [line for line in calls if line.startswith("<")]
    assert sorted(ran) == sorted(
        [
            f"{corpus}<--shard><1/2> in {home}",
            f"{corpus}<--merge> in {home}",
            f"<kcpt><convert><import><models/llm-jp-3-13b><--to><runs/imported> in {home}",
            f"<nemo><llm>{pack},dir='{home}/runs/cpt',processes=2)><--yes><log.name=a b><trainer.max_steps=3> "
            f"in {home}",
            f"<nemo><llm><finetune><--factory><kcpt_sft_tiny(pack='{home}/packs/sft',restore='{home}/runs/cpt',"
            f"processes=1)><--yes> in {home}",
        ]
    )
    torchrun = [line for line in calls if line.startswith("torchrun")]
    assert all("--nnodes 1" in line for line in torchrun) and "--nproc-per-node 2" in torchrun[0]
    # kcpt ended with 3: queued again as often as allowed, and its code is the job's.
    assert calls.count("ended with 3") == 3 and f"scontrol requeue {ids['prepare']}" in calls
    assert [line.split()[0] for line in done.stdout.splitlines()[:-1]] == [
        ids[name] for name in ("make-corpus", "make-corpus-merge", "prepare", "train", "tune")
    ]
    written = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert any("OPENAI_API_KEY" in path.read_text(errors="replace") for path in written)
    secret = SECRETS["OPENAI_API_KEY"]
    assert not [path for path in written if secret in path.read_text(errors="replace")]
    assert secret not in done.stdout + done.stderr


def test_what_slurm_refuses_is_told_with_what_is_queued(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refuse = 'case "$*" in *merge*) echo "sbatch: error: invalid partition" >&2; exit 1;; *) echo 77;; esac'
    monkeypatch.setitem(STUBS, "sbatch", refuse)
    words = ("stage", *SYNTHESIZE, "--shards", "2", "--jobs", str(place / "jobs"))
    done, _ = submit(place, place / "my project", *words)
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "refused job synthesize-merge: sbatch: error: invalid partition" in done.stderr
    assert "scancel 77" in done.stderr


REFUSED: dict[str, tuple[tuple[str, ...], str]] = {
    "unknown recipe": (("train", "kcpt_tinny"), "no recipe kcpt_tinny; did you mean 'kcpt_tiny'"),
    "unknown argument": (("train", "kcpt_tiny(pak='x')"), "no argument pak; did you mean 'pack'"),
    "not a call": (("train", "kcpt_tiny(pack=packs/x)"), "not a recipe's call"),
    "comma in a folder": (("train", "kcpt_tiny(pack='a,b')"), "the text 'a is not closed; NeMo's command line divides"),
    "pack missing": (("train", "kcpt_tiny(pack='packs/none')"), "packs/none is not a finished pack"),
    "no weights": (("train", "kcpt_llmjp3_13b_4k(pack='packs/sft',dir='runs/y')"), "would train from random weights"),
    "restore missing": (("train", "kcpt_tiny(pack='packs/sft',restore='runs/y')"), "runs/y: no finished checkpoint"),
    "nodes twice": (("train", TRAIN_13B[:-1] + ",nodes=4)", "--nodes", "2"), "nodes=4 in its call, but nodes=2"),
    "gpus twice": (("train", TRAIN_13B[:-1] + ",gpus=4)", "--gpus", "8"), "gpus=4 in its call, but gpus=8"),
    "devices": (("train", TRAIN_13B, "trainer.devices=4"), "trainer.devices=4, but gpus=8"),
    "one node only": (("train", "kcpt_tiny(pack='packs/sft')", "--nodes", "2"), "runs on one node"),
    "other task": (("train", "kcpt_tiny(pack='packs/sft')", "--task", "finetune"), "nemo llm pretrain, not finetune"),
    "executor": (("train", TRAIN_13B, "run.executor=local"), "this tool gives the executor"),
    "unknown stage": (("stage", "synthesise", "out=x"), "did you mean 'synthesize'"),
    "unknown key": (("stage", *SYNTHESIZE, "modell=x"), "unknown key 'modell'; did you mean 'model'"),
    "shard": (("stage", *SYNTHESIZE, "shard=0/2", "--shards", "2"), "'shard': given by this tool"),
    "no shards": (("stage", "report", "out=x", "--shards", "2"), "kcpt report does not take shards; corpus and synth"),
    "shards": (("stage", *SYNTHESIZE, "--shards", "0"), "0 is not a number above 0"),
    "input missing": (("stage", "synthesize", "corpus=none", "out=x"), "none is not there, and no earlier"),
    "value of a secret": (("stage", *SYNTHESIZE, "--env", "OPENAI_API_KEY=sk-fake-6f1d"), "name of a variable alone"),
    "variable not set": (("stage", *SYNTHESIZE, "--env", "NOT_SET_HERE"), "NOT_SET_HERE: not set in this shell"),
    "venv without kcpt": (("stage", *SYNTHESIZE, "--venv", "models"), "no bin/kcpt in it"),
    "blank in jobs": (("stage", *SYNTHESIZE, "--jobs", "a b"), "cannot have white space"),
    "not mounted": (("stage", "corpus", "input=x", "out=/else/x", "--container", "image"), "add --mounts /else"),
    "no sbatch": (("stage", *SYNTHESIZE, "--submit"), "submit from a login node"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_would_fail_in_the_queue_is_refused_here(name: str, place: Path) -> None:
    words, message = REFUSED[name]
    extra = () if "--jobs" in words else COMMON
    venv = () if {"--venv", "--container"} & set(words) else VENV
    code, shown, said = call(place / "my project", *words, *extra, *venv)
    assert code == 2 and message in said, said
    assert not shown and "fake" not in said


def test_a_recipe_of_ones_own_is_passed_on(place: Path) -> None:
    words = ("train", "llama3_8b(name='mine')", "--task", "pretrain", "--nodes", "2", "--gpus", "4")
    code, shown, said = call(place / "my project", *words, *VENV, *COMMON)
    assert code == 0, said
    assert shlex.quote("llama3_8b(name='mine')") in shown and "--nnodes 2 --nproc-per-node 4" in shown


def documented(page: Path) -> Iterator[list[str]]:
    """The words after `kcpt slurm` in the blocks of a page."""
    for block in re.findall(r"^```sh\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL):
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            for place, word in enumerate(words):
                if word.endswith("kcpt") and words[place + 1 : place + 2] == ["slurm"]:
                    yield words[place + 2 :]


@pytest.mark.parametrize("page", sorted((ROOT / "docs").glob("*.md")), ids=lambda page: page.name)
def test_documented_commands_parse(page: Path, place: Path) -> None:
    project = (place / "my project").rename(place / "project")  # the default of --jobs lies in it
    (project / "conf").symlink_to(ROOT / "conf")
    for words in documented(page):
        code, _, said = call(project, *words)
        # What is not there is this test's fault; anything else would be the page's.
        assert code == 0 or re.search(
            r"is not there|not a finished pack|no finished checkpoint|no sbatch here|no such file|is missing", said
        ), said


def test_help_of_each_command_needs_no_nemo_run() -> None:
    program = (
        "import sys; from nemo_kcpt.cli import main\n"
        "for word in ('', 'train', 'stage', 'chain'):\n"
        "    try: main(['slurm', *([word, '--help'] if word else [])])\n"
        "    except SystemExit as done: assert done.code == 0\n"
        "assert not {'nemo_run', 'torch', 'nemo'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0 and "--shards" in done.stdout, done.stderr


def write() -> None:
    """The golden files, from what the tool prints now."""
    os.environ.update(SECRETS)
    os.environ.pop("LOGLEVEL", None)
    GOLDEN.mkdir(exist_ok=True)
    for name in SCENARIOS:
        with tempfile.TemporaryDirectory() as folder:
            make_place(Path(folder))
            (GOLDEN / f"{name}.sh").write_text(scenario(name, Path(folder).resolve()), encoding="utf-8")


if __name__ == "__main__":
    assert sys.argv[1:] == ["--write"], __doc__
    write()
