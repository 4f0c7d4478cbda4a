"""Chat templates as transformers finds and renders them, without importing it; and one date for those that write it.

A template may call `strftime_now`, which is today's date in transformers and vLLM, or take a `date_string`: then what a
model was trained on is not what it is asked with the day after. Here the date is fixed (`DATE`, or a stage's key
`template_date`), in packs, in every engine and in the check of a conversion; an exported folder's template has the
training's date written into it, so that others' software gives it, too.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_text

SEPARATE, ADDITIONAL = "chat_template.jinja", "additional_chat_templates"
"""The file of a folder's template, and the folder of its further ones, as transformers writes them."""
PLAIN = "plain"
"""Name of the template that comes with this project, for models without one of their own."""
DATE = "2024-07-26"
"""The date that templates write unless another is given: the one that Llama 3's write where they are given none."""
DATE_STRING = "%d %b %Y"
"""Form of `date_string` in Llama 3.1's and 3.2's templates."""
_DIRECTIVES = "%-d %-m %-H %-I %-M %-S %-j %-y %a %A %b %B %c %C %d %D %e %F %G %g %h %H %I %j %k %l %m %M %n %p %P"
_MORE_DIRECTIVES = "%r %R %s %S %t %T %u %U %V %w %W %x %X %y %Y %z %Z"


def template_date(text: str) -> date:
    """A key's date.

    Raises:
        ValueError: it is not of the form 2024-07-26.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ValueError(f"template_date: '{text}' is not a date of the form {DATE}") from None


def own_template(folder: Path, config: Mapping[str, Any]) -> str | None:
    """The template of a tokenizer folder, as transformers 4.57 and 5 choose it; None where there is none.

    `chat_template.jinja` comes before `tokenizer_config.json`; of several named ones it is `default`.

    Args:
        folder: of the tokenizer.
        config: its `tokenizer_config.json`.

    Raises:
        BadInput: one is no text, or of several named ones none is `default`.
    """
    named = named_templates(folder, config)
    if named and "default" not in named:
        raise BadInput(
            f"{folder / 'tokenizer_config.json'}: of its chat templates ({', '.join(sorted(named))}) none is called "
            f"default, which is the one that is used; name it so, or write it to {SEPARATE}"
        )
    return named.get("default") or None


def named_templates(folder: Path, config: Mapping[str, Any]) -> dict[str, str]:
    """All templates of a tokenizer folder by their names, as transformers 4.57 and 5 read them.

    Raises:
        BadInput: one is no text.
    """
    named: dict[str, Any] = {}
    if (folder / SEPARATE).is_file():
        named["default"] = read_text(folder / SEPARATE)
    named |= {path.stem: read_text(path) for path in sorted((folder / ADDITIONAL).glob("*.jinja"))}
    given = config.get("chat_template")
    if not named and isinstance(given, list):
        named = {str(entry.get("name")): entry.get("template") for entry in given if isinstance(entry, dict)}
    elif not named and given is not None:
        named = dict(given) if isinstance(given, dict) else {"default": given}
    if strange := sorted(name for name, text in named.items() if not isinstance(text, str)):
        raise BadInput(f"{folder / 'tokenizer_config.json'}: chat_template: {', '.join(strange)} is no text")
    return named


def template_inputs(folder: Path) -> dict[str, Path]:
    """The files that can hold a folder's default template beside `tokenizer_config.json`, by name, for fingerprints."""
    names = (SEPARATE, f"{ADDITIONAL}/default.jinja")
    return {name: folder / name for name in names if (folder / name).is_file()}


def text_inputs(folder: Path) -> dict[str, Path]:
    """The files of a model's folder that shape its prompts and how it answers, by name, weights and shape apart."""
    names = ("generation_config.json", "tokenizer.json", "tokenizer_config.json")
    return {name: folder / name for name in names if (folder / name).is_file()} | template_inputs(folder)


def given_template(choice: str) -> str:
    """The template that a key `chat_template` names: a file, or `plain`; empty for an empty choice.

    Raises:
        BadInput: there is no such file, or it holds nothing.
    """
    if not choice:
        return ""
    path = Path(__file__).parent / "templates/plain.j2" if choice == PLAIN else Path(choice).expanduser()
    if not path.is_file():
        raise BadInput(f"chat_template: {path}: no such file; give a file with a Jinja template, or {PLAIN}")
    text = read_text(path)
    if not text.strip():
        raise BadInput(f"chat_template: {path}: nothing in it")
    return text


def writes_date(template: str) -> bool:
    """Whether it asks for today's date."""
    return re.search(r"\bstrftime_now\b", template) is not None


def variables(day: str) -> dict[str, Any]:
    """What a template gets beside the conversation, as transformers passes it, and the date.

    `date_string` is given only where another date than `DATE` is asked for: templates have a fixed one of their own.
    """
    at = template_date(day)
    return {"tools": None, "documents": None, "strftime_now": at.strftime} | date_string(day)


def date_string(day: str) -> dict[str, str]:
    """The variable of Llama 3.1's and 3.2's templates, where it is not what they write by themselves."""
    return {} if day == DATE else {"date_string": template_date(day).strftime(DATE_STRING)}


def with_date(template: str, day: str) -> str:
    """The template with its date written into it: every renderer then gives the text that ours gives for `day`.

    Templates that write no date come back as they are. The lines added are a macro in `strftime_now`'s place, which
    puts each of the format's directives in, and `date_string` where none is passed.
    """
    added = ""
    if writes_date(template):
        at = template_date(day)
        words = f"{_DIRECTIVES} {_MORE_DIRECTIVES}".split()
        rules = [(word, at.strftime(word)) for word in ([word for word in words if word in template] or words)]
        chain = "".join(f"|replace({json.dumps(word)}, {json.dumps(value)})" for word, value in rules)
        added += f'{{% macro strftime_now(format) %}}{{{{ format{chain}|replace("%%", "%") }}}}{{% endmacro %}}\n'
    if date_string(day) and re.search(r"\bdate_string\b", template):
        text = json.dumps(date_string(day)["date_string"])
        added += f"{{% if date_string is not defined %}}{{% set date_string = {text} %}}{{% endif %}}\n"
    return added + template


def compile_template(template: str) -> Callable[..., str]:
    """What renders it, with the switches and functions of transformers (transformers/utils/chat_template_utils.py).

    Raises:
        jinja2.TemplateError: it cannot be read.
    """
    from jinja2 import nodes
    from jinja2.ext import Extension
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    class Generation(Extension):
        """`{% generation %}` marks replies for transformers; what is inside is rendered as it stands."""

        def __init__(self, environment: Any) -> None:
            super().__init__(environment)
            self.tags = {"generation"}

        def parse(self, parser: Any) -> Any:
            line = next(parser.stream).lineno
            body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
            return nodes.CallBlock(self.call_method("_inside"), [], [], body).set_lineno(line)

        def _inside(self, caller: Callable[[], str]) -> str:
            return caller()

    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, "jinja2.ext.loopcontrols"]
    )
    environment.globals["raise_exception"] = _refuse
    environment.filters["tojson"] = _to_json
    render: Callable[..., str] = environment.from_string(template).render
    return render


def _to_json(
    value: Any, ensure_ascii: bool = False, indent: Any = None, separators: Any = None, sort_keys: bool = False
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> None:
    raise BadInput(f"the tokenizer's chat template refused a conversation: {message}")
