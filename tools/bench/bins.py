"""The bin packer `pack_best_fit`, side by side with NeMo's and TRL's, in one run.

1. 20,000 sequences against NeMo's `first_fit_decreasing` and `first_fit_shuffle` (nemo-toolkit, in .venv), on seeded
   lengths and on the lengths of JaQuAD's paragraphs (--data FOLDER; drawn again and again up to 20,000).
2. 1,000,000 sequences against the assignment within TRL's strategy `bfd`: from its call to the moment it begins to move
   tokens (`pc.take`), and without the copies that it makes before, so what TRL does with tokens is not counted. TRL
   is in an environment of its own, build/bench-trl, which the first run makes from exact pins (no torch needed).

Each gives the bin of every sequence, or the sequences of every bin. Of ours the median of five is shown, of the others
one run. "Over the bound" is how many more bins than ⌈Σ lengths / capacity⌉, which no packing can beat.

Run with `make bench`, or alone: `.venv/bin/python tools/bench/bins.py [--only nemo|trl]`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script it sees only its neighbours

from nemo_kcpt.packing import pack_best_fit
from tools.bench import data

ROOT = Path(__file__).resolve().parents[2]
TRL = ROOT / "build/bench-trl"
TRL_PINS = (
    "trl==1.16.0",
    "transformers==5.24.0",
    "datasets==5.2.0",
    "numpy==2.4.6",
    "pandas==3.1.1",
    "pyarrow==26.0.1",
)
CAPACITIES = (1024, 2048, 4096, 8192, 16384)
FEW, MANY, SEED = 20_000, 1_000_000, 20251125
Lengths = NDArray[np.int32]


def lognormal(count: int, capacity: int) -> Lengths:
    """Many short sequences and a long tail, median 245 tokens: about what a paper's pairs look like."""
    lengths = np.random.default_rng(SEED).lognormal(5.5, 0.9, count)
    return np.clip(lengths, 8, capacity).astype(np.int32)


