"""`kcpt corpus` beside a plain `datasets` pipeline that does the same steps: MB/s and peak memory over corpus sizes.

    .venv/bin/python tools/bench/corpus.py --sizes 10 100 1000

Both read the same JSON Lines, call the same functions on each document (cleaning, language, title, sections, MinHash),
drop the same duplicates and write JSON Lines, with as many processes as there are cores. Documents are made from the
sentences of JaQuAD (--data FOLDER), or of made-up ones without it, with noise for the cleaning to find; one in
fifty is a copy and one in fifty nearly one. Memory is the proportional set size of all processes together, sampled
ten times a second: what the machine must hold. A third line compares the two MinHash libraries.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script it sees only its neighbours

from tools.bench import data

CHARACTERS = 12_000
"""Characters of a document on average: a paper of the method's corpus has about 20,000."""


def sentences() -> list[str]:
    """Sentences to make documents from."""
    lines = [
        sentence + "。"
        for article in data.jaquad()
        for paragraph in article["paragraphs"]
        for sentence in paragraph["context"].split("。")
        if sentence.strip()
    ]
    if lines:
        return lines
    generator = random.Random(1)
    return ["".join(chr(generator.randrange(0x3042, 0x3092)) for _ in range(40)) + "。" for _ in range(12_000)]


