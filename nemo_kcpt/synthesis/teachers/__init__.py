"""The teachers, behind one interface (llm/request.py)."""

from __future__ import annotations

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.fiction.facts import read_facts
from nemo_kcpt.fiction.template_teacher import TemplateTeacher
from nemo_kcpt.llm import clients
from nemo_kcpt.llm.request import Teacher
from nemo_kcpt.plugins import Plugin
from nemo_kcpt.synthesis import added
from nemo_kcpt.synthesis.config import Config


def make(config: Config) -> Teacher:
    """The teacher that a config names.

    Raises:
        BadInput: something it needs is missing.
        KcptError: an installed package's teacher cannot be used.
    """
    others = added.teachers()
    if config.teacher in others:
        return _added(others[config.teacher], config)
    if config.teacher == "template":
        return _template(config)
    if config.teacher == "rules":
        from nemo_kcpt.synthesis.teachers.rules import RulesTeacher  # reads numbers, names and moments

        return RulesTeacher(config.corpus, config.squad, config.human)
    return clients.make(config.llm())


def _added(plugin: Plugin, config: Config) -> Teacher:
    make = plugin.load(callable, "a class or function that makes a teacher of a config")
    try:
        teacher: Teacher = make(config)
    except KcptError:
        raise
    except Exception as error:  # whatever a function of others raises
        raise plugin.fault(f"{type(error).__name__}: {error}") from error
    for name in ("model", "params", "reads_prompts", "prepare", "complete", "close"):
        if not hasattr(teacher, name):
            raise plugin.fault(f"the teacher has no {name}; see Teacher in nemo_kcpt/llm/request.py")
    return teacher


def _template(config: Config) -> Teacher:
    if config.facts is None:
        raise BadInput(
            "teacher=template needs facts=FILE, the fact sheets of the fictional papers. For documents of your own, "
            "give teacher=openai base_url=http://HOST:PORT/v1 model=NAME; see docs/teacher.md"
        )
    return TemplateTeacher(list(read_facts(config.facts)))
