from __future__ import annotations

import json
from collections import Counter
from contextlib import suppress
from pathlib import Path

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.text.encodings import BrokenUtf8, Decoded, UnknownEncoding, decode, detect_head

ENCODINGS = ["cp932", "euc_jp", "utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-le", "iso2022_jp", "utf-8"]
LENGTHS = [20, 30, 100, 500, 0]
OWN = """
本研究では、低資源言語における語義曖昧性解消の手法を提案する。提案手法は、多言語の事前学習モデルから得られる表現を用いる。
実験の結果、従来手法を上回る性能が得られた。データセットはWikipediaの記事から作成し、人手で正解を付与した。
吾輩は猫である。名前はまだ無い。どこで生れたかとんと見当がつかぬ。何でも薄暗いじめじめした所でニャーニャー泣いていた。
コンピュータ・アーキテクチャとオペレーティングシステムに関するワークショップの参加者は、約350名であった。
表1に示す通り、F値は0.873(±0.012)であり、ベースラインの0.851を有意に上回った(p<0.05)。
山路を登りながら、こう考えた。智に働けば角が立つ。情に棹させば流される。意地を通せば窮屈だ。とかくに人の世は住みにくい。
""".strip().splitlines()


def outcome(text: str, encoding: str) -> str:
    """Whether text in an encoding is read as it was, refused, or read as something else."""
    data = text.encode(encoding, "ignore")
    expected = data.decode(encoding).removeprefix("\ufeff")
    try:
        return "right" if decode(data).text == expected else "wrong"
    except UnknownEncoding:
        return "refused"


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("text", OWN)
def test_japanese_is_recognised(encoding: str, text: str) -> None:
    for length in (20, 30, len(text)):
        for start in range(0, len(text) - length + 1, 7):
            assert outcome(text[start : start + length], encoding) == "right"


