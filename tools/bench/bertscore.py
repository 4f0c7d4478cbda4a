"""BERTScore against bert-score on Japanese answers of mixed length, with one encoder and the same numbers.

Three models' answers to 700 questions make 2,100 pairs. Texts come from JaQuAD (--data FOLDER) where it is there, and
are made up otherwise. Two mixtures of answers are scored against the reference answers (Sent):

short   an answer span, its sentence, or one to three sentences: a few to 300 characters
mixed   passages cut at 5 to 1,000 characters, every order of magnitude as often: terse models and talkative ones

and the mixed ones against the article that the question was asked about (Doc), cut to what the encoder reads at once,
so that bert-score reads all of it too. The encoder is a BERT with random weights (3 layers, hidden 128, 1,024
positions, a token a character): its scores mean nothing, its time and padding do.

Both get all pairs in one call, bert-score with its usual batch of 64. Before, both score a few pairs. Doc is scored
after Sent by the same scorer, as `kcpt score` does, so kcpt has the answers still at hand; a last line tells what it
takes without them. Differences are those of P, R and F over all pairs; bert-score also raises negative similarities
to 0 where it pads.

Run with `make bench`, or alone: `.venv/bin/python tools/bench/bertscore.py [--questions N]`.
"""

from __future__ import annotations

import random
import re
import sys
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))  # run as a script it sees only its neighbours

from nemo_kcpt.evaluation.scoring.bertscore import BertScore
from tools.bench import data

LIMIT, MODELS, BATCH, LAYERS = 1024, 3, 64, 3
MADE_UP = (
    "手法{n}は、長い文書を要約するために{n}年に発表された。",
    "学習には{n}件の資料を用いた。",
    "再現率は{n}である。",
)


def articles() -> list[tuple[str, list[tuple[str, str]]]]:
    """(text, [(question's answer, paragraph)]) of each article."""
    entries = []
    for article in data.jaquad():
        asked = [(q["answers"][0]["text"], p["context"]) for p in article["paragraphs"] for q in p["qas"]]
        entries.append(("\n".join(p["context"] for p in article["paragraphs"]), asked))
    if entries:
        return entries
    print("no --data: made-up Japanese instead of JaQuAD")
    chosen = random.Random(0)
    for number in range(60):
        lines = ["".join(chosen.choice(MADE_UP).format(n=chosen.randrange(9999)) for _ in range(9)) for _ in range(9)]
        entries.append(("\n".join(lines), [(str(number * chosen.randrange(99)), line) for line in lines for _ in "ab"]))
    return entries


def sentences(text: str) -> list[str]:
    """Its sentences, with their full stops."""
    return [sentence for sentence in re.findall(r"[^。]+。?", text) if sentence.strip()]


def make_texts(questions: int) -> dict[str, list[str]]:
    """The `short` and the `mixed` answer, the `reference` and the `document` of each model and question."""
    chosen = random.Random(0)
    asked = [(answer, part, text) for text, pairs in articles() for answer, part in pairs]
    picked = [asked[index] for index in sorted(chosen.sample(range(len(asked)), min(questions, len(asked))))]
    own = [next((sentence for sentence in sentences(part) if answer in sentence), answer) for answer, part, _ in picked]
    texts: dict[str, list[str]] = {"short": [], "mixed": [], "reference": [], "document": []}
    references = [chosen.choice((answer, around)) for (answer, _, _), around in zip(picked, own)]
    for _ in range(MODELS):
        for (answer, part, text), around in zip(picked, own):
            lines = sentences(part)
            start = chosen.randrange(len(lines))
            passage = "".join(lines[start : start + chosen.randint(1, 3)])
            texts["short"].append(chosen.choice((answer, around, passage)))
            length = int(5 * 200 ** chosen.random())
            begin = chosen.randrange(max(1, len(text) - length))
            texts["mixed"].append(text[begin : begin + length])
            texts["document"].append(text)
        texts["reference"] += references
    return {name: [text[: LIMIT - 2] for text in column] for name, column in texts.items()}


