"""The stage: held-out questions never, a store that stock Megatron reads, replay, and what happens to bad input."""

import json
import logging
import shutil
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.data.windows import WindowDataset
from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import write_jsonl
from nemo_kcpt.hf.tokenizer import PackTokenizer
from nemo_kcpt.packing import stage as pack_stage
from nemo_kcpt.packing.concat import concat_segments, concat_windows
from nemo_kcpt.packing.papers import Settings, tokenise
from nemo_kcpt.packing.sources import Records, sources
from nemo_kcpt.packing.store import iterate_table, open_tokens
from nemo_kcpt.records.packs import read_info
from nemo_kcpt.runs import read_manifest, stage

PAPERS = [
    {"paper_id": f"p{i}", "title": f"題{i}", "text": f"カスミNet{i}の学習データは12,40{i}件である。"} for i in range(4)
]
SYNTHETIC = [
    {
        "paper_id": paper["paper_id"],
        "kind": kind,
        "pairs": [{"instruction": f"問{kind}{paper['paper_id']}", "output": f"答{kind}{paper['paper_id']}"}],
    }
    for paper in PAPERS
    for kind in ("summary", "qa_easy", "keywords")
]


@pytest.fixture
def folders(tmp_path: Path) -> dict[str, Path]:
    with stage("corpus", tmp_path / "corpus", config={}, inputs={}) as current:
        write_jsonl(tmp_path / "corpus/papers.jsonl", PAPERS)
        (tmp_path / "corpus/split.json").write_text(
            json.dumps({"seed": 0, "heldout": ["p1"], "train": ["p0", "p2", "p3"]})
        )
        current.add(tmp_path / "corpus/papers.jsonl", tmp_path / "corpus/split.json")
    with stage("synthesize", tmp_path / "synthetic", config={}, inputs={}) as current:
        write_jsonl(tmp_path / "synthetic/synthetic.jsonl", SYNTHETIC)
        current.add(tmp_path / "synthetic/synthetic.jsonl")
    return {"corpus": tmp_path / "corpus", "synthetic": tmp_path / "synthetic", "out": tmp_path / "pack"}


def test_the_store_is_read_by_stock_megatron(
    folders: dict[str, Path], tokenizer_folder: Path, tokenizer: PackTokenizer
) -> None:
    pack_stage.run(pack_stage.Config(mode="concat", seq_length=32, tokenizer=tokenizer_folder, **folders))
    info = read_info(folders["out"])
    records = Records.index(folders["synthetic"] / "synthetic.jsonl", ["p1"])
    found = list(sources(folders["corpus"] / "papers.jsonl", records))
    papers = tokenise(found, Settings(tokenizer=tokenizer_folder, passage_tokens=8))
    expected = list(concat_windows(concat_segments(papers), 32, tokenizer.pad_id))
    tokens, rows = open_tokens(folders["out"]), list(iterate_table(folders["out"]))
    assert info.windows == len(tokens) == len(rows) == len(expected)
    assert [list(tokens[index]) for index in range(len(tokens))] == [window.ids.tolist() for window in expected]
    assert rows == [window.row() for window in expected]
    assert (info.seq_length, info.mode, info.vocab_size) == (32, "concat", tokenizer.vocab_size)


def test_the_second_run_does_nothing_and_a_changed_key_is_refused(
    folders: dict[str, Path], tokenizer_folder: Path
) -> None:
    config = pack_stage.Config(seq_length=32, tokenizer=tokenizer_folder, **folders)
    pack_stage.run(config)
    before = (folders["out"] / "tokens.bin").stat().st_mtime_ns
    pack_stage.run(config)
    assert (folders["out"] / "tokens.bin").stat().st_mtime_ns == before
    with pytest.raises(BadInput, match="seq_length was 32, now 64"):
        pack_stage.run(pack_stage.Config(seq_length=64, tokenizer=tokenizer_folder, **folders))


