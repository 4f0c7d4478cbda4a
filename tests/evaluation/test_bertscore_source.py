"""Encoders that cannot be used, limits that are not written down, and code that must not run unasked."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.errors import BadInput, KcptError
from nemo_kcpt.evaluation.scoring.bertscore import DEFAULT_ENCODER, BertScore
from nemo_kcpt.evaluation.scoring.bertscore import source as source_module
from nemo_kcpt.evaluation.scoring.bertscore.encoder import load_encoder
from nemo_kcpt.evaluation.scoring.bertscore.packages import lacking
from nemo_kcpt.evaluation.scoring.bertscore.source import code_digest, locate
from nemo_kcpt.files import read_json, write_json
from tests.evaluation.encoders import make_encoder, text, write_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

CODE = """
from pathlib import Path
from transformers import BertConfig, BertModel
Path({marker!r}).touch()
class OwnConfig(BertConfig):
    model_type = "own_bert"
class OwnModel(BertModel):
    config_class = OwnConfig
"""
COMMIT = "0123456789abcdef0123456789abcdef01234567"


def with_own_code(folder: Path, marker: Path, **auto_map: str) -> Path:
    """A small BERT under a model type that only a Python file in its folder knows."""
    make_encoder(folder)
    (folder / "modeling_own.py").write_text(CODE.format(marker=str(marker)))
    named = auto_map or {"AutoConfig": "modeling_own.OwnConfig", "AutoModel": "modeling_own.OwnModel"}
    config = read_json(folder / "config.json")
    write_json(folder / "config.json", config | {"auto_map": named, "model_type": "own_bert"})
    return folder


@pytest.mark.parametrize(
    ("limit", "positions", "expected"), [(None, 512, 512), (128, 512, 128), (4096, 256, 256), (10**30, 96, 96)]
)
def test_the_limit_is_what_tokenizer_and_positions_allow(
    tmp_path: Path, limit: int | None, positions: int, expected: int
) -> None:
    scorer = BertScore(make_encoder(tmp_path / "bert", limit=limit, max_position_embeddings=positions))
    (score,) = scorer.score([text(700, 1)], [text(700, 1)])
    assert scorer.encoder.limit == expected
    assert score.f1 == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("kind", ["Roberta", "DebertaV2", "T5"])
def test_limits_that_are_not_in_the_tokenizer(tmp_path: Path, kind: str) -> None:
    """RoBERTa's 514 positions hold 512 tokens (two are before the first), T5 has no limit at all."""
    scorer = BertScore(make_encoder(tmp_path / "encoder", kind, limit=None))
    scorer.score([text(900, 1)], [text(600, 2)])
    assert (scorer.encoder.limit, scorer.windowed) == (512, 2)


def remove(*names: str) -> Any:
    return lambda folder: [(folder / name).unlink() for name in names]


def change(name: str, **values: Any) -> Any:
    return lambda folder: write_json(folder / name, read_json(folder / name) | values)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (remove("config.json"), r"config.json: no such file"),
        (lambda folder: (folder / "config.json").write_text("[]"), "config.json: not a JSON object"),
        (remove("model.safetensors"), "cannot be loaded as an encoder"),
        (remove("tokenizer.json"), "cannot be loaded as an encoder"),
        (lambda folder: (folder / "model.safetensors").write_bytes(b"0" * 100), "cannot be loaded as an encoder"),
        (change("config.json", num_hidden_layers=4), r"tensors of the encoder are not in its files \(encoder.layer.3"),
        (lambda folder: write_tokenizer(folder, limit=2), "reads 2 tokens at once, which leaves none for text"),
    ],
)
def test_encoders_that_cannot_be_used(tmp_path: Path, damage: Any, message: str) -> None:
    folder = make_encoder(tmp_path / "bert")
    damage(folder)
    with pytest.raises(BadInput, match=message) as caught:
        BertScore(folder).score(["あ"], ["い"])
    assert str(folder) in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "packages"),
    [
        ({"word_tokenizer_type": "mecab", "mecab_kwargs": {"mecab_dic": "ipadic"}}, "fugashi ipadic"),
        ({"word_tokenizer_type": "mecab"}, "fugashi unidic-lite"),
        ({"word_tokenizer_type": "jumanpp"}, "rhoknp"),
    ],
)
def test_a_tokenizer_whose_package_is_not_installed(tmp_path: Path, settings: dict[str, Any], packages: str) -> None:
    """The two Tohoku BERTs' kinds of tokenizer; the error names the packages and the command."""
    write_json(tmp_path / "tokenizer_config.json", {"tokenizer_class": "BertJapaneseTokenizer", **settings})
    write_json(tmp_path / "config.json", {"model_type": "bert"})
    (tmp_path / "vocab.txt").write_text("[PAD]\n[UNK]\n[CLS]\n[SEP]\n[MASK]\n犬\n", encoding="utf-8")
    names = packages.replace(" ", " and ")
    with pytest.raises(BadInput, match=f"needs the Python packages? {names}, which.*-m pip install {packages}`"):
        load_encoder(locate(tmp_path))


