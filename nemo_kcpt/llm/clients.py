"""The clients of LLMs, by the name of their engine."""

from __future__ import annotations

from nemo_kcpt.llm.request import Teacher
from nemo_kcpt.llm.settings import Llm


def make(llm: Llm) -> Teacher:
    """The client of an LLM.

    Raises:
        BadInput: a value that cannot be, no address or key where one is needed, or no serve environment.
    """
    llm.check_window()
    if llm.engine == "vllm":
        from nemo_kcpt.llm.vllm import VllmTeacher

        return VllmTeacher(llm)
    if llm.engine == "batch":
        from nemo_kcpt.llm.batch import BatchTeacher

        return BatchTeacher(llm)
    from nemo_kcpt.llm.openai import OpenAITeacher

    return OpenAITeacher(llm)
