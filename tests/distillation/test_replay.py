"""kcpt replay: what is sampled, what is left out, that seeds repeat it, and that packs and teachers take it."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.data.windows import WindowDataset
from nemo_kcpt.distillation import conversations
from nemo_kcpt.distillation import replay_stage as replay
from nemo_kcpt.distillation import stage as distill
from nemo_kcpt.distillation.conversations import Spoken, fault, spoken, spread, user_turn
from nemo_kcpt.distillation.shards import Distillation
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json, read_jsonl, write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing.store import iterate_table, open_tokens
from nemo_kcpt.serving import transformers_engine
from tests.crash import crash_everywhere
from tests.distillation.small import make_pack
from tests.evaluation.small import make_model


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
