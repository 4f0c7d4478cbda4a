"""The Llama configuration and model, built on one CPU rank."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest
import torch

from nemo_kcpt.models import layer_spec, llama
from nemo_kcpt.models.forward import packed_seq_params
from nemo_kcpt.models.layer_spec import SequenceParallelRMSNorm
from nemo_kcpt.models.llama import KcptLlamaConfig, KcptTinyConfig
from nemo_kcpt.models.sdpa_attention import SdpaAttention

SMALL = {
    "num_layers": 2,
    "hidden_size": 32,
    "ffn_hidden_size": 48,
    "num_attention_heads": 4,
    "num_query_groups": 2,
    "kv_channels": 8,
    "seq_length": 24,
}


@dataclass
class Tokenizer:
    vocab_size: int


def build(**options: object) -> torch.nn.Module:
    torch.manual_seed(0)
    return KcptTinyConfig(**{**SMALL, "vocab_rows": 50, **options}).configure_model(None)


def test_on_a_cpu_fusions_are_off_and_numbers_are_float32() -> None:
    config = KcptLlamaConfig(
        num_layers=1, hidden_size=32, num_attention_heads=4, bf16=True, params_dtype=torch.bfloat16
    )
    fusions = [name for name, value in vars(config).items() if "fusion" in name and "moe" not in name and value is True]
    assert fusions == []
    assert config.use_cpu_initialization
    assert not config.bf16
    assert config.params_dtype == config.pipeline_dtype == torch.float32


def test_where_cuda_is_there_the_configuration_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    config = KcptLlamaConfig(num_layers=1, hidden_size=32, num_attention_heads=4, apply_rope_fusion=False, bf16=True)
    assert config.bf16
    assert config.bias_dropout_fusion
    assert config.masked_softmax_fusion
    assert not config.use_cpu_initialization


@pytest.mark.parametrize(
    ("cuda", "installed", "expected"), [(True, True, True), (True, False, False), (False, True, False)]
)
def test_transformer_engine_needs_cuda_and_the_package(
    monkeypatch: pytest.MonkeyPatch, cuda: bool, installed: bool, expected: bool
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    monkeypatch.setattr(layer_spec.importlib.util, "find_spec", lambda name: name if installed else None)
    monkeypatch.setattr("nemo.collections.llm.gpt.model.base.transformer_engine_layer_spec", lambda config: "te")
    monkeypatch.setattr(layer_spec, "local_block_spec", lambda config, stage: "local")
    assert layer_spec.llama_layer_spec(None) == ("te" if expected else "local")


def test_data_step_is_nemos_where_cuda_is_there(monkeypatch: pytest.MonkeyPatch) -> None:
    batch = {"tokens": torch.zeros(1, 2)}
    assert llama.llama_data_step(iter([(batch, 0, 0)])) is batch
    assert llama.llama_data_step(iter([batch])) is batch
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(llama, "gpt_data_step", lambda iterator: "nemo")
    assert llama.llama_data_step(iter([batch])) == "nemo"


@pytest.mark.usefixtures("one_rank")
class TestBuilding:
    def test_local_layers_use_our_attention_and_norms_everywhere(self) -> None:
        model = build()
        for layer in model.decoder.layers:
            assert isinstance(layer.self_attention.core_attention, SdpaAttention)
            assert isinstance(layer.input_layernorm, SequenceParallelRMSNorm)
            assert isinstance(layer.pre_mlp_layernorm, SequenceParallelRMSNorm)
        assert isinstance(model.decoder.final_layernorm, SequenceParallelRMSNorm)
        assert model.decoder.final_layernorm.eps == model.config.layernorm_epsilon

    def test_norms_are_marked_for_sequence_parallel_gradients(self) -> None:
        config = KcptTinyConfig(**SMALL, vocab_rows=50)
        assert SequenceParallelRMSNorm(config, 8).weight.sequence_parallel is False
        config.sequence_parallel = True
        assert SequenceParallelRMSNorm(config, 8).weight.sequence_parallel is True

    def test_rows_beyond_the_tokenizer_are_kept(self) -> None:
        """llm-jp-3 has 99,584 rows and a tokenizer of 99,574."""
        config = KcptLlamaConfig(**SMALL, vocab_rows=99_584)
        model = config.configure_model(Tokenizer(99_574))
        assert model.embedding.word_embeddings.weight.shape[0] == model.output_layer.weight.shape[0] == 99_584
        assert config.vocab_rows == 99_584

    @pytest.mark.parametrize(("rows", "divisible", "tp", "built"), [(51, 1, 1, 51), (51, 1, 2, 52), (51, 16, 2, 64)])
    def test_padding_never_changes_the_true_rows(self, rows: int, divisible: int, tp: int, built: int) -> None:
        config = KcptLlamaConfig(**SMALL, vocab_rows=rows, make_vocab_size_divisible_by=divisible)
        config.tensor_model_parallel_size = tp
        model = config.configure_model(None)
        config.__post_init__()
        assert (config.vocab_rows, model.vocab_size) == (rows, built)

    def test_vocab_size_and_tokenizer_stand_in_for_rows(self) -> None:
        assert KcptLlamaConfig(**SMALL, vocab_size=60).vocab_rows == 60
        config = KcptLlamaConfig(**SMALL)
        config.configure_model(Tokenizer(70))
        assert config.vocab_rows == 70

    def test_unknown_or_too_few_rows_are_refused(self) -> None:
        with pytest.raises(ValueError, match="set vocab_rows in the config or give a tokenizer"):
            KcptLlamaConfig(**SMALL).configure_model(None)
        with pytest.raises(ValueError, match="tokenizer has 70 entries but the config only 60"):
            KcptLlamaConfig(**SMALL, vocab_rows=60).configure_model(Tokenizer(70))

    @pytest.mark.parametrize("tied", [True, False])
    def test_embeddings_are_tied_or_not(self, tied: bool) -> None:
        names = dict(build(share_embeddings_and_output_weights=tied).named_parameters())
        assert ("output_layer.weight" in names) is not tied

    def test_a_packed_window_gives_what_its_documents_give_alone(self) -> None:
        """End to end, with rotary positions: nothing of one document reaches another."""
        model = build()
        tokens = torch.randint(50, (2, 24), generator=torch.Generator().manual_seed(1))
        rows = [[0, 9, 24, -1], [0, 4, 11, 24]]
        packed = run(model, tokens, torch.tensor(rows, dtype=torch.int32))
        for row, borders in enumerate(rows):
            kept = [border for border in borders if border >= 0]
            for start, end in pairwise(kept):
                alone = run(model, tokens[row : row + 1, start:end], None)
                assert (packed[0, row * 24 + start : row * 24 + end] - alone[0]).abs().max() < 1e-5

    def test_without_borders_documents_do_reach_each_other(self) -> None:
        model = build()
        tokens = torch.randint(50, (1, 24), generator=torch.Generator().manual_seed(1))
        whole, alone = run(model, tokens, None), run(model, tokens[:, 9:], None)
        assert (whole[0, 9:] - alone[0]).abs().max() > 1e-4

    def test_no_token_of_one_paper_changes_a_logit_of_another(self) -> None:
        """To the last bit, whichever token is changed; causal attention lets every one of them through."""
        model, borders = build(), torch.tensor([[0, 9, 24]], dtype=torch.int32)
        tokens = torch.randint(50, (1, 24), generator=torch.Generator().manual_seed(1))
        packed, causal = run(model, tokens, borders), run(model, tokens, None)
        for place in range(24):
            changed = tokens.clone()
            changed[0, place] = (changed[0, place] + 1) % 50
            others = slice(9, 24) if place < 9 else slice(0, 9)
            assert torch.equal(run(model, changed, borders)[0, others], packed[0, others])
            assert not torch.equal(run(model, changed, borders)[0], packed[0])
            if place < 9:
                assert not torch.equal(run(model, changed, None)[0, others], causal[0, others])

    def test_packed_windows_with_pipeline_stages_are_refused(self) -> None:
        model = build()
        model.config.pipeline_model_parallel_size = 2
        with pytest.raises(ValueError, match="set micro_batch_size=1"):
            run(model, torch.zeros(2, 24, dtype=torch.long), torch.tensor([[0, 24], [0, 24]]))
        model.config.context_parallel_size = 2
        with pytest.raises(ValueError, match=r"set data\.attention=causal or context_parallel_size=1"):
            run(model, torch.zeros(1, 24, dtype=torch.long), torch.tensor([[0, 24]]))


def run(model: torch.nn.Module, tokens: torch.Tensor, cu_seqlens: torch.Tensor | None) -> torch.Tensor:
    """Logits, (1, tokens, rows) if packed, else (micro-batch, sequence, rows)."""
    batch = {"tokens": tokens, "position_ids": torch.arange(tokens.shape[1]).expand_as(tokens), "labels": None}
    if cu_seqlens is not None:
        batch["cu_seqlens"] = cu_seqlens
    with torch.no_grad():
        return llama.llama_forward_step(model, batch)


def test_borders_of_several_windows_are_joined() -> None:
    packed = packed_seq_params(torch.tensor([[0, 3, 8, -1], [0, 1, 2, 8]], dtype=torch.int32))
    assert packed.cu_seqlens_q.tolist() == packed.cu_seqlens_kv.tolist() == [0, 3, 8, 9, 10, 16]
    assert packed.cu_seqlens_q.dtype == torch.int32
    assert (packed.max_seqlen_q, packed.max_seqlen_kv) == (6, 6)