def spread(count: int, capacity: int) -> Lengths:
    """Uniform from 8 tokens to half the window: few sequences a bin, the hard case."""
    return np.random.default_rng(SEED).integers(8, capacity // 2, count, dtype=np.int32)


def jaquad(count: int, capacity: int) -> Lengths:
    """Lengths of JaQuAD's paragraphs in llm-jp tokens, drawn with replacement."""
    from tokenizers import Tokenizer

    texts = [paragraph["context"] for article in data.jaquad() for paragraph in article["paragraphs"]]
    encodings = Tokenizer.from_file(str(data.llm_jp() / "tokenizer.json")).encode_batch_fast(
        texts, add_special_tokens=False
    )
    own = np.array([len(encoding.ids) for encoding in encodings], dtype=np.int32)
    return np.minimum(np.random.default_rng(SEED).choice(own, count), capacity)


SOURCES: dict[str, Callable[[int, int], Lengths]] = {"log-normal": lognormal, "uniform": spread, "JaQuAD": jaquad}


def cases(count: int) -> Iterator[tuple[str, int, Lengths]]:
    """Name, capacity and lengths of each comparison."""
    for name, make in SOURCES.items():
        if make is jaquad and not data.has_jaquad():
            continue
        for capacity in CAPACITIES:
            yield name, capacity, make(count, capacity)


def ours(lengths: Lengths, capacity: int) -> tuple[float, int]:
    """Median seconds, and the bins, checked."""
    seconds = []
    for _ in range(5):
        started = time.perf_counter()
        bins = pack_best_fit(lengths, capacity)
        seconds.append(time.perf_counter() - started)
    sums = np.bincount(bins, weights=lengths)
    assert sums.max() <= capacity and sums.sum() == lengths.sum() and sums.min() > 0
    return statistics.median(seconds), len(sums)


def bench_nemo() -> None:
    """Print seconds, ratios and bins at 20,000 sequences."""
    from nemo.utils.sequence_packing_utils import first_fit_decreasing, first_fit_shuffle

    print(f"\n{FEW:,} sequences: seconds and bins. x: NeMo's seconds in ours")
    print("  lengths     window      ours    bins  over bound    first_fit_decreasing      first_fit_shuffle")
    for name, capacity, lengths in cases(FEW):
        seconds, bins = ours(lengths, capacity)
        bound = -(-int(lengths.sum()) // capacity)
        line = f"  {name:10s} {capacity:7,} {seconds:9.4f} {bins:7,} {bins / bound - 1:11.3%}"
        for work in (first_fit_decreasing, first_fit_shuffle):
            given = lengths.tolist()
            np.random.seed(SEED)
            started = time.perf_counter()
            made = work(given, capacity)
            theirs = time.perf_counter() - started
            line += f" {theirs:7.1f} {len(made):7,} {theirs / seconds:6,.0f}x"
        print(line, flush=True)


THEIRS = """
import json, sys, time
import numpy as np, pyarrow as pa
from trl import data_utils
lengths, capacity = np.load(sys.argv[1]), int(sys.argv[2])
offsets = np.concatenate([[0], np.cumsum(lengths)])
tokens = pa.nulls(int(offsets[-1]))  # tokens that take no room: only the lengths matter here
table = pa.table({"input_ids": pa.LargeListArray.from_arrays(pa.array(offsets, pa.int64()), tokens)})
class Assigned(Exception):
    pass
take = data_utils.pc.take
def stop(*given, **options):
    bins = sys._getframe(1).f_locals.get("bins")
    if bins is None:  # sorting takes, too
        return take(*given, **options)
    raise Assigned(time.perf_counter(), len(bins))
data_utils.pc.take = stop
data_utils.pc.filter = lambda column, mask: column  # of empty sequences; there are none
started = time.perf_counter()
try:
    # Nothing is longer than the window, so nothing is split; "truncate" would copy every token first.
    data_utils._pack_bfd(table, capacity, "split")
except Assigned as found:
    ended, bins = found.args
    print(json.dumps([ended - started, bins]))
"""


def trl_python() -> Path:
    """The interpreter of TRL's environment, which is made where it is missing."""
    python, stamp = TRL / "bin/python", TRL / "pins.txt"
    pins = "\n".join(TRL_PINS)
    if not stamp.is_file() or stamp.read_text() != pins:
        print(f"  making {TRL.relative_to(ROOT)} ({', '.join(TRL_PINS)})", flush=True)
        subprocess.run([sys.executable, "-m", "venv", "--clear", str(TRL)], check=True)
        install = [str(python), "-m", "pip", "install", "-qqq", "--disable-pip-version-check"]
        subprocess.run([*install, "--no-deps", TRL_PINS[0]], check=True)  # what it asks for brings torch
        subprocess.run([*install, *TRL_PINS[1:]], check=True)
        stamp.write_text(pins)
    return python


def bench_trl() -> None:
    """Print seconds, ratios and bins at 1,000,000 sequences."""
    python = trl_python()
    print(f"\n{MANY:,} sequences: seconds and bins. x: TRL's seconds in ours")
    print("  lengths     window      ours      bins  over bound           TRL bfd")
    with tempfile.TemporaryDirectory() as folder:
        for name, capacity, lengths in cases(MANY):
            seconds, bins = ours(lengths, capacity)
            np.save(f"{folder}/lengths.npy", lengths)
            command = [str(python), "-W", "ignore", "-c", THEIRS, f"{folder}/lengths.npy", str(capacity)]
            done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True)
            theirs, their_bins = json.loads(done.stdout)
            bound = -(-int(lengths.sum()) // capacity)
            print(
                f"  {name:10s} {capacity:7,} {seconds:9.4f} {bins:9,} {bins / bound - 1:11.3%} "
                f"{theirs:7.2f} {their_bins:9,} {theirs / seconds:6,.0f}x",
                flush=True,
            )
            assert bins <= their_bins


BENCHES: dict[str, Callable[[], None]] = {"nemo": bench_nemo, "trl": bench_trl}


def main() -> None:
    """Run what was asked for."""
    options = data.parser(__doc__)
    options.add_argument("--only", choices=BENCHES)
    only = data.parsed(options).only
    for name, bench in BENCHES.items():
        if only in (None, name):
            bench()


if __name__ == "__main__":
    main()
