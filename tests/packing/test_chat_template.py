"""Which template a folder's conversations are written with, and that it is rendered as transformers does."""

from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, write_json
from nemo_kcpt.hf.chat_template import DATE, PLAIN, given_template, with_date
from nemo_kcpt.hf.tokenizer import PackTokenizer, tokenizer_inputs

USER = [{"role": "user", "content": "再現率は？"}]
PAIR = [*USER, {"role": "assistant", "content": "83.7です。"}]
GUARDED = (
    "{%- if not date_string is defined %}{%- if strftime_now is defined %}"
    "{%- set date_string = strftime_now('%d %b %Y') %}{%- else %}{%- set date_string = '1 Jan 1999' %}{%- endif %}"
    "{%- endif %}Today: {{ date_string }}\n{% for m in messages %}{{ m.content }}{% endfor %}"
)
DATED = {
    "guarded": GUARDED,
    "bare": "\n  {% for m in messages %}{{ strftime_now('%A, %-d. %B %Y; %H:%M:%S %%') }}{{ m.content }}{% endfor %}",
    "computed format": "{% set f = '%Y' ~ '-%m' %}{{ strftime_now(f) }}{{ messages[0].content }}",
    "in a macro": "{% macro head() %}{{ strftime_now('%j') }}{% endmacro %}{{ head() }}{{ messages[0].content }}",
    "date_string alone": "{% if not date_string is defined %}{% set date_string = '26 Jul 2024' %}{% endif %}"
    "{{ date_string }}{{ messages[0].content }}",
    "none": "{% for m in messages %}{{ m.content }}{% endfor %}",
}
OTHERS = {
    "tools not none": "{% if tools is not none %}TOOLS{% endif %}{{ messages[0].content }}",
    "tools defined": "{% if tools is defined %}{{ tools }}{% endif %}{{ documents is defined }}",
    "llama 3.1": "{%- if not tools is defined %}{%- set tools = none %}{%- endif %}{% if tools is none %}no{% endif %}",
    "unset tokens": "{{ sep_token is defined }}{{ bos_token is defined }}{{ cls_token }}{{ eos_token }}",
    "generation with dashes": "{% for m in messages %}  \n{%- generation -%}\n  {{ m.content }}\n{% endgeneration %}\n"
    "  {% endfor %}",
    "tojson": "{{ messages | tojson(indent=2, sort_keys=true, ensure_ascii=true, separators=(',', ':')) }}",
}


@pytest.fixture
def folder(tmp_path: Path, tokenizer_folder: Path) -> Path:
    """A tokenizer without a chat template."""
    out = shutil.copytree(tokenizer_folder, tmp_path / "tokenizer")
    config = read_json(out / "tokenizer_config.json")
    write_json(out / "tokenizer_config.json", {key: one for key, one in config.items() if key != "chat_template"})
    return out


def transformers_renders(folder: Path, messages: Any = PAIR, **more: Any) -> str:
    from transformers import AutoTokenizer

    return str(AutoTokenizer.from_pretrained(folder).apply_chat_template(messages, tokenize=False, **more))


@pytest.mark.parametrize("name", OTHERS)
def test_templates_see_what_transformers_gives_them(name: str, folder: Path) -> None:
    (folder / "chat_template.jinja").write_text(OTHERS[name])
    assert PackTokenizer(folder).render(PAIR) == transformers_renders(folder)


@pytest.mark.parametrize("day", [DATE, "2026-11-30"])
@pytest.mark.parametrize("name", DATED)
def test_one_date_is_written_by_ours_and_by_everybody_who_renders_the_exported_template(
    name: str, day: str, folder: Path
) -> None:
    (folder / "chat_template.jinja").write_text(DATED[name])
    ours = PackTokenizer(folder, day=day).render(PAIR)
    at = date.fromisoformat(day)
    extra = {} if day == DATE else {"date_string": at.strftime("%d %b %Y")}
    assert ours == transformers_renders(folder, strftime_now=at.strftime, **extra)
    (folder / "chat_template.jinja").write_text(with_date(DATED[name], day))
    assert transformers_renders(folder) == PackTokenizer(folder).render(PAIR) == ours
    assert name != "none" or with_date(DATED[name], day) == DATED[name]


def test_of_named_templates_the_default_is_used(folder: Path) -> None:
    """As a list in tokenizer_config.json, in a folder beside, and whatever else is there."""
    config = read_json(folder / "tokenizer_config.json")
    named = [{"name": "tool_use", "template": "TOOL"}, {"name": "default", "template": "A{{ messages[0].content }}"}]
    write_json(folder / "tokenizer_config.json", {**config, "chat_template": named})
    assert PackTokenizer(folder).render(PAIR) == transformers_renders(folder) == "A再現率は？"
    more = folder / "additional_chat_templates"
    more.mkdir()
    (more / "tool_use.jinja").write_text("TOOL")
    with pytest.raises(BadInput, match=r"tokenizer_config\.json: of its chat templates .tool_use. none is called def"):
        PackTokenizer(folder).render(PAIR)
    (folder / "chat_template.jinja").write_text("B")
    assert PackTokenizer(folder).render(PAIR) == transformers_renders(folder) == "B"
    before = tokenizer_inputs(folder)
    (more / "default.jinja").write_text("C")
    assert PackTokenizer(folder).render(PAIR) == transformers_renders(folder) == "C"
    assert set(tokenizer_inputs(folder)) - set(before) == {"additional_chat_templates/default.jinja"}


def test_without_a_template_texts_are_tokenised_and_conversations_refused(folder: Path) -> None:
    tokenizer = PackTokenizer(folder)
    assert not tokenizer.has_template and len(tokenizer.sha256) == 64 and len(tokenizer.text_ids(["83.7"])[0])
    with pytest.raises(BadInput, match="give chat_template=FILE with one of your own, or chat_template=plain"):
        tokenizer.prompt_ids(USER)


def test_the_plain_template_tells_replies_and_ends_them(folder: Path) -> None:
    tokenizer = PackTokenizer(folder, given_template(PLAIN))
    text = tokenizer.render([{"role": "system", "content": "短く。"}, *PAIR])
    assert text == "<s>短く。\n\n### User:\n再現率は？\n\n### Assistant:\n83.7です。</s>"
    assert tokenizer.render(USER, add_generation_prompt=True) == "<s>### User:\n再現率は？\n\n### Assistant:\n"
    chat = tokenizer.chat_ids([*PAIR, *PAIR])
    assert tokenizer.decode(chat.ids[chat.reply].tolist()).count("83.7です。</s>") == 2
    assert chat.ids[: len(tokenizer.prompt_ids(USER))].tolist() == tokenizer.prompt_ids(USER)
    with pytest.raises(BadInput, match="knows the roles system, user and assistant, not tool"):
        tokenizer.render([{"role": "tool", "content": ""}])
    (folder / "chat_template.jinja").write_text(given_template(PLAIN))
    assert transformers_renders(folder) == PackTokenizer(folder).render(PAIR)


def test_a_template_file_is_read_or_refused(tmp_path: Path) -> None:
    (tmp_path / "own.jinja").write_text("{{ messages[0].content }}")
    assert given_template(str(tmp_path / "own.jinja")) == "{{ messages[0].content }}" and given_template("") == ""
    (tmp_path / "empty.jinja").write_text(" \n")
    for name, said in (("none.jinja", "no such file"), ("empty.jinja", "nothing in it")):
        with pytest.raises(BadInput, match=rf"chat_template: .*{name}: {said}"):
            given_template(str(tmp_path / name))
