"""Hostile checkpoints and model folders: none runs, none makes us write or read elsewhere, none takes memory."""

from __future__ import annotations

import contextlib
import io
import json
import re
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
import yaml

from nemo_kcpt.checkpoints import unpickle
from nemo_kcpt.checkpoints.archive import check_archive
from nemo_kcpt.checkpoints.checkpoint import read_shape
from nemo_kcpt.checkpoints.finished import check_complete
from nemo_kcpt.checkpoints.metadata import read_metadata
from nemo_kcpt.checkpoints.unpickle import ALLOWED, ALLOWED_IN_ARCHIVES
from nemo_kcpt.errors import BadInput
from tests import forks
from tests.conversion.checkpoints import model_yaml
from tests.conversion.hostile import HOSTILE, make, sound
from tests.conversion.tiny import make_shape

MEMORY = 200 << 20
"""Most that reading one of them may take; that of PyTorch's modules comes before."""
PROGRAM = """
import json, resource, sys
from pathlib import Path
from nemo_kcpt.checkpoints import hf_folder
from nemo_kcpt.conversion import stage
from nemo_kcpt.conversion.import_stage import Config, run
from nemo_kcpt.errors import BadInput
from nemo_kcpt.processes import peak_memory

root, limit, doors = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]

def convert(door, place, out):
    if door == "export":
        stage.run(stage.Config(checkpoint=place, out=out, tokenizer=root / "good/hf", check=False))
    elif door == "import":
        run(Config(hf=place, out=out))
    else:  # what an import reads; to the end it needs NeMo
        hf_folder.HfFolder(place)

good = root / "good"
stage.run(stage.Config(checkpoint=good / "checkpoint", out=good / "out", tokenizer=good / "hf", check=False))
taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (taken + 4 * limit, taken + 4 * limit))
results = []
for number, door in enumerate(doors):
    folder = root / str(number)
    before, message = peak_memory(), None
    try:
        convert(door, folder / "given", folder / "written/out")
    except BadInput as error:
        message = str(error)
    results.append((message, peak_memory() - before))
print(json.dumps(results))
"""


def files(folder: Path) -> dict[str, tuple[int, int]]:
    """Sizes and times of all files but those that a conversion may write."""
    entries = [path for path in folder.rglob("*") if path.relative_to(folder).parts[0] != "written"]
    return {str(path): (path.lstat().st_size, path.lstat().st_mtime_ns) for path in entries}


@pytest.fixture(scope="module")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """All of them, each in a folder of its own, by number."""
    root = tmp_path_factory.mktemp("hostile")
    sound(root / "good")
    for number, name in enumerate(HOSTILE):
        make(name, root / "good", root / str(number))
    return root


@pytest.fixture(scope="module")
def results(hostile: Path) -> dict[str, Any]:
    """For each, the refusal, the memory taken, and whether files were written where none belong."""
    before = [files(hostile / str(number)) for number in range(len(HOSTILE))]
    doors = [("import" if one.message else "read") if one.hf else "export" for one in HOSTILE.values()]
    command = [sys.executable, "-c", PROGRAM, str(hostile), str(MEMORY), *doors]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    after = [files(hostile / str(number)) for number in range(len(HOSTILE))]
    found = json.loads(done.stdout.splitlines()[-1])
    return {name: (*found[number], before[number] == after[number]) for number, name in enumerate(HOSTILE)}