def make_encoder(folder: Path, texts: Sequence[str]) -> Path:
    """A random BERT whose tokens are the texts' characters."""
    import torch
    from transformers import BertConfig, BertModel, BertTokenizerFast

    characters = sorted({character for text in texts for character in text if not character.isspace()})
    tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *characters, *(f"##{letter}" for letter in characters)]
    folder.mkdir()
    (folder / "vocab.txt").write_text("\n".join(tokens), encoding="utf-8")
    BertTokenizerFast(str(folder / "vocab.txt"), model_max_length=LIMIT, do_lower_case=False).save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(tokens),
        hidden_size=128,
        num_hidden_layers=LAYERS,
        num_attention_heads=2,
        intermediate_size=512,
        max_position_embeddings=LIMIT,
        initializer_range=0.1,
    )
    BertModel(config).save_pretrained(folder)
    return folder


def watched(model: Any) -> dict[str, int]:
    """Count the tokens, with and without padding, of everything that a network reads from now on."""
    counts = {"padded": 0, "real": 0}

    def see(module: Any, given: tuple[Any, ...], named: dict[str, Any]) -> None:
        counts["padded"] += named["attention_mask"].numel()
        counts["real"] += int(named["attention_mask"].sum())

    model.register_forward_pre_hook(see, with_kwargs=True)
    return counts


def compare(title: str, folder: Path, scorer: BertScore, answers: list[str], references: list[str]) -> None:
    """Print one row for each of the two; `scorer` may know some of the texts."""
    from bert_score import BERTScorer

    reference = BERTScorer(model_type=str(folder), num_layers=LAYERS, idf=False, batch_size=BATCH)
    reference.score(answers[:4], references[:4])
    BertScore(folder).score(answers[:4], references[:4])
    counts = {"bert-score": watched(reference._model), "kcpt": watched(scorer.encoder.model)}
    started = time.perf_counter()
    theirs = reference.score(answers, references, batch_size=BATCH)
    middle = time.perf_counter()
    ours = scorer.score(answers, references)
    seconds = {"bert-score": middle - started, "kcpt": time.perf_counter() - middle}
    print(f"\n{title}: {len(answers):,} pairs, {len({*answers, *references}):,} different texts")
    for name, count in counts.items():
        print(
            f"  {name:10s} {seconds[name]:7.1f} s {seconds['bert-score'] / seconds[name]:6.1f} x   padded/real "
            f"{count['padded'] / count['real']:6.2f}   {count['real']:9,} tokens of text",
            flush=True,
        )
    gaps = [
        max(abs(getattr(score, field) - other) for score, other in zip(ours, column.tolist()))
        for field, column in zip(("precision", "recall", "f1"), theirs)
    ]
    print(f"  largest difference: P {gaps[0]:.1e}, R {gaps[1]:.1e}, F {gaps[2]:.1e}")


def main() -> None:
    """Compare the two on each mixture."""
    options = data.parser(__doc__)
    options.add_argument("--questions", type=int, default=700)
    questions = data.parsed(options).questions
    warnings.filterwarnings("ignore")
    texts = make_texts(questions)
    with tempfile.TemporaryDirectory() as folder:
        encoder = make_encoder(Path(folder) / "bert", [text for column in texts.values() for text in column])
        compare("Sent, short answers", encoder, BertScore(encoder), texts["short"], texts["reference"])
        scorer = BertScore(encoder)
        compare("Sent, mixed answers", encoder, scorer, texts["mixed"], texts["reference"])
        compare("Doc, mixed answers", encoder, scorer, texts["mixed"], texts["document"])
        started = time.perf_counter()
        BertScore(encoder).score(texts["mixed"], texts["document"])
        print(f"  kcpt with nothing at hand, loading included: {time.perf_counter() - started:.1f} s")


if __name__ == "__main__":
    main()
