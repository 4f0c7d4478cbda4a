from __future__ import annotations

import hashlib
import json
import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nemo_kcpt.errors import BadInput
from nemo_kcpt.readers import Place, choose_readers, content_hash
from nemo_kcpt.readers import datasets as reader
from tests.conftest import ROOT
from tests.readers.reading import found, pieces_of, problem, records

datasets = pytest.importorskip("datasets")

RECORDS = [{"text": f"本文{number}", "id": number} for number in range(2500)]


@pytest.fixture(scope="module")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `one` data set and `two` splits of another."""
    folder = tmp_path_factory.mktemp("saved")
    one = datasets.Dataset.from_list(RECORDS)
    one.save_to_disk(folder / "one", num_shards=2)
    datasets.DatasetDict(train=one.select(range(3)), test=one.select([7])).save_to_disk(folder / "two")
    return folder


def test_a_saved_data_set(saved: Path) -> None:
    everything = found(saved / "one")
    assert [dict(item.record) for item in everything] == RECORDS
    assert everything[1250].where == f"{saved}/one/data-00001-of-00002.arrow, row 1"
    assert everything[1250].source == "data-00001-of-00002.arrow"
    _, pieces = pieces_of(saved / "one")
    assert [(piece.start, piece.stop, piece.number) for piece in pieces] == [(0, 1000, 1), (1000, 1250, 1001)] * 2


def test_reading_a_saved_data_set_does_not_import_datasets(saved: Path) -> None:
    program = (
        "import sys\nfrom nemo_kcpt.readers import *\n"
        "place = Place(name=sys.argv[1]); chosen = choose_readers(place)\n"
        "print(sum(1 for piece in divide(place, chosen) for _ in chosen[0].documents_of(place, piece)))\n"
        "assert 'datasets' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", program, saved / "one"], capture_output=True, text=True, cwd=ROOT)
    assert (done.stdout, done.returncode) == ("2500\n", 0), done.stderr


def test_splits_are_asked_for(saved: Path) -> None:
    with pytest.raises(BadInput, match="has the splits train, test; say which by hf_split=, or hf_split=all"):
        found(saved / "two")
    with pytest.raises(BadInput, match="no split 'dev'; there are train, test"):
        found(saved / "two", split="dev")
    assert records(saved / "two", split="test") == [RECORDS[7]]
    assert records(saved / "two", split="all") == [*RECORDS[:3], RECORDS[7]]


def test_identity(saved: Path) -> None:
    def identity(**place: Any) -> str:
        where = Place(**place)
        return content_hash(where, choose_readers(where))

    hashes = [identity(name=str(saved / name)) for name in ("one", "two")]
    hashes += [identity(name="team/papers", revision=revision, subset=subset) for revision in "ab" for subset in "ab"]
    assert len(set(hashes)) == len(hashes)


def test_arrow_files_without_a_description(saved: Path, tmp_path: Path) -> None:
    """What download_and_prepare leaves: files named by split, and caches of map() that are no data."""
    data = (saved / "two" / "test" / "data-00000-of-00001.arrow").read_bytes()
    for name in ("papers-train.arrow", "papers-test.arrow", "cache-0123.arrow"):
        (tmp_path / name).write_bytes(data)
    with pytest.raises(BadInput, match=r"holds the splits test \(papers-test\.arrow\), train \(papers-train\.arrow\)"):
        found(tmp_path)
    assert records(tmp_path, split="train") == [RECORDS[7]]
    assert records(tmp_path / "papers-test.arrow") == [RECORDS[7]]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"_data_files": [{"filename": "../../secret.arrow"}]}, "outside the folder"),
        ({"_data_files": [{"filename": "gone.arrow"}]}, "no such file"),
    ],
)
def test_a_state_that_names_other_files(saved: Path, tmp_path: Path, change: dict[str, Any], expected: str) -> None:
    source = saved / "two" / "test"
    (tmp_path / "secret.arrow").write_bytes((source / "data-00000-of-00001.arrow").read_bytes())
    folder = tmp_path / "a" / "b"
    folder.mkdir(parents=True)
    (folder / "state.json").write_text(json.dumps({**json.loads((source / "state.json").read_text()), **change}))
    assert expected in problem(folder)


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"_data_files": 1}', '{"_data_files": [1]}'])
def test_a_broken_state_ends_the_run(tmp_path: Path, content: str) -> None:
    (tmp_path / "state.json").write_text(content)
    with pytest.raises(BadInput, match=r"state\.json: "):
        found(tmp_path)


def test_a_damaged_arrow_file_is_named(saved: Path, tmp_path: Path) -> None:
    data = (saved / "one" / "data-00000-of-00002.arrow").read_bytes()
    (tmp_path / "a.arrow").write_bytes(data[:2000])
    (tmp_path / "b.arrow").write_bytes(b"no Arrow")
    (tmp_path / "c.arrow").write_bytes(b"")
    everything = found(tmp_path)
    assert [item.source for item in everything] == ["a.arrow", "b.arrow", "c.arrow"]
    assert all("the Arrow file is damaged (" in item.problem for item in everything)


def test_a_data_set_without_rows_is_named(tmp_path: Path) -> None:
    datasets.Dataset.from_dict({"text": []}).save_to_disk(tmp_path / "none")
    assert "the data set has no rows" in problem(tmp_path / "none")


def test_that_command_exists() -> None:
    tool = Path(sys.executable).parent / "hf"
    if not tool.exists():
        pytest.skip("huggingface_hub without its command line")
    text = subprocess.run([tool, "download", "--help"], capture_output=True, text=True, check=True).stdout
    assert {"--repo-type", "--revision", "--local-dir"} <= set(re.findall(r"--[\w-]+", text))


SHA = "0123456789abcdef0123456789abcdef01234567"


class Hub(BaseHTTPRequestHandler):
    """A stand-in for huggingface.co with the data set team/papers, which has two subsets, at one commit."""

    about = (
        "---\nconfigs:\n- config_name: ja\n  data_files:\n  - {split: train, path: ja.jsonl}\n"
        "  - {split: test, path: en.jsonl}\n- config_name: en\n  data_files: en.jsonl\n---\n"
    )
    files: ClassVar[dict[str, bytes]] = {
        "README.md": about.encode(),
        "ja.jsonl": "".join(json.dumps({"text": f"本文{number}"}) + "\n" for number in range(3)).encode(),
        "en.jsonl": b'{"text": "English"}\n',
    }

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str) -> None:
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(body))}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_GET(self) -> None:
        path = self.path.split("?")[0]
        if match := re.fullmatch(r"/api/datasets/team/papers(?:/revision/(.+))?", path):
            if match[1] not in (None, "main", SHA):
                return self.answer(404, b"{}", X_Error_Code="RevisionNotFound")
            siblings = [{"rfilename": name} for name in self.files]
            about = {"id": "team/papers", "sha": SHA, "siblings": siblings, "private": False, "tags": []}
            return self.answer(200, json.dumps(about).encode(), Content_Type="application/json")
        if match := re.fullmatch(r"/api/datasets/team/papers/tree/[^/]+(/.+)?", path):
            entries = [
                {"type": "file", "path": name, "size": len(data), "oid": hashlib.sha1(data).hexdigest()}
                for name, data in self.files.items()
            ]
            return self.answer(200, json.dumps([] if match[1] else entries).encode(), Content_Type="application/json")
        if (match := re.fullmatch(r"/datasets/team/papers/resolve/[^/]+/(.+)", path)) and match[1] in self.files:
            data = self.files[match[1]]
            return self.answer(200, data, ETag=f'"{hashlib.sha1(data).hexdigest()}"', X_Repo_Commit=SHA)
        code = "EntryNotFound" if "/resolve/" in path else "GatedRepo" if "gated" in path else "RepoNotFound"
        return self.answer(403 if code == "GatedRepo" else 404, b"{}", X_Error_Code=code, X_Repo_Commit=SHA)

    do_HEAD = do_GET


@pytest.fixture(scope="module")
def hub() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Hub)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def ask(hub: str, cache: Path, *places: dict[str, str]) -> tuple[list[Any], str]:
    """What reading each of these data sets gives (documents or an error), and what was logged.

    In a process of its own, since the libraries read where the hub is as they are imported (which takes seconds).
    """
    program = (
        "import json, logging, sys\nlogging.basicConfig(level=logging.INFO)\n"
        "from nemo_kcpt.readers import *\n"
        "from nemo_kcpt.errors import KcptError\n"
        "def read(place):\n"
        "    chosen = choose_readers(place)\n"
        "    for piece in divide(place, chosen):\n"
        "        for item in chosen[0].documents_of(place, piece):\n"
        "            yield item.where, item.source, dict(item.record), item.problem\n"
        "for about in json.loads(sys.argv[1]):\n"
        "    try: print(json.dumps(list(read(Place(**about)))))\n"
        "    except KcptError as error: print(json.dumps(f'{type(error).__name__}: {error}'))\n"
    )
    environment = {**os.environ, "HF_ENDPOINT": hub, "HF_HOME": str(cache), "HF_DATASETS_CACHE": str(cache / "sets")}
    environment.pop("HF_HUB_OFFLINE", None)
    command = [sys.executable, "-c", program, json.dumps(places)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=environment, timeout=600)
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()], done.stderr


WANTED = {"name": "team/papers", "subset": "ja", "split": "train"}
REFUSED = [
    ({"name": "team/papers"}, r"has several subsets \['ja', 'en'\]; say which by hf_subset="),
    ({"name": "team/papers", "subset": "fr"}, r"no subset 'fr' \(hf_subset=\)"),
    ({"name": "team/papers", "subset": "ja"}, "has the splits train, test; say which by hf_split="),
    ({**WANTED, "split": "dev"}, "no split 'dev'; there are train, test"),
    ({"name": "team/papers", "revision": "v9"}, "the hub has no revision 'v9'"),
    ({"name": "team/none"}, "no such file or folder, and no data set of that name on the Hugging Face hub"),
    ({"name": "team/gated"}, "needs consent: agree to its terms at https://huggingface.co/datasets/team/gated"),
]


@pytest.mark.slow
def test_a_data_set_on_the_hub(hub: str, tmp_path: Path) -> None:
    begun = time.monotonic()
    places = [{**WANTED, "revision": "main"}, *(place for place, _ in REFUSED)]
    (documents, *errors), log = ask(hub, tmp_path, *places)
    assert documents == [
        [f"team/papers, row {number + 1}", "team/papers", {"text": f"本文{number}"}, ""] for number in range(3)
    ]
    assert f"team/papers is at commit {SHA}; pin it by hf_revision=" in log
    for (place, expected), said in zip(REFUSED, errors, strict=True):
        assert re.match(f"BadInput: {place['name']}: {expected}", said)
    # and then without a network: from the cache, if what is there is the commit that is asked for
    started = time.monotonic()
    places = [{**WANTED, "revision": SHA}, {**WANTED, "revision": "f" * 40}, {"name": "team/none", "revision": "v9"}]
    (again, other, none), log = ask("http://127.0.0.1:9", tmp_path, *places)
    assert again == documents
    assert f"the hub is out of reach; team/papers is read from the cache, commit {SHA}" in log
    assert other.startswith(f"BadInput: team/papers: only commit {SHA} could be had, not {'f' * 40}")
    assert none == (
        "BadInput: team/none: the Hugging Face hub is out of reach, and no copy is here; on a machine with a network, "
        "run `hf download team/none --repo-type dataset --local-dir none --revision v9` (before huggingface_hub 0.34: "
        "huggingface-cli download), copy the folder here and give input=none"
    )
    # As asked by the library alone, each of the three would take 23 s more; a busy machine takes long for both halves.
    assert time.monotonic() - started < 22 + (started - begun)


def test_out_of_reach_it_says_how_to_bring_the_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_commit", lambda place: "")
    with pytest.raises(BadInput, match=r"team/none: the Hugging Face hub is out of reach.*hf download team/none"):
        found("team/none")