@pytest.mark.slow
@pytest.mark.parametrize("name", HOSTILE)
def test_it_is_refused_by_name_and_nothing_runs(name: str, hostile: Path, results: dict[str, Any]) -> None:
    message, memory, untouched = results[name]
    folder, one = hostile / str(list(HOSTILE).index(name)), HOSTILE[name]
    assert not (folder / "canary").exists() and untouched
    assert memory < MEMORY
    if one.message is None:
        assert message is None
    else:
        assert str(folder / "given") in message and re.search(one.message, message), message
        assert not (folder / "written/out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name, one in HOSTILE.items() if one.live])
def test_it_is_live(name: str, hostile: Path, results: dict[str, Any]) -> None:
    """Loaded without care it leaves the canary: the test above would have noticed."""
    folder, load = hostile / str(list(HOSTILE).index(name)), HOSTILE[name].live
    assert load is not None
    with contextlib.suppress(Exception):  # what comes after the call may fail
        load(folder / "given")
    assert (folder / "canary").exists()


def restore(place: str, canary: str) -> None:
    """In a fork: what a training does that starts from a checkpoint, by our way and by NeMo's own."""
    from nemo import lightning as nl

    from nemo_kcpt.models.llama import KcptLlamaModel, KcptTinyConfig
    from nemo_kcpt.training.resume import KcptAutoResume
    from nemo_kcpt.training.strategy import KcptMegatronStrategy

    for kind, runs in ((KcptAutoResume, False), (nl.AutoResume, True)):
        trainer = nl.Trainer(accelerator="cpu", devices=1, strategy=KcptMegatronStrategy(), logger=False)
        resume = kind(
            restore_config=nl.RestoreConfig(path=place),
            resume_if_exists=True,
            resume_from_directory=f"{canary}-none",
            resume_ignore_no_checkpoint=True,
        )
        try:
            resume.setup(trainer, KcptLlamaModel(KcptTinyConfig(vocab_rows=8)))
        except Exception as error:
            assert runs, error
        assert Path(canary).exists() == runs, kind
        assert trainer.strategy.restore_config.path == place


@pytest.mark.slow
def test_restoring_calls_nothing_that_the_context_names(hostile: Path, tmp_path: Path) -> None:
    """Of NeMo's own resume the second half of the function shows that it does."""
    place, canary = make("context/io.json: a call", hostile / "good", tmp_path)
    forks.call(restore, str(place), str(canary), log=tmp_path / "log")


def text(value: str) -> bytes:
    """As a pickle holds it."""
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def whole(place: bytes) -> bytes:
    """A checkpoint's metadata with this for a place in a file."""
    return RECORD + b")\x81}(" + text("state_dict_metadata") + b"}" + text("storage_data") + b"}K\1" + place + b"sub."


RECORD = b"ctorch.distributed.checkpoint.metadata\nMetadata\n"
SIZE = b"ctorch\nSize\n"
ITEM = b"ctorch.distributed.checkpoint.planner\nWriteItemType\n"
PROPERTIES = b"ctorch.distributed.checkpoint.metadata\nTensorProperties\n"
PLACE = b"ctorch.distributed.checkpoint.filesystem\n_StorageInfo\n"
TUPLES = b"K\0" + b"".join(b"q%ch%ch%c\x87" % (n, n, n) for n in range(1, 60))
"""Three times the tuple before, sixty deep: 10²⁸ numbers if written out."""
KIND = b"ctorch\nfloat32\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (RECORD + b"}X\x01\0\0\0aK\x01sb.", "sets attributes of what is no record"),
        (SIZE + b"}X\x01\0\0\0aK\x01sb.", "sets attributes of what is no record"),
        (KIND + b"}b.", "sets attributes of what is no record"),
        (b"]}b.", "sets attributes of what is no record"),
        (RECORD + b")R.", "calls what is no function of the list"),
        (KIND + b")R.", "calls what is no function of the list"),
        (SIZE + b")\x81.", "makes an object of what is no record"),
        (RECORD + b"K\x01\x85\x81.", "makes an object of what is no record"),
        (SIZE + SIZE + b"\x85R.", "a size of something else"),
        (b"cpathlib\nPosixPath\nq\1(X\1\0\0\0aX\1\0\0\0btRq\2" + b"h\1h\2h\2\x86R.", "a path of something else"),
        (b"ctorch\nSize.mro\n.", r"names torch\.Size\.mro"),
        (b"K\x01Q.", "damaged"),
        (b"\x8b\xff\xff\xff\x7f.", "its pickle does LONG4"),
        (b"\x93.", "damaged"),
        (b"})" + b"\x85" * 300_000 + b"Ns.", "the key of a dictionary is no single value"),
        (b"}()" + b"\x85" * 300_000 + b"Nu.", "the key of a dictionary is no single value"),
        (ITEM + TUPLES + b"\x85R.", "it looks up what is no single value"),
        (PROPERTIES + b")\x81(NNN" + TUPLES + b"Ntb.", "a record is filled with what is no single value"),
        (
            whole(
                PLACE
                + b")\x81}("
                + text("relative_path")
                + TUPLES
                + text("offset")
                + b"K\0"
                + text("length")
                + b"K\0ub"
            ),
            "a place in a file is no name with two numbers",
        ),
    ],
)
def test_what_is_on_the_list_is_no_way_to_anything_else(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / ".metadata"
    path.write_bytes(b"\x80\x04" + content)
    with pytest.raises(BadInput, match=message):
        read_metadata(path)


def test_every_name_on_the_lists_is_known() -> None:
    assert unpickle.known_in_metadata().keys() == ALLOWED.keys()
    assert unpickle.KNOWN_IN_ARCHIVES.keys() == ALLOWED_IN_ARCHIVES.keys()


def test_archives_of_torch_pass(tmp_path: Path) -> None:
    tensors = {
        str(kind): torch.ones(3, dtype=getattr(torch, kind)) for kind in ("float32", "bfloat16", "uint8", "bool")
    }
    saved = {
        **tensors,
        "list": [None, 1 << 40, "text", (1.5, {2: True})],
        "empty": torch.empty(0),
        "size": torch.Size([2]),
    }
    stream = io.BytesIO()
    torch.save(saved, stream)
    size = len(stream.getvalue())
    check_archive(stream, size, "file")
    with pytest.raises(BadInput, match="file: it holds a tensor: the scales of fp8"):
        check_archive(stream, size, "file", state=True)
    with pytest.raises(BadInput, match="file: no archive of torch.save"):
        check_archive(io.BytesIO(stream.getvalue()[: size // 2]), size, "file")
    for around in (b"x" + stream.getvalue(), stream.getvalue() + b"x"):
        with pytest.raises(BadInput, match="file: (no archive|its archive)"):
            check_archive(io.BytesIO(around), size + 1, "file")


@pytest.mark.parametrize("value", [0, -3, 10_001, 3.0, "3", True])
def test_sizes_in_model_yaml(value: Any, tmp_path: Path) -> None:
    (tmp_path / "context").mkdir()
    given = model_yaml(make_shape(), num_layers=value)
    (tmp_path / "context/model.yaml").write_text(yaml.safe_dump(given))
    with pytest.raises(BadInput, match=r"model\.yaml: num_layers is .*; expected a whole number from 1 to 10000"):
        read_shape(tmp_path)


def test_another_format_of_checkpoint(tmp_path: Path) -> None:
    """Its loader would unpickle other files."""
    (tmp_path / "weights").mkdir()
    (tmp_path / "weights/.metadata").write_bytes(b"")
    (tmp_path / "weights/metadata.json").write_text('{"sharded_backend": "zarr", "common_backend": "torch"}')
    with pytest.raises(BadInput, match=r"metadata\.json: not of the format torch_dist"):
        check_complete(tmp_path)


def test_security_md_names_every_file_and_every_class() -> None:
    text = (Path(__file__).parents[2] / "docs/security.md").read_text(encoding="utf-8")
    for one in HOSTILE.values():
        assert f"| `{one.file}` | {one.what} |" in text
    for module, name in (*ALLOWED, *ALLOWED_IN_ARCHIVES):
        assert f"`{module}.{name}`" in text or f"`{name}`" in text, (module, name)
