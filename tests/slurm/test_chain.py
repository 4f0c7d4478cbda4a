"""A file of jobs: what is wrong in it is named with file, job and key."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.slurm import Resources
from nemo_kcpt.experiment.slurm.chain import read_chain
from tests.slurm.places import make_place

CHAINS = {
    "no such file": (None, "chain.yaml: cannot be read"),
    "not YAML": ("jobs: [", "chain.yaml: not YAML"),
    "no jobs": ("train: x", "expected one key, jobs"),
    "twice": ("jobs: {a: {stage: report}, a: {stage: score}}", "job a: appears twice"),
    "neither": ("jobs: {a: {gpus: 1}}", "job a: expected either train: RECIPE or stage: NAME"),
    "unknown key": ("jobs: {a: {stage: report, shard: 2}}", "job a: unknown key 'shard'; did you mean 'shards'"),
    "nodes of a stage": (
        "jobs: {a: {stage: report, nodes: 2}}",
        "job a: unknown key 'nodes'; a stage on several nodes",
    ),
    "time of YAML": (
        "jobs: {a: {stage: report, time: 24:00:00}}",
        "job a: time: 86400 is not a text; put it in quotes",
    ),
    "gpus": ("jobs: {a: {stage: report, gpus: many}}", "job a: gpus: 'many' is not a number above 0"),
    "keys": ("jobs: {a: {stage: report, keys: out=x}}", "job a: keys: 'out=x' is not a list of texts"),
    "after": (
        "jobs: {a: {stage: corpus, keys: [input=x, out=x], after: [b]}}",
        "job a: after: no job 'b' above this one",
    ),
    "recipe": ("jobs: {a: {train: kcpt_tinny}}", "job a: train: no recipe kcpt_tinny"),
    "backend": (
        "jobs: {a: {train: kcpt_tiny, backend: brigde}}",
        "job a: train: backend: 'brigde' is not one of nemo, bridge",
    ),
    "not made": (
        "jobs: {a: {stage: corpus, keys: [input=x, out=c]}, b: {stage: synthesize, keys: [corpus=d, out=s]}}",
        "job b: stage: kcpt synthesize: corpus: ",
    ),
    "made by no one before": (
        "jobs: {a: {stage: corpus, keys: [input=x, out=c]}, b: {stage: questions, keys: [corpus=c, out=q], after: []}}",
        "no earlier job makes it",
    ),
}


@pytest.mark.parametrize("name", CHAINS)
def test_an_error_in_a_chain_names_file_job_and_key(name: str, tmp_path: Path) -> None:
    text, message = CHAINS[name]
    chain = tmp_path / "chain.yaml"
    if text is not None:
        chain.write_text(text)
    with pytest.raises(BadInput) as raised:
        read_chain(chain, Resources(), make_place(tmp_path))
    assert str(chain) in str(raised.value) and message in str(raised.value)
