"""Prompts: one Jinja file per kind and language, `<kind>.<language>.j2`, with a YAML front matter between `---` lines.

    kind: summary          as in the file's name
    language: ja
    pairs: 1               pairs wanted from one call
    heldout: false         true: kept out of training for held-out papers, and made into questions
    schema: output         output: the instruction is one of `wordings`, the teacher writes the output alone;
                           pairs: the teacher writes instructions and outputs
    wordings:              at least five; {name} becomes the paper's title, or the words it begins with
      - "{name}を要約してください。"

The body may use `pairs`, `wording`, `name`, `title` and `references` (the paper's reference list). Which wording a
paper gets depends on its id and the kind alone. Files of the same name in the user's own folder replace the shipped
ones, those whose name begins with an underscore included: `_system`, `_paper` and `_example` are shared by all kinds.

A request is a system message and one user message: the paper first, the same bytes for all kinds, then what is wanted.
So a server's prefix cache reads a paper once for its 16 calls.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nemo_kcpt.config import nearest
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_text
from nemo_kcpt.llm.request import Messages
from nemo_kcpt.records.kinds import KINDS
from nemo_kcpt.synthesis.added import kinds_of, prompt_files
from nemo_kcpt.text.language import PROMPT_LANGUAGES

if TYPE_CHECKING:
    from jinja2 import Environment

SHIPPED = Path(__file__).resolve().parent / "templates"
LANGUAGES = PROMPT_LANGUAGES
"""Languages with shipped prompts; a paper in another one is asked about in English."""
SHARED = ("_system", "_paper", "_example")
FORMS = ("pairs", "output")
MOST = 2
"""Times the pairs wanted that a reply may hold."""
BEGINNING = 30
"""Characters of its text by which a paper without a title is named."""

FORM: Mapping[tuple[str, str], str] = {
    ("ja", "output"): '返答の形: キーが "output" 一つの JSON オブジェクト。値は書いた文章です。',
    (
        "ja",
        "pairs",
    ): '返答の形: キーが "pairs" 一つの JSON オブジェクト。値は一組ずつのオブジェクトの配列で、それぞれキー '
    '"instruction"(問い)と "output"(答え)を持ちます。',
    (
        "en",
        "output",
    ): 'Form of the reply: a JSON object with the one key "output", whose value is the text that you wrote.',
    (
        "en",
        "pairs",
    ): 'Form of the reply: a JSON object with the one key "pairs", whose value is an array with one object for '
    'each pair, with the keys "instruction" (the question) and "output" (the answer).',
}
"""Last line of the shipped prompts, by language and form, with no place left open: small models copy it."""
FORMER: Mapping[tuple[str, str], str] = {
    ("ja", "output"): '形: {"output": "…"}',
    ("ja", "pairs"): '形: {"pairs": [{"instruction": "…", "output": "…"}, …]}',
    ("en", "output"): 'Form: {"output": "…"}',
    ("en", "pairs"): 'Form: {"pairs": [{"instruction": "…", "output": "…"}, …]}',
}
"""The line that stood in its place until November 2026: journals of that time hold requests with it."""
_PHRASE = re.compile(r"\"([^\"]{2,60})\"|「([^」]{2,60})」")
_BLANK = re.compile(r"…|\.{3}|〜|～")
_FILE = re.compile(r"(\w+)\.([a-z]{2})\.j2$")
_KEYS = {"kind": str, "language": str, "pairs": int, "heldout": bool, "schema": str, "wordings": list}


@dataclass(frozen=True)
class Prompt:
    """What one kind asks for, in one language."""

    kind: str
    language: str
    pairs: int
    heldout: bool
    form: str
    """pairs: the teacher writes instructions too; output: the instruction is one of `wordings`."""
    wordings: tuple[str, ...]
    body: str
    path: Path

    @cached_property
    def schema(self) -> dict[str, Any]:
        """JSON schema of the reply, in the form that OpenAI's structured output takes (strict)."""
        text = {"type": "string", "minLength": 1}
        if self.form == "output":
            return _object({"output": text})
        pair = _object({"instruction": text, "output": text})
        return _object({"pairs": {"type": "array", "minItems": 1, "maxItems": self.pairs, "items": pair}})

    def former(self, messages: Messages) -> Messages:
        """The messages with the last line that prompts had before they said the form in words, if that line is ours."""
        form = FORM[self.language, self.form]
        if not messages or not messages[-1]["content"].endswith(form):
            return ()
        *before, last = messages
        return (*before, {**last, "content": last["content"].removesuffix(form) + FORMER[self.language, self.form]})

    @cached_property
    def placeholders(self) -> frozenset[str]:
        """Phrases of the prompt with a blank to fill ("What is …?"), letters alone: a copy of it is no instruction."""
        quoted = _PHRASE.findall("\n".join((*self.wordings, self.body)))
        return frozenset(_bare(phrase) for pair in quoted for phrase in pair if _BLANK.search(phrase)) - {""}

    def wording(self, paper: Mapping[str, Any], part: int = 0, parts: int = 1) -> str:
        """The wording for this paper (or its part): chosen by paper_id and kind, the paper named in it."""
        digest = hashlib.sha256(f"{paper['paper_id']}\0{self.kind}".encode()).digest()
        chosen = self.wordings[int.from_bytes(digest[:8], "big") % len(self.wordings)]
        name = paper_name(paper, self.language)
        if parts > 1:
            name += f"(全{parts}部の第{part + 1}部)" if self.language == "ja" else f" (part {part + 1} of {parts})"
        return chosen.replace("{name}", name)


