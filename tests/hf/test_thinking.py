"""Templates with thoughts: a pair is trained on in the form without them, and asked in the same form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.hf.chat_template import DATE
from nemo_kcpt.hf.thinking import Thinking
from nemo_kcpt.hf.tokenizer import PackTokenizer
from tests.thinking_models import ENDS, KINDS, TEMPLATES, THINKING, save_tokenizer

QUESTION = [{"role": "user", "content": "再現率は何％ですか？"}]
SYSTEM = {"role": "system", "content": "短く答える。"}
ANSWER = "83.7％です。"
WRITTEN = {
    "qwen3": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "qwen3.5": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "qwen3-thinking-2507": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "smollm3": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "deepseek-r1": "<|im_start|>",
    "deepseek-v3.1": "<|im_start|></think>",
    "harmony": "<|start|>assistant<|channel|>final<|message|>",
    "effort-none": "<|im_start|>再現率は何％ですか？<|im_end|>",
    "budget": "<|im_start|>assistant\n",
    "minicpm5": "<|im_start|>assistant\n<think>\n\n</think>\n\n",
    "glm": "<|im_start|><think></think>",
    "command": "<|start|><think></think>",
    "recipients": "<|start|>assistant to=user<|message|>",
    "chatml": "<|im_start|>assistant\n",
    "headings": "\n\n### 応答:\n",
}
"""How each template's prompt without a thought ends."""
HEADERS = {"glm": "\n", "command": "<|call|>"}
"""What some write between such a prompt and the answer."""


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> dict[tuple[str, str], Path]:
    root = tmp_path_factory.mktemp("tokenizers")
    return {(kind, name): save_tokenizer(root / kind / name, kind, name) for kind in KINDS for name in TEMPLATES}


def reply(content: str = ANSWER) -> dict[str, str]:
    return {"role": "assistant", "content": content}


@pytest.mark.parametrize("system", [False, True])
@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_pair_is_the_prompt_that_is_asked_the_answer_and_the_end(
    kind: str, name: str, system: bool, folders: dict[tuple[str, str], Path]
) -> None:
    tokenizer = PackTokenizer(folders[kind, name])
    asked = [SYSTEM, *QUESTION] if system else QUESTION
    prompt = tokenizer.prompt(asked)
    assert prompt.endswith(WRITTEN[name])
    header = HEADERS.get(name, "")
    rest = tokenizer.conversation([*asked, reply()]).removeprefix(prompt + header + ANSWER)
    assert rest.rstrip("\n") == ENDS.get(name, "<|im_end|>")
    chat = tokenizer.chat_ids([*asked, reply()])
    ids, count = tokenizer.prompt_ids(asked), int(np.flatnonzero(chat.reply)[0])
    assert chat.reply[count:].all() and chat.ids[:count].tolist() == ids
    said = tokenizer.decode(chat.ids[count:].tolist()).removeprefix(header)
    assert said.lstrip().startswith(ANSWER)
    assert tokenizer.token_id("eos_token") in chat.ids[count:]


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_ids_are_those_of_transformers(kind: str, name: str, folders: dict[tuple[str, str], Path]) -> None:
    from datetime import date

    from transformers import AutoTokenizer

    folder = folders[kind, name]
    theirs = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    for thinking in (Thinking(), Thinking(allowed=True)) if name in THINKING else (Thinking(),):
        tokenizer = PackTokenizer(folder, thinking=thinking)
        options: dict[str, Any] = dict(tokenizer.form.options)
        options |= {"strftime_now": date.fromisoformat(DATE).strftime, "tokenize": True, "return_dict": False}
        if not (thinking.allowed or tokenizer.form.spliced or tokenizer.form.unended):
            pair = [*QUESTION, reply()]
            assert list(theirs.apply_chat_template(pair, **options)) == tokenizer.chat_ids(pair).ids.tolist()
        if not tokenizer.form.cut:
            asked = theirs.apply_chat_template(QUESTION, add_generation_prompt=True, **options)
            assert list(asked) == tokenizer.prompt_ids(QUESTION)
    texts = ["再現率は83.7％。</s><think>a</think>", "鬱😀\n\n\n  x", "<|channel|>final<|message|>"]
    for text in texts:
        assert theirs.encode(text, add_special_tokens=False, split_special_tokens=True) == (
            PackTokenizer(folder).text_ids([text])[0].tolist()
        )


@pytest.mark.parametrize("name", TEMPLATES)
def test_each_reply_of_a_long_conversation_is_trained_on_in_the_form_it_is_asked_in(
    name: str, folders: dict[tuple[str, str], Path]
) -> None:
    tokenizer = PackTokenizer(folders["qwen", name])
    talk = [*QUESTION, reply("1です。"), {"role": "user", "content": "単位は？"}, reply("件です。")]
    trained = {}
    for part in tokenizer.per_reply(talk):
        chat = tokenizer.chat_ids(part)
        begins = np.flatnonzero(np.diff(chat.reply.astype(int), prepend=0) == 1)
        for place in begins.tolist():
            trained[tuple(chat.ids[:place].tolist())] = True
    assert set(trained) == {tuple(tokenizer.prompt_ids(talk[:end])) for end in (1, 3)}


@pytest.mark.parametrize("name", THINKING)
@pytest.mark.parametrize("kind", KINDS)
def test_marks_in_a_message_are_text(kind: str, name: str, folders: dict[tuple[str, str], Path]) -> None:
    """A template that takes what follows `</think>` for the whole answer would lose the half of one about thoughts."""
    tokenizer = PackTokenizer(folders[kind, name])
    answer = "モデルは<think>で考え</think>で終える。<|im_end|>は札である。"
    chat = tokenizer.chat_ids([{"role": "user", "content": "</think>とは？"}, reply(answer)])
    said = tokenizer.decode(chat.ids[chat.reply].tolist()).replace(" ", "")
    assert said.removeprefix(HEADERS.get(name, "")).startswith(answer)


