"""A grid as Slurm jobs: one for each step that is not done; trainings run by torchrun and are noted when they end."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from nemo_kcpt.config import load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.experiment import Config
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.on_slurm import jobs_of
from nemo_kcpt.experiment.states import States

GPU_RECIPES = ("recipe=kcpt_llmjp3_1_8b_{k}k", "tuning_recipe=kcpt_sft_llmjp3_1_8b_{k}k")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The Hugging Face folder of a very small Llama."""
    from transformers import LlamaConfig, LlamaForCausalLM

    folder = tmp_path / "model"
    shape = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 1, "num_attention_heads": 2}
    LlamaForCausalLM(LlamaConfig(vocab_size=64, **shape)).save_pretrained(folder)
    (folder / "tokenizer.json").write_text("{}")
    return folder


def experiment(tmp_path: Path, model: Path, *words: str) -> Config:
    documents = tmp_path / "documents.jsonl"
    documents.write_text('{"paper_id": "a", "title": "t", "text": "x"}\n')
    given = [
        f"out={tmp_path}/run",
        f"model={model}",
        f"corpus.input={documents}",
        "lengths=[1024, 2048]",
        "sets=[zero_shot]",
        "arguments={nodes: 2, gpus: 8}",
        "slurm={account: mine, gpus: 8, nodes: 2, cpus: 32}",
        "trainings=[{name: anchored-1024, seq_length: 1024, seeds: [7]}]",
    ]
    return load_config(Config, overrides=[*GPU_RECIPES, *given, *words])


def test_jobs_wait_for_what_they_need_and_trainings_are_noted(tmp_path: Path, model: Path) -> None:
    states = States(Graph(experiment(tmp_path, model)))
    jobs, _ = jobs_of(states, list(states.graph.nodes))
    by_name = {job.name: job for job in jobs}
    trainings = sum(node.launch is not None for node in states.graph.nodes.values())
    assert trainings == 6 and len(jobs) == len(states.graph.nodes) + trainings
    # Slurm's job names have no @; what needs a training waits for the job that notes its end.
    pretrain = by_name["pretrain-anchored-1024-seed7"]
    assert pretrain.torchrun and (pretrain.resources.nodes, pretrain.resources.gpus) == (2, 8)
    assert set(pretrain.after) == {"pack-anchored-1024", "import"}
    noted = by_name["pretrain-anchored-1024-seed7-done"]
    assert noted.after == ("pretrain-anchored-1024-seed7",) and noted.resources.gpus is None
    assert "node=pretrain-anchored-1024@7" in noted.script and "ended=true" in noted.script
    tune = by_name["tune-anchored-1024-seed7"]
    assert set(tune.after) == {"pack-zero_shot-1024", "pretrain-anchored-1024-seed7-done"}
    assert by_name["corpus"].resources.gpus is None and by_name["answers-base"].resources.gpus == 8


def test_kinds_of_steps_have_their_own_resources(tmp_path: Path, model: Path) -> None:
    config = experiment(tmp_path, model, "slurm.kinds={pack: {cpus: 64}, pretrain: {time: '3-00:00:00'}}")
    states = States(Graph(config))
    jobs, _ = jobs_of(states, list(states.graph.nodes))
    sizes = {job.name: job.resources for job in jobs}
    assert sizes["pack-concat-1024"].cpus == 64 and sizes["corpus"].cpus == 32
    assert sizes["pretrain-concat-2048"].time == "3-00:00:00"
    wrong = States(Graph(experiment(tmp_path, model, "slurm.kinds={packs: {cpus: 64}}")))
    with pytest.raises(BadInput, match="no step of kind 'packs'; did you mean 'pack'"):
        jobs_of(wrong, ["corpus"])


def test_without_submit_the_scripts_are_shown(tmp_path: Path, model: Path) -> None:
    """What a user sees first, made by nemo-run; nothing is submitted."""
    config = experiment(tmp_path, model)
    words = [f"{key}={getattr(config, key)}" for key in ("out", "model", "recipe", "tuning_recipe")]
    words += [f"corpus.input={config.corpus['input']}", "lengths=[1024]", "slurm={account: mine, gpus: 2, nodes: 1}"]
    shown = subprocess.run(
        [sys.executable, "-m", "nemo_kcpt.cli", "grid", *words, f"slurm.venv={sys.prefix}"],
        capture_output=True,
        text=True,
        timeout=300,
        cwd=tmp_path,
    )
    assert shown.returncode == 0, shown.stderr
    assert "pretrain-concat-1024" in shown.stdout and "nothing was submitted" in shown.stdout
    assert "--dependency=afterok:$import" in shown.stdout or "--dependency=afterok:$pack_concat_1024" in shown.stdout
    assert "#SBATCH --account=mine" in shown.stdout and "#SBATCH --kill-on-invalid-dep=yes" in shown.stdout
    assert (tmp_path / "run/experiment.yaml").is_file() and not (tmp_path / "run/corpus").exists()