def _bare(text: str) -> str:
    return re.sub(r"[\W_]", "", text).casefold()


def _object(properties: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def paper_name(paper: Mapping[str, Any], language: str) -> str:
    """What a paper is called in an instruction: its title, or the words it begins with."""
    title = str(paper.get("title") or "").strip()
    if title:
        return f"「{title}」" if language == "ja" else f'"{title}"'
    words = " ".join(str(paper["text"]).split())
    beginning = words[:BEGINNING] + ("…" if len(words) > BEGINNING else "")
    return f"「{beginning}」で始まる文書" if language == "ja" else f'the document that begins "{beginning}"'


class Prompts:
    """All prompts of one language."""

    def __init__(
        self, language: str, folder: Path | None = None, added: Mapping[tuple[str, str], Path] | None = None
    ) -> None:
        """Read the shipped prompts, those `added` by installed packages, and those in `folder`.

        Raises:
            BadInput: a file cannot be read as a prompt; names file, line and what was expected.
        """
        self.language = language
        paths = _files(SHIPPED, language) | {
            kind: path for (kind, prompt_language), path in (added or {}).items() if prompt_language == language
        }
        paths |= _files(folder, language) if folder is not None else {}
        self.by_kind = {name: _read_prompt(path, name, language) for name, path in paths.items() if name[0] != "_"}
        extra = sorted(name for name in self.by_kind if name not in KINDS)
        self.by_kind = {name: self.by_kind[name] for name in (*KINDS, *extra) if name in self.by_kind}
        environment = _environment()
        sources = {name: (read_text(paths[name]), paths[name]) for name in SHARED}
        sources |= {name: (prompt.body, prompt.path) for name, prompt in self.by_kind.items()}
        self._templates = {name: _compiled(environment, *source) for name, source in sources.items()}
        self._system = {"role": "system", "content": self._templates["_system"].render().strip()}

    def messages(
        self, kind: str, paper: Mapping[str, Any], head: str, *, part: int = 0, parts: int = 1, example: str = ""
    ) -> Messages:
        """The request: system message, then the paper (or a part of it, counted from 0) and what is wanted of it.

        `head` is what `head()` made of the paper or part, once for all kinds.
        """
        prompt = self.by_kind[kind]
        example_text = self._render("_example", prompt, example=example) if example else ""
        references = [str(entry) for entry in paper.get("references") or ()]
        wanted = self._render(
            kind,
            prompt,
            pairs=prompt.pairs,
            wording=prompt.wording(paper, part, parts),
            name=paper_name(paper, self.language),
            title=paper.get("title") or "",
            references=references,
        )
        return (self._system, {"role": "user", "content": head + example_text + wanted.strip()})

    def head(self, paper: Mapping[str, Any], text: str, *, part: int = 0, parts: int = 1) -> str:
        """What a paper's requests share: the paper, between marks that do not occur in it."""
        number = 0
        while (mark := f"document-{hashlib.sha256(f'{number}{text}'.encode()).hexdigest()[:8]}") in text:
            number += 1
        title = paper.get("title") or ""
        return self._templates["_paper"].render(title=title, text=text, mark=mark, part=part + 1, parts=parts)

    def _render(self, template: str, prompt: Prompt, /, **values: Any) -> str:
        from jinja2 import TemplateError

        try:
            return self._templates[template].render(**values)
        except TemplateError as error:
            raise BadInput(f"{prompt.path}: {error}; a prompt may use {', '.join(values)}") from None


def load_prompts(
    languages: Sequence[str] = LANGUAGES, folder: Path | None = None, kinds: Sequence[str] = ()
) -> dict[str, Prompts]:
    """The prompts by language: the shipped ones, those in `folder`, and of installed packages those that `kinds` names.

    Raises:
        BadInput: `folder` is missing, or holds a file that is no prompt.
    """
    if folder is not None:
        _check_folder(folder)
    added = prompt_files(kinds_of(kinds, folder))
    return {language: Prompts(language, folder, added) for language in languages}


def _environment() -> Environment:
    from jinja2 import StrictUndefined
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    return ImmutableSandboxedEnvironment(undefined=StrictUndefined, autoescape=False, keep_trailing_newline=True)


def _compiled(environment: Environment, source: str, path: Path) -> Any:
    from jinja2 import TemplateSyntaxError

    try:
        return environment.from_string(source)
    except TemplateSyntaxError as error:
        raise BadInput(f"{path}, line {error.lineno} below the front matter: {error.message}") from None


def _check_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise BadInput(f"prompts={folder}: no such folder")
    for path in sorted(folder.glob("*.j2")):
        match = _FILE.match(path.name)
        if not match or match[2] not in LANGUAGES or (match[1][0] == "_" and match[1] not in SHARED):
            names = ", ".join(f"{name}.ja.j2" for name in SHARED)
            raise BadInput(
                f"{path}: a prompt is called <kind>.<language>.j2 with a language of {', '.join(LANGUAGES)}, "
                f"or one of {names}"
            )


def _files(folder: Path, language: str) -> dict[str, Path]:
    return {path.name[: -len(f".{language}.j2")]: path for path in sorted(folder.glob(f"*.{language}.j2"))}


def _read_prompt(path: Path, kind: str, language: str) -> Prompt:
    import yaml

    lines = read_text(path).split("\n")
    end = lines.index("---", 1) if lines[0] == "---" and "---" in lines[1:] else 0
    if not end:
        raise BadInput(f"{path}, line 1: a prompt begins with a front matter between two lines '---'")
    try:
        front = yaml.safe_load("\n".join(lines[1:end]))
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        raise BadInput(f"{path}, line {mark.line + 2 if mark else 1}: the front matter is not YAML") from None
    if not isinstance(front, dict):
        raise BadInput(f"{path}, line 2: the front matter holds `key: value` lines, found {type(front).__name__}")
    for key in front:
        if key not in _KEYS:
            raise BadInput(f"{path}: unknown key '{key}' in the front matter; {nearest(str(key), list(_KEYS))}")
    for key, expected in _KEYS.items():
        if type(front.get(key)) is not expected:
            raise BadInput(f"{path}: {key} is {front.get(key)!r}; the front matter needs a {expected.__name__} there")
    wordings = front["wordings"]
    wrong = (
        f"kind is {front['kind']}, the file is called {kind}"
        if front["kind"] != kind
        else f"language is {front['language']}, the file is called {language}"
        if front["language"] != language
        else f"schema is {front['schema']}, one of {', '.join(FORMS)} was expected"
        if front["schema"] not in FORMS
        else f"pairs is {front['pairs']}; from 1 to 50 were expected"
        if not 1 <= front["pairs"] <= 50
        else "wordings: at least five texts were expected"
        if len(set(map(str, wordings))) < 5
        else "wordings: {name} is missing in one of them"
        if front["schema"] == "output" and not all("{name}" in str(wording) for wording in wordings)
        else ""
    )
    if wrong:
        raise BadInput(f"{path}: {wrong}")
    return Prompt(
        kind=kind,
        language=language,
        pairs=front["pairs"],
        heldout=front["heldout"],
        form=front["schema"],
        wordings=tuple(map(str, wordings)),
        body="\n".join(lines[end + 1 :]),
        path=path,
    )
