"""Scores of the answers, one record per question and model.

exact_match    1 if the answer states the right value of the fact and no other value of that fact; null for questions
               without `accepted` values. The other values come from facts=FILE, else from the questions themselves
bertscore_sent BERTScore F against the reference answer
bertscore_doc  BERTScore F against the paper's text; null without papers=
judge, judge_reason, fact_precision, fact_recall: null here

encoder=FOLDER is a local Hugging Face encoder, such as tohoku-nlp/tohokunlp-bert-500m-sq8192-alpha downloaded;
encoder=placeholder builds a tiny random one to try the pipeline (named so in every record); encoder=none leaves
BERTScore out.

Writes scores.jsonl.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING
from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.exact_match import exact_match
from nemo_kcpt.evaluation.inputs import Key, missing_answers, read_answers, read_papers, read_questions
from nemo_kcpt.files import file_in, read_jsonl, write_jsonl
from nemo_kcpt.logs import LOG
from nemo_kcpt.runs import shaping, stage

Records = Mapping[str, Mapping[str, Any]]


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt score`."""

    out: Path = Path(MISSING)
    """Folder for scores.jsonl."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    answers: Path = Path(MISSING)
    """Folder of kcpt generate, or an answers.jsonl."""
    papers: Path | None = None
    """Folder of kcpt corpus, or a papers.jsonl; for bertscore_doc."""
    facts: Path | None = None
    """facts.jsonl of the demo's fictional papers: all values that a fact takes."""
    encoder: str = "placeholder"
    """Folder of a Hugging Face encoder, placeholder, or none; see above."""
    encoder_layers: int = 0
    """Layer of the encoder that is compared; 0 takes the last."""
    encoder_tokenizer: Path | None = None
    """Tokenizer folder for encoder=placeholder, such as a model's folder."""
    batch_size: int = 64
    """Pairs that the encoder takes at a time."""


def values_by_fact(questions: Records, facts: Path | None) -> dict[str, tuple[str, ...]]:
    """Every value (in every accepted form) that each fact takes: over all fact sheets, else over all questions.

    Raises:
        BadInput: a fact sheet cannot be read.
    """
    values: dict[str, dict[str, None]] = {}
    for record in questions.values():
        if record.get("fact") is not None:
            values.setdefault(record["fact"], {}).update(dict.fromkeys(record.get("accepted") or ()))
    if facts is not None:
        from nemo_kcpt.demo.facts import FactSheet, accepted_values

        for number, record in enumerate(read_jsonl(facts), start=1):
            try:
                sheet = FactSheet.from_dict(record)
            except (ValueError, TypeError) as error:
                raise BadInput(f"{facts}, record {number}: {error}") from None
            for fact, known in values.items():
                known.update(dict.fromkeys(accepted_values(sheet, fact)))
    return {fact: tuple(known) for fact, known in values.items()}


