"""The clients of LLMs, by the name of their engine."""

from __future__ import annotations

from nemo_kcpt.llm.batch import BatchTeacher
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import Teacher
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.llm.vllm import VllmTeacher


def make(llm: Llm) -> Teacher:
    """The client of an LLM.

    Raises:
        BadInput: a value that cannot be, no address or key where one is needed, or no serve environment.
    """
    llm.check()
    if llm.engine == "vllm":
        return VllmTeacher(llm)
    if llm.engine == "batch":
        return BatchTeacher(llm)

    return OpenAITeacher(llm)
