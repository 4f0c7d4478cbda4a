from __future__ import annotations

import json
from pathlib import Path

import pytest

from nemo_kcpt.cleaning import clean, looks_garbled, unusable

JAPANESE = (
    "自然言語処理の研究では、こんにちはという挨拶の文をコンピュータで解析する。これはテストであり、カタカナも含まれる。"
)
ENGLISH = "It’s a café — naïve “quotes” aren’t broken, they’re fine… "


@pytest.mark.parametrize(
    ("text", "written", "read"),
    [
        (JAPANESE, "utf-8", "cp932"),
        (JAPANESE, "utf-8", "latin-1"),
        (JAPANESE, "utf-8", "cp1252"),
        (JAPANESE, "utf-8", "euc_jp"),
        (JAPANESE, "euc_jp", "cp932"),
        (JAPANESE, "euc_jp", "latin-1"),
        (JAPANESE, "cp932", "euc_jp"),
        (JAPANESE, "cp932", "latin-1"),
        (JAPANESE, "iso2022_jp", "ascii"),
        (ENGLISH, "utf-8", "cp1252"),
    ],
)
def test_bytes_read_in_the_wrong_encoding(text: str, written: str, read: str) -> None:
    broken = text.encode(written).decode(read, "replace")
    assert looks_garbled(broken)
    assert looks_garbled(clean(broken).text)
    assert not looks_garbled(text) and not looks_garbled(clean(text).text)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("縺薙ｓ縺ｫ縺｡縺ｯ", "UTF-8 read as CP932"),
        ("譌･譛ｬ隱樊枚譖ｸ", "UTF-8 read as CP932"),
        ("We donâ€™t know.", "UTF-8 read as Latin-1"),
        ("ã“ã‚“ã«ã¡ã¯", "Latin-1"),
        ("あ" * 200 + "\ufffd" * 3, "3 characters of 203"),
        ("あ" * 9000 + "\ufffd" * 21, "21 characters of 9021"),
    ],
)
def test_reasons(text: str, why: str) -> None:
    assert why in looks_garbled(text)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "縺れた糸を縺れさせ、縺れ合う。縺らす。",
        "L’été, Noël à la plage : « ça va ? » — voilà… “São Paulo”, façade, “café”",
        "„Schön“, sagte er, „für“ Äpfel",
        "Tôi đang học tiếng Việt. Đây là một ví dụ về văn bản.",
        "ｱｲｳｴｵ ﾃｽﾄ 日本ｶﾅ漢字ﾃｽﾄ",
        "選択肢は赤、青、黄、ア、イ、ウ、エである。",
        "¥1,000 と ¤ と £5",
        "価格は$Bであり、$Aではない(B)。",
        "文字化けの例として「縺薙ｓ縺ｫ縺｡縺ｯ」がある。" + JAPANESE * 20,
        "emoji half lost: \ufffd",
        "Привет, мир. Γειά σου.",
    ],
)
def test_what_only_looks_odd(text: str) -> None:
    assert looks_garbled(text) == ""


def test_no_article_of_jaquad_is_garbled(shared_data: Path) -> None:
    for file in sorted((shared_data / "jaquad").glob("*.json")):
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]:
            text = "\n\n".join(paragraph["context"] for paragraph in article["paragraphs"])
            for part in (article["title"], text, clean(text).text):
                assert looks_garbled(part) == "", article["title"]


def test_unusable() -> None:
    assert unusable("a\x00b\ud800c\udfff") == 3
    assert unusable("日本\ufffd𠮷") == 0