def documents(megabytes: float) -> Iterator[dict[str, Any]]:
    """Records of about `megabytes` in all."""
    generator = random.Random(20261123)
    pool = sentences()
    written, number = 0, 0
    earlier: list[str] = []
    while written < megabytes * 1e6:
        text = ""
        while len(text) < generator.randrange(CHARACTERS // 2, 3 * CHARACTERS // 2):
            paragraph = "".join(generator.choices(pool, k=8))
            if generator.random() < 0.1:
                paragraph = "\n".join(paragraph[start : start + 40] for start in range(0, len(paragraph), 40))
            text += paragraph + "\r\n\r\n"
        kind = generator.random()
        if earlier and kind < 0.02:
            text = generator.choice(earlier)
        elif earlier and kind < 0.04:
            text = generator.choice(earlier) + "".join(generator.choices(pool, k=5))
        if len(earlier) < 1000:
            earlier.append(text)
        yield {"id": f"d{number}", "title": f"文書 {number}", "text": text, "license": "CC0"}
        written += len(text.encode())
        number += 1


def datasets_arm(source: Path, target: Path) -> None:
    """The same steps as a plain pipeline: load, map with all cores, duplicates in a dictionary, write."""
    import datasets

    from nemo_kcpt.corpus.papers import Settings, prepare
    from nemo_kcpt.corpus.similarity import similarity
    from nemo_kcpt.readers import Found

    settings = Settings()

    def step(record: dict[str, Any]) -> dict[str, Any]:
        row, paper = prepare(Found("", "", record), settings)
        assert paper is not None
        return {
            "paper": json.dumps(paper, ensure_ascii=False),
            "text_hash": row.text_hash,
            "bands": row.bands,
            "signature": row.signature,
        }

    loaded = datasets.load_dataset("json", data_files=str(source), split="train")
    loaded = loaded.map(step, num_proc=os.cpu_count(), remove_columns=loaded.column_names)
    seen: set[bytes] = set()
    kept: dict[int, int] = {}
    signatures: list[bytes] = []
    papers = 0
    with target.open("w", encoding="utf-8") as stream:
        for record in loaded:
            if record["text_hash"] in seen:
                continue
            seen.add(record["text_hash"])
            others = {kept[key] for key in record["bands"] if key in kept}
            if any(similarity(record["signature"], signatures[other]) >= 0.8 for other in others):
                continue
            kept.update(dict.fromkeys(record["bands"], len(signatures)))
            signatures.append(record["signature"])
            stream.write(record["paper"] + "\n")
            papers += 1
    print(f"{papers} papers")


def minhash_arm(megabytes: float) -> dict[str, float]:
    """MB/s of the two MinHash libraries on the shingles of the same documents."""
    import datasketch
    from rensa import RMinHash

    from nemo_kcpt.corpus.similarity import PERMUTATIONS, SHINGLE, units

    texts = [units(record["text"]) for record in documents(megabytes)]
    shingles = [[text[start : start + SHINGLE] for start in range(len(text) - SHINGLE + 1)] for text in texts]
    size = sum(len(text.encode()) for text in texts) / 1e6
    speeds = {}
    began = time.perf_counter()
    for words in shingles:
        sketch = RMinHash(num_perm=PERMUTATIONS, seed=1)
        sketch.update(words)
        sketch.digest()
    speeds["rensa"] = size / (time.perf_counter() - began)
    began = time.perf_counter()
    for words in shingles:
        datasketch.MinHash(num_perm=PERMUTATIONS).update_batch([word.encode() for word in words])
    speeds["datasketch"] = size / (time.perf_counter() - began)
    return speeds


class Memory:
    """Peak of the proportional set sizes of a process and all below it, sampled until `stop`."""

    def __init__(self, pid: int) -> None:
        self.peak = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def _watch(self) -> None:
        import psutil

        while not self._over.wait(0.1):
            total = 0
            try:
                root = psutil.Process(self._pid)
                for process in [root, *root.children(recursive=True)]:
                    total += process.memory_full_info().pss
            except psutil.Error:
                pass
            self.peak = max(self.peak, total)

    def stop(self) -> float:
        """Peak in MiB."""
        self._over.set()
        self._thread.join()
        return self.peak / (1 << 20)


def measure(command: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds and peak MiB of a command."""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env={**os.environ, **environment}
    )
    memory = Memory(process.pid)
    output, _ = process.communicate()
    if process.returncode:
        sys.exit(f"{' '.join(command)} failed:\n{output.decode()[-2000:]}")
    return time.perf_counter() - began, memory.stop()


def main() -> None:
    """Print MB/s, peak memory and ratios."""
    parser = data.parser(__doc__)
    parser.add_argument("--sizes", type=float, nargs="+", default=[10, 100], help="corpus sizes in MB of UTF-8")
    parser.add_argument("--only", choices=("ours",), help="leave the other pipeline out")
    parser.add_argument(
        "--keys", nargs="*", default=[], help="keys for kcpt corpus, as without=[all]; with --only ours"
    )
    parser.add_argument("--datasets-arm", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = data.parsed(parser)
    if options.datasets_arm:
        datasets_arm(*options.datasets_arm)
        return
    if options.keys and not options.only:
        parser.error("--keys would make the two pipelines do different work; give --only ours")
    print(f"{os.cpu_count()} cores; documents of about {CHARACTERS:,} characters")
    for megabytes in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            source = Path(folder) / "documents.jsonl"
            with source.open("w", encoding="utf-8") as stream:
                for record in documents(megabytes):
                    stream.write(json.dumps(record, ensure_ascii=False) + "\n")
            ours = [sys.executable, "-m", "nemo_kcpt.cli", "corpus", f"input={source}", f"out={folder}/corpus"]
            ours += options.keys
            theirs = [sys.executable, __file__, "--datasets-arm", str(source), f"{folder}/papers.jsonl"]
            arms = {"kcpt corpus": ours} | ({} if options.only else {"datasets": theirs})
            cache = {"HF_HOME": f"{folder}/cache", "HF_HUB_OFFLINE": "1"}
            size = source.stat().st_size / 1e6
            results = {name: measure(command, cache) for name, command in arms.items()}
        seconds = results["kcpt corpus"][0]
        for name, (taken, memory) in results.items():
            print(
                f"  {size:8.0f} MB  {name:12s} {size / taken:7.2f} MB/s  peak {memory:6.0f} MiB"
                f"   kcpt corpus is {taken / seconds:5.2f} x as fast"
            )
    if not options.only:
        speeds = minhash_arm(3)
        print(
            f"  MinHash: rensa {speeds['rensa']:.1f} MB/s, datasketch {speeds['datasketch']:.1f} MB/s "
            f"({speeds['rensa'] / speeds['datasketch']:.0f} x)"
        )


if __name__ == "__main__":
    main()
