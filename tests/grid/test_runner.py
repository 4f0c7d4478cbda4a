"""Real processes in a graph: order, failures that stop their heirs alone, resuming, stale and disposed work."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.clock import left_seconds
from nemo_kcpt.experiment.nodes import Node
from nemo_kcpt.experiment.runner import clear, refuse_stale
from nemo_kcpt.experiment.states import BLOCKED, DONE, FAILED, RUNNING, STALE, WAITING
from nemo_kcpt.files import write_json
from nemo_kcpt.runs import MANIFEST, Stage, read_manifest
from tests.conversion.hf_models import save_model
from tests.grid.small import node, run_all, states_of, times
from tests.tiny_tokenizer import make_tokenizer
from tests.waiting import wait_for


def diamond(run: Path, middle: str = "") -> list[Node]:
    return [
        node(run, "first"),
        node(run, "good", ["first"]),
        node(run, "bad", ["first"], code=middle),
        node(run, "heir", ["bad"]),
        node(run, "late", ["good"]),
    ]


def test_a_failure_stops_its_heirs_alone_and_is_tried_again(tmp_path: Path) -> None:
    flag = tmp_path / "mended"
    code = f"print('Error: not yet') or sys.exit(3) if not pathlib.Path({str(flag)!r}).exists() else None"
    nodes = diamond(tmp_path, code)
    failed, said = run_all(states_of(tmp_path, nodes))
    assert (
        set(failed) == {"bad"} and "ended with code 3" in str(failed["bad"]) and "Error: not yet" in str(failed["bad"])
    )
    assert ("heir", f"{BLOCKED}: bad failed") in said
    found = states_of(tmp_path, nodes).all()
    assert {name: state.word for name, state in found.items()} == {
        "first": DONE,
        "good": DONE,
        "bad": FAILED,
        "heir": BLOCKED,
        "late": DONE,
    }
    assert "code 3" in (found["bad"].reason or "")

    flag.touch()
    failed, said = run_all(states_of(tmp_path, nodes))
    assert not failed and ("first", "finished before") in said
    assert [times(tmp_path, name) for name in ("first", "good", "bad", "heir", "late")] == [1] * 5


def test_workers_run_side_by_side_and_no_more_of_them(tmp_path: Path) -> None:
    nodes = [node(tmp_path, f"n{index}", code="import time; time.sleep(0.5)") for index in range(4)]
    states, most = states_of(tmp_path, nodes), 0

    def tick() -> None:
        nonlocal most
        most = max(most, sum(state.word == RUNNING for state in states.all().values()))

    run_all(states, workers=2, tick=tick)
    assert most == 2


def test_a_product_that_is_missing_is_a_failure(tmp_path: Path) -> None:
    one = replace(node(tmp_path, "one"), products=[tmp_path / "elsewhere.txt"])
    failed, _ = run_all(states_of(tmp_path, [one]))
    assert "did not write" in str(failed["one"])


def test_a_changed_step_is_refused_by_name_and_made_again_on_redo(tmp_path: Path) -> None:
    nodes = [node(tmp_path, "first"), node(tmp_path, "second", ["first"]), node(tmp_path, "other")]
    run_all(states_of(tmp_path, nodes))
    changed = [node(tmp_path, "first", code="x = 1"), *nodes[1:]]
    states = states_of(tmp_path, changed)
    assert {name: state.word for name, state in states.all().items()} == {
        "first": STALE,
        "second": STALE,
        "other": DONE,
    }
    with pytest.raises(BadInput, match=r"(?s)step first was made from something else .*x = 1.*, and 1 more"):
        refuse_stale(states, list(states.graph.nodes), redo=False)
    assert times(tmp_path, "first") == 1
    refuse_stale(states, list(states.graph.nodes), redo=True)
    run_all(states)
    # Deleted and made once more; what did not change was let alone.
    assert (tmp_path / "first/made.txt").read_text() == "made\n" and states.of("second").word == DONE
    assert times(tmp_path, "other") == 1


def test_what_a_failed_step_left_is_not_gone_on_with_after_a_change(tmp_path: Path) -> None:
    nodes = [node(tmp_path, "train", code="(p.parent / 'checkpoint').touch(); sys.exit(1)")]
    run_all(states_of(tmp_path, nodes))
    assert (tmp_path / "train/checkpoint").is_file()
    changed = [node(tmp_path, "train", code="assert not (p.parent / 'checkpoint').exists()")]
    states = states_of(tmp_path, changed)
    assert states.of("train").word == STALE
    with pytest.raises(BadInput, match="step train was made from something else"):
        refuse_stale(states, ["train"], redo=False)
    assert (tmp_path / "train/checkpoint").is_file()
    refuse_stale(states, ["train"], redo=True)
    failed, _ = run_all(states)
    assert not failed


def test_a_file_of_the_user_that_changed_makes_its_step_stale(tmp_path: Path) -> None:
    (tmp_path / "documents.txt").write_text("one")
    nodes = [node(tmp_path, "first", reads={"documents": tmp_path / "documents.txt"})]
    run_all(states_of(tmp_path, nodes))
    (tmp_path / "documents.txt").write_text("two")
    states = states_of(tmp_path, nodes)
    assert states.of("first").word == STALE
    with pytest.raises(BadInput, match="documents changed"):
        refuse_stale(states, ["first"], redo=False)
    (tmp_path / "documents.txt").unlink()
    with pytest.raises(BadInput, match=r"step first: .*documents.txt: no such file"):
        states_of(tmp_path, nodes)


@pytest.mark.parametrize("name", ["tokenizer_config.json", "chat_template.jinja", "generation_config.json"])
@pytest.mark.parametrize("read", ["", "tokenizer.json"])
def test_other_tokenizers_and_templates_of_a_model_make_its_steps_stale(read: str, name: str, tmp_path: Path) -> None:
    model = make_tokenizer(save_model(tmp_path / "hf"))
    nodes = [node(tmp_path, "answers", reads={"model": model / read}), node(tmp_path, "scores", ["answers"])]
    run_all(states_of(tmp_path, nodes))
    assert states_of(tmp_path, nodes).of("scores").word == DONE
    (model / name).write_text('{"chat_template": "another"}')
    states = states_of(tmp_path, nodes)
    assert {one: states.of(one).word for one in ("answers", "scores")} == {"answers": STALE, "scores": STALE}
    with pytest.raises(BadInput, match="model: tokenizer, chat template and generation settings changed"):
        refuse_stale(states, ["answers", "scores"], redo=False)


def test_what_an_older_version_made_is_kept_and_watched_from_now_on(tmp_path: Path) -> None:
    model = make_tokenizer(save_model(tmp_path / "hf"))
    nodes = [node(tmp_path, "answers", reads={"model": model}), node(tmp_path, "scores", ["answers"])]
    states = states_of(tmp_path, nodes)
    run_all(states)
    older: dict[str, str] = {}
    for one in nodes:  # as it was written before tokenizers counted
        manifest = read_manifest(states.folder(one.name))
        inputs = {key: older.get(key, value) for key, value in manifest["inputs"].items() if ":" not in key}
        config = json.loads(json.dumps(manifest["config"]))
        older[one.name] = Stage(one.name, states.folder(one.name), config, inputs).fingerprint
        write_json(states.folder(one.name) / MANIFEST, manifest | {"inputs": inputs, "fingerprint": older[one.name]})
    states = states_of(tmp_path, nodes)
    assert {state.word for state in states.all().values()} == {DONE}
    refuse_stale(states, ["answers", "scores"], redo=False)
    (model / "tokenizer_config.json").write_text("{}")
    states = states_of(tmp_path, nodes)
    assert {state.word for state in states.all().values()} == {STALE}
    with pytest.raises(BadInput, match=r"\(model: tokenizer, chat template and generation settings changed\)"):
        refuse_stale(states, ["answers", "scores"], redo=False)


def test_checkpoints_that_nothing_needs_are_deleted_and_made_again_for_a_new_heir(tmp_path: Path) -> None:
    big = tmp_path / "train/checkpoints"
    code = f"pathlib.Path({str(big)!r}).mkdir(parents=True, exist_ok=True)"
    training = replace(node(tmp_path, "train", code=code), disposable=[big])
    heir = node(tmp_path, "heir", ["train"], code=f"assert pathlib.Path({str(big)!r}).is_dir()")
    states = states_of(tmp_path, [training, heir])
    run_all(states, keep=False)
    assert not big.exists() and states.of("train").word == DONE
    run_all(states_of(tmp_path, [training, heir]), keep=False)
    assert times(tmp_path, "train") == times(tmp_path, "heir") == 1

    sister = node(tmp_path, "sister", ["train"], code=f"assert pathlib.Path({str(big)!r}).is_dir()")
    failed, _ = run_all(states_of(tmp_path, [training, heir, sister]), keep=False)
    assert not failed and times(tmp_path, "sister") == 1 and times(tmp_path, "heir") == 1


def test_a_killed_grid_leaves_no_process_and_goes_on(tmp_path: Path) -> None:
    slow = "import os, time; time.sleep(30 if os.environ.get('SLOW') else 0)"
    program = tmp_path / "grid.py"
    program.write_text(
        "import pathlib, sys\n"
        "from small import node, run_all, states_of\n"
        "run = pathlib.Path(sys.argv[1])\n"
        f"run_all(states_of(run, [node(run, 'quick'), node(run, 'slow', ['quick'], code={slow!r})]))\n"
    )
    nodes = [node(tmp_path / "run", "quick"), node(tmp_path / "run", "slow", ["quick"], code=slow)]
    child = subprocess.Popen(
        [sys.executable, str(program), str(tmp_path / "run")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent), "SLOW": "1"},
    )
    try:
        wait_for(lambda: times(tmp_path / "run", "quick") == 1 and (tmp_path / "run/nodes/slow/state.json").is_file())
        time.sleep(0.3)
        grandchildren = psutil.Process(child.pid).children(recursive=True)
    finally:
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert grandchildren
    wait_for(lambda: not any(one.is_running() and one.status() != psutil.STATUS_ZOMBIE for one in grandchildren))
    states = states_of(tmp_path / "run", nodes)
    assert states.of("quick").word == DONE
    assert states.of("slow").word == WAITING and states.of("slow").reason == "was stopped"
    failed, _ = run_all(states)
    assert not failed and times(tmp_path / "run", "quick") == 1


def test_time_left_goes_by_what_was_measured(tmp_path: Path) -> None:
    nodes = [node(tmp_path, name, code="import time; time.sleep(0.4)") for name in ("a", "b", "c")]
    states = states_of(tmp_path, nodes)
    assert left_seconds(states.graph, states.all(), 1) == pytest.approx(3.0)  # expected=1 each
    run_all(states_of(tmp_path, nodes[:1]))
    measured = states.of("a").seconds
    assert measured is not None and measured >= 0.4
    assert left_seconds(states.graph, states.all(), 1) == pytest.approx(2 * measured)
    assert left_seconds(states.graph, states.all(), 2) == pytest.approx(measured)


def test_clear_deletes_what_a_node_made_and_nothing_else(tmp_path: Path) -> None:
    nodes = [node(tmp_path, "one"), node(tmp_path, "two")]
    states = states_of(tmp_path, nodes)
    run_all(states)
    clear(states, "one")
    assert not (tmp_path / "one").exists() and (tmp_path / "two/made.txt").is_file()
    assert states.of("one").word == WAITING and states.of("two").word == DONE
