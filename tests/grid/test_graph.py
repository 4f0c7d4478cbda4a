"""The graph of an experiment: shared work once, names, what is refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from nemo_kcpt.config import conf_folder, load_config
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment import demo_stage as demo
from nemo_kcpt.experiment.demo_stage import experiment_of
from nemo_kcpt.experiment.experiment import Config
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.report import cell_record
from nemo_kcpt.experiment.sections import check_sections
from nemo_kcpt.experiment.stage import run
from nemo_kcpt.experiment.states import BLOCKED, DONE, FAILED, State
from nemo_kcpt.recipe_calls import call

EXPERIMENTS = conf_folder() / "experiment"


def experiment(name: str, *words: str) -> Config:
    config = load_config(Config, file=EXPERIMENTS / f"{name}.yaml", overrides=["out=/x", *words])
    check_sections(config)
    return config


def test_papers_matrix() -> None:
    graph = Graph(experiment("paper"))
    kinds: dict[str, int] = {}
    for node in graph.nodes.values():
        kinds[node.kind] = kinds.get(node.kind, 0) + 1
    # One pretraining of each of 5 lengths feeds 4 tunings each, and every model is tested, the base too.
    assert (kinds["pretrain"], kinds["finetune"], kinds["export"]) == (5, 20, 20)
    assert kinds["answers"] == kinds["verdicts"] == kinds["scores"] == 21
    assert len([name for name in graph.nodes if name.startswith("pack-concat")]) == 5
    assert len(graph.cells) == 21 and graph.cells[0].name == "base"
    tunings = [node for node in graph.nodes.values() if "pretrain-concat-4096" in node.after]
    assert [node.name for node in tunings] == [
        f"tune-concat-4096-{name}" for name in ("ichikara", "one_shot", "zero_shot", "all_included")
    ]
    launch = graph.nodes["pretrain-concat-16384"].launch
    assert launch is not None and launch.recipe.startswith("kcpt_llmjp3_13b_16k(pack='/x/packs/concat-16384'")
    assert "nodes=2" in launch.recipe


@pytest.mark.parametrize("name", ["paper", "laptop", "tiny"])
def test_every_experiment_makes_a_graph_whose_needs_come_first(name: str) -> None:
    graph, seen = Graph(experiment(name)), set[str]()
    folders: dict[Path, str] = {}
    for node in graph.nodes.values():
        assert set(node.after) <= seen
        seen.add(node.name)
        for folder in node.folders:
            assert folder not in folders, f"{node.name} and {folders[folder]} write {folder}"
            assert Path("/x") in folder.parents
            folders[folder] = node.name


def test_questions_are_put_with_the_system_message_that_was_trained_on() -> None:
    def told(graph: Graph, name: str) -> list[str]:
        commands = json.loads(graph.nodes[name].command[-1])  # as several kcpt commands in one process
        return [word for words in commands for word in words if word.startswith("system=")]

    graph = Graph(experiment("laptop"))
    for name in ("pack-raw", "pack-zero_shot-256"):
        assert told(graph, name) == ["system=Answer briefly."]
    assert told(graph, "answers-raw") == ["system=Answer briefly."] * 2  # the held-out questions, the general ones
    assert set(told(Graph(experiment("laptop", "generate.system=Other.")), "answers-raw")) == {"system=Other."}
    assert told(Graph(experiment("tiny")), "answers-base") == []


def test_retention_is_measured_of_the_base_and_every_arm() -> None:
    def commands(graph: Graph, name: str) -> dict[str, list[list[str]]]:
        found: dict[str, list[list[str]]] = {}
        for words in json.loads(graph.nodes[name].command[-1]):
            found.setdefault(words[0], []).append(words)
        return found

    plain, graph = (Graph(experiment("laptop", *more)) for more in ((), ("retention=en", "divergence={n: 20}")))
    assert set(graph.nodes) - set(plain.nodes) == {"retention"}
    assert "retention=en" in graph.nodes["retention"].command[-1]
    for name in ("base", "raw", "anchored-256@2"):
        asked = commands(graph, f"answers-{name}")["generate"]
        assert [next(word for word in words if word.startswith("max_new")) for words in asked] == [
            "max_new_tokens=32",
            "max_new_tokens=32",
            "max_new_tokens=128",
        ]
        assert "system=Answer briefly." in asked[2] and f"out=/x/retention-answers/{name}" in asked[2]
        assert {"general", "retention"} <= set(graph.nodes[f"answers-{name}"].after)
        tested = commands(graph, f"scores-{name}")
        assert [words[-1] for words in tested["score"]] == [
            f"out=/x/{folder}scores/{name}" for folder in ("", "general-", "retention-")
        ]
        assert len(tested["perplexity"]) == 1 and ("divergence" in tested) == (name != "base")
    (words,) = commands(graph, "scores-raw")["divergence"]
    model = next(word for word in words if word.startswith("models="))
    assert model.startswith("models=base=") and model.endswith(",raw=/x/hf/raw") and "n=20" in words
    assert "answers=/x/retention-answers/base" in words and "system=Answer briefly." in words
    assert "answers-base" in graph.nodes["scores-raw"].after and "answers-base" not in plain.nodes["scores-raw"].after
    same = {name for name in plain.nodes if name.partition("-")[0] not in ("answers", "scores", "report")}
    assert all(graph.nodes[name].command == plain.nodes[name].command for name in same), "nothing is trained again"
    with pytest.raises(BadInput, match="retention: 'fr' is not one of ja, en, both"):
        experiment("laptop", "retention=fr")


def test_study_arms() -> None:
    graph = Graph(experiment("laptop"))
    names = [cell.name for cell in graph.cells]
    wanted = [
        "base",
        "raw",
        "paraphrase",
        "concat-1024@1",
        "concat-1024@3",
        "anchored-256@2",
        "anchored-512",
        "anchored-1024",
    ]
    assert set(wanted) <= set(names)
    # One pack serves the three seeds and both kinds of attention, and one number of steps all arms.
    packs = [name for name, node in graph.nodes.items() if node.kind == "pack" and "zero_shot" not in name]
    assert packs == [
        f"pack-{name}" for name in ("raw", "concat-1024", "paraphrase", "anchored-256", "anchored-512", "anchored-1024")
    ]
    for node in graph.nodes.values():
        if node.kind == "pretrain":
            assert node.launch is not None
            like = "steps_like='/x/packs/concat-1024'" in node.launch.recipe
            assert like != ("pack='/x/packs/concat-1024'" in node.launch.recipe), node.name
    seeded = graph.nodes["pretrain-anchored-256@2"].launch
    assert seeded is not None and "data.seed=2" in seeded.overrides
    block = graph.nodes["pretrain-anchored-1024-block"].launch
    assert block is not None and "data.attention=block_diagonal" in block.overrides


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["pack.seqlength=3"], "pack: unknown key 'seqlength'; did you mean 'seq_length'?"),
        (["score.out=x"], "score: out: the grid gives this key itself"),
        (["sets=[oneshot]"], "did you mean 'one_shot'?"),
        (["steps_like=concat-65"], "no training 'concat-65'; did you mean 'concat-64'?"),
        (["compare=[[anchored-64,other]]"], "no model 'other'"),
        (["trainings=[{name: 'a b'}]"], "letters, digits"),
        (["trainings=[{name: concat-64}]"], "appears twice"),
        (["trainings=[{name: x, mode: anchord}]"], "did you mean 'anchored'?"),
        (["trainings=[{name: x, mode: raw, kinds: [summary]}]"], "has no synthetic data"),
        (["lengths=[]", "trainings=[]"], "none given"),
        (["sets=[one_shot]"], "one_shot needs one_shot: {examples"),
        (["trainings=[{nam: x}]"], "nam"),
    ],
)
def test_bad_experiments_are_refused_before_anything_runs(words: list[str], said: str) -> None:
    with pytest.raises(BadInput) as caught:
        Graph(experiment("tiny", "compare=[]", *words))
    assert said in str(caught.value)


def test_a_model_or_fictional_papers_are_needed() -> None:
    with pytest.raises(BadInput, match="give the Hugging Face folder of the base model"):
        load_config(Config, overrides=["out=/x", "recipe=a", "tuning_recipe=b"])


def test_one_step_and_what_it_needs() -> None:
    graph = Graph(experiment("laptop"))
    needed = graph.needed(["scores-raw"])
    assert "pack-raw" in needed and "pack-anchored-256" not in needed and needed[-1] == "scores-raw"
    with pytest.raises(BadInput, match="no step 'scores-rw'; did you mean 'scores-raw'"):
        graph.needed(["scores-rw"])


def test_keys_of_sections_reach_their_stage() -> None:
    graph = Graph(experiment("tiny", "judge={judge: mine}", "generate.max_new_tokens=7"))
    assert "max_new_tokens=7" in " ".join(graph.nodes["answers-base"].command)
    assert '"judge=mine"' in " ".join(graph.nodes["verdicts-base"].command)
    assert "verdicts-base" in graph.nodes["scores-base"].after


def test_a_cell_that_failed_says_why_and_one_that_it_blocked_too() -> None:
    graph = Graph(experiment("tiny", "compare=[]", "goals=[]"))
    states = {name: State(word=DONE) for name in graph.nodes}
    words = "step pack-anchored-64 ended with code 2. What is finished is kept.\n  kcpt pack: /x/synthetic: bad\nlog: y"
    states["pack-anchored-64"] = State(word=FAILED, reason=words)
    states["pretrain-anchored-64@1"] = State(word=BLOCKED, reason="pack-anchored-64 failed")
    cells = {cell.name: cell_record(graph, cell, states, Path("/x/report-inputs")) for cell in graph.cells}
    assert cells["anchored-64@1"]["state"] == "failed"
    assert cells["anchored-64@1"]["reason"] == "pack-anchored-64: kcpt pack: synthetic: bad"
    done = cells["concat-64"]
    assert done["state"] == "done" and done["reason"] is None and done["pack"] == "../packs/concat-64"
    assert [one["stage"] for one in done["metrics"]] == ["pretrain", "tune"]

    states["pack-anchored-64"] = State(word=DONE)
    states["pretrain-anchored-64@1"] = State(word=BLOCKED, reason="import failed")
    cell = next(one for one in graph.cells if one.name == "anchored-64@1")
    assert cell_record(graph, cell, states, Path("/x"))["reason"] == "pretrain-anchored-64@1: import failed"


def test_megatron_bridge_trains_what_nemo_would() -> None:
    words = ["processes=2", "overrides=[optimizer.lr=1e-4]", "tuning_overrides=[]"]
    graph, theirs = (Graph(experiment("laptop", f"backend={backend}", *words)) for backend in ("bridge", "nemo"))
    assert [*graph.nodes] == [*theirs.nodes]
    assert json.loads(graph.nodes["import"].command[-1])[0][-1] == "backend=bridge"
    for name, node in graph.nodes.items():
        launch, other = node.launch, theirs.nodes[name].launch
        if launch is None or other is None:
            continue
        command = list(node.command)
        given = command.index("--arguments")
        assert command[1:3] == ["-m", "torch.distributed.run"] and command[given - 1] == "nemo_kcpt.bridge.train"
        assert call(command[given + 2], json.loads(command[given + 1])) == launch.recipe == other.recipe
        expected = [word.replace("data.", "dataset.") for word in other.overrides]
        assert command[given + 3 :] == launch.overrides == expected
        assert "PYTHONPATH" in node.environment and not node.forks and node.products == theirs.nodes[name].products
    with pytest.raises(BadInput, match="backend: 'brigde' is not one of nemo, bridge"):
        experiment("laptop", "backend=brigde")


def test_the_demo_takes_a_backend() -> None:
    config = experiment_of(demo.Config(out=Path("/x"), backend="bridge"))
    assert config.report["command"] == "make demo BACKEND=bridge"
    launches = [node.launch for node in Graph(config).nodes.values() if node.launch is not None]
    assert {launch.backend for launch in launches} == {"bridge"} and len(launches) == 4
    assert experiment_of(demo.Config(out=Path("/x"))).backend == "nemo"


def test_a_grid_whose_backend_is_missing_does_not_begin(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("nemo_kcpt.experiment.backends.bridge_python", lambda: None)
    config = experiment("tiny", "backend=bridge")
    config.out = tmp_path / "x"
    with pytest.raises(BadInput, match="Megatron-Bridge is missing: run `make setup-bridge`"):
        run(config)