def test_shares_on_real_articles(shared_data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every article of JaQuAD, cut at three places: never wrong, and hardly ever refused."""
    import cchardet

    articles = [
        "\n\n".join(paragraph["context"] for paragraph in article["paragraphs"])
        for file in sorted((shared_data / "jaquad").glob("*.json"))
        for article in json.loads(file.read_text(encoding="utf-8"))["data"]
    ]
    lines = []
    for encoding in ENCODINGS:
        for length in LENGTHS:
            starts = [0.0, 0.33, 0.67] if length else [0.0]
            cuts = [text[int(at * (len(text) - length)) :][: length or None] for text in articles for at in starts]
            count = Counter(outcome(cut, encoding) for cut in cuts)
            library = 0
            for cut in cuts:
                data = cut.encode(encoding, "ignore")
                name = cchardet.detect(data)["encoding"] or "ascii"
                with suppress(UnicodeDecodeError, LookupError):
                    library += data.decode(name).removeprefix("\ufeff") == data.decode(encoding).removeprefix("\ufeff")
            shares = f"right {count['right'] / len(cuts):.3f} refused {count['refused'] / len(cuts):.3f}"
            lines.append(f"{encoding:10} {length or 'all':>4} {shares} library alone {library / len(cuts):.3f}")
            assert count["wrong"] == 0, lines[-1]
            assert count["refused"] <= 0.02 * len(cuts), lines[-1]
    with capsys.disabled():
        print("\n" + "\n".join(lines))


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("本研究提出了一种新的方法，用于低资源语言的词义消歧。实验结果表明，该方法优于以往的方法。", "gb18030"),
        ("本研究提出了一種新的方法，用於低資源語言的詞義消歧。實驗結果表明，該方法優於以往的方法。", "cp950"),
        ("본 연구에서는 저자원 언어의 단어 의미 중의성 해소 방법을 제안한다. 실험 결과 우수하였다.", "cp949"),
        ("Die Größe der Häuser überrascht die Bürger jedes Jahr aufs Neue.", "cp1252"),
        ("The café’s naïve résumé — “quoted” – shows 20° and ½ of it.", "cp1252"),
        ("Это предложение написано на русском языке для проверки.", "cp1251"),
        ("Это предложение написано на русском языке для проверки.", "koi8-r"),
        ("Plain ASCII, hex 0A0B0C0D included.", "utf-8"),
        ("English in UTF-16 has a NUL in every other byte.", "utf-16-le"),
    ],
)
def test_other_languages(text: str, encoding: str) -> None:
    assert decode(text.encode(encoding)) == Decoded(text, encoding)


def test_characters_beyond_the_standard() -> None:
    text = "①髙橋㈱は、神奈川県で第Ⅱ期の工事を行った。費用は㍻20年の価格で約30％である。"
    assert decode(text.encode("cp932")).text == text
    assert decode(text.replace("髙", "高").encode("euc_jis_2004")).text == text.replace("髙", "高")


@pytest.mark.parametrize(
    "data",
    [
        "ｱｲｳｴｵ".encode("cp932"),
        "日本".encode("euc_jp"),
        "東京".encode("cp932"),
        bytes(range(160, 256)) * 3,
        OWN[0].encode("euc_jp") + OWN[2].encode("cp932"),
        OWN[0].encode("cp932") * 3 + OWN[2].encode("euc_jp") * 3,
        OWN[0].encode("cp932") * 3 + OWN[2].encode("euc_jp"),
        (OWN[0].encode("cp932") + b"\n") * 90 + OWN[2].encode("euc_jp") * 4,
        OWN[0].encode("cp932") + OWN[1].encode(),
        b"0A0B0C0D0E0F0A0B0C0D0E0F",
    ],
)
def test_in_doubt_it_asks(data: bytes) -> None:
    """Too short, half-width katakana only, two encodings in one file, or ASCII that is kana in UTF-16."""
    with pytest.raises(
        UnknownEncoding, match="cannot tell the encoding for certain.*give it, as in encoding="
    ) as error:
        decode(data)
    assert not isinstance(error.value, BrokenUtf8)


@pytest.mark.parametrize("damage", [b"\xff", b"\x80", b"\xc3", b"\xed\xa0\x80", b""])
def test_damaged_utf8_is_named_by_its_byte(damage: bytes) -> None:
    data = OWN[0].encode()
    data = data[:30] + damage + data[30:] if damage else data[:-1]
    byte = 30 if damage else len(OWN[0].encode()) - 3
    with pytest.raises(BrokenUtf8, match=f"is UTF-8, but damaged: byte {byte} .*; repair it there"):
        decode(data)


def test_a_replacement_character_is_never_made() -> None:
    for encoding in ENCODINGS:
        data = bytearray(OWN[0].encode(encoding))
        for place in range(0, len(data), 3):
            damaged = bytes(data[:place]) + b"\xff" + bytes(data[place + 1 :])
            try:
                assert "\ufffd" not in decode(damaged).text
            except UnknownEncoding:
                continue
    assert decode("was � before".encode()).text == "was � before"


@pytest.mark.parametrize("encoding", [name for name in ENCODINGS if not name.startswith("utf-32")])
def test_a_head_may_end_within_a_character(encoding: str) -> None:
    data = "\n".join(OWN).encode(encoding, "ignore")
    names = {detect_head(data[:length]) for length in range(90, 200)}
    assert len(names) == 1
    assert data.decode(names.pop()) == "\n".join(OWN).encode(encoding, "ignore").decode(encoding)
    assert detect_head(b'{"text": "only ASCII so far') == "utf-8"


def test_an_encoding_given_by_hand() -> None:
    assert decode("日本".encode("cp932"), "Shift_JIS") == Decoded("日本", "cp932")
    assert decode("\ufeff日本".encode(), "utf-8").text == "日本"
    assert decode(b"\x00a", "utf-16-be").text == "a"
    with pytest.raises(UnknownEncoding, match=r"is not cp932: byte 2 \(0x80|is not cp932"):
        decode(b"ab\x85", "cp932")
    for name in ("martian", "rot13", "zip", "base64"):
        with pytest.raises(BadInput, match=f"encoding={name}: there is no such encoding; auto, or one as utf-8"):
            decode(b"text", name)


@pytest.mark.parametrize("data", [b"%PDF-1.4", b"\x89PNG\r\n", b"PAR1", b"\x1f\x8b\x08"])
@pytest.mark.parametrize("name", ["auto", "cp1252"])
def test_what_is_no_text(data: bytes, name: str) -> None:
    with pytest.raises(UnknownEncoding, match="not text; give the file its right ending"):
        decode(data, name)
    with pytest.raises(UnknownEncoding, match="not text"):
        detect_head(data)
