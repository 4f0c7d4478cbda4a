"""Samples of a pack: shifted labels, loss only where it belongs, an order that nothing but seed and place decide."""

from itertools import pairwise
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.data.windows import WindowDataset, epoch_order
from nemo_kcpt.packing.store import iterate_table


@given(st.integers(1, 200), st.integers(0, 2**31), st.integers(0, 5))
def test_an_epoch_reads_every_window_once(windows: int, seed: int, epoch: int) -> None:
    order = epoch_order(windows, seed, epoch)
    assert sorted(order.tolist()) == list(range(windows))
    assert (order == epoch_order(windows, seed, epoch)).all()
    if windows > 20:
        assert (order != epoch_order(windows, seed, epoch + 1)).any()


@given(st.integers(1, 300), st.integers(0, 80), st.integers(0, 3))
def test_replay_is_spread_evenly(own: int, replay: int, epoch: int) -> None:
    order = epoch_order(own + replay, 5, epoch, replay)
    assert sorted(order.tolist()) == list(range(own + replay))
    is_replay = np.concatenate([[0], np.cumsum(order >= own)])
    share = replay / (own + replay)
    for length in (1, 7, 20, own + replay):
        for start in range(0, own + replay - length + 1, 3):
            assert abs(is_replay[start + length] - is_replay[start] - share * length) <= 1 + 1e-9
    if replay > 20:
        again = epoch_order(own + replay, 5, epoch + 1, replay)
        assert (again[again >= own] != order[order >= own]).any()


@given(st.integers(1, 60), st.integers(2, 80), st.integers(2, 7), st.integers(0, 3))
def test_replay_of_several_passes_is_read_part_by_part(own: int, replay: int, passes: int, turn: int) -> None:
    epochs = [epoch_order(own + replay, 5, turn * passes + part, replay, passes) for part in range(passes)]
    read = np.concatenate([order[order >= own] for order in epochs])
    assert all(sorted(order[order < own]) == list(range(own)) for order in epochs)
    assert {len(order) for order in epochs} == {own + replay // passes}
    assert len(set(read.tolist())) == len(read) == replay // passes * passes
    following = epoch_order(own + replay, 5, (turn + 1) * passes, replay, passes)
    if replay // passes > 20:
        assert (following[following >= own] != epochs[0][epochs[0] >= own]).any()


def test_the_stream_is_the_same_wherever_it_is_entered(pack: Path) -> None:
    dataset = WindowDataset(pack, samples=1000, seed=7)
    windows = dataset.info.windows
    first = [dataset[sample]["tokens"].numpy().tobytes() for sample in range(2 * windows)]
    assert sorted(first[:windows]) == sorted(first[windows:]) and first[:windows] != first[windows:]
    fresh = WindowDataset(pack, samples=1000, seed=7)
    for sample in (windows + 3, 1, 2 * windows - 1, 0):
        assert fresh[sample]["tokens"].numpy().tobytes() == first[sample]


def test_labels_are_the_next_tokens_and_padding_bears_no_loss(pack: Path) -> None:
    dataset = WindowDataset(pack, samples=100, seed=0)
    rows = list(iterate_table(pack))
    order = epoch_order(dataset.info.windows, 0, 0)
    for sample in range(dataset.info.windows):
        item, length = dataset[sample], rows[order[sample]]["length"]
        assert (item["labels"][:-1] == item["tokens"][1:]).all()
        assert item["loss_mask"].sum() == length - 1
        assert (item["loss_mask"][: length - 1] == 1).all()


def test_loss_on_outputs_falls_on_the_tokens_of_replies(pack: Path) -> None:
    dataset = WindowDataset(pack, samples=100, seed=0, loss="outputs")
    rows, order = list(iterate_table(pack)), epoch_order(dataset.info.windows, 0, 0)
    for sample in range(dataset.info.windows):
        row, mask = rows[order[sample]], dataset[sample]["loss_mask"].numpy()
        role_of = np.full(32, "padding", dtype=object)
        for start, end, role in zip(
            row["segment_starts"], [*row["segment_starts"][1:], row["length"]], row["segment_roles"]
        ):
            role_of[start:end] = role
        # The mask at position i is about predicting token i + 1.
        assert mask[:-1].tolist() == [float(role == "output") for role in role_of[1:]]
        assert mask[-1] == 0


def test_loss_on_content_leaves_out_the_prompts_of_pairs_alone(pack: Path) -> None:
    dataset = WindowDataset(pack, samples=100, seed=0, loss="content")
    rows, order, left_out = list(iterate_table(pack)), epoch_order(dataset.info.windows, 0, 0), 0
    for sample in range(dataset.info.windows):
        row, mask = rows[order[sample]], dataset[sample]["loss_mask"].numpy()
        segments = zip(row["segment_starts"], [*row["segment_starts"][1:], row["length"]], row["segment_roles"])
        bears = np.zeros(32)
        for start, end, role in segments:
            bears[start:end] = role in ("text", "output")
        assert mask.tolist() == [*bears[1:], 0]
        left_out += int(row["length"] - bears.sum())
    assert left_out > 0


def test_block_diagonal_samples_say_where_documents_end(pack: Path) -> None:
    """In NeMo's own terms: what `get_packed_seq_params` makes of them are the documents of the table."""
    from nemo.collections.llm.gpt.model.base import get_packed_seq_params

    causal = WindowDataset(pack, samples=100, seed=0)
    dataset = WindowDataset(pack, samples=100, seed=0, attention="block_diagonal")
    rows = list(iterate_table(pack))
    shapes = set()
    for sample in range(dataset.info.windows):
        item, plain = dataset[sample], causal[sample]
        row = rows[dataset.window_of(sample)]
        borders = [*row["cu_seqlens"], *([32] if row["length"] < 32 else [])]
        shapes.add(tuple(item["cu_seqlens"].shape))
        packed = get_packed_seq_params(dataset.collate_fn([item]))
        assert packed.cu_seqlens_q.tolist() == borders and packed.qkv_format == "thd"
        assert int(packed.max_seqlen_q) == max(np.diff(borders))
        expected = [place for start, end in pairwise(borders) for place in range(end - start)]
        assert item["position_ids"].tolist() == expected
        assert (item["tokens"] == plain["tokens"]).all() and (item["labels"] == plain["labels"]).all()
        # No document is asked for the first token of the next one.
        assert all(item["loss_mask"][start - 1] == 0 for start in borders[1:])
        left = [place for place in range(32) if place + 1 not in borders]
        assert (item["loss_mask"][left] == plain["loss_mask"][left]).all()
        assert sum(tensor.numel() for tensor in item.values()) < 5 * 32  # no [seq, seq] mask
    assert len(shapes) == 1
