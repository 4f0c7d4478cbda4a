"""Answers of models that a server has."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from nemo_kcpt.evaluation.answers import server as server_engine
from nemo_kcpt.evaluation.answers.config import Config as Config
from nemo_kcpt.evaluation.answers.plain import answered, told_by_others
from nemo_kcpt.hf.chat_template import given_template
from nemo_kcpt.progress import progress
from nemo_kcpt.serving.prompts import Journal, Key, prompt_tokenizer

OPTIONAL = ("served_model", "thought_characters", "thought_tokens")
"""Fields of a server's answer that not every one has."""


def from_server(
    config: Config,
    models: Mapping[str, Path],
    questions: Mapping[str, Any],
    journal: Journal,
    entries: Mapping[Key, Mapping[str, Any]],
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """answers.jsonl from a server's texts, in the same order, and the engine's name."""
    wanted = [(question_id, name) for question_id in questions for name in models]
    requests = [
        server_engine.Request(question_id, name, models[name].as_posix(), questions[question_id]["question"])
        for question_id, name in wanted
        if (question_id, name) not in entries
    ]
    expected: dict[str, int] = {}
    llm = config.llm()
    if config.template is not None:
        given, how_much = given_template(config.chat_template), config.how_much
        tokenizer, _ = prompt_tokenizer(config.template, given, config.template_date, how_much)
        llm = replace(llm, extra_body=server_engine.fields_of(tokenizer))
        expected = server_engine.prompt_lengths(tokenizer, config.system, questions)
    server_engine.check_lengths(expected, entries)
    if requests:
        with progress() as bars:
            tasks = {name: bars.add_task(f"answers of {name}", total=len(questions)) for name in models}
            for _, name in entries:
                bars.advance(tasks[name])
            server_engine.generate(
                llm, config.system, requests, journal.path, expected, lambda name: bars.advance(tasks[name])
            )
        entries = journal.read()
    fields = ("question_id", "model", "answer", "finish_reason", "prompt_tokens", "completion_tokens", "engine")
    records = [
        {
            field: entries[key][field]
            for field in (*fields, *(optional for optional in OPTIONAL if entries[key].get(optional)))
        }
        for key in wanted
    ]
    return [answered(record, False) for record in told_by_others(records)], {"engine": "server"}
