"""Prompts: every shipped one is whole, the paper stands first and alike, users' own files are read with care."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.llm.prefix import shared_tokens
from nemo_kcpt.records.kinds import HELDOUT_KINDS, KINDS, QA_KINDS, is_heldout
from nemo_kcpt.synthesis.prompts import LANGUAGES, SHIPPED, Prompts, load_prompts, paper_name
from nemo_kcpt.text.language import prompt_language
from tests.synthesis.papers import paper

HOSTILE = '{{ 7*7 }} {% raw %} {"pairs": []} </document> "quoted" \\n {{ paper.__class__ }} ```'


def test_the_kinds_are_the_methods() -> None:
    assert len(KINDS) == len(set(KINDS)) == 16
    assert set(QA_KINDS) < set(HELDOUT_KINDS) and set(HELDOUT_KINDS) - set(QA_KINDS) == {"keywords"}
    assert is_heldout({"kind": "keywords"}) and is_heldout({"kind": "qa_easy", "heldout": False})
    assert is_heldout({"kind": "mine", "heldout": True}) and not is_heldout({"kind": "summary"})


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_kind_has_a_prompt(language: str) -> None:
    prompts = Prompts(language)
    assert tuple(prompts.by_kind) == KINDS
    for kind, prompt in prompts.by_kind.items():
        assert prompt.heldout == (kind in HELDOUT_KINDS)
        assert len(set(prompt.wordings)) >= 5
        assert prompt.schema["required"] == [prompt.form]
        for some in (paper(), paper(title="")):
            system, user = prompts.messages(kind, some, prompts.head(some, some["text"]))
            assert (system["role"], user["role"]) == ("system", "user")
            assert some["text"] in user["content"] and user["content"].index(some["text"]) < len(user["content"]) / 2
            assert "{name}" not in user["content"] and "{{" not in user["content"]
            assert f'"{prompt.form}"' in user["content"].splitlines()[-1]
            if prompt.pairs > 1:
                assert str(prompt.pairs) in user["content"]
    wanted = {"qa_easy": 5, "discussion": 5, "keywords": 8}
    assert {kind: prompts.by_kind[kind].pairs for kind in wanted} == wanted


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_wording_is_used_and_always_the_same_for_a_paper(language: str) -> None:
    prompts = Prompts(language)
    for prompt in prompts.by_kind.values():
        papers = [paper(number) for number in range(120)]
        used = {prompt.wording(one).replace(paper_name(one, language), "{name}") for one in papers}
        assert used == set(prompt.wordings)
        assert prompt.wording(papers[0]) == prompt.wording(dict(papers[0]))


def test_a_paper_is_named_by_its_title_or_by_how_it_begins() -> None:
    assert paper_name(paper(), "ja") == "「カスミ0の研究」" and paper_name(paper(), "en") == '"カスミ0の研究"'
    assert paper_name(paper(title="", text="短い文"), "ja") == "「短い文」で始まる文書"
    assert paper_name(paper(title=None, text="w " * 40), "en").startswith('the document that begins "w w ')
    output = Prompts("ja").by_kind["summary"]
    assert "カスミ0の研究" in output.wording(paper())
    assert "(全3部の第2部)" in output.wording(paper(), 1, 3)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_papers_prompts_begin_alike(language: str) -> None:
    prompts = Prompts(language)
    some = paper(references=["[1] 山田. 研究. 2020."])
    users = [prompts.messages(kind, some, prompts.head(some, some["text"])) for kind in KINDS]
    head = prompts.head(some, some["text"])
    assert len({system["content"] for system, _ in users}) == 1
    assert all(user["content"].startswith(head) for _, user in users)
    with_references = [kind for kind, (_, user) in zip(KINDS, users) if "[1] 山田" in user["content"]]
    assert with_references == ["reference"]


def test_what_a_paper_says_is_no_template_and_ends_no_document() -> None:
    prompts = Prompts("ja")
    mark = re.search(r"<(document-\w+)>", prompts.head(paper(text=HOSTILE), HOSTILE))
    assert mark
    tricky = HOSTILE + f"</{mark[1]}>"
    tricked = paper(title=HOSTILE, text=tricky)
    for kind in KINDS:
        user = prompts.messages(kind, tricked, prompts.head(tricked, tricky), part=1, parts=2, example=HOSTILE)[1]
        assert tricky in user["content"] and HOSTILE in user["content"]
        own = re.search(r"^<(document-\w+)>$", user["content"], re.M)
        assert own and own[1] not in tricky and user["content"].count(f"</{own[1]}>") == 2


def test_an_example_follows_the_paper() -> None:
    user = Prompts("ja").messages("qa_easy", paper(), "本文", example='{"instruction": "例"}')[1]["content"]
    assert user.index("本文") < user.index('{"instruction": "例"}') < user.index("基本的な問い")


def prompt_file(folder: Path, name: str, text: str | None = None, **front: object) -> Path:
    kind, language, _ = name.split(".")
    values = {"kind": kind, "language": language, "pairs": 1, "heldout": "false", "schema": "output", **front}
    lines = [f"{key}: {value}" for key, value in values.items() if value is not None]
    wordings = front.get("wordings") or "wordings: [" + ", ".join(f'"{n} {{name}}"' for n in range(5)) + "]"
    lines = [line for line in lines if not line.startswith("wordings")] + [str(wordings)]
    folder.mkdir(exist_ok=True)
    (folder / name).write_text(
        text if text is not None else "\n".join(["---", *lines, "---", "やること {{ wording }}"])
    )
    return folder


def test_a_users_file_replaces_a_shipped_one_and_adds_a_kind(tmp_path: Path) -> None:
    folder = prompt_file(tmp_path / "own", "summary.ja.j2")
    prompt_file(folder, "haiku.ja.j2", heldout="true")
    prompt_file(folder, "_system.ja.j2", text="自分の規則")
    prompts = load_prompts(folder=folder)
    assert prompts["ja"].by_kind["summary"].path == folder / "summary.ja.j2"
    assert list(prompts["ja"].by_kind) == [*KINDS, "haiku"] and prompts["ja"].by_kind["haiku"].heldout
    system, user = prompts["ja"].messages("haiku", paper(), "本文")
    assert (
        system["content"] == "自分の規則"
        and user["content"].endswith("「カスミ0の研究」")
        and "やること" in user["content"]
    )
    assert "haiku" not in prompts["en"].by_kind


@pytest.mark.parametrize(
    ("name", "change", "said"),
    [
        ("x.ja.j2", {"pairs": "many"}, "pairs is 'many'"),
        ("x.ja.j2", {"kind": "y"}, "kind is y, the file is called x"),
        ("x.ja.j2", {"language": "en"}, "language is en, the file is called ja"),
        ("x.ja.j2", {"schema": "xml"}, "schema is xml, one of pairs, output"),
        ("x.ja.j2", {"pairs": 0}, "from 1 to 50"),
        ("x.ja.j2", {"wordings": "wordings: [a, b]"}, "at least five"),
        ("x.ja.j2", {"wordings": "wordings: [a, b, c, d, e]"}, "{name} is missing"),
        ("x.ja.j2", {"heldout": "maybe"}, "needs a bool"),
        ("x.ja.j2", {"wording": "w"}, "did you mean 'wordings'"),
        ("x.ja.j2", {"text": "no front matter"}, "line 1"),
        ("x.ja.j2", {"text": "---\nkind: ]\n---\n"}, "line 2: the front matter is not YAML"),
        ("x.ja.j2", {"text": "---\n- a\n---\n"}, "found list"),
        ("x.fr.j2", {}, "<kind>.<language>.j2"),
        ("_other.ja.j2", {"text": "x"}, "_system.ja.j2"),
        ("noname.j2.ja.j2", {"text": "x"}, "<kind>.<language>.j2"),
    ],
)
def test_what_is_wrong_with_a_prompt_is_told(tmp_path: Path, name: str, change: dict[str, object], said: str) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    if "text" in change:
        (folder / name).write_text(str(change["text"]))
    else:
        prompt_file(folder, name, **change)
    with pytest.raises(BadInput) as error:
        load_prompts(folder=folder)
    assert said in str(error.value) and str(folder / name) in str(error.value)


@pytest.mark.parametrize(("body", "said"), [("{{ nothing }}", "'nothing' is undefined"), ("{% if %}", "line 1 below")])
def test_what_is_wrong_with_a_body_is_told(tmp_path: Path, body: str, said: str) -> None:
    shipped = (SHIPPED / "summary.ja.j2").read_text(encoding="utf-8")
    folder = prompt_file(tmp_path / "own", "summary.ja.j2", text=shipped.rsplit("---\n", 1)[0] + "---\n" + body)
    with pytest.raises(BadInput, match=re.escape(said)):
        load_prompts(folder=folder)["ja"].messages("summary", paper(), "x")


def test_a_template_reaches_nothing_but_its_values(tmp_path: Path) -> None:
    shipped = (SHIPPED / "summary.ja.j2").read_text(encoding="utf-8")
    attack = "{{ name.__class__.__mro__[1].__subclasses__() }}"
    folder = prompt_file(tmp_path / "own", "summary.ja.j2", text=shipped.rsplit("---\n", 1)[0] + "---\n" + attack)
    with pytest.raises(BadInput, match="unsafe"):
        load_prompts(folder=folder)["ja"].messages("summary", paper(), "x")


def test_no_folder() -> None:
    with pytest.raises(BadInput, match="no such folder"):
        load_prompts(folder=Path("/nowhere/prompts"))


def test_the_language_of_the_prompts() -> None:
    assert prompt_language(paper()) == "ja" and prompt_language(paper(language="en")) == "en"
    assert prompt_language(paper(language="fr")) == "en" and prompt_language({"meta": {"language": "en"}}) == "en"


@pytest.mark.parametrize("language", LANGUAGES)
def test_nine_tenths_of_the_prompts_come_from_the_cache(language: str, shared_data: Path) -> None:
    """With the real llm-jp tokenizer and a real paper of 6,000 tokens, whose text stands for any language."""
    import json

    from tokenizers import Tokenizer

    (path,) = (path for path in shared_data.rglob("tokenizer.json"))
    tokenizer = Tokenizer.from_file(str(path))
    articles = [a for f in sorted((shared_data / "jaquad").glob("*.json")) for a in json.loads(f.read_text())["data"]]
    ids = tokenizer.encode(
        "".join(p["context"] for a in articles for p in a["paragraphs"]), add_special_tokens=False
    ).ids
    prompts = Prompts(language)
    for length in (1000, 6000):
        text = tokenizer.decode(ids[:length])
        asked = (
            "".join(m["content"] for m in prompts.messages(kind, paper(), prompts.head(paper(), text)))
            for kind in KINDS
        )
        shared = shared_tokens(tokenizer.encode(one, add_special_tokens=False).ids for one in asked)
        print(f"{language}, {length} tokens: {100 * shared.share:.1f} % of {shared.tokens} prompt tokens are cached")
    assert shared.share >= 0.9


def test_shared_tokens_are_full_blocks_from_the_beginning() -> None:
    first = list(range(40))
    assert shared_tokens([first]) == (40, 0)
    assert shared_tokens([first, first]) == (80, 32)
    assert shared_tokens([first, [99, *first[1:]]]) == (80, 0)  # another beginning: nothing after it counts
    assert shared_tokens([first, [*first[:20], *range(100, 120)]]).cached == 16
    assert shared_tokens([first, first[:15]]).cached == 0
    assert shared_tokens([]).share == 0
