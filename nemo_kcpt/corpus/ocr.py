"""Text of pages that are only pictures, read by a vision model that the user has (`ocr=`); off by default.

The model is behind a server with OpenAI's chat completions, as a teacher is, and is sent one page a request, drawn at
`ocr_dpi`. Each reply is in a journal before it counts, keyed by the document's bytes, the page and all that shapes the
reply: a run that was killed asks only for what is missing, and nothing is paid for twice. What was read goes into a
file a document, which the reader takes for the pages that have no text of their own and marks as such.
"""

from __future__ import annotations

import asyncio
import base64
from collections import defaultdict, deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import Executor, Future
from concurrent.futures.process import BrokenProcessPool
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nemo_kcpt.documents.ocr_texts import OcrTexts, keep
from nemo_kcpt.errors import KcptError
from nemo_kcpt.files import sha256_file
from nemo_kcpt.llm.journal import DONE, FAILED, Journal, Row
from nemo_kcpt.llm.loop import answer, side_by_side
from nemo_kcpt.llm.openai import OpenAITeacher
from nemo_kcpt.llm.request import CUT_OFF, TeacherFault, TeacherReply, TeacherRequest, UnreadableReply, request_sha256
from nemo_kcpt.llm.rows import Committer
from nemo_kcpt.llm.settings import Llm
from nemo_kcpt.logs import LOG
from nemo_kcpt.processes import pool
from nemo_kcpt.progress import progress
from nemo_kcpt.readers import Piece, Place, reader_of
from nemo_kcpt.readers.base import Pictures
from nemo_kcpt.text.thoughts import UnfinishedThought, without_thought

ADDRESS_SPACE = 16 << 30
"""Bytes that a process which draws or looks at pages may map."""
BLANK = "[blank]"
PROMPT = f"""Write down all text of this page, in the order in which it is read, as Markdown. Keep its language.
Copy every number, name and sign exactly as it is printed; do not correct, translate, shorten, explain or add anything.
Tables become Markdown tables, formulas TeX between dollar signs. Leave out what pictures and diagrams show beyond
their text. Write \ufffd for a character that cannot be read. If there is no text, write {BLANK} and nothing else."""
LOOKED = 1
"""Raised when other pages count as pictures, so that documents are looked at anew."""
FINAL = ("bad_request", "refused", "empty_reply", "not_drawn")
"""Faults of a page that the same request would meet again: the page stays a picture. After any other the run ends."""


@dataclass(frozen=True)
class Page:
    """A page to be read."""

    path: Path
    source: str
    sha256: str
    """The document's."""
    number: int
    """From 1."""
    pictures: Pictures

    def request(self, dpi: int) -> TeacherRequest:
        """What is asked; the picture is named here and drawn when it is sent."""
        image = f"{self.sha256} page {self.number} at {dpi} dpi"
        return TeacherRequest(
            self.source, "ocr", "", ({"role": "user", "content": PROMPT, "image": image},), part=self.number
        )

    def means(self, reply: str, finish_reason: str = "") -> str:
        """The text of the page.

        Raises:
            UnreadableReply: it is not all there.
        """
        if finish_reason in CUT_OFF:
            raise UnreadableReply(f"the reply ends in the middle ({finish_reason})", "cut_off")
        try:
            text = without_thought(reply).strip()
        except UnfinishedThought as error:
            raise UnreadableReply(str(error), "unfinished_thought") from None
        first, _, rest = text.partition("\n")
        if first.startswith("```") and rest.endswith("```"):
            text = rest.removesuffix("```").strip()
        return "" if text == BLANK else text


class Drawing:
    """A process that draws pages, one at a time, so that it is known which of them ended it."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._executor: Executor | None = None
        self._lock: asyncio.Lock | None = None

    async def png(self, page: Page, dpi: int) -> bytes:
        """A page as a picture.

        Raises:
            TeacherFault: it cannot be drawn.
        """
        self._lock = self._lock or asyncio.Lock()
        async with self._lock:
            if self._executor is None:
                self._executor = self._stack.enter_context(pool(1, address_space=ADDRESS_SPACE))
            loop = asyncio.get_running_loop()
            try:
                return await loop.run_in_executor(self._executor, page.pictures.image, page.path, page.number, dpi)
            except BrokenProcessPool:
                self._executor = None
                raise TeacherFault("not_drawn", "drawing the page ended its process") from None
            except Exception as error:  # whatever the format's library raises
                raise TeacherFault("not_drawn", f"the page cannot be drawn: {error}") from None

    def close(self) -> None:
        """End the process."""
        self._stack.close()


class OcrModel(OpenAITeacher):
    """A vision model: a message with an `image` is sent with that picture."""

    def __init__(self, llm: Llm, dpi: int) -> None:
        super().__init__(llm)
        self._dpi, self._drawing = dpi, Drawing()
        self.pages: dict[str, Page] = {}
        """A message's `image` -> the page that it names, of those to be asked for."""

    def key(self, page: Page) -> str:
        """The journal's key of a page."""
        return request_sha256(self.model, self.params, page.request(self._dpi))

    def request(self, page: Page) -> TeacherRequest:
        """What is asked about a page."""
        return page.request(self._dpi)

    def body(self, request: TeacherRequest) -> dict[str, Any]:
        """The request with its picture as a data URI."""
        body = super().body(request)
        for message in body["messages"]:
            if image := message.pop("image", ""):
                text = {"type": "text", "text": message["content"]}
                message["content"] = [text, {"type": "image_url", "image_url": {"url": image}}]
        return body

    async def complete(self, request: TeacherRequest, *, probe: bool = False) -> TeacherReply:
        """Draw the page and ask for its text.

        Raises:
            TeacherFault: it cannot be drawn (`not_drawn`), or the server does not answer.
        """
        (message,) = request.messages
        png = await self._drawing.png(self.pages[message["image"]], self._dpi)
        image = f"data:image/png;base64,{base64.b64encode(png).decode()}"
        return await super().complete(replace(request, messages=({**message, "image": image},)), probe=probe)

    async def close(self) -> None:
        """Close the connections and end the process that draws."""
        self._drawing.close()
        await super().close()


