"""The teachers, behind one interface (synthesis/teacher.py)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nemo_kcpt.synthesis.stage import Config
    from nemo_kcpt.synthesis.teacher import Teacher


def make(config: Config) -> Teacher:
    """The teacher that a config names.

    Raises:
        BadInput: something it needs is missing.
    """
    if config.teacher == "template":
        return _template(config)
    if config.teacher == "rules":
        from nemo_kcpt.synthesis.teachers.rules import RulesTeacher

        return RulesTeacher(config.corpus, config.squad)
    if config.teacher == "vllm":
        from nemo_kcpt.synthesis.teachers.vllm import VllmTeacher

        return VllmTeacher(config)
    if config.teacher == "batch":
        from nemo_kcpt.synthesis.teachers.batch import BatchTeacher

        return BatchTeacher(config)
    from nemo_kcpt.synthesis.teachers.openai import OpenAITeacher

    return OpenAITeacher(config)


def _template(config: Config) -> Teacher:
    from nemo_kcpt.demo.facts import FactSheet
    from nemo_kcpt.demo.template_teacher import TemplateTeacher
    from nemo_kcpt.errors import BadInput
    from nemo_kcpt.files import read_jsonl

    if config.facts is None:
        raise BadInput(
            "teacher=template needs facts=FILE, the fact sheets of the fictional papers. For documents of your own, "
            "give teacher=openai base_url=http://HOST:PORT/v1 model=NAME; see docs/teacher.md"
        )
    return TemplateTeacher([FactSheet.from_dict(record) for record in read_jsonl(config.facts)])
