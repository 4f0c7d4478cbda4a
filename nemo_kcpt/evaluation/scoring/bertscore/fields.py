"""The BERTScore fields of scores.jsonl."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring.config import Config as Config
from nemo_kcpt.evaluation.scoring.fact_values import Records
from nemo_kcpt.evaluation.scoring.placeholder_encoder import build
from nemo_kcpt.logs import LOG
from nemo_kcpt.records.files import Key
from nemo_kcpt.text.notation import as_in


def _encoder(config: Config) -> Path | str | None:
    if config.encoder == "none":
        return None
    if config.encoder != "placeholder":
        return config.encoder
    if config.encoder_tokenizer is None:
        raise BadInput(
            "encoder=placeholder needs encoder_tokenizer=FOLDER (a model's folder will do); see kcpt score --help"
        )

    LOG.warning("score: BERTScore with a placeholder encoder of random weights: these figures only show that it runs")
    return build(config.encoder_tokenizer, config.out)


def bertscores(
    config: Config,
    questions: Records,
    answers: Mapping[Key, Mapping[str, Any]],
    papers: Mapping[str, Mapping[str, Any]] | None,
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """The BERTScore fields of each answer, in the order of `answers`, and counts for the manifest."""
    names = [f"bertscore_{side}{part}" for side in ("sent", "doc") for part in ("", "_precision", "_recall")]
    rows: list[dict[str, Any]] = [{**dict.fromkeys(names), "encoder": None} for _ in answers]
    folder = _encoder(config)
    if folder is None:
        return rows, {"encoder": None}
    from nemo_kcpt.evaluation.scoring.bertscore import BertScore

    scorer = BertScore(
        folder, config.encoder_layers, tokens_per_batch=config.tokens_per_batch, allow_code=config.allow_code
    )
    texts = [answer["answer"] for answer in answers.values()]
    asked = [questions[question_id] for question_id, _ in answers]
    references = {"sent": [question["answer"] for question in asked]}
    if papers is not None:
        references["doc"] = [papers[question["paper_id"]]["text"] for question in asked]
    name = Path(folder).name if Path(folder).is_dir() else scorer.name
    rewritten = 0
    for side, wanted in references.items():
        said = [as_in(other, text) for text, other in zip(texts, wanted)] if config.one_notation else texts
        rewritten += sum(first != second for first, second in zip(said, texts))
        for row, score in zip(rows, scorer.score(said, wanted, f"BERTScore {side}")):
            row[f"bertscore_{side}"] = score.f1
            row[f"bertscore_{side}_precision"], row[f"bertscore_{side}_recall"] = score.precision, score.recall
            row["encoder"] = name
    if scorer.windowed:
        LOG.info("score: %d texts are longer than the encoder's limit and were read in windows", scorer.windowed)
    return rows, {
        "encoder": name,
        "windowed_texts": scorer.windowed,
        "windowed_rate": scorer.windowed_rate,
        "truncated_texts": scorer.truncated,
        "comparisons_with_numbers_in_one_notation": rewritten,
    }
