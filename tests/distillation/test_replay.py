"""kcpt replay: what is sampled, what is left out, that seeds repeat it, and that packs and teachers take it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.data.windows import WindowDataset
from nemo_kcpt.distillation import conversations
from nemo_kcpt.distillation import replay_stage as replay
from nemo_kcpt.distillation import stage as distill
from nemo_kcpt.distillation.conversations import Spoken, fault, same_form, spoken, spread, user_turn
from nemo_kcpt.distillation.given_prompts import prompts_file
from nemo_kcpt.distillation.shards import Distillation
from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation import general as general_questions
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing.store import iterate_table, open_tokens
from nemo_kcpt.records.prompts import read_prompts
from nemo_kcpt.serving import transformers_engine
from nemo_kcpt.text.language import language_of
from tests.crash import crash_everywhere
from tests.distillation.small import make_pack
from tests.evaluation.small import make_model

SMALL_WORDS = {
    "what",
    "which",
    "who",
    "how",
    "many",
    "the",
    "of",
    "in",
    "a",
    "an",
    "is",
    "are",
    "was",
    "do",
    "does",
    "on",
}


def config(small: Path, out: Path, **more: Any) -> replay.Config:
    """Of a random model, whose turns end by chance alone: long limits, low demands."""
    given: dict[str, Any] = {"model": small / "model", "out": out, "n": 3, "attempts": 120, "engine": "transformers"}
    return replay.Config(**given | {"prompt_tokens": 60, "answer_tokens": 100, "least_tokens": 1} | more)


@pytest.fixture(scope="module", autouse=True)
def half_characters() -> Iterator[None]:
    """A random model writes half of a character in nearly every text, which would leave none."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(conversations, "BROKEN", "\0")
        yield


