"""Packing and its data module, side by side with what they are compared to, on JaQuAD (--data FOLDER).

1. Tokenising: tokens a second of `kcpt pack`'s tokenising against `datasets.map(batched=True)` with transformers' fast
   tokenizer and as many processes. Both read the same texts and end with all ids at hand; both start their processes
   within the time. Medians of three, taken in turns.
2. `concat` against `anchored` at 1k to 16k: the share of questions whose answer's whole sentence (marked by JaQuAD's
   annotators, not found by us) is in the window in which the pair begins, cut pairs, fill rate, repeated tokens.
   Beside the questions stand stand-ins for the long kinds of the method: for each paragraph a pair that says it again.
3. `kcpt pack` on JaQuAD twice and 20 times over, windows of 16k: tokens a second, and the most memory that all its
   processes held together, which must not follow the size.
4. The data module over the larger of these packs: samples a second and memory, against reading the same windows
   without it.

Run with `make bench`, or alone: `.venv/bin/python tools/bench/packing.py [--only tokenise|table|module]`.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script it sees only its neighbours

from nemo_kcpt.files import write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing import stage as pack_stage
from nemo_kcpt.packing.papers import Settings, chunked, in_parallel, tokenise
from nemo_kcpt.packing.sources import Source
from nemo_kcpt.packing.statistics import united
from nemo_kcpt.packing.store import iterate_table
from nemo_kcpt.runs import read_manifest, stage
from tools.bench import data

COPIES, TURNS, PROCESSES = 40, 3, os.cpu_count() or 1
LENGTHS = (1024, 2048, 4096, 8192, 16384)
TEMPLATE = (  # the llm-jp family's (its tokenizer_config.json)
    "{{ bos_token }}{{ '以下は、タスクを説明する指示です。要求を適切に満たす応答を書きなさい。' }}"
    "{% for message in messages %}{% if message['role'] == 'user' %}"
    "{{ '\\n\\n### 指示:\\n' + message['content'] }}{% else %}"
    "{{ '\\n\\n### 応答:\\n' + message['content'] + eos_token }}{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}{{ '\\n\\n### 応答:\\n' }}{% endif %}"
)
Span = tuple[int, int]


def articles() -> list[dict[str, Any]]:
    """JaQuAD's articles: `text`, and `pairs` of (question, answer, the answer's sentence in characters)."""
    entries = []
    for article in data.jaquad():
        text, pairs, repeated = "", [], []
        for paragraph in article["paragraphs"]:
            start = len(text)
            text += paragraph["context"] + "\n\n"
            end = start + len(paragraph["context"])
            repeated.append((f"「{paragraph['context'][:20]}…」の段落を述べよ。", text[start:end], (start, end)))
            for asked in paragraph["qas"]:
                answer = asked["answers"][0]
                begin = start + answer["answer_start"]
                pairs.append((asked["question"], answer["text"], (begin, begin + len(answer["text"]))))
        borders = [0, *(match.end() for match in re.finditer(r"[。\n]", text)), len(text)]
        questions = [(asked, said, _sentence(borders, where)) for asked, said, where in pairs]
        entries.append({"title": article["title"], "text": text, "questions": questions, "repeated": repeated})
    return entries


def _sentence(borders: list[int], where: Span) -> Span:
    return max(b for b in borders if b <= where[0]), min(b for b in borders if b >= where[1])


def tokenizer_folder(folder: Path) -> Path:
    """llm-jp's tokenizer with the family's chat template, in a folder of its own."""
    target = folder / "tokenizer"
    target.mkdir(parents=True)
    for path in data.llm_jp().iterdir():
        (target / path.name).write_bytes(path.read_bytes())
    (target / "chat_template.jinja").write_text(TEMPLATE, encoding="utf-8")
    return target


def ours(texts: list[str], tokenizer: Path) -> int:
    """Tokens of the texts, by `kcpt pack`'s tokenising."""
    sources = (Source("benchmark", {"paper_id": str(i), "text": text}) for i, text in enumerate(texts))
    chunks = chunked(sources, lambda source: source.size)
    made = in_parallel(chunks, tokenise, Settings(tokenizer=tokenizer, bos=False, eos=False), PROCESSES)
    return sum(len(paper.ids) for papers in made for paper in papers)


def theirs(texts: list[str], tokenizer: Path) -> int:
    """Tokens of the texts, by `datasets.map`."""
    import datasets
    from transformers import AutoTokenizer

    datasets.disable_progress_bars()
    datasets.disable_caching()
    fast = AutoTokenizer.from_pretrained(tokenizer)

    def encode(batch: dict[str, list[str]]) -> dict[str, Any]:
        return {"input_ids": fast(batch["text"], add_special_tokens=False, return_attention_mask=False)["input_ids"]}

    made = datasets.Dataset.from_dict({"text": texts}).map(
        encode, batched=True, num_proc=PROCESSES, remove_columns=["text"]
    )
    ids = made.with_format("arrow")[:].column("input_ids")
    return sum(len(chunk.values) for chunk in ids.chunks)