def test_another_package_that_is_missing_is_named(tmp_path: Path) -> None:
    assert "pip install einops`" in lacking(tmp_path, ModuleNotFoundError("No module named 'einops'", name="einops"))
    assert lacking(tmp_path, ValueError("no package")) == "" == lacking(tmp_path, ImportError("a circle"))


def test_a_tokenizer_of_another_encoder(tmp_path: Path) -> None:
    scorer = BertScore(make_encoder(tmp_path / "bert", vocab_size=20))
    with pytest.raises(BadInput, match="its network knows 20 tokens"):
        scorer.score(["カスミ"], ["の手法"])


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "bert")
    with pytest.raises(BadInput, match="encoder_layers=4: .* has 3 layers; give 1 to 3, or 0"):
        BertScore(folder, 4).score(["あ"], ["い"])
    with pytest.raises(BadInput, match="dtype=int8: one of float32"):
        BertScore(folder, dtype="int8").score(["あ"], ["い"])


def test_an_encoder_that_gives_no_numbers(tmp_path: Path) -> None:
    import torch

    scorer = BertScore(make_encoder(tmp_path / "bert"))
    with torch.no_grad():
        scorer.encoder.model.embeddings.word_embeddings.weight.fill_(float("nan"))
    with pytest.raises(KcptError, match="output is not finite"):
        scorer.score(["あ"], ["い"])


def test_own_code_runs_only_when_this_very_code_is_allowed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    marker = tmp_path / "it_ran"
    folder = with_own_code(tmp_path / "own", marker)
    with pytest.raises(BadInput, match=r"code of its own .*modeling_own.OwnModel.*allow_code=sha256:") as caught:
        BertScore(folder).score(["あ"], ["い"])
    allowed = re.search(r"allow_code=(sha256:[0-9a-f]{64})", str(caught.value))
    assert allowed is not None
    for wrong in ("own", str(folder), "sha256:" + "0" * 64, f"own@{COMMIT}", "1", "true"):
        with pytest.raises(BadInput, match="allows something else"):
            BertScore(folder, allow_code=wrong).score(["あ"], ["い"])
    assert not marker.exists()

    (score,) = BertScore(folder, allow_code=allowed[1]).score(["学習"], ["学習"])
    assert score.f1 == pytest.approx(1, abs=1e-5)
    assert marker.exists()

    marker.unlink()
    with (folder / "modeling_own.py").open("a") as stream:
        stream.write("# changed\n")
    with pytest.raises(BadInput, match="allows something else"):
        BertScore(folder, allow_code=allowed[1]).score(["あ"], ["い"])
    assert not marker.exists()