def read_pictures(
    place: Place, pieces: Iterable[Piece], llm: Llm, dpi: int, folder: Path, *, journal: str, workers: int
) -> None:
    """Have the pages without stored text read, and put their texts where `place.ocr` looks for them.

    Args:
        place: where the documents are; `place.ocr` is the folder for the texts.
        pieces: whose documents are looked at.
        llm: which model is asked, where and how.
        dpi: dots per inch at which pages are drawn.
        folder: of the journal.
        journal: its name, other for each machine that works on the corpus.
        workers: processes that look for such pages.

    Raises:
        KcptError: the server refuses every request, or pages were not answered; what was is kept.
    """
    with Journal(folder / journal) as kept:
        pages = list(_pages(replace(place, ocr=""), pieces, kept, workers))
        if not pages:
            return
        teacher = OcrModel(llm, dpi)
        asyncio.run(_ask(pages, teacher, llm, kept))
        texts: dict[str, dict[int, str]] = defaultdict(dict)
        left: list[tuple[Page, Row | None]] = []
        for page in pages:
            row = kept.get(teacher.key(page))
            if row is not None and row.status == DONE:
                texts[page.sha256][page.number] = page.means(row.reply, row.finish_reason)
            else:
                left.append((page, row))
    for sha256, page_texts in texts.items():
        keep(Path(place.ocr), sha256, OcrTexts(llm.model, page_texts))
    LOG.info("ocr: %d of %d pages without stored text were read by %s", len(pages) - len(left), len(pages), llm.model)
    if left:
        _tell(left, some=bool(texts))


def _tell(left: Sequence[tuple[Page, Row | None]], *, some: bool) -> None:
    """Say which pages stay pictures, and why; `some`: others were read.

    Raises:
        KcptError: some were not answered, but may be; or the server refuses all of them.
    """
    for page, row in left:
        LOG.warning("ocr: %s: page %d stays a picture: %s", page.source, page.number, row.fault if row else "not asked")
    first, said = left[0]
    if not some and all(row is not None and _name(row) == "bad_request" for _, row in left):
        raise KcptError(
            f"ocr: the server refuses every page, the first ({first.source}, page {first.number}) with: "
            f"{said.fault if said else ''}. Does the model take images? Fields of the request change by ocr_extra_body="
        )
    again = [page for page, row in left if row is None or (row.status == FAILED and _name(row) not in FINAL)]
    if again:
        raise KcptError(
            f"ocr: {len(again)} of the pages were not answered (the first: {again[0].source}, page {again[0].number}). "
            "Replies so far are kept; rerun the same command to resume"
        )


def _name(row: Row) -> str:
    return row.fault.partition(":")[0]


def _pages(place: Place, pieces: Iterable[Piece], journal: Journal, workers: int) -> Iterator[Page]:
    """The pages that are pictures; what a document has is noted, so that it is looked at once."""
    known: Mapping[str, Any] = journal.notes("pages ")
    files = [
        (Path(name), pictures)
        for piece in pieces
        if (pictures := reader_of(piece.reader).pictures) is not None
        for name in piece.paths
        if not place.outside(Path(name)) and Path(name).stat().st_size <= place.max_bytes
    ]
    waiting: deque[tuple[Path, Pictures, str, Future[list[int]] | None]] = deque()
    with progress() as bar, pool(workers, address_space=ADDRESS_SPACE) as executor:
        task = bar.add_task("looking for pictures", total=len(files))

        def first() -> Iterator[Page]:
            path, pictures, sha256, future = waiting.popleft()
            note = f"pages {LOOKED} {sha256}"
            if future is None:
                numbers = known[note]
            else:
                try:
                    numbers = future.result()
                except BrokenProcessPool:
                    raise KcptError(f"ocr: {path}: looking at the document ended the process; leave it out") from None
                journal.note(note, numbers)
            bar.advance(task)
            for number in numbers:
                yield Page(path, place.relative(path), sha256, number, pictures)

        for path, pictures in files:
            sha256 = sha256_file(path)
            is_known = f"pages {LOOKED} {sha256}" in known
            waiting.append((path, pictures, sha256, None if is_known else executor.submit(pictures.pages, place, path)))
            if len(waiting) > 2 * workers:
                yield from first()
        while waiting:
            yield from first()


async def _ask(pages: Sequence[Page], teacher: OcrModel, llm: Llm, journal: Journal) -> None:
    """Ask for the pages that the journal does not have."""
    for page in pages:  # the same page of two copies is one request
        row = journal.get(teacher.key(page))
        if row is None or row.status == FAILED:
            teacher.pages[teacher.request(page).messages[0]["image"]] = page
    queue = iter(list(teacher.pages.values()))
    committer = Committer(journal)
    with progress() as bar:
        task = bar.add_task(f"OCR by {llm.model}", total=len(pages), completed=len(pages) - len(teacher.pages))

        async def work() -> None:
            for page in queue:
                attempt = (0, teacher.key(page), teacher.request(page))
                await answer(page, [attempt], teacher, committer, llm.cost, lambda row: None)
                bar.advance(task)

        try:
            await side_by_side(work, min(llm.concurrency, len(teacher.pages)))
        except TeacherFault as fault:
            said = str(fault).replace("model=", "ocr=")
            raise KcptError(f"ocr: {said}. Replies so far are kept; rerun the same command to resume") from fault
        finally:
            await committer.close()
            await teacher.close()
