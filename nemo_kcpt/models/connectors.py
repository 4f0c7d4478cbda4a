"""What NeMo's `llm.export_ckpt` and `llm.import_ckpt` do with our models."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from nemo.lightning import io

from nemo_kcpt.checkpoints import exporting, importing
from nemo_kcpt.models.llama import KcptLlamaModel

if TYPE_CHECKING:
    from transformers import LlamaForCausalLM  # noqa: F401 - named in the connectors' base classes


@io.model_exporter(KcptLlamaModel, "hf")
class KcptLlamaExporter(io.ModelConnector[KcptLlamaModel, "LlamaForCausalLM"]):
    """`llm.export_ckpt(checkpoint, target="hf")`: the same streamed export as `kcpt convert export`, without its check.

    NeMo's own exporter expects Transformer Engine's parameter names. The tokenizer is that of the imported model; where
    a checkpoint does not say which, its files are left out.
    """

    def apply(self, output_path: Path) -> Path:
        """Write the Hugging Face folder; returns it."""
        exporting.run(exporting.Config(checkpoint=Path(self), out=output_path, check=False), bare=True)
        return output_path


@io.model_importer(KcptLlamaModel, "hf")
class KcptLlamaImporter(io.ModelConnector["LlamaForCausalLM", KcptLlamaModel]):
    """`llm.import_ckpt(model, "hf:///path/of/the/folder")`: the same streamed import as `kcpt convert import`.

    As with NeMo's own importers, sizes come from the folder and not from `model`, whose class alone counts.
    """

    def apply(self, output_path: Path) -> Path:
        """Write the checkpoint; returns it."""
        importing.run(importing.Config(hf=Path(self), out=output_path), redo=False)
        return output_path
