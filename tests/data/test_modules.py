"""The data modules: packs of the wrong mode are refused, and so is a checkpoint of another pack."""

from pathlib import Path
from types import SimpleNamespace

import pytest

from nemo_kcpt.data import InstructionDataModule, PackedPretrainingDataModule
from nemo_kcpt.errors import BadInput


def test_the_wrong_mode_and_the_wrong_loss_are_named(pack: Path) -> None:
    with pytest.raises(BadInput, match="mode instruction, which belongs to `nemo llm finetune`"):
        PackedPretrainingDataModule(str(pack))
    with pytest.raises(BadInput, match=r"data\.loss: 'replies' is not one of all, outputs, content"):
        InstructionDataModule(str(pack), loss="replies")
    with pytest.raises(BadInput, match="not a finished pack"):
        PackedPretrainingDataModule(str(pack.parent))
    with pytest.raises(BadInput, match=r"data\.attention: 'diagonal' is not one of causal, block_diagonal"):
        InstructionDataModule(str(pack), attention="diagonal")
    with pytest.raises(BadInput, match=r"data\.global_batch_size: 8 is not a multiple of data\.micro_batch_size 3"):
        InstructionDataModule(str(pack), micro_batch_size=3)
    assert InstructionDataModule(str(pack)).seq_length == 32


def test_a_pack_that_does_not_go_with_the_model_is_refused(pack: Path) -> None:
    module = InstructionDataModule(str(pack))
    rows = module.info.vocab_size

    def start(**config: int | None) -> None:
        model = SimpleNamespace(config=SimpleNamespace(**config))
        module.trainer = SimpleNamespace(global_step=0, max_steps=1, lightning_module=model)  # type: ignore[assignment]
        module.train_dataloader()

    start(vocab_rows=rows, vocab_size=None, seq_length=32)
    start(vocab_rows=rows + 10, seq_length=32)
    for config in ({"vocab_rows": rows - 1}, {"vocab_size": rows - 1}):
        with pytest.raises(BadInput, match=f"has {rows} entries, the model only {rows - 1} vocabulary rows"):
            start(**config, seq_length=32)
    with pytest.raises(BadInput, match=r"has windows of 32 tokens, the model's sequence length is 64; .*seq_length=32"):
        start(vocab_rows=rows, seq_length=64)


def test_a_checkpoint_of_another_pack_is_refused(pack: Path) -> None:
    module = InstructionDataModule(str(pack))
    module.trainer = SimpleNamespace(global_step=0)  # type: ignore[assignment]
    state = module.state_dict()
    assert state["pack_fingerprint"] == module.info.fingerprint and state["consumed_samples"] == 0
    mine = module.info.fingerprint
    for name, mine_is, other in (
        ("seq_length", 32, 64),
        ("input sft", None, "other bytes"),
        ("data.seed", 1234, 99),
        ("data.loss", "outputs", "all"),
        ("data.attention", "block_diagonal", "causal"),
    ):
        theirs = {**state, "pack_fingerprint": "theirs", "made_of": {**state["made_of"], name: other}}
        with pytest.raises(BadInput, match=rf"fingerprint theirs, .* has {mine}; what differs: {name} was {other}, is"):
            module.load_state_dict(theirs)
        assert mine_is is None or state["made_of"][name] == mine_is
        same_pack = {**theirs, "pack_fingerprint": mine}
        with pytest.raises(BadInput, match=f"what differs: {name} was"):
            module.load_state_dict(same_pack)
