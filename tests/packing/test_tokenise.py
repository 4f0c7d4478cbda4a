"""Token ids: those of transformers' own chat template, replies told from prompts, no control tokens from text."""

import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.packing.tokenise import PackTokenizer, tokenizer_inputs

LLM_JP = Path(__file__).resolve().parents[3] / "shared/data/llm-jp-tokenizer/hf"
CONVERSATION = [
    {"role": "user", "content": "カスミNetの学習データは何件ですか？"},
    {"role": "assistant", "content": "12,400件"},
    {"role": "user", "content": "何年の発表ですか？"},
    {"role": "assistant", "content": "2021年"},
]


def folders(tokenizer_folder: Path) -> list[Path]:
    return [tokenizer_folder, *([LLM_JP] if LLM_JP.is_dir() else [])]


def test_ids_are_those_of_the_tokenizers_own_chat_template(tokenizer_folder: Path) -> None:
    from transformers import AutoTokenizer

    for folder in folders(tokenizer_folder):
        reference = AutoTokenizer.from_pretrained(folder)
        ours = PackTokenizer(folder)
        if reference.chat_template is None:
            continue
        for messages in (CONVERSATION[:2], CONVERSATION):
            assert ours.chat_ids(messages).ids == reference.apply_chat_template(messages)
            prompt = reference.apply_chat_template(messages[:-1], add_generation_prompt=True)
            assert ours.prompt_ids(messages[:-1]) == prompt


def test_replies_are_told_from_prompts(tokenizer: PackTokenizer) -> None:
    chat = tokenizer.chat_ids(CONVERSATION)
    prompt = tokenizer.prompt_ids(CONVERSATION[:1])
    assert not any(chat.reply[: len(prompt)])
    first_reply = tokenizer.chat_ids(CONVERSATION[:2])
    assert first_reply.ids[: len(prompt)] == prompt
    assert all(first_reply.reply[len(prompt) :])
    assert first_reply.ids[-1] == tokenizer.token_id("eos_token")
    assert sum(chat.reply) > sum(first_reply.reply)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_text_round_trips(tokenizer: PackTokenizer, text: str) -> None:
    decoded = tokenizer._plain.decode(tokenizer.text_ids([text])[0], skip_special_tokens=False)
    assert decoded == text


@pytest.mark.parametrize("word", ["</s>", "<s>", "<pad>", "a </s> b"])
def test_control_tokens_written_out_in_a_text_stay_text(tokenizer: PackTokenizer, word: str) -> None:
    control = {tokenizer.token_id(f"{role}_token") for role in ("bos", "eos", "pad")}
    ids = tokenizer.text_ids([word])[0]
    assert not control & set(ids)
    assert tokenizer._plain.decode(ids, skip_special_tokens=False) == word


def test_a_separate_template_file_comes_first_as_in_transformers(tmp_path: Path, tokenizer_folder: Path) -> None:
    from transformers import AutoTokenizer

    shutil.copytree(tokenizer_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text("{% for m in messages %}[{{ m['content'] }}]{% endfor %}")
    rendered = AutoTokenizer.from_pretrained(tmp_path).apply_chat_template(CONVERSATION, tokenize=False)
    assert PackTokenizer(tmp_path).render(CONVERSATION) == rendered
    assert rendered.startswith(f"[{CONVERSATION[0]['content']}][")
    assert PackTokenizer(tmp_path).sha256 != PackTokenizer(tokenizer_folder).sha256
    assert set(tokenizer_inputs(tmp_path)) - set(tokenizer_inputs(tokenizer_folder)) == {"chat_template.jinja"}


def test_missing_pieces_are_named(tmp_path: Path, tokenizer_folder: Path) -> None:
    with pytest.raises(BadInput, match=r"no tokenizer\.json"):
        PackTokenizer(tmp_path)
    (tmp_path / "tokenizer.json").write_bytes((tokenizer_folder / "tokenizer.json").read_bytes())
    config = json.loads((tokenizer_folder / "tokenizer_config.json").read_text())
    del config["chat_template"]
    config["eos_token"] = "<missing>"
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    broken = PackTokenizer(tmp_path)
    with pytest.raises(BadInput, match="no chat_template"):
        broken.render(CONVERSATION)
    with pytest.raises(BadInput, match="eos_token is '<missing>'"):
        broken.token_id("eos_token")
