"""Pages that are pictures, read by a vision model behind a server; here a stub of one, which answers at once."""

from __future__ import annotations

import base64
import io
import json
from pathlib import Path
from typing import Any

import pytest

from nemo_kcpt.corpus.stage import Config, run
from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import read_json, read_jsonl
from tests.office.files import shape, write_pptx
from tests.pdf.pdfs import Show, make_pdf
from tests.synthesis.fake_server import FakeServer, completion, ok, problem

pytest.importorskip("pypdfium2")

STORED = "一頁目には本文が書かれている。" * 8
KEY = "sk-secret-of-the-test"


def pdf(path: Path, *, pictures: tuple[int, ...] = (2, 3), pages: int = 3) -> Path:
    """A PDF whose pages are text, but for those numbered in `pictures`."""
    texts: list[list[Show]] = [[] if n in pictures else [Show(30, 700, STORED[:50])] for n in range(1, pages + 1)]
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(make_pdf(texts, pictures=pictures))
    return path


def corpus(server: FakeServer, documents: Path, out: Path, redo: bool = False, **keys: Any) -> list[dict[str, Any]]:
    given = {"ocr": "stub", "ocr_base_url": server.url, "ocr_dpi": 72, "heldout_count": 0} | keys
    run(Config(input=str(documents), out=out, **given), redo)
    return list(read_jsonl(out / "papers.jsonl")) if (out / "papers.jsonl").exists() else []


def reply(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
    return ok(f"写真の頁の文である。値は{12_400 + number:,}語。")


def image_of(body: dict[str, Any]) -> Any:
    from PIL import Image

    (message,) = body["messages"]
    text, image = message["content"]
    assert (message["role"], text["type"], image["type"]) == ("user", "text", "image_url")
    head, _, data = image["image_url"]["url"].partition(",")
    assert head == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data)))