def alternatives(question: Mapping[str, Any], values: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
    """Values of the question's fact that are wrong for it."""
    right = set(question.get("accepted") or ())
    return tuple(value for value in values.get(question.get("fact") or "", ()) if value not in right)


def _exact(question: Mapping[str, Any], answer: str, values: Mapping[str, tuple[str, ...]]) -> int | None:
    accepted = question.get("accepted")
    return int(exact_match(answer, accepted, alternatives(question, values))) if accepted else None


def _encoder(config: Config) -> Path | None:
    if config.encoder == "none":
        return None
    if config.encoder != "placeholder":
        return Path(config.encoder)
    if config.encoder_tokenizer is None:
        raise BadInput(
            "encoder=placeholder needs encoder_tokenizer=FOLDER (a model's folder will do); see kcpt score --help"
        )
    from nemo_kcpt.evaluation.placeholder_encoder import build

    LOG.warning("score: BERTScore with a placeholder encoder of random weights: these figures only show that it runs")
    return build(config.encoder_tokenizer, config.out)


def _papers_of(questions: Iterable[Mapping[str, Any]], path: Path) -> dict[str, dict[str, Any]]:
    papers = read_papers(path)
    for question in questions:
        if question["paper_id"] not in papers:
            raise BadInput(
                f"{file_in(path, 'papers.jsonl')}: paper '{question['paper_id']}' of question "
                f"'{question['question_id']}' is not in it; give the papers that the questions were made from"
            )
    return papers


def _bertscores(
    config: Config, questions: Records, answers: Mapping[Key, Mapping[str, Any]]
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Columns of scores (sent, doc, encoder), in the order of `answers`, and counts for the manifest."""
    nothing: list[float | None] = [None] * len(answers)
    columns: dict[str, Any] = {"sent": nothing, "doc": nothing, "encoder": [None] * len(answers)}
    papers = _papers_of(questions.values(), config.papers) if config.papers is not None else None
    folder = _encoder(config)
    if folder is None:
        return columns, {"encoder": None}
    from nemo_kcpt.evaluation.bertscore import BertScore

    scorer = BertScore(folder, config.encoder_layers, config.batch_size)
    texts = [answer["answer"] for answer in answers.values()]
    asked = [questions[question_id] for question_id, _ in answers]
    columns["encoder"] = [folder.name] * len(answers)
    columns["sent"] = scorer.f1(texts, [question["answer"] for question in asked])
    if papers is not None:
        columns["doc"] = scorer.f1(texts, [papers[question["paper_id"]]["text"] for question in asked])
    if scorer.truncated:
        LOG.warning(
            "score: %d texts are longer than the encoder's limit and were truncated for BERTScore", scorer.truncated
        )
    return columns, {"encoder": folder.name, "truncated_texts": scorer.truncated}


def _inputs(config: Config) -> dict[str, Path]:
    inputs = {"questions": config.questions, "answers": config.answers}
    if config.papers is not None:
        inputs["papers"] = config.papers
    if config.facts is not None:
        inputs["facts"] = config.facts
    if config.encoder not in ("placeholder", "none"):
        folder = Path(config.encoder)
        if not (folder / "config.json").is_file():
            raise BadInput(
                f"encoder={folder}: no config.json there; give a Hugging Face encoder folder, placeholder or none"
            )
        weights = sorted([*folder.glob("*.safetensors"), *folder.glob("pytorch_model*.bin")])
        inputs |= {f"encoder/{path.name}": path for path in [folder / "config.json", *weights]}
    elif config.encoder == "placeholder" and config.encoder_tokenizer is not None:
        inputs["encoder_tokenizer"] = config.encoder_tokenizer / "tokenizer.json"
    return inputs


def run(config: Config, redo: bool = False) -> None:
    """Write the scores unless they are there."""
    shape = shaping(config, "papers", "facts", "encoder_tokenizer", "encoder", "batch_size")
    shape["encoder"] = config.encoder if config.encoder in ("placeholder", "none") else Path(config.encoder).name
    with stage("score", config.out, config=shape, inputs=_inputs(config), redo=redo) as current:
        if current.done:
            LOG.info("score: %s is finished", config.out)
            return
        questions = read_questions(config.questions)
        answers = read_answers(config.answers, questions)
        unanswered = missing_answers(questions, answers)
        if unanswered:
            LOG.warning("score: %d answers are missing, the first is %s by %s", len(unanswered), *unanswered[0])
        values = values_by_fact(questions, config.facts)
        columns, counts = _bertscores(config, questions, answers)
        records = [
            {
                "question_id": question_id,
                "model": model,
                "bertscore_sent": sent,
                "bertscore_doc": doc,
                "judge": None,
                "judge_reason": None,
                "fact_precision": None,
                "fact_recall": None,
                "exact_match": _exact(questions[question_id], answer["answer"], values),
                "encoder": encoder,
            }
            for ((question_id, model), answer), sent, doc, encoder in zip(
                answers.items(), columns["sent"], columns["doc"], columns["encoder"]
            )
        ]
        write_jsonl(config.out / "scores.jsonl", records)
        current.add(config.out / "scores.jsonl")
        current.counts = {"scores": len(records), "missing_answers": len(unanswered), **counts}
        LOG.info("score: %d answers, BERTScore encoder: %s", len(records), counts["encoder"] or "none")
