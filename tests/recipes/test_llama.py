"""The recipes for GPUs: what they configure, that it can be overridden and serialised; and runs of them on the CPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import find_checkpoint
from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.families import families
from nemo_kcpt.hf.known_models import KNOWN
from nemo_kcpt.hf.model_shape import ModelShape
from nemo_kcpt.planning.catalogue import FINETUNE, METHOD, PRETRAIN, RECIPES, SEQ_LENGTHS, Entry
from nemo_kcpt.records.packs import read_info
from nemo_kcpt.several import run
from tests import forks

GPU = [entry for entry in RECIPES.values() if entry.on_gpus and not entry.from_folder]
TINY = ModelShape(
    family=families()["llama"],
    num_layers=2,
    hidden_size=64,
    ffn_hidden_size=96,
    num_attention_heads=4,
    num_query_groups=2,
    kv_channels=16,
    vocab_rows=1024,
    positions=64,
    rotary_base=10000,
    layernorm_epsilon=1e-5,
    tied=False,
)


@pytest.fixture(scope="module")
def sized(packs: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Packs of every length that the recipes are for: `anchored-…`, `concat-…` and `instruction-…`."""
    folder = tmp_path_factory.mktemp("sized")
    sources = [f"corpus={packs}/corpus", f"synthetic={packs}/synthetic"]
    commands = []
    for length in SEQ_LENGTHS.values():
        keys = [f"tokenizer={packs}/tokenizer", f"seq_length={length}"]
        for mode in ("anchored", "concat"):
            commands.append(["pack", f"mode={mode}", *keys, *sources, f"out={folder}/{mode}-{length}"])
        commands.append(
            [
                "pack",
                "mode=instruction",
                *keys,
                f"sft={packs}/sft/all_included.jsonl",
                f"out={folder}/instruction-{length}",
            ]
        )
    assert run(commands) == 0
    return folder


def make(entry: Entry, sized: Path, **options: Any) -> Any:
    import nemo_kcpt_recipes

    mode = "anchored" if entry.task == PRETRAIN else "instruction"
    pack = sized / f"{mode}-{entry.seq_length}"
    return getattr(nemo_kcpt_recipes.llama, entry.name)(**{"pack": str(pack), "dir": "runs/x", **options})


def test_the_catalogue_is_what_nemo_finds() -> None:
    from nemo.collections import llm
    from nemo_run.cli.api import list_factories
    from nemo_run.config import get_type_namespace

    import nemo_kcpt_recipes  # noqa: F401 - registers them

    for task, target in ((PRETRAIN, llm.pretrain), (FINETUNE, llm.finetune)):
        names = {factory.__name__ for factory in list_factories(get_type_namespace(target))}
        registered = {name for name in names if name.startswith("kcpt_")}
        assert registered == {name for name, entry in RECIPES.items() if entry.task == task}
    wanted = {f"kcpt_llmjp3_13b_{label}" for label in ("1k", "2k", "4k", "8k", "16k")}
    wanted |= {f"kcpt_llmjp4_32b_a3b_{label}" for label in ("4k", "16k")}
    wanted |= {f"kcpt_llmjp4_8b_{label}" for label in ("4k", "8k", "16k", "32k", "64k")}
    assert wanted | {"kcpt_model", "kcpt_sft_model", "kcpt_qwen3_8b_32k", "kcpt_sft_llmjp4_8b_4k"} <= set(RECIPES)


@pytest.mark.parametrize("entry", GPU, ids=lambda entry: entry.name)
def test_every_recipe_is_whole(sized: Path, entry: Entry) -> None:
    """On as many nodes as it is for, and on twice as many."""
    from fiddle.experimental import serialization

    check_whole(make(entry, sized), entry, entry.nodes)
    recipe = make(entry, sized, nodes=2 * entry.nodes)
    check_whole(recipe, entry, 2 * entry.nodes)
    assert serialization.load_json(serialization.dump_json(recipe)) == recipe


