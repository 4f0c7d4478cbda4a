"""The order of windows: a pure function of pack, seed, epoch and global index, whoever reads it and wherever it starts.

The ranks' samplers and loaders are NeMo's own (`add_megatron_sampler`), given rank and world size.
"""

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from nemo.lightning.data import WrappedDataLoader, add_megatron_sampler

from nemo_kcpt.data.windows import WindowDataset, epoch_order

GLOBAL_BATCH, EPOCHS = 8, 2
RANKS = (1, 2, 4, 8)


def rank_batches(
    dataset: WindowDataset, *, rank: int, ranks: int, micro_batch: int, workers: int, consumed: int
) -> Iterator[list[bytes]]:
    """The micro-batches of one rank, each a list of windows' bytes."""
    loader = add_megatron_sampler(
        WrappedDataLoader(mode="train", dataset=dataset, num_workers=workers, collate_fn=dataset.collate_fn),
        micro_batch_size=micro_batch,
        global_batch_size=GLOBAL_BATCH,
        consumed_samples=consumed,
        rank=rank,
        world_size=ranks,
    )
    for batch in loader:
        yield [tokens.numpy().tobytes() for tokens in batch["tokens"]]


def stream(
    dataset: WindowDataset, ranks: int, micro_batch: int, workers: int, consumed: int, steps: int | None = None
) -> list[bytes]:
    """What all ranks together read, in order: micro-batch by micro-batch, in each of them rank by rank."""
    loaders = [
        rank_batches(dataset, rank=rank, ranks=ranks, micro_batch=micro_batch, workers=workers, consumed=consumed)
        for rank in range(ranks)
    ]
    most = None if steps is None else steps * GLOBAL_BATCH // (ranks * micro_batch)
    turns = itertools.islice(zip(*loaders, strict=steps is None), most)
    return [sample for turn in turns for batch in turn for sample in batch]


@pytest.fixture(scope="module")
def dataset(pack: Path) -> WindowDataset:
    windows = WindowDataset(pack, samples=1, seed=3).info.windows
    samples = (EPOCHS * windows // GLOBAL_BATCH + 1) * GLOBAL_BATCH
    return WindowDataset(pack, samples=samples, seed=3)


@pytest.fixture(scope="module")
def expected(dataset: WindowDataset) -> list[bytes]:
    windows = dataset.info.windows
    order = [int(window) for epoch in range(EPOCHS + 1) for window in epoch_order(windows, 3, epoch)]
    tokens = [dataset._tokens[window].astype("int64").tobytes() for window in order]
    return tokens[: len(dataset)]


@pytest.mark.parametrize(("ranks", "micro_batch"), [(1, 1), (1, 4), (2, 1), (2, 4), (4, 2), (8, 1)])
def test_the_stream_is_the_same_for_every_number_of_ranks(
    dataset: WindowDataset, expected: list[bytes], ranks: int, micro_batch: int
) -> None:
    assert stream(dataset, ranks, micro_batch, 0, 0) == expected


@pytest.mark.slow
@pytest.mark.parametrize("ranks", [1, 8])
def test_workers_do_not_change_it(dataset: WindowDataset, expected: list[bytes], ranks: int) -> None:
    assert stream(dataset, ranks, 1, 2, 0) == expected


def check_resume(
    dataset: WindowDataset, expected: list[bytes], before: int, after: int, step: int, workers: int
) -> None:
    """Read up to a step with `before` ranks, the rest with `after` ranks: one stream, in order."""
    first = stream(dataset, before, 1, workers, 0, steps=step)
    rest = stream(dataset, after, 1, workers, step * GLOBAL_BATCH)
    assert first + rest == expected


@pytest.mark.parametrize("before", RANKS)
@pytest.mark.parametrize("after", RANKS)
def test_a_resume_at_every_step_goes_on_at_the_next_sample(
    dataset: WindowDataset, expected: list[bytes], before: int, after: int
) -> None:
    """Also when the number of ranks changed in between."""
    for step in range(len(expected) // GLOBAL_BATCH):
        check_resume(dataset, expected, before, after, step, workers=0)


@pytest.mark.slow
@pytest.mark.parametrize(("before", "after", "step"), [(1, 2, 1), (2, 1, 4), (4, 4, 2), (2, 4, 5)])
def test_a_resume_with_workers(
    dataset: WindowDataset, expected: list[bytes], before: int, after: int, step: int
) -> None:
    """Workers read ahead of the step at which the first training stopped."""
    check_resume(dataset, expected, before, after, step, workers=2)


def test_every_epoch_reads_all_windows_in_another_order(dataset: WindowDataset, expected: list[bytes]) -> None:
    windows = dataset.info.windows
    one, two = expected[:windows], expected[windows : 2 * windows]
    assert sorted(one) == sorted(two) and one != two
