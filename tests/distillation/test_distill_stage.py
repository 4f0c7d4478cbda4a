"""kcpt distill: each row is the model's own distribution after what the teacher is to see; nothing else is stored."""

from __future__ import annotations

import shutil
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nemo_kcpt.distillation import stage as distill
from nemo_kcpt.distillation.shards import Distillation
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.hf.load import load_causal_lm
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing.store import iterate_table, open_tokens
from nemo_kcpt.records.distillations import read_distillation
from nemo_kcpt.records.packs import read_info
from tests.distillation.small import make_pack
from tests.evaluation.small import make_model

K = 8


def config(small: Path, out: Path, **more: Any) -> distill.Config:
    given = {"pack": small / "pack", "model": small / "model", "out": out, "k": K, "half": 12, "shard_tokens": 200}
    return distill.Config(**given | more)


@pytest.fixture(scope="module")
def made(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Distillation:
    out = tmp_path_factory.mktemp("made") / "teacher"
    distill.run(config(small, out, stored="float32"))
    return Distillation(out)


@pytest.fixture(scope="module")
def concat(small: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Distillation]:
    """A pack whose pairs are cut at windows' ends and stand far from their passages, and its distillation."""
    folder = tmp_path_factory.mktemp("concat")
    pack = make_pack(small, str(folder / "pack"), mode="concat", seq_length=48)
    distill.run(config(small, folder / "teacher", pack=pack, stored="float32"))
    return pack, Distillation(folder / "teacher")


def paper_text(pack: Path, paper_id: str) -> dict[int, int]:
    """A paper's tokens by their place in it, gathered from the windows."""
    tokens, found = open_tokens(pack), {}
    for window, row in enumerate(iterate_table(pack)):
        ends = [*row["segment_starts"][1:], row["length"]]
        for index, (start, end) in enumerate(zip(row["segment_starts"], ends)):
            if row["segment_roles"][index] == "text" and row["paper_ids"][index] == paper_id:
                for place in range(start, end):
                    found[row["segment_offsets"][index] + place - start] = int(tokens[window][place])
    return found


def after(model: Any, seen: list[int], own: list[int]) -> np.ndarray:
    """Log-probabilities [len(own), vocabulary] of the tokens after each of `own`."""
    import torch

    with torch.inference_mode():
        return torch.log_softmax(model(torch.tensor([seen + own])).logits[0, len(seen) :].float(), -1).numpy()


def test_rows_are_what_the_model_says_after_passage_or_first_half(small: Path, made: Distillation) -> None:
    """Every row of the pack, against transformers' own logits of one sequence at a time."""
    checked = check_rows(small, small / "pack", made)
    counts = read_json(made.info.folder / "manifest.json")["counts"]
    assert checked == counts["asked_tokens"] > 100
    assert counts["passage"] == 12 and counts["before"] > 3 and counts["alone"] > 0 and counts["no_teacher"] > 3
    assert all(path.stat().st_mode & 0o444 == 0o444 for path in made.info.folder.glob("shard-*"))


def test_passages_are_found_in_other_windows_and_cut_pairs_have_theirs(
    small: Path, concat: tuple[Path, Distillation]
) -> None:
    pack, found = concat
    counts = read_json(found.info.folder / "manifest.json")["counts"]
    assert check_rows(small, pack, found) == counts["asked_tokens"]
    assert counts["passage"] > 12 and not counts["lost_passages"], "a cut pair is two blocks"


def check_rows(small: Path, pack: Path, made: Distillation) -> int:
    """Compare every row of a distillation; how many there were."""
    model, length = load_causal_lm(small / "model"), read_info(pack).seq_length
    begin = PackTokenizer(small / "model").token_id("bos_token")
    tokens, checked = open_tokens(pack), 0
    for window, row in enumerate(iterate_table(pack)):
        ids, borders, rows = tokens[window].tolist(), made.blocks(window).tolist(), made.rows(window)
        starts = dict(zip(row["segment_starts"], range(len(row["segment_starts"]))))
        assert borders[0] == 0 and borders[-1] == length and borders == sorted(set(borders))
        at = dict(zip(rows.places.tolist(), range(len(rows.places))))
        assert len(at) == len(rows.places)
        before: tuple[int, int] | None = None
        inside_pair = False
        for start, end in pairwise(borders):
            own = [place for place in at if start <= place < end]
            segment = starts.get(start)
            role = "text" if segment is None else row["segment_roles"][segment]
            inside_pair = role != "text"
            if not own:
                before = (start, end)
                continue
            assert own == list(range(start, end - 1)), "every token of a block but its first"
            if inside_pair:
                assert segment is not None
                text = paper_text(pack, row["paper_ids"][segment])
                seen = [text[i] for i in range(row["support_starts"][segment], row["support_ends"][segment])]
            elif row["segment_kinds"][0] == "replay":
                seen = []
            else:
                assert before is not None and before[1] == start
                seen = ids[slice(*before)]
            seen = [begin, *seen] if seen and seen[0] != begin else seen
            expected = after(model, seen, ids[start : end - 1])
            for place in own:
                full, here = expected[place - start], at[place]
                top = np.argsort(-full, kind="stable")[:K]
                kept = made.rows(window).probabilities[here]
                assert set(rows.ids[here].tolist()) == set(top.tolist())
                assert np.exp(full[rows.ids[here]]) == pytest.approx(kept[:K], rel=1e-3, abs=1e-6)
                assert kept[K] == pytest.approx(1 - np.exp(full[top]).sum(), abs=1e-4)
                checked += 1
            before = (start, end)
    return checked


def test_the_passage_changes_what_the_teacher_says(small: Path, made: Distillation, tmp_path: Path) -> None:
    distill.run(config(small, tmp_path / "alone", passage=False, stored="float32"))
    alone, pairs = Distillation(tmp_path / "alone"), 0
    for window in range(made.info.windows):
        with_passage, without = made.rows(window), alone.rows(window)
        common = set(with_passage.places.tolist()) & set(without.places.tolist())
        for place in common:
            mine = with_passage.probabilities[with_passage.places.tolist().index(place)]
            theirs = without.probabilities[without.places.tolist().index(place)]
            pairs += not np.allclose(mine, theirs, rtol=1e-3)
    assert pairs > 50


def test_outputs_only_asks_for_replies(small: Path, tmp_path: Path) -> None:
    distill.run(config(small, tmp_path / "out", loss="outputs", texts=False, replay=False))
    found = Distillation(tmp_path / "out")
    for window, row in enumerate(iterate_table(small / "pack")):
        ends = [*row["segment_starts"][1:], row["length"]]
        role = {p: r for s, e, r in zip(row["segment_starts"], ends, row["segment_roles"]) for p in range(s, e)}
        places = found.rows(window).places
        assert {role[place + 1] for place in places.tolist()} <= {"output"}
        assert len(places) == sum(one == "output" for one in role.values())


def test_what_a_killed_run_with_other_keys_left_is_not_taken(small: Path, made: Distillation, tmp_path: Path) -> None:
    shutil.copytree(made.info.folder, tmp_path / "out")
    (tmp_path / "out/manifest.json").unlink()
    distill.run(config(small, tmp_path / "out", k=4, shard_tokens=2000))
    found = Distillation(tmp_path / "out")
    assert len(list((tmp_path / "out").glob("shard-*"))) == 1 and found.rows(0).ids.shape[1] == 4


def test_float16_keeps_probabilities_to_a_thousandth(small: Path, made: Distillation, tmp_path: Path) -> None:
    distill.run(config(small, tmp_path / "out"))
    found = Distillation(tmp_path / "out")
    for window in range(found.info.windows):
        mine, exact = found.rows(window), made.rows(window)
        assert np.array_equal(mine.ids, exact.ids)
        assert np.allclose(mine.probabilities, exact.probabilities, rtol=5e-3)
        assert np.allclose(mine.probabilities.sum(1), 1, atol=1e-6)


def test_what_does_not_go_together_is_named(small: Path, tmp_path: Path) -> None:
    other = make_model(tmp_path / "other", 0)
    words = read_json(other / "tokenizer_config.json")
    write_json(other / "tokenizer_config.json", {**words, "chat_template": words["chat_template"] + " "})
    with pytest.raises(BadInput, match=r"its tokenizer with its chat template has hash \w{12}, the pack"):
        distill.run(config(small, tmp_path / "out", model=other))
    settings = read_json(other / "config.json")
    write_json(other / "config.json", {**settings, "vocab_size": 9})
    write_json(other / "tokenizer_config.json", words)
    with pytest.raises(BadInput, match="has 9 vocabulary rows, the tokenizer of"):
        distill.run(config(small, tmp_path / "out", model=other))
    with pytest.raises(BadInput, match="not a finished distillation"):
        read_distillation(tmp_path)
    with pytest.raises(BadInput, match="was made by kcpt pack; the folder of a kcpt distill was expected"):
        read_distillation(small / "pack")
    with pytest.raises(ValueError, match="temperature: 0 was given; more than 0 is needed"):
        config(small, tmp_path, temperature=0)


def test_packs_without_passages_are_refused_unless_none_is_wanted(small: Path, tmp_path: Path) -> None:
    pairs = [{"messages": [{"role": "user", "content": "手法とは？"}, {"role": "assistant", "content": "手法です"}]}]
    from nemo_kcpt.files import write_jsonl

    write_jsonl(tmp_path / "sft.jsonl", [{**one, "origin": "zero_shot", "paper_id": None} for one in pairs * 9])
    pack = make_pack(small, str(tmp_path / "tuning"), mode="instruction", sft=tmp_path / "sft.jsonl")
    with pytest.raises(BadInput, match=r"a pack of mode instruction has no passages \(support\) for a teacher to see"):
        distill.run(config(small, tmp_path / "out", pack=pack))
    distill.run(config(small, tmp_path / "out", pack=pack, passage=False))
    assert Distillation(tmp_path / "out").rows(0).places.size > 9
    raw = make_pack(small, str(tmp_path / "raw"), mode="raw")
    with pytest.raises(BadInput, match="nothing to ask a teacher"):
        distill.run(config(small, tmp_path / "nothing", pack=raw, texts=False))
    assert not (tmp_path / "nothing/manifest.json").exists()


def test_an_old_table_without_support_is_refused(small: Path, tmp_path: Path) -> None:
    import pyarrow.parquet as pq

    shutil.copytree(small / "pack", tmp_path / "pack")
    table = pq.read_table(tmp_path / "pack/windows.parquet").drop_columns(["support_starts", "support_ends"])
    pq.write_table(table, tmp_path / "pack/windows.parquet")
    manifest = read_json(tmp_path / "pack/manifest.json")
    manifest["outputs"]["windows.parquet"]["bytes"] = (tmp_path / "pack/windows.parquet").stat().st_size
    write_json(tmp_path / "pack/manifest.json", manifest)
    assert read_info(tmp_path / "pack").windows
    with pytest.raises(BadInput, match="has no support_ends, support_starts, so the passage of a pair is not known"):
        distill.run(config(small, tmp_path / "out", pack=tmp_path / "pack"))