def check_whole(recipe: Any, entry: Entry, nodes: int) -> None:
    """What a recipe sets goes together."""
    config, data, strategy = recipe.model.config, recipe.data, recipe.trainer.strategy
    assert config.seq_length == entry.seq_length
    assert entry.model is not None
    own, positions = {"llm-jp-3": (10_000, 4096), "llm-jp-4": (500_000, 65536), "qwen3-8b": (1_000_000, 40960)}[
        entry.model[:8]
    ]
    assert config.rotary_base == (500_000 if entry.seq_length > positions else own)
    assert config.z_loss == (1e-4 if entry.model.startswith("llm-jp-3") and entry.task == PRETRAIN else 0.0)
    tuning = entry.task == FINETUNE
    assert data.global_batch_size == (64 if tuning else 524_288 // entry.seq_length)
    assert recipe.trainer.num_nodes * recipe.trainer.devices == 8 * nodes
    ranks = strategy.tensor_model_parallel_size * strategy.pipeline_model_parallel_size * strategy.context_parallel_size
    data_parallel, left = divmod(8 * nodes, ranks)
    assert left == 0 and data.global_batch_size % (data.micro_batch_size * data_parallel) == 0
    assert (strategy.expert_model_parallel_size > 1) == ("a3b" in entry.name)
    assert strategy.sequence_parallel == (strategy.tensor_model_parallel_size > 1)
    assert recipe.optim.config.use_distributed_optimizer and recipe.optim.config.bf16
    assert recipe.optim.lr_scheduler.max_steps == recipe.trainer.max_steps
    assert recipe.__fn_or_cls__.__name__ == entry.task
    assert tuning == (data.__fn_or_cls__.__name__ == "InstructionDataModule")


def test_concat_packs_of_all_lengths_take_the_same_steps(sized: Path) -> None:
    steps = set()
    for label in METHOD:
        entry, length = RECIPES[f"kcpt_llmjp3_13b_{label}"], SEQ_LENGTHS[label]
        recipe = make(entry, sized, pack=str(sized / f"concat-{length}"), epochs=500.0)
        assert recipe.data.global_batch_size * length == 128 * 4096
        steps.add(recipe.trainer.max_steps)
    assert len(steps) == 1 and steps.pop() > 10
    small, large = (read_info(sized / f"concat-{length}") for length in (1024, 16384))
    assert small.tokens == large.tokens and small.windows > large.windows


@pytest.mark.parametrize(
    ("override", "path", "expected"),
    [
        ("trainer.max_steps=7", "trainer.max_steps", 7),
        ("trainer.strategy.tensor_model_parallel_size=4", "trainer.strategy.tensor_model_parallel_size", 4),
        ("data.attention=block_diagonal", "data.attention", "block_diagonal"),
        ("data.global_batch_size=64", "data.global_batch_size", 64),
        ("optim.config.lr=3e-5", "optim.config.lr", 3e-5),
        ("optim.lr_scheduler.warmup_steps=5", "optim.lr_scheduler.warmup_steps", 5),
        ("model.config.rotary_base=1000000", "model.config.rotary_base", 1_000_000),
        ("model.config.z_loss=0.0", "model.config.z_loss", 0.0),
        ("model.config.recompute_granularity=full", "model.config.recompute_granularity", "full"),
        ("log.ckpt.every_n_train_steps=3", "log.ckpt.every_n_train_steps", 3),
    ],
)
def test_every_part_is_overridable_the_nemo_way(sized: Path, override: str, path: str, expected: object) -> None:
    from nemo.collections import llm
    from nemo_run.cli.cli_parser import parse_cli_args

    recipe = parse_cli_args(llm.pretrain, [override], make(RECIPES["kcpt_llmjp3_13b_4k"], sized))
    for name in path.split("."):
        recipe = getattr(recipe, name)
    assert recipe == expected


def test_tensorboard_and_wandb_are_asked_for_by_name(sized: Path) -> None:
    from nemo.collections import llm
    from nemo_run.cli.cli_parser import parse_cli_args

    recipe = make(RECIPES["kcpt_llmjp3_13b_4k"], sized)
    assert recipe.log.tensorboard is None and recipe.log.wandb is None
    asked = ["log.tensorboard=kcpt_tensorboard", "log.wandb=kcpt_wandb(project='kcpt')"]
    recipe = parse_cli_args(llm.pretrain, asked, recipe)
    assert recipe.log.tensorboard.__fn_or_cls__.__name__ == "TensorBoardLogger"
    assert recipe.log.wandb.project == "kcpt"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"pack": "concat-1024"}, "windows of 1024 tokens, kcpt_llmjp3_13b_4k is for 4096"),
        ({"tensor_parallel": 3}, "tensor_parallel=3 does not divide 8 GPUs"),
        ({"gpus": 3, "tensor_parallel": 3}, "40 attention heads do not divide by tensor_parallel=3; one of 1, 2, 4, 5"),
        ({"gpus": 6, "pipeline_parallel": 6}, "40 layers do not divide by pipeline_parallel=6"),
        ({"gpus": 1}, "no layout fits 1 GPUs of 80 GB; nearest is"),
        ({"rope": "yarn"}, "'yarn' is not one of"),
        ({"epochs": 0.0}, "epochs: 0.0 was given"),
    ],
)
def test_what_cannot_run_is_refused_when_the_recipe_is_made(sized: Path, options: dict[str, Any], message: str) -> None:
    if "pack" in options:
        options = {"pack": str(sized / options["pack"])}
    with pytest.raises(BadInput, match=message):
        make(RECIPES["kcpt_llmjp3_13b_4k"], sized, **options)