def test_nobody_is_asked_by_default(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pdf(tmp_path / "in" / "a.pdf")
    with FakeServer(reply) as server:
        (paper,) = corpus(server, tmp_path / "in", tmp_path / "out", ocr="")
    assert not server.bodies
    assert paper["meta"]["image_pages"] == [2, 3]
    assert "only pictures on pages 2, 3" in capfd.readouterr().err


def test_pictures_are_read_marked_and_in_their_place(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    pdf(tmp_path / "in" / "a.pdf", pictures=(2,))
    with FakeServer(reply) as server:
        (paper,) = corpus(server, tmp_path / "in", tmp_path / "out")
    assert paper["text"].index("一頁目") < paper["text"].index("値は12,400語") < paper["text"].rindex("一頁目")
    assert (paper["meta"]["ocr_pages"], paper["meta"]["ocr_model"]) == ([2], "stub")
    assert "image_pages" not in paper["meta"]
    said = capfd.readouterr().err
    assert "a.pdf: the text of page 2 is what an OCR engine read in pictures, and not stored text" in said
    assert "what an OCR engine" in (tmp_path / "out" / "datasheet.md").read_text()
    (body,) = server.bodies
    image = image_of(body)
    assert image.size == (595, 842)  # A4 at 72 dpi
    assert image.getextrema()[0] < 128  # the black picture is on it
    assert server.keys == {f"Bearer {KEY}"}
    written = [path.read_bytes() for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert not any(KEY.encode() in content for content in [*written, said.encode()])


def test_documents_without_any_stored_text(tmp_path: Path) -> None:
    """One of pictures alone, and one whose font does not say what its glyphs are; neither could be read before."""
    pdf(tmp_path / "in" / "a.pdf", pictures=(1, 2), pages=2)
    (tmp_path / "in" / "b.pdf").write_bytes(make_pdf([[Show(30, 700, STORED[:50])]]).replace(b"/ToUni", b"/NotUni"))
    with FakeServer(lambda body, number: ok(f"```markdown\n写真の頁{number}の文である。\n```")) as server:
        first, second = corpus(server, tmp_path / "in", tmp_path / "out", ocr_concurrency=1, near_duplicates=0)
    assert first["text"].split() == ["写真の頁0の文である。", "写真の頁1の文である。"]
    assert (first["meta"]["pages"], first["meta"]["ocr_pages"]) == (2, [1, 2])
    assert (second["text"], second["meta"]["ocr_pages"]) == ("写真の頁2の文である。", [1])


@pytest.mark.slow
def test_no_page_is_paid_for_twice(tmp_path: Path) -> None:
    """The server fails after two pages of four, two of which are the same: the next run asks for the rest alone."""
    pdf(tmp_path / "in" / "a.pdf", pictures=(1, 2, 3), pages=3)
    pdf(tmp_path / "in" / "copy.pdf", pictures=(1, 2, 3), pages=3)

    def failing(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        return reply(body, number) if number < 2 else problem(401, "the key is not valid any more")

    with FakeServer(failing) as server:
        with pytest.raises(KcptError, match="rerun the same command to resume"):
            corpus(server, tmp_path / "in", tmp_path / "out", ocr_concurrency=1, duplicates="drop")
        assert not (tmp_path / "out" / "manifest.json").exists()
        server.answer = reply
        asked = len(server.bodies)
        (paper,) = corpus(server, tmp_path / "in", tmp_path / "out", ocr_concurrency=1)
        assert (asked, len(server.bodies)) == (3, 4)
        assert paper["meta"]["ocr_pages"] == [1, 2, 3]
        corpus(server, tmp_path / "in", tmp_path / "out", redo=True, min_characters=2)
        assert len(server.bodies) == 4
        corpus(server, tmp_path / "in", tmp_path / "out", redo=True, ocr_dpi=100)  # other pictures
        assert len(server.bodies) == 7


def test_a_page_without_a_whole_reply_stays_a_picture(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """And a blank one has no text."""
    pdf(tmp_path / "in" / "a.pdf", pictures=(2, 3, 4, 5), pages=5)
    answers = [
        ok("[blank]"),
        ok("途中で", choices=_cut_off("途中で")),
        ok("<think>なんだろう"),
        problem(400, "too large"),
    ]
    with FakeServer(lambda body, number: answers[number]) as server:
        (paper,) = corpus(server, tmp_path / "in", tmp_path / "out", ocr_concurrency=1)
    assert (paper["meta"]["ocr_pages"], paper["meta"]["image_pages"]) == ([2], [3, 4, 5])
    assert paper["text"] == STORED[:50]
    for page, why in ((3, "ends in the middle (length)"), (4, "ends before its thought does"), (5, "400: ")):
        (said,) = [one.getMessage() for one in caplog.records if f"a.pdf: page {page} stays" in one.getMessage()]
        assert why in said


def png(shade: int) -> bytes:
    from PIL import Image

    out = io.BytesIO()
    Image.new("L", (40, 20), shade).save(out, "PNG")
    return out.getvalue()


def picture(key: str, at: tuple[int, int, int, int], more: str = "", turn: str = "") -> str:
    left, top, wide, high = at
    return (
        f'<p:pic><p:nvPicPr><p:cNvPr id="3" name="x"/><p:nvPr/></p:nvPicPr><p:blipFill><a:blip r:embed="{key}"/>{more}'
        f'</p:blipFill><p:spPr><a:xfrm {turn}><a:off x="{left}" y="{top}"/><a:ext cx="{wide}" cy="{high}"/></a:xfrm>'
        "</p:spPr></p:pic>"
    )


def test_slides_that_are_pictures(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    """The pictures are where the slide has them, in a group and turned, too; a drawing alone stays a picture."""
    inch = 914_400
    group = (
        f'<p:grpSp><p:nvGrpSpPr/><p:grpSpPr><a:xfrm><a:off x="{5 * inch}" y="0"/>'
        f'<a:ext cx="{4 * inch}" cy="{2 * inch}"/><a:chOff x="0" y="0"/><a:chExt cx="400" cy="200"/></a:xfrm>'
        f"</p:grpSpPr>{picture('rId8', (100, 0, 100, 100))}"
        "</p:grpSp>"
    )
    turned = picture("rId8", (0, 5 * inch, 2 * inch, inch), turn='rot="5400000"')
    slides = [picture("rId7", (inch, inch, 2 * inch, inch)) + group + turned, shape("Kasumi", "title")]
    (tmp_path / "in").mkdir()
    media = {"ppt/media/a.png": png(60), "ppt/media/b.png": png(200), "ppt/media/c.emf": b"EMF"}
    relations = "rId7 image ../media/a.png\nrId8 image ../media/b.png\nrId9 image ../media/c.emf"
    write_pptx(tmp_path / "in" / "a.pptx", slides, parts=media, relations=relations)
    write_pptx(
        tmp_path / "in" / "b.pptx",
        [picture("rId9", (0, 0, inch, inch)), shape("Hayate")],
        parts=media,
        relations=relations,
    )
    with FakeServer(reply) as server:
        first, second = corpus(server, tmp_path / "in", tmp_path / "out", near_duplicates=0)
    (body,) = server.bodies
    image = image_of(body)
    assert image.size == (720, 540)  # 10 x 7.5 inches at 72 dpi
    inches = {(2, 1.5): 60, (6.5, 0.5): 200, (1, 5.5): 200, (1, 4.7): 200, (1, 6.3): 200, (0.3, 5.5): 255, (4, 4): 255}
    assert {at: image.getpixel((round(72 * at[0]), round(72 * at[1]))) for at in inches} == inches
    assert first["text"].split() == ["写真の頁の文である。値は12,400語。", "#", "Kasumi"]
    assert (first["meta"]["ocr_slides"], first["meta"]["ocr_model"]) == ([1], "stub")
    assert "a.pptx: the text of slide 1 is what an OCR engine read" in capfd.readouterr().err
    assert second["meta"]["image_slides"] == [1] and "b.pptx: page 1 stays a picture: not_drawn" in caplog.text


def _cut_off(text: str) -> list[dict[str, Any]]:
    (choice,) = completion(text)["choices"]
    return [{**choice, "finish_reason": "length"}]


def test_a_server_that_takes_no_images_is_named(tmp_path: Path) -> None:
    pdf(tmp_path / "in" / "a.pdf")
    refusal = pytest.raises(KcptError, match="refuses every page.*no images here.*Does the model take images")
    with FakeServer(lambda body, number: problem(400, "no images here")) as server, refusal:
        corpus(server, tmp_path / "in", tmp_path / "out")


@pytest.mark.slow
def test_shards_give_the_same_corpus(tmp_path: Path) -> None:
    for name in "abc":
        pdf(tmp_path / "in" / f"{name}.pdf", pages=ord(name) - 93)

    def by_page(body: dict[str, Any], number: int) -> tuple[int, dict[str, str], bytes]:
        return ok(f"写真の頁の文である。値は{len(json.dumps(body)) % 7}語。")

    with FakeServer(by_page) as server:
        keys = {"near_duplicates": 0, "duplicates": "drop", "format": "pdf"}
        corpus(server, tmp_path / "in", tmp_path / "one", **keys)
        for shard in ("0/2", "1/2"):
            corpus(server, tmp_path / "in", tmp_path / "many", shard=shard, **keys)
        asked = len(server.bodies)
        corpus(server, tmp_path / "in", tmp_path / "many", merge=True, **keys)
        assert len(server.bodies) == asked
    assert (tmp_path / "one" / "papers.jsonl").read_bytes() == (tmp_path / "many" / "papers.jsonl").read_bytes()
    assert read_json(tmp_path / "one" / "split.json") == read_json(tmp_path / "many" / "split.json")