def bench_tokenising(folder: Path) -> None:
    """Print tokens a second of both, and the ratio."""
    os.environ["TOKENIZERS_PARALLELISM"] = "false"  # as many threads as processes, in both
    tokenizer, texts = tokenizer_folder(folder), [article["text"] for article in articles()] * COPIES
    arms: dict[str, Callable[[list[str], Path], int]] = {"datasets.map(batched=True)": theirs, "kcpt pack": ours}
    for work in arms.values():  # imports, caches
        work(texts[:200], tokenizer)
    speeds: dict[str, list[float]] = {name: [] for name in arms}
    tokens = set()
    for _ in range(TURNS):
        for name, work in arms.items():
            started = time.perf_counter()
            count = work(texts, tokenizer)
            speeds[name].append(count / (time.perf_counter() - started))
            tokens.add(count)
    assert len(tokens) == 1, f"the two disagree: {tokens}"
    print(f"\nTokenising JaQuAD {COPIES} times ({tokens.pop():,} tokens), {PROCESSES} processes each")
    reference = statistics.median(speeds["datasets.map(batched=True)"])
    for name, samples in speeds.items():
        speed = statistics.median(samples)
        print(f"  {name:28s} {speed:12,.0f} tokens/s   {speed / reference:5.2f} x")


def write_sources(folder: Path, entries: list[dict[str, Any]], heldout: Sequence[str] = ()) -> None:
    """The articles (a0, a1, …) as the folders that `kcpt corpus` and `kcpt synthesize` leave."""
    papers = [{"paper_id": f"a{i}", "title": entry["title"], "text": entry["text"]} for i, entry in enumerate(entries)]
    records = [
        {"paper_id": f"a{i}", "kind": kind, "pairs": [{"instruction": q, "output": a} for q, a, _ in entry[name]]}
        for i, entry in enumerate(entries)
        for kind, name in (("qa_easy", "questions"), ("paraphrase", "repeated"))
    ]
    with stage("corpus", folder / "corpus", config={}, inputs={}) as current:
        write_jsonl(folder / "corpus/papers.jsonl", papers)
        (folder / "corpus/split.json").write_text(json.dumps({"seed": 0, "heldout": list(heldout), "train": []}))
        current.add(folder / "corpus/papers.jsonl", folder / "corpus/split.json")
    with stage("synthesize", folder / "synthetic", config={}, inputs={}) as current:
        write_jsonl(folder / "synthetic/synthetic.jsonl", records)
        current.add(folder / "synthetic/synthetic.jsonl")


def gold_spans(entries: list[dict[str, Any]], tokenizer: PackTokenizer) -> list[Span]:
    """The tokens of its paper's text that each pair was made from, in the order of the pack."""
    spans = []
    for article in entries:
        starts = tokenizer.texts_with_starts([article["text"]])[0].starts
        for _, _, (begin, end) in [*article["questions"], *article["repeated"]]:
            first = int(np.searchsorted(starts, begin, side="right")) - 1
            last = int(np.searchsorted(starts, end - 1, side="right")) - 1
            spans.append((first + 1, last + 2))  # the text begins with <s>
    return spans


def beside(pack: Path, gold: list[Span], kinds: dict[str, list[int]]) -> None:
    """Count for each kind [pairs, pairs whose gold span is in the window in which they begin]."""
    for row in iterate_table(pack):
        texts: dict[str, list[Span]] = {}
        ends = [*row["segment_starts"][1:], row["length"]]
        columns = ("paper_ids", "segment_roles", "segment_starts", "segment_offsets", "segment_pairs", "segment_kinds")
        segments = list(zip(*(row[name] for name in columns), ends))
        for paper, role, start, offset, _, _, end in segments:
            if role == "text":
                texts.setdefault(paper, []).append((offset, offset + end - start))
        for paper, _, _, offset, pair, kind, _ in segments:
            if pair >= 0 and offset == 0:
                begin, end = gold[pair]
                count = kinds.setdefault(kind, [0, 0])
                count[0] += 1
                count[1] += any(start <= begin and end <= stop for start, stop in united(texts.get(paper, [])))


def bench_table(folder: Path) -> None:
    """Print the table of `concat` against `anchored`."""
    tokenizer, entries = tokenizer_folder(folder), articles()
    write_sources(folder, entries)
    gold = gold_spans(entries, PackTokenizer(tokenizer))
    print(
        f"\nJaQuAD: {len(entries)} articles, {len(gold):,} pairs; shares are of pairs with their true passage "
        "beside them"
    )
    print("  window mode      questions  paragraphs  all pairs  cut pairs    fill  added by repetition")
    for seq_length in LENGTHS:
        for mode in ("concat", "anchored"):
            out = folder / f"{mode}-{seq_length}"
            pack_stage.run(
                pack_stage.Config(
                    mode=mode,
                    seq_length=seq_length,
                    tokenizer=tokenizer,
                    out=out,
                    corpus=folder / "corpus",
                    synthetic=folder / "synthetic",
                )
            )
            kinds: dict[str, list[int]] = {}
            beside(out, gold, kinds)
            counts = read_manifest(out)["counts"]
            shares = [kinds[kind][1] / kinds[kind][0] for kind in ("qa_easy", "paraphrase")]
            together = sum(count[1] for count in kinds.values()) / counts["pairs"]
            print(
                f"  {seq_length:6d} {mode:9s} {shares[0]:9.1%} {shares[1]:11.1%} {together:10.1%} "
                f"{counts['cut_pairs']:10,} {counts['fill_rate']:7.1%} {counts['repeated_share']:21.1%}"
            )


