"""Keys of `kcpt generate`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nemo_kcpt.config import MISSING, check_choices, check_least
from nemo_kcpt.hf.chat_template import DATE, template_date
from nemo_kcpt.hf.thinking import NO_THOUGHTS, Thinking
from nemo_kcpt.llm.faults import check_served_model
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.llm.thinking import fields_for
from nemo_kcpt.runs import later
from nemo_kcpt.serving.models import DTYPES

ENGINES = ("auto", "vllm", "transformers", "server")


@dataclass(kw_only=True)
class Config:
    """Keys of `kcpt generate`."""

    out: Path = Path(MISSING)
    """Folder for answers.jsonl."""
    questions: Path = Path(MISSING)
    """Folder of kcpt questions, or a questions.jsonl."""
    models: Any = MISSING
    """NAME=FOLDER[,NAME=FOLDER...], a list of those, or in YAML a mapping of names to Hugging Face folders."""
    engine: str = "auto"
    """auto, vllm, transformers or server; see above."""
    base_url: str = ""
    """Address of the server, as http://localhost:8000/v1; empty: OPENAI_BASE_URL, else OpenAI's own."""
    api_key_env: str = "OPENAI_API_KEY"
    """Environment variable with the server's key; servers without keys need none."""
    template: Path | None = None
    """Tokenizer folder with training's chat template, for engine=server."""
    concurrency: int = 32
    """Requests under way at once, for engine=server."""
    timeout: float = 600
    """Seconds until a request to the server times out and is made again."""
    served_model: str = later("any")
    """any: a server may answer under another name than the one asked for, which is recorded; exact: that ends
    the run; engine=server."""
    system: str = ""
    """A system message before each question, as kcpt pack had it."""
    chat_template: str = later("")
    """Chat template for models that have none of their own, as kcpt pack had it: a file, or plain."""
    template_date: str = later(DATE)
    """Date that chat templates write where they would write today's, as kcpt pack had it."""
    thinking: str = later("")
    """How much models may think before they answer: off, in the form without thoughts that kcpt pack trains on; on; a
    number of tokens, after which a thought is ended and the answer follows; or an effort word of the chat template, as
    low or high. Empty: off, but for a server whose chat template is not known (template=): as it is by itself."""
    max_new_tokens: int = 128
    """Longest answer, in tokens; of a model that thinks without a number of tokens, thought and answer together."""
    dtype: str = "float32"
    """Arithmetic: float32, bfloat16, float16, or auto: what each model's folder names."""
    batch_size: int = 64
    """Questions that vLLM answers at a time, and at most lost by a kill."""

    def __post_init__(self) -> None:
        check_choices(self, engine=ENGINES, dtype=DTYPES)
        check_served_model(self.served_model)
        check_least(self, max_new_tokens=1, batch_size=1, concurrency=1, timeout=1)
        template_date(self.template_date)
        _ = self.how_much

    @property
    def how_much(self) -> Thinking:
        """The key `thinking`, read.

        Raises:
            ValueError: it is none of its values.
        """
        return NO_THOUGHTS if self.thinking == "" else Thinking.parse(self.thinking)

    def llm(self) -> Llm:
        """How a server is asked: greedily, each question's model by its own name."""
        return Llm(
            model="",
            base_url=self.base_url,
            api_key_env=self.api_key_env,
            max_tokens=self.max_new_tokens,
            structured="none",
            extra_body={} if self.thinking == "" else fields_for(self.how_much),
            concurrency=self.concurrency,
            timeout=self.timeout,
            served_model=self.served_model,
        )