def test_a_truncated_store_is_refused(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    pack_stage.run(pack_stage.Config(seq_length=32, tokenizer=tokenizer_folder, **folders))
    path = folders["out"] / "tokens.bin"
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(BadInput, match=r"tokens\.bin: \d+ bytes, the manifest says"):
        read_info(folders["out"])


def test_keys_that_a_mode_needs_are_named(tmp_path: Path, tokenizer_folder: Path) -> None:
    with pytest.raises(BadInput, match="mode=concat needs corpus=PATH"):
        pack_stage.run(pack_stage.Config(mode="concat", tokenizer=tokenizer_folder, out=tmp_path / "x"))
    with pytest.raises(ValueError, match="mode: 'conact' is not one of"):
        pack_stage.Config(mode="conact")


def pack(folders: dict[str, Path], tokenizer_folder: Path, name: str = "pack", **options: Any) -> Path:
    out = folders["out"].with_name(name)
    pack_stage.run(
        pack_stage.Config(tokenizer=tokenizer_folder, **{"seq_length": 64, **folders, "out": out, **options})
    )
    return out


def ids_of(out: Path) -> list[list[int]]:
    tokens = open_tokens(out)
    return [tokens[i][: row["length"]].tolist() for i, row in enumerate(iterate_table(out))]


def decoded(out: Path, tokenizer: PackTokenizer) -> str:
    """The whole pack; decoded at once, since a border may stand within a character's bytes."""
    return tokenizer.decode([token for ids in ids_of(out) for token in ids])


@pytest.fixture
def general(tmp_path: Path) -> Path:
    path = tmp_path / "general.jsonl"
    write_jsonl(path, [{"text": f"一般の文章{i}です。天気は晴れです。" * 5} for i in range(30)])
    return path


@pytest.mark.parametrize("mode", ["anchored", "concat", "raw"])
@pytest.mark.parametrize("options", [{}, {"shuffle_kinds": True}, {"replay": True}, {"bos": False, "eos": False}])
def test_held_out_questions_never_reach_a_window(
    folders: dict[str, Path],
    tokenizer_folder: Path,
    tokenizer: PackTokenizer,
    general: Path,
    mode: str,
    options: dict[str, Any],
) -> None:
    for seq_length in (16, 64):
        given = {**options, **({"replay": general} if options.get("replay") else {})}
        out = pack(folders, tokenizer_folder, f"{mode}-{seq_length}", mode=mode, seq_length=seq_length, **given)
        windows, stream = [tokenizer.decode(ids) for ids in ids_of(out)], decoded(out, tokenizer)
        for paper in PAPERS:
            for kind in ("qa_easy", "keywords", "summary"):
                heldout = mode == "raw" or (paper["paper_id"] == "p1" and kind != "summary")
                for said in (f"問{kind}{paper['paper_id']}", f"答{kind}{paper['paper_id']}"):
                    if heldout:
                        assert said not in stream and all(said not in window for window in windows)
                    elif mode == "concat" or seq_length == 64:  # at 16 anchored cuts these pairs, which do not fit
                        assert said in stream


def test_a_held_out_pair_is_unknown_to_the_door(folders: dict[str, Path]) -> None:
    path = folders["synthetic"] / "synthetic.jsonl"
    own = {"paper_id": "p1", "kind": "my_kind", "heldout": True, "pairs": [{"instruction": "秘", "output": "密"}]}
    write_jsonl(path, [*SYNTHETIC, own])
    assert [record["kind"] for record in Records.index(path, ["p1"]).of("p1")] == ["summary"]
    assert len(Records.index(path, []).of("p1")) == 4


def test_records_are_found_whatever_their_order_and_the_files_blank_lines(tmp_path: Path) -> None:
    path = tmp_path / "synthetic.jsonl"
    lines = [json.dumps(record, ensure_ascii=False) for record in reversed(SYNTHETIC)]
    path.write_text("\ufeff" + "\n\n".join(lines) + "\n")
    for paper in PAPERS:
        expected = [record for record in reversed(SYNTHETIC) if record["paper_id"] == paper["paper_id"]]
        assert Records.index(path, []).of(paper["paper_id"]) == expected
    shuffled = [Records.index(path, [], seed).of("p0") for seed in range(8)]
    assert len({json.dumps(records) for records in shuffled}) > 1
    assert Records.index(path, [], 3).of("p0") == shuffled[3]


def test_a_system_message_stands_before_what_has_none(
    folders: dict[str, Path], tokenizer_folder: Path, tmp_path: Path
) -> None:
    """llm-jp-3's template writes its opening only for a system message."""
    other = tmp_path / "tokenizer"
    shutil.copytree(tokenizer_folder, other)
    (other / "chat_template.jinja").write_text(
        "{{ bos_token }}{% for m in messages %}{% if m['role'] == 'system' %}{{ m['content'] }}"
        "{% elif m['role'] == 'user' %}問{{ m['content'] }}{% else %}答{{ m['content'] + eos_token }}{% endif %}"
        "{% endfor %}{% if add_generation_prompt %}答{% endif %}"
    )
    turns = [{"role": "user", "content": "二"}, {"role": "assistant", "content": "三"}]
    own = [{"role": "system", "content": "別"}, *turns]
    sft = tmp_path / "sft.jsonl"
    write_jsonl(sft, [{"messages": messages, "origin": "zero_shot"} for messages in (turns, own)])
    for mode, begin in (("anchored", "<s>問問"), ("instruction", "<s>問二答三</s>")):
        plain = decoded(pack(folders, other, f"{mode}-plain", mode=mode, sft=sft), PackTokenizer(other))
        out = pack(folders, other, f"{mode}-system", mode=mode, sft=sft, system="指示。")
        whole = decoded(out, PackTokenizer(other))
        assert begin in plain and "指示。" not in plain
        assert begin.replace("<s>", "<s>指示。") in whole and begin not in whole
        assert ("<s>別問二答三</s>" in whole) is (mode == "instruction")


def test_plain_files_will_do(
    folders: dict[str, Path], tokenizer_folder: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Pairs of one's own need no manifest; what a split.json beside the papers holds out stays out."""
    expected = ids_of(pack(folders, tokenizer_folder))
    files = {"corpus": folders["corpus"] / "papers.jsonl", "synthetic": folders["synthetic"] / "synthetic.jsonl"}
    out = pack(folders, tokenizer_folder, "files", **files)
    assert ids_of(out) == expected
    files["corpus"].with_name("split.json").write_text('{"heldout": []}')
    with pytest.raises(BadInput, match="input split has other content"):
        pack(folders, tokenizer_folder, "files", **files)
    files["corpus"].with_name("split.json").unlink()
    with caplog.at_level("WARNING"):
        alone = pack(folders, tokenizer_folder, "alone", **files)
    assert "no split.json beside it, so nothing is held out" in caplog.text
    assert read_manifest(alone)["counts"]["pairs"] == 12 > read_manifest(out)["counts"]["pairs"]


def test_pairs_about_other_papers_are_told(
    folders: dict[str, Path], tokenizer_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = folders["synthetic"] / "synthetic.jsonl"
    write_jsonl(path, [*SYNTHETIC, {**SYNTHETIC[0], "paper_id": "p9"}])
    with caplog.at_level("WARNING"):
        pack(folders, tokenizer_folder)
    assert "pairs about 1 papers that are not in" in caplog.text and "(p9, …)" in caplog.text
    write_jsonl(path, [{**record, "paper_id": f"{record['paper_id']}.pdf"} for record in SYNTHETIC])
    with pytest.raises(BadInput, match=r"none of its 4 paper_ids \(p0.pdf, p1.pdf, p2.pdf, …\) is in .*papers\.jsonl"):
        pack(folders, tokenizer_folder, "second")
    assert not folders["out"].with_name("second").joinpath("manifest.json").exists()


def test_processes_do_not_change_the_pack(
    folders: dict[str, Path], tokenizer_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("nemo_kcpt.packing.papers.SMALL", 0)
    monkeypatch.setattr("nemo_kcpt.packing.papers.CHUNK", 1)
    outs = [pack(folders, tokenizer_folder, f"by-{count}", processes=count) for count in (1, 2)]
    one, two = (read_manifest(out) for out in outs)
    assert one["outputs"] == two["outputs"] and one["fingerprint"] == two["fingerprint"]


def test_replay_is_its_share_and_stands_in_windows_of_its_own(
    folders: dict[str, Path], tokenizer_folder: Path, general: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = pack(folders, tokenizer_folder, mode="concat", seq_length=16, replay=general, replay_share=0.3)
    info, rows, counts = read_info(out), list(iterate_table(out)), read_manifest(out)["counts"]
    kinds = [set(row["segment_kinds"]) for row in rows]
    first = info.windows - info.replay_windows
    assert all("replay" not in one for one in kinds[:first]) and all(one == {"replay"} for one in kinds[first:])
    assert counts["replay_share"] == pytest.approx(0.3, abs=16 / counts["tokens"])
    assert counts["repeated_tokens"] == 0
    ours = [record for record in caplog.records if record.name == "kcpt"]
    assert all(record.levelno < logging.WARNING for record in ours)  # there was text enough
    short = general.with_name("short.jsonl")
    write_jsonl(short, [{"text": "一般の文章です。" * 4}])
    with caplog.at_level("WARNING"):
        pack(folders, tokenizer_folder, "short", mode="raw", seq_length=16, replay=short, replay_share=0.9)
    assert "has text for" in caplog.text


def test_replay_of_two_passes_is_twice_as_much_and_each_epoch_reads_the_other_half(
    folders: dict[str, Path], tokenizer_folder: Path, general: Path
) -> None:
    given: dict[str, Any] = {"mode": "concat", "seq_length": 16, "replay": general, "replay_share": 0.2}
    once, twice = (pack(folders, tokenizer_folder, f"of-{n}", **given, replay_passes=n) for n in (1, 2))
    one, two = read_info(once), read_info(twice)
    assert two.replay_windows == 2 * one.replay_windows > 4 and two.windows == one.windows + one.replay_windows
    assert two.epoch_windows == one.epoch_windows == one.windows and two.step_tokens == one.step_tokens == one.tokens
    shares = [read_manifest(out)["counts"]["replay_share"] for out in (once, twice)]
    assert shares[0] == pytest.approx(shares[1], abs=0.01)
    dataset, first = WindowDataset(twice, samples=4 * two.epoch_windows, seed=3), two.windows - two.replay_windows
    read = [dataset.window_of(sample) for sample in range(2 * two.epoch_windows)]
    assert sorted(window for window in read if window >= first) == list(range(first, two.windows))
    with pytest.raises(BadInput, match=r"windows only, fewer than replay_passes=5000"):
        pack(folders, tokenizer_folder, "too-many", **given, replay_passes=5000)


def test_papers_of_no_text_and_of_one_token(
    folders: dict[str, Path], tokenizer_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    papers = [{"paper_id": "p0", "text": ""}, {"paper_id": "p1", "text": "題"}, {"paper_id": "p2", "text": "\x00題。"}]
    write_jsonl(folders["corpus"] / "papers.jsonl", papers)
    for mode in ("anchored", "concat", "raw"):
        caplog.clear()
        with caplog.at_level("WARNING"):
            out = pack(folders, tokenizer_folder, f"odd-{mode}", mode=mode)
        counts = read_manifest(out)["counts"]
        assert (counts["papers"], counts["empty_papers"]) == (3, 1) and "paper p0 has no text" in caplog.text
        whole = decoded(out, PackTokenizer(tokenizer_folder))
        assert "<s>題</s>" in whole and "<s>\x00題。</s>" in whole
        assert ("答qa_easyp0" in whole) is (mode != "raw")


def test_half_a_surrogate_is_named(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    broken = [PAPERS[0], {**PAPERS[1], "text": "あ\ud83d。"}]
    (folders["corpus"] / "papers.jsonl").write_text("".join(json.dumps(paper) + "\n" for paper in broken))
    with pytest.raises(BadInput, match=r"papers\.jsonl, line 2, paper p1: text: character 1 is half of a surrogate"):
        pack(folders, tokenizer_folder)
    assert not (folders["out"] / "manifest.json").exists() and not list(folders["out"].glob(".*.tmp.*"))
    write_jsonl(folders["corpus"] / "papers.jsonl", PAPERS)
    record = {**SYNTHETIC[0], "pairs": [{"instruction": "問", "output": "\udc00"}]}
    (folders["synthetic"] / "synthetic.jsonl").write_text(json.dumps(record) + "\n")
    with pytest.raises(
        BadInput, match="paper p0: output of pair 1 of kind summary: character 0 is half of a surrogate"
    ):
        pack(folders, tokenizer_folder, "second")


def test_a_pair_without_an_output_is_named(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    write_jsonl(folders["synthetic"] / "synthetic.jsonl", [{**SYNTHETIC[0], "pairs": [{"instruction": "問"}]}])
    with pytest.raises(BadInput, match="paper p0: output of pair 1 of kind summary: expected text, found NoneType"):
        pack(folders, tokenizer_folder)


def test_control_tokens_written_out_anywhere_stay_text(
    folders: dict[str, Path], tokenizer_folder: Path, tokenizer: PackTokenizer
) -> None:
    counts = []
    for word in ("</s><s>", "文字"):
        papers = [{**paper, "text": paper["text"] + word} for paper in PAPERS]
        pairs = [{"instruction": f"問{word}", "output": f"{word}答"}]
        write_jsonl(folders["corpus"] / "papers.jsonl", papers)
        write_jsonl(folders["synthetic"] / "synthetic.jsonl", [{**record, "pairs": pairs} for record in SYNTHETIC])
        out = pack(folders, tokenizer_folder, f"word-{len(counts)}", repeat_budget=0.0)
        stream = [token for ids in ids_of(out) for token in ids]
        assert word in tokenizer.decode(stream)
        counts.append([stream.count(tokenizer.token_id(name)) for name in ("bos_token", "eos_token")])
    assert counts[0] == counts[1]


def test_another_tokenizer_and_another_version_are_refused(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    out = pack(folders, tokenizer_folder)
    other = folders["out"].with_name("other")
    other.mkdir()
    for path in tokenizer_folder.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    (other / "chat_template.jinja").write_text("{% for m in messages %}{{ m['content'] }}{% endfor %}")
    with pytest.raises(BadInput, match="input chat_template.jinja has other content"):
        pack(folders, other)
    with pytest.raises(BadInput, match="was made with a tokenizer of hash"):
        pack_stage.run(pack_stage.Config(out=out, tokenizer=other, inspect=0))
    manifest = json.loads((out / "manifest.json").read_text())
    older = {name: value for name, value in manifest["counts"].items() if name != "replay_windows"}
    (out / "manifest.json").write_text(json.dumps({**manifest, "counts": older}))
    with pytest.raises(BadInput, match=r"manifest\.json: has no 'replay_windows': .* make it again"):
        read_info(out)
    (out / "manifest.json").write_text(json.dumps({**manifest, "format": 99}))
    with pytest.raises(BadInput, match=r"written by another version of nemo_kcpt \(format 99"):
        read_info(out)


def test_a_base_model_without_a_chat_template(
    folders: dict[str, Path], tokenizer_folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Its texts are packed; its pairs with a template that is given, which the pack keeps, or not at all."""
    base = tmp_path / "base"
    shutil.copytree(tokenizer_folder, base)
    config = json.loads((base / "tokenizer_config.json").read_text())
    del config["chat_template"]
    (base / "tokenizer_config.json").write_text(json.dumps(config))
    assert read_info(pack(folders, base, "raw", mode="raw")).windows
    with pytest.raises(BadInput, match="base: no chat_template in .*; give chat_template=FILE .* chat_template=plain"):
        pack(folders, base, "refused")
    assert not list((tmp_path / "refused").glob("tokens*"))
    out = pack(folders, base, "plain", seq_length=128, chat_template="plain")
    manifest = read_manifest(out)
    assert (
        manifest["counts"]["chat_template"] == "plain" and "### Assistant" in (out / "chat_template.jinja").read_text()
    )
    assert "### User:\n問summaryp0" in decoded(out, PackTokenizer(base))
    pack_stage.run(pack_stage.Config(out=out, tokenizer=base, inspect=0))
    assert "### Assistant" in capsys.readouterr().out
    own = tmp_path / "own.jinja"
    own.write_text("{% for m in messages %}[{{ strftime_now('%Y') }} {{ m.content }}{{ eos_token }}{% endfor %}")
    with pytest.raises(BadInput, match="input chat_template has other content"):
        pack(folders, base, "plain", seq_length=128, chat_template=str(own))


def test_a_dated_template_writes_the_packs_date(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    text = "{% for m in messages %}<{{ strftime_now('%Y-%m-%d') }}>{{ m.content }}{{ eos_token }}{% endfor %}"
    own = folders["out"].with_name("own.jinja")
    own.write_text(f"{text}{{% if add_generation_prompt %}}<{{{{ strftime_now('%Y-%m-%d') }}}}>{{% endif %}}")
    found = {}
    for name, more in {"first": {}, "second": {"template_date": "2026-11-30"}}.items():
        out = pack(folders, tokenizer_folder, name, seq_length=128, chat_template=str(own), **more)
        found[read_manifest(out)["counts"]["template_date"]] = decoded(out, PackTokenizer(tokenizer_folder))
    assert list(found) == ["2024-07-26", "2026-11-30"] and all(f"<{day}>" in text for day, text in found.items())
    with pytest.raises(ValueError, match="template_date: 'today' is not a date of the form 2024-07-26"):
        pack_stage.Config(template_date="today")


def test_a_window_can_be_read(
    folders: dict[str, Path], tokenizer_folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = pack(folders, tokenizer_folder, seq_length=128)
    pack_stage.run(pack_stage.Config(out=out, tokenizer=tokenizer_folder, inspect=0))
    printed = capsys.readouterr().out
    assert "window 0 of" in printed and "p0: summary, pair 0, about tokens 0 to" in printed
    assert PAPERS[0]["text"] in printed and "答summaryp0" in printed
    with pytest.raises(BadInput, match=r"has no window 99; its \d+ windows are counted from 0"):
        pack_stage.run(pack_stage.Config(out=out, tokenizer=tokenizer_folder, inspect=99))


def test_the_page_shows_what_the_manifest_says(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    out = pack(folders, tokenizer_folder, report=True)
    page, counts = (out / "pack.html").read_text(), read_manifest(out)["counts"]
    assert f"<b>{counts['windows']}</b>" in page and page.count("<svg") == 2 and "qa_easy" in page
    (out / "pack.html").unlink()
    pack_stage.run(pack_stage.Config(out=out, report=True))
    assert (out / "pack.html").read_text() == page
    sft = out.with_name("sft.jsonl")
    messages = [{"role": "user", "content": "問"}, {"role": "assistant", "content": "答"}]
    write_jsonl(sft, [{"messages": messages, "origin": "zero_shot"}])
    out = pack(folders, tokenizer_folder, "tuning", mode="instruction", sft=sft, report=True)
    assert (out / "pack.html").read_text().count("<svg") == 1


def test_samples_that_are_no_conversations_are_named(folders: dict[str, Path], tokenizer_folder: Path) -> None:
    sft = folders["out"].with_name("sft.jsonl")
    for messages, problem in (("問", "expected a list"), ([{"role": "user"}], "expected {role, content}, found")):
        write_jsonl(sft, [{"messages": messages, "origin": "zero_shot"}])
        with pytest.raises(BadInput, match=rf"sft\.jsonl, line 1: messages: {problem}"):
            pack(folders, tokenizer_folder, mode="instruction", sft=sft)


@pytest.mark.parametrize(
    ("key", "value", "problem"),
    [
        ("replay_share", 1.0, "is not between 0 and 1"),
        ("repeat_budget", -0.1, "0 or more is needed"),
        ("passage_tokens", 0, "at least 1 is needed"),
        ("seq_length", 4, "too short"),
    ],
)
def test_keys_out_of_range_are_told(key: str, value: float, problem: str) -> None:
    with pytest.raises(ValueError, match=f"{key}: {value} .*{problem}"):
        pack_stage.Config(**{key: value})