def test_own_code_that_offers_only_its_training_class(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the default encoder's page shows it: `AutoModelForMaskedLM`, whose head is left away here."""
    from transformers import BertConfig, BertForMaskedLM, BertModel

    monkeypatch.setattr("transformers.dynamic_module_utils.HF_MODULES_CACHE", str(tmp_path / "modules"))
    plain = make_encoder(tmp_path / "plain")
    own = with_own_code(
        tmp_path / "own",
        tmp_path / "ran",
        AutoConfig="modeling_own.OwnConfig",
        AutoModelForMaskedLM="modeling_own.OwnForMaskedLM",
    )
    model = BertForMaskedLM(BertConfig.from_pretrained(plain))
    model.bert.load_state_dict(BertModel.from_pretrained(plain, add_pooling_layer=False).state_dict())
    config = read_json(own / "config.json")
    model.save_pretrained(own)
    write_json(own / "config.json", config)
    with (own / "modeling_own.py").open("a") as stream:
        stream.write("from transformers import BertForMaskedLM\nclass OwnForMaskedLM(BertForMaskedLM):\n")
        stream.write("    config_class = OwnConfig\n")
    texts = [text(50, 1)], [text(70, 2)]
    (expected,) = BertScore(plain).score(*texts)
    (score,) = BertScore(own, allow_code=code_digest(own)).score(*texts)
    assert score.f1 == pytest.approx(expected.f1, abs=1e-6)


def test_a_tokenizers_own_code_counts_too(tmp_path: Path) -> None:
    folder = make_encoder(tmp_path / "bert")
    change("tokenizer_config.json", auto_map={"AutoTokenizer": [None, "tokenization_own.Own"]})(folder)
    with pytest.raises(BadInput, match=r"code of its own \(tokenization_own.Own\)"):
        locate(folder)


def test_code_of_another_repository_cannot_be_allowed(tmp_path: Path) -> None:
    folder = with_own_code(tmp_path / "own", tmp_path / "ran", AutoModel="someone/else--modeling.Own")
    for allow in ("", code_digest(folder)):
        with pytest.raises(BadInput, match=r"code of another repository \(someone/else--modeling.Own\)"):
            locate(folder, allow)


def test_the_digest_is_of_code_and_settings(tmp_path: Path) -> None:
    folder = with_own_code(tmp_path / "own", tmp_path / "ran")
    before = code_digest(folder)
    (folder / "README.md").write_text("hello")
    assert code_digest(folder) == before
    (folder / "deeper").mkdir()
    (folder / "deeper" / "more.py").write_text("")
    assert code_digest(folder) != before


class Hub:
    """Stands for Hugging Face: one repository with own code, at one commit."""

    def __init__(self, cache: Path, own_code: bool) -> None:
        self.folder = cache / "snapshots" / COMMIT
        self.calls: list[tuple[str, str | None, tuple[str, ...]]] = []
        if own_code:
            with_own_code(self.folder, cache / "ran")
        else:
            make_encoder(self.folder)

    def download(self, repository: str, *, revision: str | None, allow_patterns: list[str]) -> str:
        self.calls.append((repository, revision, tuple(allow_patterns)))
        return str(self.folder)


@pytest.mark.parametrize("encoder", ["owner/name", f"owner/name@{COMMIT}"])
def test_a_repositorys_code_is_allowed_by_commit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoder: str) -> None:
    hub = Hub(tmp_path, own_code=True)
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub.download)
    with pytest.raises(BadInput, match=f"tree/{COMMIT}.*allow_code=owner/name@{COMMIT}"):
        locate(encoder)
    assert len(hub.calls) == 1, "no weights are fetched for code that is not allowed"
    for wrong in ("owner/name", "owner/name@main", f"other/name@{COMMIT}", code_digest(hub.folder)):
        with pytest.raises(BadInput, match="allows something else"):
            locate(encoder, wrong)
    found = locate(encoder, f"owner/name@{COMMIT}")
    assert (found.folder, found.name, found.custom_code) == (hub.folder, f"owner/name@{COMMIT}", True)
    assert hub.calls[-1][1] == COMMIT, "the commit that was read, whatever the branch holds now"
    assert not (tmp_path / "ran").exists()


def test_a_repository_without_code(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hub = Hub(tmp_path, own_code=False)
    monkeypatch.setattr("huggingface_hub.snapshot_download", hub.download)
    scorer = BertScore("google-bert/bert-base-uncased@main", 2)
    (score,) = scorer.score(["学習"], ["学習"])
    assert score.f1 == pytest.approx(1, abs=1e-5)
    assert scorer.name == f"google-bert/bert-base-uncased@{COMMIT}"
    with pytest.raises(BadInput, match="encoder_layers=9"):  # bert-score's layer for it, of this one's three
        BertScore("google-bert/bert-base-uncased").score(["学習"], ["学習"])


def test_no_internet(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    with pytest.raises(
        BadInput, match=f"encoder={DEFAULT_ENCODER}: no such folder here.*hf download {DEFAULT_ENCODER}"
    ):
        BertScore().score(["あ"], ["い"])
    for nothing in (tmp_path / "nowhere", "/no/where", "two words", "a/b/c"):
        with pytest.raises(BadInput, match="no such folder; give a Hugging Face encoder folder"):
            BertScore(nothing).score(["あ"], ["い"])


def test_one_place_lets_code_run(root: Path) -> None:
    paths = [path for part in ("nemo_kcpt", "recipes", "tools") for path in (root / part).rglob("*.py")]
    allowing = re.compile(r"trust_remote_code[\"']?\s*[=:]\s*(?!False)")
    found = [path for path in paths if allowing.search(path.read_text(encoding="utf-8"))]
    assert found == [root / "nemo_kcpt/evaluation/scoring/bertscore/encoder.py"]
    assert source_module.__doc__ is not None
