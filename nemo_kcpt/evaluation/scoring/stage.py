"""Scores of the answers, one record per question and model.

exact_match      1 if the answer states the right value of the fact and no other value of that fact; null for questions
                 without `accepted` values. The other values come from facts=FILE, else from the questions themselves
bertscore_sent   BERTScore F against the reference answer (beside it _precision and _recall)
bertscore_doc    BERTScore F against the paper's text; null without papers=
fact_precision   share of the answer's numbers and names that the reference or the paper has; null if it has none
fact_recall      share of the reference's numbers and names that the answer states; null if it has none
facts            those of the answer: text, place, and supported, contradicted or unknown, and where it was found
combined         probability that people would call the answer right, by a small logistic model over the facts, words
                 and negation of the answer: the headline number, beside the judge
instruction      1 if the answer passes all `checks` of its question (questions of kcpt questions retention=), else 0;
                 only where a question has checks
judge, judge_reason  from verdicts=FOLDER of kcpt judge; null without
others           of scorers that installed packages add, each under its name (scorers=[NAME]; CONTRIBUTING.md)

encoder=FOLDER is a local Hugging Face encoder or the name of one, as REPOSITORY or REPOSITORY@REVISION; the method's
own is the default (500M parameters, 8,192 tokens, custom code that allow_code= must name). encoder=placeholder builds a
tiny random one to try the pipeline (named so in every record); encoder=none leaves BERTScore out.

  kcpt score questions=… answers=… papers=… out=runs/a/scores encoder=none
  kcpt score questions=… answers=… papers=… out=runs/a/scores --agreement ratings.jsonl  # do they agree with people?
  kcpt score questions=… answers=… papers=… out=runs/b/scores calibrate=ratings.jsonl    # the combined score, anew

Where the answers are to questions of kcpt questions retention= or general=, by base=NAME and by others, it also says
what each kept of what base answered right, in retention.json.

Writes scores.jsonl and combined.json, with scorers= also scorers.json, with agreement= also agreement.json and
agreement.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nemo_kcpt import plugins
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring import combined, instructions, retention, scorers
from nemo_kcpt.evaluation.scoring.bertscore.fields import bertscores
from nemo_kcpt.evaluation.scoring.combined import features
from nemo_kcpt.evaluation.scoring.config import Config as Config
from nemo_kcpt.evaluation.scoring.exact_match import exact_match
from nemo_kcpt.evaluation.scoring.fact_values import Records, alternatives, values_by_fact
from nemo_kcpt.evaluation.scoring.facts import Corpus, check
from nemo_kcpt.files import atomic_write, write_json, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.plugins import Plugin
from nemo_kcpt.progress import progress
from nemo_kcpt.records.files import SCORES, VERDICTS, Key
from nemo_kcpt.records.inputs import check_papers_of, missing_answers, read_answers, read_papers, read_questions
from nemo_kcpt.runs import Stage, shaping, stage
from nemo_kcpt.stats import agreement
from nemo_kcpt.stats.agreement import read_ratings


def _exact(question: Mapping[str, Any], answer: str, values: Mapping[str, tuple[str, ...]]) -> int | None:
    accepted = question.get("accepted")
    return int(exact_match(answer, accepted, alternatives(question, values))) if accepted else None


def _fact_rows(
    questions: Records, answers: Mapping[Key, Mapping[str, Any]], papers: Mapping[str, Mapping[str, Any]] | None
) -> tuple[list[dict[str, Any]], list[dict[str, float | None]]]:
    """The fact fields of each answer, and the features of the combined score."""
    corpus = Corpus(papers) if papers is not None else None
    rows: list[dict[str, Any]] = []
    values: list[dict[str, float | None]] = []
    with progress() as bar:
        for (question_id, _), answer in bar.track(answers.items(), description="fact checks"):
            question, text = questions[question_id], answer["answer"]
            paper = corpus.source(question["paper_id"]) if corpus is not None else None
            accepted = tuple(question.get("accepted") or ())
            checked = check(question["question"], text, question["answer"], paper, corpus, accepted)
            rows.append(
                {
                    "fact_precision": checked.precision,
                    "fact_recall": checked.recall,
                    "facts": [asdict(fact) for fact in checked.facts],
                    "facts_wanted": [list(fact) for fact in checked.wanted],
                }
            )
            values.append(dict(features(question["question"], text, question["answer"], checked, paper)))
    return rows, values


def _combine(
    config: Config, keys: Sequence[Key], texts: Sequence[str], rows: list[dict[str, float | None]], questions: Records
) -> tuple[list[float], Any]:
    """The combined score of each answer, and its model."""
    if config.calibrate is None:
        model = combined.read_combined(config.combined) if config.combined is not None else combined.read_combined()
        scores = [model.score(row) for row in rows]
    else:
        ratings = read_ratings(config.calibrate, dict.fromkeys(keys))
        rated = [index for index, key in enumerate(keys) if key in ratings and ratings[key] != 0.5]
        known, labels = [rows[index] for index in rated], [int(ratings[keys[index]] > 0.5) for index in rated]
        model = combined.fit(known, labels, f"the ratings in {Path(config.calibrate).name}")
        scores = [model.score(row) for row in rows]
        apart = combined.fold_scores(known, labels, [questions[keys[index][0]]["paper_id"] for index in rated])
        if apart is None:
            LOG.warning("score: too few papers are rated to score rated answers by models that do not know them")
        for index, score in zip(rated, apart or []):
            scores[index] = score
    for line in model.table():
        LOG.info("%s", line)
    # An empty answer is wrong, whatever a model makes of its features.
    return [score if text.strip() else 0.0 for score, text in zip(scores, texts)], model


def _verdicts(path: Path | None, answers: Mapping[Key, Any]) -> dict[Key, dict[str, Any]]:
    """The judge's records by (question_id, model).

    Raises:
        BadInput: a verdict that is not 0, 1 or null.
    """
    if path is None:
        return {}
    verdicts = {}
    for where, key, record in VERDICTS.keyed(path):
        if record["judge"] not in (0, 1, None) or isinstance(record["judge"], bool):
            raise BadInput(f"{where}: judge is {record['judge']!r}; expected 0, 1 or null")
        verdicts[key] = record
    lacking = [key for key in answers if key not in verdicts]
    if lacking:
        LOG.warning("score: %d answers have no verdict, the first is '%s' by %s", len(lacking), *lacking[0])
    return verdicts


def _inputs(config: Config) -> dict[str, Path]:
    inputs = {"questions": config.questions, "answers": config.answers}
    for name in ("papers", "facts", "verdicts", "combined", "calibrate"):
        if (path := getattr(config, name)) is not None:
            inputs[name] = path
    folder = Path(config.encoder)
    if config.encoder == "placeholder" and config.encoder_tokenizer is not None:
        inputs["encoder_tokenizer"] = config.encoder_tokenizer / "tokenizer.json"
    elif folder.is_dir():
        if not (folder / "config.json").is_file():
            raise BadInput(
                f"encoder={folder}: no config.json there; give a Hugging Face encoder folder, placeholder or none"
            )
        weights = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
        inputs |= {f"encoder/{path.name}": path for path in [folder / "config.json", *weights]}
    return inputs


def _agree(config: Config) -> None:
    """Write agreement.json and agreement.md, from the scores that are there."""
    questions = read_questions(config.questions)
    scores = {key: record for _, key, record in SCORES.keyed(config.out)}
    if config.agreement == agreement.ORACLE:
        ratings = {key: float(row["exact_match"]) for key, row in scores.items() if row["exact_match"] is not None}
        if not ratings:
            raise BadInput("agreement=oracle: no answer has an exact_match; it needs questions with `accepted` values")
    else:
        ratings = agreement.read_ratings(Path(config.agreement), scores)
    papers = {question_id: str(record["paper_id"]) for question_id, record in questions.items()}
    summary = agreement.agreement(scores, ratings, papers, config.seed, config.scorers)
    lines = agreement.table(summary)
    write_json(config.out / "agreement.json", summary)
    with atomic_write(config.out / "agreement.md") as stream:
        stream.write("\n".join([lines[0], "", *lines[1:], ""]))
    for line in lines:
        LOG.info("%s", line)


def run(config: Config, redo: bool = False) -> None:
    """Write the scores unless they are there, and the agreement with ratings if it is asked for."""
    paths = ("papers", "facts", "verdicts", "combined", "calibrate", "encoder_tokenizer")
    shape = shaping(config, *paths, "encoder", "tokens_per_batch", "allow_code", "agreement", "seed")
    others = scorers.chosen(config.scorers)
    shape |= plugins.used(others)
    shape["encoder"] = Path(config.encoder).name if Path(config.encoder).is_dir() else config.encoder
    with stage("score", config.out, config=shape, inputs=_inputs(config), redo=redo) as current:
        if current.done:
            LOG.info("score: %s is finished", config.out)
        else:
            _score(config, current, others)
    if config.agreement:
        _agree(config)


def _score(config: Config, current: Stage, others: Sequence[Plugin]) -> None:
    questions = read_questions(config.questions)
    answers = read_answers(config.answers, questions)
    unanswered = missing_answers(questions, answers)
    if unanswered:
        LOG.warning("score: %d answers are missing, the first is %s by %s", len(unanswered), *unanswered[0])
    papers = read_papers(config.papers) if config.papers is not None else None
    if papers is not None and config.papers is not None:
        check_papers_of(questions.values(), papers, config.papers)
    values = values_by_fact(questions, config.facts)
    verdicts = _verdicts(config.verdicts, answers)
    checks = {name: instructions.read_checks(question) for name, question in questions.items()}
    added = scorers.scored(others, questions, answers, papers)  # first: they may fail
    similar, counts = bertscores(config, questions, answers, papers)
    records: list[dict[str, Any]] = []
    for (key, answer), row, more in zip(answers.items(), similar, added):
        verdict = verdicts.get(key, {})
        head = {"question_id": key[0], "model": key[1], "combined": None}
        exact = {"exact_match": _exact(questions[key[0]], answer["answer"], values)}
        judge = {"judge": verdict.get("judge"), "judge_reason": verdict.get("judge_reason")}
        wanted = checks[key[0]]
        if any(checks.values()):
            exact |= {"instruction": None if wanted is None else int(instructions.follows(answer["answer"], wanted))}
        records.append({**head, **exact, **judge, "fact_precision": None, "fact_recall": None, **row, **more})
    if config.fact_checks:
        facts, features = _fact_rows(questions, answers, papers)
        for record, fact_row, feature in zip(records, facts, features):
            record |= fact_row
            feature |= {name: record[name] for name in ("bertscore_sent", "bertscore_doc", "judge")}
        texts = [answer["answer"] for answer in answers.values()]
        scores, model = _combine(config, list(answers), texts, features, questions)
        for record, score in zip(records, scores):
            record["combined"] = round(score, 6)
        write_json(config.out / "combined.json", model.to_dict())
        current.add(config.out / "combined.json")
    write_jsonl(config.out / SCORES.name, records)
    current.add(config.out / SCORES.name)
    if others:
        write_json(config.out / scorers.FILE, scorers.described(others))
        current.add(config.out / scorers.FILE)
    current.add(*retention.write_retention(config.out, config.base, questions, records))
    invalid = sum(record["judge"] is None for record in records) if verdicts else None
    current.counts = {"scores": len(records), "missing_answers": len(unanswered), "without_verdict": invalid, **counts}
    LOG.info("score: %d answers, BERTScore encoder: %s", len(records), counts["encoder"] or "none")
    for name in dict.fromkeys(model for _, model in answers):
        _tell(name, [record for record in records if record["model"] == name], config.scorers)


def _tell(name: str, records: Sequence[Mapping[str, Any]], others: Sequence[str]) -> None:
    """A model's means in the log."""
    parts = []
    for score in ("combined", "judge", "exact_match", "instruction", "bertscore_sent", "bertscore_doc", *others):
        known = [record[score] for record in records if record.get(score) is not None]
        if known:
            parts.append(f"{score} {sum(known) / len(known):.3f}")
    LOG.info("score: %s: %s", name, ", ".join(parts) or "no score")