@pytest.fixture(scope="module")
def talk(small: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("talk") / "replay"
    replay.run(config(small, out))
    return out


def test_conversations_are_sampled_counted_and_told_apart(small: Path, talk: Path) -> None:
    records, counts = list(read_jsonl(talk / "replay.jsonl")), read_json(talk / "manifest.json")["counts"]
    assert len(records) == counts["kept"] == 3
    for record in records:
        assert [one["role"] for one in record["messages"]] == ["user", "assistant"]
        assert all(one["content"].strip() for one in record["messages"]) and record["origin"] == "self_replay"
    assert len({record["messages"][0]["content"] for record in records}) == 3
    dropped = counts["dropped"]
    assert dropped["unfinished"] > 0 and set(dropped) == {*dropped, "empty", "too_short", "repeated", "refused"}
    assert counts["asked"] >= counts["kept"] + dropped["unfinished"] - 3
    assert 0 < counts["spread"]["distinct_1"] <= counts["spread"]["distinct_2"] <= counts["spread"]["distinct_3"] <= 1
    assert counts["spread"]["prompt_tokens"]["mean"] > 0 and sum(counts["spread"]["languages"].values()) == 3
    assert counts["source"]["model"] == "model" and counts["engine"] == "transformers"
    assert not list(talk.glob("journal-*"))


def test_the_seed_decides(small: Path, talk: Path, tmp_path: Path) -> None:
    replay.run(config(small, tmp_path / "same"))
    assert (tmp_path / "same/replay.jsonl").read_bytes() == (talk / "replay.jsonl").read_bytes()
    replay.run(config(small, tmp_path / "other", seed=1))
    assert (tmp_path / "other/replay.jsonl").read_bytes() != (talk / "replay.jsonl").read_bytes()


def test_a_base_model_goes_on_from_its_first_token(small: Path, tmp_path: Path) -> None:
    replay.run(config(small, tmp_path / "out", base=True, answer_tokens=20))
    records = list(read_jsonl(tmp_path / "out/replay.jsonl"))
    assert len(records) == 3 and all(record["text"] for record in records)


def test_given_prompts_are_answered_first_and_the_rest_is_made_up(small: Path, talk: Path, tmp_path: Path) -> None:
    given = ["学習データは何件ですか。", "手法の名前は何ですか。", "手法の名前は、何ですか"]
    (tmp_path / "mine.txt").write_text("\n\n".join(given), encoding="utf-8")
    replay.run(config(small, tmp_path / "out", n=5, prompts=str(tmp_path / "mine.txt")))
    records, counts = (
        list(read_jsonl(tmp_path / "out/replay.jsonl")),
        read_json(tmp_path / "out/manifest.json")["counts"],
    )
    asked = [record["messages"][0]["content"] for record in records]
    assert counts["given"] == 3 and counts["dropped"]["duplicate"] >= 1 and counts["kept"] == len(records) == 5
    made_up = [one for one in asked if one not in given]
    assert asked == [*(one for one in asked if one in given), *made_up] and 1 <= len(asked) - len(made_up) <= 2
    first = [record["messages"][0]["content"] for record in read_jsonl(talk / "replay.jsonl")]
    assert made_up[:3] == first[: len(made_up[:3])]


def test_the_list_is_known_by_its_content(small: Path, tmp_path: Path) -> None:
    listed = tmp_path / "mine.jsonl"
    write_jsonl(listed, [{"question": "学習データは何件ですか。"}])
    replay.run(config(small, tmp_path / "out", n=1, prompts=str(listed)))
    listed.rename(tmp_path / "moved.jsonl")
    replay.run(config(small, tmp_path / "out", n=1, prompts=str(tmp_path / "moved.jsonl")))
    write_jsonl(listed, [{"prompt": "別の問いですか。"}])
    with pytest.raises(KcptError, match="redo"):
        replay.run(config(small, tmp_path / "out", n=1, prompts=str(listed)))


def test_lists_that_are_none_are_named(small: Path, tmp_path: Path) -> None:
    def run(name: str, content: bytes, **more: Any) -> None:
        (tmp_path / name).write_bytes(content)
        replay.run(config(small, tmp_path / "out", prompts=str(tmp_path / name), **more))

    with pytest.raises(BadInput, match=r"prompts: fr: no such file; .*: en, ja"):
        replay.run(config(small, tmp_path / "out", prompts="fr"))
    with pytest.raises(BadInput, match=r"empty\.txt: no prompts in it; expected one a line"):
        run("empty.txt", b"\n\n")
    with pytest.raises(BadInput, match=r"sjis\.txt: not UTF-8 at byte 0"):
        run("sjis.txt", "学習".encode("cp932"))
    with pytest.raises(BadInput, match=r"other\.jsonl, line 2: neither 'prompt' nor 'question' with a text .*'text'"):
        run("other.jsonl", b'{"prompt": "a"}\n{"text": "b"}\n')
    with pytest.raises(BadInput, match=r"blank\.jsonl: prompt 2 is blank"):
        run("blank.jsonl", b'{"prompt": "a"}\n{"prompt": " "}\n')
    with pytest.raises(BadInput, match="answers no prompts"):
        run("good.txt", b"a\n", base=True)


@pytest.mark.parametrize("language", ["en", "ja"])
def test_shipped_prompts_ask_nothing_that_retention_asks(language: str) -> None:
    """Neither in these words nor, in English, with the same words in another order."""
    prompts = read_prompts(prompts_file(language))
    forms = [same_form(prompt) for prompt in prompts]
    assert len(forms) == len(set(forms)) > 600
    assert all(language_of(prompt) == language for prompt in prompts if len(prompt) > 40)
    general = Path(general_questions.__file__).parent
    asked = [record["question"] for name in (language, "questions") for record in read_jsonl(general / f"{name}.jsonl")]
    assert not set(forms) & {same_form(question) for question in asked}
    if language == "en":
        assert not {_words(prompt) for prompt in prompts} & {_words(question) for question in asked}


def _words(text: str) -> frozenset[str]:
    return frozenset(re.findall(r"\w+", text.casefold())) - SMALL_WORDS


@pytest.mark.slow
def test_a_killed_run_ends_like_one_that_was_not(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transformers_engine, "BATCH", 2)
    asked = config(small, tmp_path / "out", n=2, attempts=4, prompt_tokens=8, answer_tokens=4, keep_refusals=True)
    monkeypatch.setattr(replay, "fault", lambda said, *_, **more: "" if said.text else "empty")
    crash_everywhere(tmp_path / "out", lambda: replay.run(asked), least=12)


def test_a_pack_takes_conversations_whole_and_both_see_them_alone(small: Path, tmp_path: Path) -> None:
    said = [
        [{"role": "user", "content": f"問い{i}は？"}, {"role": "assistant", "content": f"答え{i}です。"}]
        for i in range(30)
    ]
    write_jsonl(
        tmp_path / "replay.jsonl", [{"messages": one, "origin": "self_replay", "paper_id": None} for one in said]
    )
    pack = make_pack(small, str(tmp_path / "pack"), replay=tmp_path / "replay.jsonl", replay_share=0.3)
    tokenizer, tokens = PackTokenizer(small / "model"), open_tokens(pack)
    whole = {tuple(tokenizer.chat_ids(one).ids.tolist()) for one in said}
    counts = read_json(pack / "manifest.json")["counts"]
    assert counts["replay_share"] == pytest.approx(0.3, abs=0.1) and counts["pairs"] == 12
    distill.run(distill.Config(pack=pack, model=small / "model", out=tmp_path / "teacher", k=4, half=12))
    taught = Distillation(tmp_path / "teacher")
    dataset = WindowDataset(pack, samples=50, seed=0, loss="outputs")
    taught_by = {"attention": "split", "distillation": tmp_path / "teacher"}
    whole_loss = WindowDataset(pack, samples=50, seed=0, loss="content", **taught_by)
    first = counts["windows"] - counts["replay_windows"]
    for window, row in enumerate(iterate_table(pack)):
        if window < first:
            continue
        assert set(row["segment_kinds"]) == {"replay"} and set(row["segment_roles"]) == {"instruction", "output"}
        borders, places = taught.blocks(window).tolist(), set(taught.rows(window).places.tolist())
        for start, end in pairwise(borders):
            if start < row["length"]:
                assert tuple(tokens[window][start:end].tolist()) in whole
                assert places >= set(range(start, end - 1))
        sample = next(one for one in range(50) if dataset.window_of(one) == window)
        replies = sum(
            end - start
            for start, end, role in zip(
                row["segment_starts"], [*row["segment_starts"][1:], row["length"]], row["segment_roles"]
            )
            if role == "output"
        )
        assert dataset[sample]["loss_mask"].sum() == replies
        assert whole_loss[sample]["loss_mask"].sum() == row["length"] - (
            len(borders) - 1 - (row["length"] < borders[-1])
        )
    assert read_json(tmp_path / "teacher/manifest.json")["counts"]["alone"] > 3


def test_what_is_no_conversation_is_named(small: Path, tmp_path: Path) -> None:
    good = {"messages": [{"role": "user", "content": "問い"}, {"role": "assistant", "content": "答え"}]}
    write_jsonl(tmp_path / "replay.jsonl", [good, {"text": "一般の文章"}])
    with pytest.raises(BadInput, match=r"replay\.jsonl, line 2: field messages is missing"):
        make_pack(small, str(tmp_path / "pack"), replay=tmp_path / "replay.jsonl", replay_share=0.3)
    write_jsonl(tmp_path / "replay.jsonl", [{"messages": [{"role": "user"}]}])
    with pytest.raises(BadInput, match=r"line 1: messages: expected \{role, content\}, found"):
        make_pack(small, str(tmp_path / "other"), replay=tmp_path / "replay.jsonl", replay_share=0.3)


def test_the_user_s_turn_is_found_in_templates_of_both_sorts(small: Path, tmp_path: Path) -> None:
    """With control tokens between turns, and with text alone."""
    plain = PackTokenizer(
        small / "model",
        "{% for m in messages %}### {{ m.role }}:\n{{ m.content }}\n\n{% endfor %}"
        "{% if add_generation_prompt %}### answer:\n{% endif %}",
    )
    turn = user_turn(plain, [])
    assert turn.header == "### user:\n" and turn.end == "### answer:"
    own = PackTokenizer(small / "model")
    assert own.render([{"role": "user", "content": "あ"}]).startswith(user_turn(own, []).header + "あ")
    ids = plain.template_ids("手法とは？\n\n### answer:\nはい")
    assert spoken(plain, ids, "length", "### answer:") == Spoken(text="手法とは？", tokens=ids, ended=True)
    with pytest.raises(BadInput, match="does not write a user's message as it is"):
        user_turn(PackTokenizer(small / "model", "{{ messages[0].role }}"), [])


@pytest.mark.parametrize(
    ("text", "tokens", "ended", "expected"),
    [
        ("", [], True, "empty"),
        ("学習データは何件か", range(9), False, "unfinished"),
        ("はい", range(2), True, "too_short"),
        ("学\0習", range(9), True, "broken"),
        ("あああ", [1, 2] * 20, True, "repeated"),
        ("I'm sorry, but I can't help with that.", range(12), True, "refused"),
        ("申し訳ありませんが、お答えできません。", range(12), True, "refused"),
        ("I can't wait to see it, said the fox.", range(12), True, "refused"),
        ("The sky is blue because of scattering.", range(12), True, ""),
    ],
)
def test_faults(text: str, tokens: Any, ended: bool, expected: str) -> None:
    assert fault(Spoken(text=text, tokens=list(tokens), ended=ended), 4, refusals=True) == expected


def test_spread_tells_one_text_from_many() -> None:
    same = spread(["the cat sat on the mat today"] * 4, {"answer_tokens": [3, 9, 30]})
    other = spread(["the cat sat", "a dog ran off", "学習データの件数を数える手法である"], {"answer_tokens": []})
    assert same["distinct_2"] < other["distinct_2"] <= 1
    assert same["answer_tokens"] == {"mean": 14.0, "p10": 3, "median": 9, "p90": 30}


def test_bad_keys_are_refused(small: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="temperature must be above 0"):
        config(small, tmp_path, temperature=0)
    with pytest.raises(BadInput, match="no such folder"):
        replay.run(config(small, tmp_path / "out", model=tmp_path / "none"))
    with pytest.raises(BadInput, match="of 2 sampled none is kept"):
        replay.run(config(small, tmp_path / "out", attempts=2, prompt_tokens=1))
    assert make_model(tmp_path / "model", 3)