NEMO = Path(sys.executable).with_name("nemo")
SHRUNK = [
    "model.config.num_layers=2",
    "model.config.hidden_size=64",
    "model.config.ffn_hidden_size=96",
    "model.config.num_attention_heads=4",
    "model.config.num_query_groups=4",
    "model.config.kv_channels=16",
    "model.config.vocab_rows=1024",
    "data.global_batch_size=4",
    "data.micro_batch_size=1",
    "trainer.max_steps=3",
    "trainer.val_check_interval=2",
]
"""llm-jp-3-13b, small enough for a laptop; everything else of the recipe is as it is."""


def nemo(*words: str, **options: Any) -> subprocess.CompletedProcess[str]:
    command = [str(NEMO), "llm", *words[:1], "--factory", words[1], "--yes", *words[2:]]
    return subprocess.run(command, capture_output=True, text=True, timeout=800, **options)


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def small_13b(sized: Path, folder: Path) -> str:
    return (
        f"kcpt_llmjp3_13b_1k(pack='{sized}/anchored-1024',dir='{folder}',gpus=2,"
        f"validation='{sized}/concat-1024',tensor_parallel=2,pipeline_parallel=1,context_parallel=1,"
        "micro_batch_size=1,recompute='full')"
    )


@pytest.mark.slow
def test_a_model_of_random_weights_is_refused_unless_asked_for(sized: Path, tmp_path: Path) -> None:
    words = ["nemo", "llm", "pretrain", "--factory", small_13b(sized, tmp_path / "run"), "--yes", *SHRUNK]
    refused = forks.start(forks.console, words, ranks=2, log=tmp_path / "log")
    assert refused.wait() != 0 and "the training would start from random weights" in refused.output
    assert not (tmp_path / "run/metrics.jsonl").exists()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_13b_recipe_itself_runs_on_two_ranks(sized: Path, packs: Path, tmp_path: Path) -> None:
    """TP=2 with sequence parallel, distributed optimizer, z-loss, validation, best and last checkpoint, TensorBoard.

    As a user starts it: by the console script, and by torchrun.
    """
    torchrun = ["run.executor=kcpt_torchrun", "run.executor.ntasks_per_node=2"]
    scratch = ["model.config.from_scratch=True", "log.tensorboard=kcpt_tensorboard"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = nemo("pretrain", small_13b(sized, tmp_path / "run"), *SHRUNK, *scratch, *torchrun, env=environment)
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    shown = done.stdout + done.stderr
    assert "windows of 1024 tokens; 3 steps of 4 windows (4,096 tokens) read 12" in shown
    assert "tokens_per_second" in shown and "memory_gib" in shown and "val_loss" in shown
    steps = lines(tmp_path / "run")
    assert [line["step"] for line in steps] == [1, 2, 3]
    assert steps[1]["val_loss"] is None and steps[2]["val_loss"] == pytest.approx(6.9, abs=0.3)
    assert steps[-1]["memory_gib"] > 0.1 and steps[-1]["mfu"] is None and steps[-1]["tokens_per_second"] > 0
    kept = sorted(path.name for path in (tmp_path / "run/checkpoints").iterdir())
    assert len(kept) == 2 and sum(name.endswith("-last") for name in kept) == 1
    assert list((tmp_path / "run").rglob("events.out.tfevents*"))
    shape = read_shape(find_checkpoint(tmp_path / "run"))
    assert (shape.positions, shape.rotary_base, shape.hidden_size) == (4096, 10000, 64)


def hf_folder(folder: Path, shape: ModelShape = TINY) -> Path:
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(3)
    LlamaForCausalLM(LlamaConfig(**shape.hf_config())).save_pretrained(folder)
    return folder


@pytest.mark.slow
def test_a_rope_base_arrives_from_the_command_line_in_the_exported_model(packs: Path, tmp_path: Path) -> None:
    """Import, training at twice the positions, export: the file, and by the logits the angles, have the NTK base."""
    base = hf_folder(tmp_path / "hf")
    pack = [
        "pack",
        "mode=anchored",
        f"tokenizer={packs}/tokenizer",
        "seq_length=128",
        f"corpus={packs}/corpus",
        f"synthetic={packs}/synthetic",
        f"out={tmp_path}/pack",
    ]
    assert run([["convert", "import", str(base), "--to", str(tmp_path / "base")], pack]) == 0
    call = (
        f"kcpt_llama(model='{base}',pack='{tmp_path}/pack',dir='{tmp_path}/run',restore='{tmp_path}/base',gpus=1,"
        "rope='ntk')"
    )
    small = ["data.global_batch_size=4", "data.micro_batch_size=2", "trainer.max_steps=2"]
    forks.command(["nemo", "llm", "pretrain", "--factory", call, "--yes", *small], log=tmp_path / "log")
    expected = round(10000 * 2 ** (16 / 14))
    assert read_shape(find_checkpoint(tmp_path / "run")).rotary_base == expected
    exported = tmp_path / "exported"
    words = ["convert", f"checkpoint={tmp_path}/run", f"tokenizer={packs}/tokenizer", f"out={exported}"]
    assert run([words]) == 0
    config = json.loads((exported / "config.json").read_text())
    assert (config["rope_theta"], config["max_position_embeddings"]) == (expected, 128)
    parity = json.loads((exported / "parity.json").read_text())
    assert parity["max_abs_diff"] <= 1e-4 and parity["argmax_equal"] == parity["positions"] > 30


def test_the_angles_that_megatron_computes_are_those_of_the_base(monkeypatch: pytest.MonkeyPatch) -> None:
    from nemo_kcpt import cpu_backend
    from nemo_kcpt.hf.megatron_options import config_options
    from nemo_kcpt.models.llama import KcptLlamaConfig
    from nemo_kcpt.planning.rope import rotary_base
    from nemo_kcpt.training.single_process import single_process_groups

    cpu_backend.activate()
    with single_process_groups():
        for seq_length, base in ((64, 10_000), (128, 500_000)):
            config = KcptLlamaConfig(**config_options(TINY, seq_length, rotary_base(TINY, seq_length)))
            frequencies = config.configure_model(None).rotary_pos_emb.inv_freq
            expected = [base ** (-2 * pair / TINY.kv_channels) for pair in range(TINY.kv_channels // 2)]
            assert frequencies.tolist() == pytest.approx(expected, rel=1e-6)


def test_weights_of_another_architecture_are_refused_by_the_recipe(sized: Path, tmp_path: Path) -> None:
    folder = tmp_path / "hf"
    hf_folder(folder)
    assert run([["convert", "import", str(folder), "--to", str(tmp_path / "base")]]) == 0
    with pytest.raises(BadInput, match="hidden_size 5120 against 64, .* in these weights; take the recipe of that"):
        make(RECIPES["kcpt_llmjp3_13b_4k"], sized, restore=str(tmp_path / "base"))


def test_a_pack_of_another_tokenizer_than_the_weights_is_refused(packs: Path, tmp_path: Path) -> None:
    from nemo_kcpt.planning.planned import check_tokenizer

    folder, info = hf_folder(tmp_path / "hf"), read_info(packs / "concat")
    for name, text in (("same", (packs / "tokenizer/tokenizer.json").read_text()), ("other", "{}")):
        (folder / "tokenizer.json").write_text(text)
        assert run([["convert", "import", str(folder), "--to", str(tmp_path / name)]]) == 0
    check_tokenizer(info, str(tmp_path / "same"))
    check_tokenizer(info, None)
    with pytest.raises(
        BadInput, match=r"concat: was packed with a tokenizer\.json of hash \w{12}, the weights in .*other"
    ):
        check_tokenizer(info, str(tmp_path / "other"))


def test_tuning_keeps_the_positions_that_an_earlier_training_reached(sized: Path) -> None:
    """The RoPE base of the weights counts, not that of the model as it was published."""
    from nemo_kcpt.planning.planned import shape_of_weights

    extended = KNOWN["llm-jp-3-13b"]
    assert shape_of_weights(extended, None) == extended