MODULE = """
import sys, time
from pathlib import Path
import psutil
from nemo.lightning.data import add_megatron_sampler
from nemo_kcpt.data import PackedPretrainingDataModule  # noqa: E402
from nemo_kcpt.data.windows import WindowDataset  # noqa: E402
from nemo_kcpt.packing.store import open_tokens  # noqa: E402
pack, attention, samples = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
before = psutil.Process().memory_info().rss
started = time.perf_counter()
if attention == "bare":
    tokens = open_tokens(pack)
    for sample in range(samples):
        tokens[sample % len(tokens)].astype("int64")
else:
    module = PackedPretrainingDataModule(str(pack), micro_batch_size=1, global_batch_size=8, attention=attention)
    class Trainer: max_steps, global_step = samples // 8, 0
    module.trainer = Trainer
    loader = module.train_dataloader()
    loader = add_megatron_sampler(loader, micro_batch_size=1, global_batch_size=8, rank=0, world_size=1)
    for _, batch in zip(range(samples), loader):
        pass
seconds = time.perf_counter() - started
print(samples / seconds, (psutil.Process().memory_info().rss - before) / 2**20)
"""


def pack_watched(folder: Path, copies: int, tokenizer: Path) -> Path:
    """Pack JaQuAD `copies` times over by `kcpt pack`; print speed and memory, return the pack."""
    write_sources(folder, articles() * copies)
    out = folder / "anchored-16384"
    kcpt = Path(sys.executable).with_name("kcpt")
    keys = ["seq_length=16384", f"tokenizer={tokenizer}", f"out={out}"]
    sources = [f"corpus={folder / 'corpus'}", f"synthetic={folder / 'synthetic'}"]
    started, most = time.perf_counter(), 0
    with subprocess.Popen([kcpt, "pack", *keys, *sources], stderr=subprocess.DEVNULL) as process:
        while process.poll() is None:
            with contextlib.suppress(psutil.NoSuchProcess):
                parent = psutil.Process(process.pid)
                everyone = [parent, *parent.children(recursive=True)]
                most = max(most, sum(member.memory_full_info().pss for member in everyone))
            time.sleep(0.2)
    assert process.returncode == 0
    seconds, tokens = time.perf_counter() - started, read_manifest(out)["counts"]["tokens"]
    print(
        f"  JaQuAD {copies:2d} times: {tokens:12,} tokens in {seconds:5.0f} s, {tokens / seconds:9,.0f} tokens/s, "
        f"{most / 2**20:6,.0f} MiB at most in all processes",
        flush=True,
    )
    return out


def bench_module(folder: Path) -> None:
    """Print what packing takes at two sizes, and samples a second and memory of the data module at 16k windows."""
    tokenizer = tokenizer_folder(folder)
    print(f"\nkcpt pack mode=anchored seq_length=16384, {PROCESSES} processes")
    packs = [pack_watched(folder / f"{copies}", copies, tokenizer) for copies in (2, 20)]
    out = packs[-1]
    windows, size = read_manifest(out)["counts"]["windows"], (out / "tokens.bin").stat().st_size
    print(f"\nData module: {windows} windows of 16,384 tokens ({size / 2**20:.0f} MiB of ids), 2,000 samples each")
    for name, attention in (("bare IndexedDataset", "bare"), ("causal", "causal"), ("block_diagonal",) * 2):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", MODULE, str(out), attention, "2000"],
            capture_output=True,
            text=True,
            check=True,
        )
        speed, memory = (float(word) for word in done.stdout.split()[-2:])
        print(f"  {name:20s} {speed:9,.0f} samples/s  {memory:7.0f} MiB more than after the imports")
    print("  A dense mask would be 256 MiB a sample (16,384 x 16,384 booleans).")


BENCHES: dict[str, Callable[[Path], None]] = {
    "tokenise": bench_tokenising,
    "table": bench_table,
    "module": bench_module,
}


def main() -> None:
    """Run what was asked for."""
    options = data.parser(__doc__)
    options.add_argument("--only", choices=BENCHES)
    only = data.parsed(options).only
    if not data.has_jaquad():
        return
    for name, bench in BENCHES.items():
        if only in (None, name):
            with tempfile.TemporaryDirectory() as folder:
                bench(Path(folder))


if __name__ == "__main__":
    main()
