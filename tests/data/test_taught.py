"""Samples with a teacher: its rows at the labels they are about, the student's view, and what is refused."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from nemo_kcpt.data import PackedPretrainingDataModule
from nemo_kcpt.data.windows import WindowDataset
from nemo_kcpt.distillation import stage as distill
from nemo_kcpt.distillation.shards import Distillation
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from tests.distillation.small import make_all, make_pack

K = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """`pack`, its distillation `teacher`, `other`, another pack, and `model`."""
    folder = tmp_path_factory.mktemp("taught")
    make_all(folder)
    make_pack(folder, "other", shuffle_kinds=True)
    distill.run(config(folder))
    return folder


def config(folder: Path, **more: Any) -> distill.Config:
    given = {"pack": folder / "pack", "model": folder / "model", "out": folder / "teacher", "k": K, "half": 12}
    return distill.Config(**given | more)


def module(folder: Path, **more: Any) -> PackedPretrainingDataModule:
    given = {"distillation": str(folder / "teacher"), "attention": "split"}
    return PackedPretrainingDataModule(str(folder / "pack"), **given | more)


def test_each_label_has_its_row_and_each_block_its_own_positions(folder: Path) -> None:
    taught = Distillation(folder / "teacher")
    dataset = WindowDataset(folder / "pack", samples=50, seed=1, attention="split", distillation=folder / "teacher")
    shapes = set()
    for sample in range(dataset.info.windows):
        item, window = dataset[sample], dataset.window_of(sample)
        rows, borders = taught.rows(window), taught.blocks(window)
        shapes.add(tuple((name, tuple(tensor.shape)) for name, tensor in item.items()))
        found = item["teacher_probabilities"].numpy()
        assert sorted(np.flatnonzero(found.sum(1)).tolist()) == sorted(rows.places.tolist())
        assert (found[rows.places] == rows.probabilities).all()
        assert (item["teacher_ids"].numpy()[rows.places] == rows.ids).all()
        assert all(len(set(ids)) == K for ids in item["teacher_ids"].tolist()), "the loss sets each once"
        # Nothing is asked of a token that the student's loss leaves out.
        assert (item["loss_mask"].numpy()[rows.places] == 1).all()
        assert (item["loss_mask"].numpy()[borders[1:-1] - 1] == 0).all()
        assert item["cu_seqlens"][: len(borders)].tolist() == borders.tolist()
        assert (item["position_ids"].numpy()[borders[:-1]] == 0).all()
    assert len(shapes) == 1, "windows of a micro-batch are stacked"


def test_the_likeliest_next_token_is_often_the_written_one(folder: Path) -> None:
    """Rows at the wrong place would be about other labels: the written token's probability would not be the model's."""
    from nemo_kcpt.hf.load import load_causal_lm

    distill.run(config(folder, out=folder / "full", k=512, passage=False, stored="float32"))
    dataset = WindowDataset(folder / "pack", samples=9, seed=1, attention="split", distillation=folder / "full")
    import torch

    item, model = dataset[0], load_causal_lm(folder / "model")
    borders = [border for border in item["cu_seqlens"].tolist() if border >= 0]
    for start, end in pairwise(borders[:3]):
        with torch.inference_mode():
            own = model(item["tokens"][None, start:end]).logits[0].softmax(-1)
        for place in range(start, end - 1):
            label = int(item["labels"][place])
            at = item["teacher_ids"][place].tolist().index(label)
            assert float(item["teacher_probabilities"][place, at]) == pytest.approx(
                float(own[place - start, label]), rel=1e-3
            )


def test_what_the_teacher_alone_is_to_see_is_kept_from_the_student(folder: Path) -> None:
    with pytest.raises(BadInput, match=r"the student would see it, too, .* set data\.attention=split"):
        module(folder, attention="causal")
    assert module(folder, attention="causal", see_passage=True).taught is not None
    with pytest.raises(BadInput, match=r"split needs data\.distillation=FOLDER"):
        module(folder, distillation=None)


def test_a_distillation_of_another_pack_or_tokenizer_is_named(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"was made for another pack \(\w{12}\) than that of .*other"):
        PackedPretrainingDataModule(str(folder / "other"), distillation=str(folder / "teacher"), attention="split")
    with pytest.raises(BadInput, match=r"not a finished distillation"):
        module(folder, distillation=str(tmp_path))
    manifest = read_json(folder / "teacher/manifest.json")
    changed = {**manifest, "counts": {**manifest["counts"], "tokenizer_sha256": "0" * 64}, "outputs": {}}
    write_json(tmp_path / "manifest.json", changed)
    with pytest.raises(BadInput, match=r"was made for another tokenizer \(000000000000\)"):
        module(folder, distillation=str(tmp_path))


def test_a_model_that_does_not_go_with_it_is_named(folder: Path) -> None:
    data = module(folder)
    rows = Distillation(folder / "teacher").info.vocab_rows

    def start(data: PackedPretrainingDataModule, **config: Any) -> None:
        model = SimpleNamespace(config=SimpleNamespace(seq_length=96, **config))
        data.trainer = SimpleNamespace(global_step=0, max_steps=1, lightning_module=model)  # type: ignore[assignment]
        data.train_dataloader()

    start(data, vocab_rows=rows, kl_weight=1.0, temperature=1.0)
    with pytest.raises(BadInput, match=f"its teacher has {rows} vocabulary rows, the model {rows + 8}"):
        start(data, vocab_rows=rows + 8, kl_weight=1.0, temperature=1.0)
    with pytest.raises(BadInput, match=r"model\.config\.temperature: is 2\.0, .* was made at 1\.0"):
        start(data, vocab_rows=rows, kl_weight=1.0, temperature=2.0)
    with pytest.raises(BadInput, match=r"kl_weight: is 1\.0, but the data have no distillation"):
        start(PackedPretrainingDataModule(str(folder / "pack")), vocab_rows=rows, kl_weight=1.0)


def test_a_checkpoint_names_its_distillation(folder: Path) -> None:
    with_teacher, without = module(folder), module(folder, distillation=None, attention="causal")
    for data in (with_teacher, without):
        data.trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]
    state = with_teacher.state_dict()
    assert state["made_of"]["data.distillation"] == Distillation(folder / "teacher").info.fingerprint
    assert "data.distillation" not in without.state_dict()["made_of"]
    changed = {**state, "made_of": {**state["made_of"], "data.distillation": "another"}}
    with pytest.raises(BadInput, match=r"data\.distillation was another, is \w+"):
        with_teacher.load_state_dict(changed)
