"""Token ids: those of transformers' own chat template, replies told from prompts, no control tokens from text."""

import json
import shutil
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.tokenizer import PackTokenizer, tokenizer_inputs
from tests.conftest import DATA
from tools.bench import data
from tools.bench import packing as bench_packing

CONVERSATION = [
    {"role": "user", "content": "カスミNetの学習データは何件ですか？"},
    {"role": "assistant", "content": "12,400件"},
    {"role": "user", "content": "何年の発表ですか？"},
    {"role": "assistant", "content": "2021年"},
]


@pytest.fixture(scope="session")
def folders(tokenizer_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """The demo's tokenizer, and llm-jp's where it is at hand."""
    if not DATA.is_dir():
        return [tokenizer_folder]
    data.FOLDER = DATA
    return [tokenizer_folder, bench_packing.tokenizer_folder(tmp_path_factory.mktemp("llm-jp"))]


@cache
def loaded(folder: Path) -> tuple[PackTokenizer, Any]:
    """Ours and transformers' tokenizer of a folder: loading takes longer than the examples."""
    return PackTokenizer(folder), transformers_tokenizer(folder)


CONTENTS = st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=30)


@settings(deadline=None)
@given(st.lists(st.tuples(CONTENTS, CONTENTS), min_size=1, max_size=3))
def test_any_conversation_has_the_ids_of_the_tokenizers_own_chat_template(
    folders: list[Path], turns: list[tuple[str, str]]
) -> None:
    messages = [
        {"role": role, "content": content} for turn in turns for role, content in zip(("user", "assistant"), turn)
    ]
    for folder in folders:
        ours, reference = loaded(folder)
        chat = ours.chat_ids(messages)
        assert chat.ids.tolist() == reference.apply_chat_template(messages)
        # Told again from the offsets of every token, and by the way that a written-out control token takes.
        text = ours.render(messages)
        spans = ours._reply_spans(messages, text)
        encoding = ours._with_control.encode(text, add_special_tokens=False)
        expected = [any(begin <= start < end for begin, end in spans) for start, _ in encoding.offsets]
        assert chat.reply.tolist() == expected
        again = ours._chat_with_control(messages)
        assert (again.ids.tolist(), again.reply.tolist()) == (chat.ids.tolist(), expected)


@cache
def transformers_tokenizer(folder: Path) -> Any:
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(folder)


@pytest.mark.parametrize("word", ["</s>", "<s>", "</s><s>", "a</s>b"])
def test_control_tokens_written_out_in_a_pair_stay_text(folders: list[Path], word: str) -> None:
    messages = [{"role": "user", "content": f"{word}は何か"}, {"role": "assistant", "content": f"記号{word}"}]
    ordinary = [{**message, "content": message["content"].replace(word, "文")} for message in messages]
    for folder in folders:
        ours = PackTokenizer(folder)
        control = {ours.token_id("bos_token"), ours.token_id("eos_token")}
        chat, plain = ours.chat_ids(messages), ours.chat_ids(ordinary)
        count = [sum(token in control for token in one.ids.tolist()) for one in (chat, plain)]
        assert count[0] == count[1]  # the template's own only
        assert ours.decode(chat.ids[chat.reply].tolist()).strip() == f"記号{word}</s>"
        assert chat.ids[~chat.reply].tolist() == ours.prompt_ids(messages[:1])


def test_ids_are_those_of_the_tokenizers_own_chat_template(folders: list[Path]) -> None:
    from transformers import AutoTokenizer

    for folder in folders:
        reference = AutoTokenizer.from_pretrained(folder)
        ours = PackTokenizer(folder)
        for messages in (CONVERSATION[:2], CONVERSATION):
            assert ours.chat_ids(messages).ids.tolist() == reference.apply_chat_template(messages)
            prompt = reference.apply_chat_template(messages[:-1], add_generation_prompt=True)
            assert ours.prompt_ids(messages[:-1]) == prompt


def test_replies_are_told_from_prompts(tokenizer: PackTokenizer) -> None:
    chat = tokenizer.chat_ids(CONVERSATION)
    prompt = tokenizer.prompt_ids(CONVERSATION[:1])
    assert not any(chat.reply[: len(prompt)])
    first_reply = tokenizer.chat_ids(CONVERSATION[:2])
    assert first_reply.ids[: len(prompt)].tolist() == prompt
    assert all(first_reply.reply[len(prompt) :])
    assert first_reply.ids[-1] == tokenizer.token_id("eos_token")
    assert sum(chat.reply) > sum(first_reply.reply)


@given(st.text(alphabet=st.characters(blacklist_categories=["Cs"]), max_size=60))
def test_text_round_trips(tokenizer: PackTokenizer, text: str) -> None:
    ids = tokenizer.text_ids([text])[0]
    assert tokenizer.decode(ids.tolist()) == text
    with_starts = tokenizer.texts_with_starts([text])[0]
    assert with_starts.ids.tolist() == ids.tolist()
    assert with_starts.starts.tolist() == sorted(with_starts.starts.tolist())


@pytest.mark.parametrize("word", ["</s>", "<s>", "<pad>", "a </s> b"])
def test_control_tokens_written_out_in_a_text_stay_text(tokenizer: PackTokenizer, word: str) -> None:
    control = {tokenizer.token_id(f"{role}_token") for role in ("bos", "eos", "pad")}
    ids = tokenizer.text_ids([word])[0]
    assert not control & set(ids.tolist())
    assert tokenizer.decode(ids.tolist()) == word


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


TEMPLATES = {
    "loop controls and tojson": (
        "{% for m in messages %}{% if loop.index > 2 %}{% break %}{% endif %}{{ m | tojson }}{% endfor %}"
    ),
    "generation marks": "{% for m in messages %}{% generation %}{{ m['content'] }}{% endgeneration %}{% endfor %}",
}


@pytest.mark.parametrize("name", TEMPLATES)
def test_what_templates_of_other_families_use_is_rendered_alike(
    name: str, tmp_path: Path, tokenizer_folder: Path
) -> None:
    shutil.copytree(tokenizer_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text(TEMPLATES[name])
    rendered = transformers_tokenizer(tmp_path).apply_chat_template(CONVERSATION, tokenize=False)
    assert PackTokenizer(tmp_path).render(CONVERSATION) == rendered


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{% for m in messages %}", "its chat template cannot be read: Unexpected end"),
        ("{{ messages[0]['content'].nothing.more }}", "its chat template fails on a conversation"),
        ("{{ raise_exception('only users may speak') }}", "refused a conversation: only users may speak"),
        ("{{ messages | length }}{{ messages[-1]['content'] }}", "renders a prompt differently when a reply follows"),
    ],
)
def test_a_template_that_does_not_work_is_told(
    template: str, message: str, tmp_path: Path, tokenizer_folder: Path
) -> None:
    shutil.copytree(tokenizer_folder, tmp_path, dirs_exist_ok=True)
    (tmp_path / "chat_template.jinja").write_text(template)
    with pytest.raises(BadInput, match=message):
        PackTokenizer(tmp_path).chat_ids(CONVERSATION)


@pytest.mark.parametrize("name", ["NFKC", "NFC", ""])
def test_a_tokenizer_that_makes_106_of_a_power_is_known(tmp_path: Path, name: str) -> None:
    from tokenizers import Tokenizer, models, normalizers

    tokenizer = Tokenizer(models.WordLevel({"a": 0}, unk_token="a"))
    if name:
        tokenizer.normalizer = normalizers.Sequence([getattr(normalizers, name)()])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "tokenizer_config.json").write_text("{}")
    assert PackTokenizer(tmp_path).flattens == (name == "NFKC")
