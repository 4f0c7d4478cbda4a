"""Site and resources from a YAML mapping: the command line's checks, and messages that say where."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.slurm import Resources, resources_from, site_from
from tests.slurm.places import SECRETS, make_place


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    return make_place(tmp_path)


def test_everything_that_the_command_line_takes(project: Path) -> None:
    given: dict[str, Any] = {
        "account": "mine",
        "partition": "gpu",
        "time": "02:00:00",
        "nodes": 2,
        "gpus": 8,
        "cpus": 96,
        "sbatch": {"qos": "high", "exclusive": True, "no-kill": False, "nice": 5},
        "retries": 2,
        "jobs": "../jobs",
        "venv": "../venv",
        "container": None,
        "env": ["HF_TOKEN"],
    }
    site, wanted = site_from(given, project)
    assert wanted == Resources(nodes=2, gpus=8, cpus=96, time="02:00:00", partition="gpu")
    assert (site.account, site.container, site.env, site.retries) == ("mine", None, ("HF_TOKEN",), 2)
    assert site.sbatch == {"qos": "high", "exclusive": True, "nice": "5"}
    assert site.jobs == (project / "../jobs").resolve() and (site.venv / "bin/kcpt").is_file()


def test_a_container_and_options_as_words(project: Path) -> None:
    given = {"container": "image", "mounts": ["/data"], "sbatch": ["--qos=high", "exclusive"], "jobs": "../jobs"}
    site, wanted = site_from(given, project)
    assert wanted == Resources() and site.sbatch == {"qos": "high", "exclusive": True}
    assert site.mounts == (f"{project}:{project}", "/data:/data")


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "unknown key": ({"acount": "mine"}, "unknown key 'acount'; did you mean 'account'?"),
    "gpus": ({"gpus": "8"}, "gpus: '8' is not a number above 0"),
    "nodes": ({"nodes": True}, "nodes: True is not a number above 0"),
    "retries": ({"retries": -1}, "retries: -1 is not a number, at least 0"),
    "time of YAML": ({"time": 86400}, "time: 86400 is not a text; put it in quotes"),
    "mounts": ({"mounts": "/data"}, "mounts: '/data' is not a list of texts"),
    "sbatch": ({"sbatch": "qos=high"}, "sbatch: 'qos=high' is not a mapping"),
    "sbatch value": ({"sbatch": {"qos": [1]}}, "sbatch: qos: [1] is not a text, a number or true"),
    "both": ({"venv": "../venv", "container": "image"}, "venv and container: give one of them"),
    "blank in jobs": ({"jobs": "a b", "venv": "../venv"}, "cannot have white space"),
    "variable": ({"env": ["NOT_SET_HERE"]}, "env NOT_SET_HERE: not set in this shell"),
    "secret": ({"env": ["HF_TOKEN=hf_fake_77a0"]}, "the name of a variable alone"),
    "venv": ({"venv": "models"}, "no bin/kcpt in it"),
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_named(name: str, project: Path) -> None:
    given, message = WRONG[name]
    with pytest.raises(BadInput) as raised:
        site_from({"jobs": "../jobs", **given}, project, "paper.yaml: slurm")
    said = str(raised.value)
    assert said.startswith("paper.yaml: slurm: ") and message in said and "fake" not in said


def test_a_jobs_own_resources_over_the_common_ones() -> None:
    common = Resources(nodes=2, gpus=8, time="10:00:00", partition="gpu")
    own = {"gpus": None, "cpus": 4, "time": None, "partition": "cpu"}
    assert resources_from(own, common, "x") == Resources(nodes=2, cpus=4, partition="cpu")
    with pytest.raises(BadInput, match="x: unknown key 'gpu'; did you mean 'gpus'"):
        resources_from({"gpu": 1}, common, "x")
