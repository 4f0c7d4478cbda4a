"""The judge's index over all papers (`kcpt judge evidence=corpus`), on JaQuAD (--data FOLDER).

1. For how many of JaQuAD's questions the sentence with the annotators' answer stands among the best passages, out of
   all articles; the question alone is looked for.
2. Time and memory for a corpus of N papers of 20,000 characters, mixed from JaQuAD's articles.

`.venv/bin/python tools/bench/corpus_index.py [--papers 2000]`; 0 leaves the second part out.
"""

from __future__ import annotations

import random
import resource
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script it sees only its neighbours

from nemo_kcpt.evaluation.corpus_index import CorpusIndex
from tools.bench import data
from tools.bench.packing import articles

BEST = (1, 3, 6, 12)
LENGTH = 20_000


def recall(index: CorpusIndex, known: Sequence[dict[str, Any]]) -> str:
    """Shares of questions whose answer's sentence begins in one of the best passages."""
    hits, number = dict.fromkeys(BEST, 0), 0
    for position, article in enumerate(known):
        for question, _, (start, _) in article["questions"]:
            number += 1
            for rank, passage in enumerate(index.search(question, max(BEST))):
                if passage.paper_id == str(position) and passage.start <= start < passage.end:
                    for best in BEST:
                        hits[best] += rank < best
                    break
    shares = ", ".join(f"{hits[best] / number:.3f} in the best {best}" for best in BEST)
    return f"{number} questions, {len(known)} articles, {len(index)} passages: {shares}"


def big(known: Sequence[dict[str, Any]], papers: int) -> str:
    """Seconds and memory for a corpus of so many papers."""
    generator = random.Random(0)
    paragraphs = [text for article in known for text in article["text"].split("\n\n") if text]
    questions = [question for article in known for question, _, _ in article["questions"]]
    made = {}
    for number in range(papers):
        text = ""
        while len(text) < LENGTH:
            text += generator.choice(paragraphs) + "\n"
        made[str(number)] = {"text": text[:LENGTH]}
    begun = time.monotonic()
    index = CorpusIndex(made)
    built = time.monotonic() - begun
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    times = []
    for queries in (questions[:50], [paragraphs[number][:400] for number in range(50)]):
        begun = time.monotonic()
        for query in queries:
            index.search(query, 6)
        times.append((time.monotonic() - begun) / len(queries) * 1000)
    return (
        f"{papers} papers, {len(index)} passages: built in {built:.0f} s, peak memory {peak:.1f} GB; "
        f"search {times[0]:.1f} ms for a question, {times[1]:.1f} ms for 400 characters"
    )


def main() -> None:
    """Print the figures."""
    options = data.parser(__doc__)
    options.add_argument("--papers", type=int, default=2000)
    given = data.parsed(options)
    if not data.has_jaquad():
        return
    known = articles()
    print(recall(CorpusIndex({str(position): article for position, article in enumerate(known)}), known), flush=True)
    if given.papers:
        print(big(known, given.papers))


if __name__ == "__main__":
    main()
