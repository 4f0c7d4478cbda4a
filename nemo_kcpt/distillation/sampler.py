"""Samples from one model, through vLLM or transformers, by way of a journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nemo_kcpt.environments import SERVE_REMEDY, serve_python, vllm_expected
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.hf import limits
from nemo_kcpt.hf.thinking import Form
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.logs import LOG
from nemo_kcpt.serving import transformers_engine, vllm_engine
from nemo_kcpt.serving.prompts import Journal, ModelRequest, Prompt
from nemo_kcpt.serving.sampling import Sampling

ENGINES = ("auto", "vllm", "transformers")
NAME = "starting model"


@dataclass(kw_only=True)
class TextPrompt(Prompt):
    """A prompt that is a text as it is, without a template; `text` lets vLLM's environment tokenise it, too."""

    text: str


class Sampler:
    """Samples of the model in `folder`; what the journal holds already is not sampled again.

    Args:
        folder: of the model.
        tokenizer: with its chat template.
        template: chat template in place of the folder's own; empty: the folder's.
        day: that templates write.
        journal: for what is sampled.
        how: temperature and seed.
        engine: auto, vllm or transformers.
        dtype: arithmetic; auto: what the folder names.
        batch_size: of vLLM.

    Raises:
        KcptError: vLLM is wanted and is not there.
    """

    def __init__(
        self,
        folder: Path,
        tokenizer: PackTokenizer,
        template: str,
        day: str,
        journal: Journal,
        how: Sampling,
        engine: str,
        dtype: str,
        batch_size: int,
    ) -> None:
        self.tokenizer = tokenizer
        form = tokenizer.form if tokenizer.has_template else Form()
        self._request = ModelRequest(name=NAME, folder=folder, template=template, day=day, form=form, sampling=how)
        self._journal, self._batch_size = journal, batch_size
        self._dtype = limits.dtype(folder) or "float32" if dtype == "auto" else dtype
        python = serve_python() if engine != "transformers" else None
        if python is None and (engine == "vllm" or (engine == "auto" and vllm_expected())):
            raise KcptError(
                f"the serve environment with vLLM is missing: {SERVE_REMEDY}. engine=transformers does without"
            )
        if python is None and engine == "auto":
            LOG.warning("replay: no vLLM for this platform or Python: through transformers instead, slower")
        self._python = python

    @property
    def engine(self) -> str:
        """Which one is used."""
        return "transformers" if self._python is None else "vllm"

    def header(self, name: str, text: str) -> TextPrompt:
        """A prompt of what a template writes before a user's words."""
        return TextPrompt(question_id=name, messages=[], prompt_ids=self.tokenizer.template_ids(text), text=text)

    def first_token(self, name: str) -> TextPrompt:
        """A prompt of the token that begins a text: bos_token, else eos_token.

        Raises:
            BadInput: there is neither.
        """
        tokens = [token for role in ("bos_token", "eos_token") if (token := self.tokenizer.token_id(role)) is not None]
        if not tokens:
            raise BadInput(f"{self.tokenizer.folder}: neither bos_token nor eos_token is set, so no text can be begun")
        return TextPrompt(question_id=name, messages=[], prompt_ids=tokens[:1], text=self.tokenizer.decode(tokens[:1]))

    def sample(self, prompts: Sequence[Prompt], most: int) -> Mapping[str, tuple[list[int], str]]:
        """Token ids and finish reason of each prompt by its name, of at most `most` tokens."""
        entries = self._journal.read()
        if missing := self._missing(prompts, {name for name, _ in entries}):
            self._run(replace(self._request, prompts=missing), most)
            entries = self._journal.read()
        records = {prompt.question_id: entries[prompt.question_id, NAME] for prompt in prompts}
        return {name: (record["token_ids"], record["finish_reason"]) for name, record in records.items()}

    def _missing(self, prompts: Sequence[Prompt], done: set[str]) -> list[Prompt]:
        """Those to be sampled: with transformers whole batches, since a batch shares its seed."""
        if self._python is not None:
            return [prompt for prompt in prompts if prompt.question_id not in done]
        batches = transformers_engine.in_order(prompts)
        open_batches = [batch for batch in batches if any(prompt.question_id not in done for prompt in batch)]
        return [prompt for batch in open_batches for prompt in batch]

    def _run(self, request: ModelRequest, most: int) -> None:
        path = self._journal.path
        if self._python is None:
            transformers_engine.generate([request], path, most, self._dtype, lambda *_: None)
            return
        vllm_engine.generate(
            [request],
            python=self._python,
            journal=path,
            log=path.with_name("vllm.log"),
            max_new_tokens=most,
            dtype=self._dtype,
            batch_size=self._batch_size,
            progress=lambda *_: None,
        )