def test_what_is_asked_with_thoughts(folders: dict[tuple[str, str], Path]) -> None:
    def asked(name: str, text: str) -> str:
        return PackTokenizer(folders["qwen", name], thinking=Thinking.parse(text)).prompt(QUESTION)

    assert asked("qwen3", "on").endswith("<|im_start|>assistant\n")
    assert asked("deepseek-r1", "on").endswith("<think>\n") and asked("deepseek-v3.1", "100").endswith("<think>")
    assert "Mode: /think" in asked("smollm3", "on") and "Mode: /no_think" in asked("smollm3", "off")
    assert "Reasoning: high" in asked("harmony", "high") and asked("harmony", "high").endswith("<|start|>assistant")
    assert "effort none" in asked("effort-none", "off") and "effort high" in asked("effort-none", "high")
    assert "at most 64 tokens" in asked("budget", "64") and "at most 0 tokens" in asked("budget", "off")
    assert "at most" not in asked("budget", "on")
    with pytest.raises(BadInput, match="takes no effort words"):
        asked("qwen3", "high")
    with pytest.raises(BadInput, match="thinking=on: the chat template has no form for thoughts"):
        asked("chatml", "on")


@pytest.mark.parametrize(
    ("name", "closing"),
    [
        ("qwen3", "\n</think>\n\n"),
        ("deepseek-r1", "\n</think>\n\n"),
        ("deepseek-v3.1", "\n</think>\n\n"),
        ("harmony", "<|end|><|start|>assistant<|channel|>final<|message|>"),
    ],
)
def test_how_a_thought_is_ended(name: str, closing: str, folders: dict[tuple[str, str], Path]) -> None:
    tokenizer = PackTokenizer(folders["qwen", name], thinking=Thinking.parse(64))
    assert tokenizer.decode(tokenizer.closing_ids) == closing


@pytest.mark.parametrize(
    ("text", "meant"),
    [("off", "off"), ("On", "on"), ("False", "off"), (True, "on"), (0, "off"), ("512", "512"), ("low", "low")],
)
def test_the_key(text: Any, meant: str) -> None:
    assert str(Thinking.parse(text)) == meant


@pytest.mark.parametrize("text", ["", "-1", "1.5", "low effort", "高い"])
def test_other_values_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither off, on, a number of tokens nor an effort word"):
        Thinking.parse(text)


@pytest.mark.parametrize("name", TEMPLATES)
@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_out_changes_no_other_token(kind: str, name: str, folders: dict[tuple[str, str], Path]) -> None:
    """Before and after a special token that is text, the ids are those of the conversation without it."""
    tokenizer = PackTokenizer(folders[kind, name])
    written, plain = (
        tokenizer.chat_ids([{"role": "user", "content": f"どれ{word}？"}, reply()]) for word in ("</s>", "")
    )
    assert tokenizer.holds_special([{"role": "user", "content": "どれ</s>？"}])
    assert written.ids[written.reply].tolist() == plain.ids[plain.reply].tolist()
    begin = len(tokenizer.prompt_ids([{"role": "user", "content": ""}])) // 3
    assert written.ids[:begin].tolist() == plain.ids[:begin].tolist()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("eats", [{"lstrip": True}, {"rstrip": True}, {"lstrip": True, "rstrip": True}, {}])
def test_blanks_that_a_control_token_takes_along_are_taken_everywhere(
    kind: str, eats: dict[str, bool], tmp_path: Path
) -> None:
    """As Phi's and Mistral's; whether or not a conversation has to be tokenised piece by piece."""
    from tokenizers import AddedToken, Tokenizer

    folder = save_tokenizer(tmp_path, kind, "{% for m in messages %} <|x|> {{ m.content }} <|x|>\n{% endfor %}")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.add_special_tokens([AddedToken("<|x|>", **eats)])
    tokenizer.save(str(folder / "tokenizer.json"))
    ours = PackTokenizer(folder)
    whole = tokenizer.encode(ours.render(QUESTION), add_special_tokens=False).ids
    assert ours.prompt_ids(QUESTION) == whole
    assert [one for ids, _ in ours._written.pieces(ours.render(QUESTION)) for one in ids] == whole


def test_a_template_that_opens_a_thought_before_each_reply_is_refused(tmp_path: Path) -> None:
    """As Nemotron Nano v2's: an answer would be taken for a thought that does not end."""
    template = (
        "{% for m in messages %}{% if m.role == 'user' %}<|im_start|>{{ m.content }}<|im_end|><think>\n{% else %}"
        "{{ m.content }}<|im_end|>{% endif %}{% endfor %}"
    )
    folder = save_tokenizer(tmp_path, "qwen", template)
    with pytest.raises(BadInput, match="opens a thought before each reply .<think>. and has no form without one"):
        PackTokenizer(folder).chat_ids([*QUESTION, reply()])
    assert PackTokenizer(folder).prompt(QUESTION).endswith("<think>\n"), "it can be asked and exported as it is"


def test_a_template_that_fails_is_named(tmp_path: Path) -> None:
    folder = save_tokenizer(tmp_path, "qwen", "{% for tool in tools %}{{ tool }}{% endfor %}{{ messages[0].content }}")
    with pytest.raises(BadInput, match="its chat template fails on a conversation: TypeError: 'NoneType'"):
        PackTokenizer(folder).prompt(QUESTION)
