"""An encoder as bert-score uses it: tokenizer, network cut to one layer, limit; loaded for transformers 4.57 and 5."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.scoring.bertscore.packages import lacking
from nemo_kcpt.evaluation.scoring.bertscore.source import Source
from nemo_kcpt.hf.load import load_config, load_tokenizer

_UNLIMITED = 1_000_000
"""transformers writes 10**30 where a tokenizer has no limit."""
_NO_LIMIT_KNOWN = 512
"""Window of encoders without any limit (relative positions, such as T5's): what they are trained on."""
_OFFSET_POSITIONS = ("roberta", "camembert", "data2vec-text", "ibert", "longformer", "esm", "mpnet", "luke", "bertweet")
"""Model types (or parts of them) whose positions begin after the padding id, so that many are not for tokens."""
_PREFIXED = ("RobertaTokenizer", "GPT2Tokenizer")
"""Tokenizers to which bert-score gives a leading space, so that a first word is cut as any other."""
_TEXTS_AT_ONCE = 512
DTYPES = ("float32", "bfloat16", "float16")


@dataclass
class Encoder:
    """Tokenizer and network; `load_encoder` makes it."""

    source: Source
    tokenizer: Any
    model: Any
    layers: int
    """The layer whose output is compared."""
    limit: int
    """Tokens that the network reads at once, with those that the tokenizer adds."""
    prefix: list[int]
    """Token ids that the tokenizer puts before every text, [CLS] or none …"""
    suffix: list[int]
    """… and behind it."""
    silent: frozenset[int]
    """Ids that count nothing in the means: [CLS] and [SEP], wherever they stand."""

    @property
    def capacity(self) -> int:
        """Tokens of text in one window."""
        return self.limit - len(self.prefix) - len(self.suffix)

    def tokenise(self, texts: Sequence[str]) -> list[np.ndarray]:
        """Token ids (int32) of each text, whole, without what the tokenizer adds around it.

        Raises:
            BadInput: an id that the network has no embedding for.
        """
        rows = _rows(self.model)
        tokenised = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            for ids in _ids(self.tokenizer, texts[start : start + _TEXTS_AT_ONCE], special=False):
                if max(ids, default=0) >= rows:
                    raise BadInput(
                        f"{self.source.folder}: its tokenizer gives token {max(ids)}, its network knows {rows:,} "
                        "tokens; the two are of different encoders: download it again"
                    )
                tokenised.append(np.asarray(ids, dtype=np.int32))
        return tokenised

    def embed(self, sequences: Sequence[np.ndarray]) -> Any:
        """Unit vectors of a batch of windows, each with prefix and suffix: torch float32, (batch, longest, hidden).

        Rows beyond a sequence's own length mean nothing.

        Raises:
            KcptError: the network's output is not finite.
        """
        import torch

        longest = max(map(len, sequences))
        padding = self.tokenizer.pad_token_id or 0
        ids = torch.full((len(sequences), longest), padding, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, sequence in enumerate(sequences):
            ids[row, : len(sequence)] = torch.from_numpy(sequence.astype(np.int64))
            mask[row, : len(sequence)] = 1
        device = self.model.device
        ids, mask = ids.to(device), mask.to(device)
        with torch.inference_mode():
            vectors = self.model(ids, attention_mask=mask)[0].float()
            norms = torch.linalg.vector_norm(vectors, dim=-1, keepdim=True)
            sound = torch.isfinite(norms) & (norms > 0) | (mask == 0).unsqueeze(-1)
            if not bool(sound.all()):
                raise KcptError(
                    f"{self.source.folder}: the encoder's output is not finite (or zero) in {self.model.dtype}; "
                    "use float32, and check its weights if it is"
                )
            return vectors.div_(norms)


def _rows(model: Any) -> int:
    """Tokens that the network has embeddings for."""
    try:
        return int(model.get_input_embeddings().num_embeddings)
    except (NotImplementedError, AttributeError):  # own code need not say where its embeddings are
        return int(model.config.vocab_size)


def _ids(tokenizer: Any, texts: Sequence[str], special: bool) -> list[list[int]]:
    if type(tokenizer).__name__.removesuffix("Fast") in _PREFIXED:
        texts = [f" {text}" for text in texts]
    return tokenizer(
        list(texts),
        add_special_tokens=special,
        truncation=False,
        padding=False,
        return_attention_mask=False,
        return_token_type_ids=False,
        verbose=False,
    )["input_ids"]


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """Ids that the tokenizer puts before and behind a text, found by trying: the two versions have no common method."""
    for probe in ("a", "1", "あ"):
        (bare,), (whole,) = _ids(tokenizer, [probe], special=False), _ids(tokenizer, [probe], special=True)
        for start in range(len(whole) - len(bare) + 1) if bare else ():
            if whole[start : start + len(bare)] == bare:
                return whole[:start], whole[start + len(bare) :]
    return [], []


def _limit(tokenizer: Any, config: Any) -> int:
    """Tokens at once: the smaller of what tokenizer and positions allow."""
    limits = [tokenizer.model_max_length] if tokenizer.model_max_length <= _UNLIMITED else []
    positions = getattr(config, "max_position_embeddings", None)
    if isinstance(positions, int) and positions > 0:
        offset = any(name in config.model_type for name in _OFFSET_POSITIONS)
        limits.append(positions - ((config.pad_token_id or 0) + 1 if offset else 0))
    return int(min(limits, default=_NO_LIMIT_KNOWN))


def _default_layers(source: Source, config: Any) -> int:
    """bert-score's layer for a repository that its table knows, else the last."""
    if source.repository:
        try:
            from bert_score.utils import model2layers
        except ImportError:
            model2layers = {}
        owner, _, name = source.repository.rpartition("/")
        renamed = owner in ("google-bert", "FacebookAI", "distilbert", "albert")  # they had no owner once
        known = model2layers.get(source.repository) or (model2layers.get(name) if renamed else None)
        if known:
            return int(known)
    return int(config.num_hidden_layers)


def _cut(model: Any, layers: int, total: int) -> None:
    """Drop the layers behind `layers`, as bert-score does: what follows the last one (a norm) stays."""
    from torch.nn import ModuleList

    if hasattr(model, "n_layers"):  # XLM, whose blocks are several lists
        model.n_layers = layers
        return
    if hasattr(getattr(model, "encoder", None), "albert_layer_groups"):  # one block, run again and again
        model.encoder.config.num_hidden_layers = layers
        return
    for module in model.modules():
        for name, child in module.named_children():
            if isinstance(child, ModuleList) and len(child) == total:
                setattr(module, name, child[:layers])
                model.config.num_hidden_layers = layers  # Llama and its like count by the config
                return
    raise BadInput(f"no list of {total} layers in {type(model).__name__}; leave encoder_layers at 0, the last layer")


def _transformers_classes(config: Any) -> Any:
    """The automatic class that knows the encoder: some repositories with own code offer only their training class."""
    import transformers

    own = getattr(config, "auto_map", None) or {}
    usual = "AutoModel" in own or "AutoModelForMaskedLM" not in own
    return transformers.AutoModel if usual else transformers.AutoModelForMaskedLM


def _read(source: Source, dtype: str) -> tuple[Any, Any, set[str]]:
    """Tokenizer, model and the names of weights that the files lack.

    This is the only place in the project where code from a model's folder may run. `source.custom_code` is true only
    if `source.locate` found such code and the user has named this very version of it. Otherwise the value is False and
    not None: with None, transformers asks at the terminal.
    """
    import torch
    import transformers

    trust = {"trust_remote_code": True} if source.custom_code else {"trust_remote_code": False}
    if source.custom_code:
        tokenizer: Any = transformers.AutoTokenizer.from_pretrained(source.folder, **trust)
        config: Any = transformers.AutoConfig.from_pretrained(source.folder, **trust)
    else:
        tokenizer, config = load_tokenizer(source.folder), load_config(source.folder)
    model, report = _transformers_classes(config).from_pretrained(
        source.folder, config=config, dtype=getattr(torch, dtype), output_loading_info=True, **trust
    )
    return tokenizer, model, set(report["missing_keys"])


def _encoding_part(folder: Path, model: Any, missing: set[str]) -> Any:
    """The network without heads and decoder, of which no weight may be missing.

    Raises:
        BadInput: weights are missing (transformers only warns, and makes them random), or it has no layers.
    """
    if not isinstance(getattr(model.config, "num_hidden_layers", None), int):
        raise BadInput(f"{folder}/config.json: no num_hidden_layers; an encoder such as BERT was expected")
    start = model.base_model_prefix + "."
    base = model.base_model
    needed = {name for name in base.state_dict() if not name.startswith(("pooler.", "decoder."))}
    lacking = {name.removeprefix(start) for name in missing} & needed
    if lacking:
        raise BadInput(
            f"{folder}: {len(lacking)} tensors of the encoder are not in its files ({min(lacking)}, …) and "
            "would be random; download it again, or take an encoder whose weights are of its own architecture"
        )
    # T5's config may say that it has no decoder: what counts is what was made.
    return base.encoder if hasattr(base, "encoder") and hasattr(base, "decoder") else base


def load_encoder(source: Source, layers: int = 0, dtype: str = "float32") -> Encoder:
    """Load tokenizer and network, on the GPU if there is one.

    Args:
        source: what `locate` found.
        layers: the layer whose output is compared; 0 takes bert-score's for repositories in its table, else the last.
        dtype: float32 (the default), bfloat16 or float16.

    Raises:
        BadInput: files are missing or broken, weights are missing, no such layer, or no room for a token of text.
    """
    import torch

    if dtype not in DTYPES:
        raise BadInput(f"dtype={dtype}: one of {', '.join(DTYPES)} was expected")
    try:
        tokenizer, model, missing = _read(source, dtype)
    except BadInput as error:
        raise BadInput(f"encoder: cannot be loaded as an encoder: {error}") from None
    except Exception as error:  # transformers, tokenizers, safetensors and custom code each have their own kinds
        if needed := lacking(source.folder, error):
            raise BadInput(f"{source.folder}: this encoder {needed}") from error
        reason = next(iter(str(error).strip().splitlines()), "")
        raise BadInput(
            f"{source.folder}: cannot be loaded as an encoder: {type(error).__name__}: {reason}; a Hugging Face folder "
            "with config.json, tokenizer files and model.safetensors was expected"
        ) from error
    model, config = _encoding_part(source.folder, model, missing), model.config
    total = int(config.num_hidden_layers)
    chosen = layers or _default_layers(source, config)
    if not 1 <= chosen <= total:
        raise BadInput(f"encoder_layers={chosen}: {source.folder} has {total} layers; give 1 to {total}, or 0")
    if chosen < total:
        _cut(model, chosen, total)
    prefix, suffix = _around(tokenizer)
    limit = _limit(tokenizer, config)
    if limit <= len(prefix) + len(suffix):
        raise BadInput(
            f"{source.folder}: it reads {limit} tokens at once, which leaves none for text; set model_max_length in "
            "its tokenizer_config.json to what the encoder can read"
        )
    silent = frozenset(token for token in (tokenizer.cls_token_id, tokenizer.sep_token_id) if token is not None)
    device = "cuda" if torch.cuda.is_available() else "cpu"
    return Encoder(source, tokenizer, model.to(device).eval(), chosen, limit, prefix, suffix, silent)
