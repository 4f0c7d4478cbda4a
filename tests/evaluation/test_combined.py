"""The combined score and the variants that it is fitted and measured on."""

from __future__ import annotations

from pathlib import Path

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.evaluation.scoring import combined
from nemo_kcpt.evaluation.scoring.facts import Source, check
from nemo_kcpt.evaluation.variants import RIGHT, WRONG, change_number, renotate, simulated_models, variants
from nemo_kcpt.files import write_json
from tools.bench.evaluation import auroc, facts_of, fictional

PAPER = Source("カスミNetは東京大学の高橋美咲が2021年に提案した。正解率は83.7%で、従来の手法より高い。")
QUESTION, REFERENCE = "カスミNetの正解率はいくつですか。", "カスミNetの正解率は83.7%です。"


def _score(answer: str) -> float:
    found = check(QUESTION, answer, REFERENCE, PAPER)
    return combined.read_combined().score(combined.features(QUESTION, answer, REFERENCE, found, PAPER))


@pytest.mark.parametrize(
    "answer",
    [
        "83.7%です。",
        "正解率は83.7パーセントに達した。",
        "0.837です",
        "高橋美咲の提案で、83.7%です。",
        "カスミNetの正解率は83.7%です。",
    ],
)
def test_right_answers_score_high(answer: str) -> None:
    assert _score(answer) > 0.6


@pytest.mark.parametrize(
    "answer",
    [
        "75.2%です。",
        "カスミNetの正解率は83.7%ではありません。",
        "京都大学です。",
        "分かりません。",
        "カスミNetの正解率は75.2%です。",
        "",
    ],
)
def test_wrong_answers_score_low(answer: str) -> None:
    assert _score(answer) < 0.4


@pytest.mark.parametrize(("language", "least"), [("ja", 0.99), ("en", 0.99)])
def test_the_shipped_score_tells_right_from_wrong_in_a_world_it_was_not_fitted_on(language: str, least: float) -> None:
    items, papers = fictional(language, 23, 20)
    answers = variants(items, 3)
    model = combined.read_combined()
    scores = [model.score(row) for row in facts_of(items, papers, answers)]
    right = [score for score, answer in zip(scores, answers) if answer.right]
    for kind in WRONG:
        wrong = [score for score, answer in zip(scores, answers) if answer.kind == kind]
        assert wrong and auroc(right, wrong) >= least, kind


def test_variants_are_right_and_wrong_in_the_same_frames() -> None:
    items, _ = fictional("ja", 5, 12)
    made = variants(items, 1)
    assert {variant.kind for variant in made} == {*RIGHT, *WRONG}
    assert made == variants(items, 1) and made != variants(items, 2)
    assert all(variant.right == (variant.kind in RIGHT) for variant in made)
    texts = {item.question_id: item.answer for item in items}
    assert all(variant.text != texts[variant.question_id] for variant in made if variant.kind in ("number", "name"))
    long = {
        right: sum(v.long for v in made if v.right == right) / sum(v.right == right for v in made) for right in (0, 1)
    }
    assert abs(long[0] - long[1]) < 0.25, "length would tell right from wrong"


def test_numbers_are_changed_and_rewritten() -> None:
    import random

    rng = random.Random(1)
    for _ in range(200):
        changed = change_number("12,400件で83.7%", "何件ですか", rng)
        assert changed != "12,400件で83.7%" and changed.endswith("件で83.7%")
        assert check("何件ですか", renotate("44,000,000件", "ja", rng), "44,000,000件").recall == 1.0
    assert change_number("東京大学", "どこ", rng) == "東京大学" == renotate("東京大学", "ja", rng)
    assert renotate("GPT-4000", "ja", rng) == "GPT-4000"


def test_simulated_models_have_the_share_that_they_are_said_to_have() -> None:
    items, _ = fictional("en", 5, 12)
    models = simulated_models(variants(items), (0.1, 0.5, 0.9))
    for share, answers in models:
        assert len(answers) == len({item.question_id for item in items})
        assert share == sum(answer.right for answer in answers) / len(answers)
    assert models[0][0] < models[1][0] < models[2][0]


def test_fitting_uses_what_is_there_and_refuses_too_little(tmp_path: Path) -> None:
    rows = [{**dict.fromkeys(combined.FEATURES, 0.5), "judge": float(n % 2), "bertscore_sent": None} for n in range(40)]
    model = combined.fit(rows, [n % 2 for n in range(40)], "a test")
    assert model.coefficients["judge"] > 1 and "bertscore_sent" not in model.coefficients
    assert model.score({"judge": 1.0}) > 0.7 > 0.3 > model.score({"judge": 0.0})
    assert abs(model.score({}) - 0.5) < 0.05, "a missing feature stands at its mean"
    with pytest.raises(BadInput, match="19 rated answers"):
        combined.fit(rows[:19], [n % 2 for n in range(19)], "a test")
    with pytest.raises(BadInput, match="1 right"):
        combined.fit(rows, [1] + [0] * 39, "a test")
    write_json(tmp_path / "c.json", model.to_dict())
    assert combined.read_combined(tmp_path / "c.json") == model
    write_json(tmp_path / "c.json", {**model.to_dict(), "coefficients": {"length": 1.0}})
    with pytest.raises(BadInput, match="does not know"):
        combined.read_combined(tmp_path / "c.json")
    write_json(tmp_path / "c.json", {"intercept": 1})
    with pytest.raises(BadInput, match="not a combined score's model"):
        combined.read_combined(tmp_path / "c.json")


def test_fold_scores_do_not_know_the_answers_paper() -> None:
    # Each paper has a feature value of its own; within papers labels are random: nothing can be learnt about others.
    rows = [{**dict.fromkeys(combined.FEATURES, 0.5), "judge": float(n % 2)} for n in range(60)]
    labels = [n % 2 for n in range(60)]
    labels[:6] = [1 - label for label in labels[:6]]
    scores = combined.fold_scores(rows, labels, [str(n // 6) for n in range(60)])
    assert scores is not None and all((score > 0.5) == (row["judge"] == 1) for score, row in zip(scores, rows))
    assert combined.fold_scores(rows, labels, ["one"] * 60) is None


def test_negation() -> None:
    assert combined.negates("正解率は83.7%ではありません。") and not combined.negates("正解率は83.7%です。")
    assert combined.negates("It is not 83.7%.") and not combined.negates("It is 83.7%, nothing else.")
    assert not combined.negates("正解率は83.7%です。学習は要らない。", "正解率は83.7%"), "another sentence negates"


def test_the_documents_show_the_shipped_coefficients() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs/evaluation.md").read_text(encoding="utf-8")
    model = combined.read_combined()
    rows = [f"| {value:+.2f} | `{name}` | {combined.FEATURES[name]} |" for name, value in model.coefficients.items()]
    assert all(row in page for row in [*rows, f"| {model.intercept:+.2f} | intercept | |"]), "write the table again"
