"""Archives of `torch.save` (`common.pt`, the parts of `.distcp` files), looked at before someone loads them."""

from __future__ import annotations

import io
import re
import zipfile
from typing import IO, Any

from nemo_kcpt.checkpoints.unpickle import KNOWN_IN_ARCHIVES, Refused, unpickled
from nemo_kcpt.errors import BadInput

PICKLE_BYTES = 16 << 20
"""Largest pickle in an archive; those of trainings have 4 kB."""
PARTS = re.compile(
    r"([^/]+)/(data\.pkl|data/\d+|version|byteorder|\.format_version|\.storage_alignment|\.data/serialization_id)"
)
"""Files in an archive of `torch.save`."""
END = b"PK\x05\x06" + bytes(18)
"""Begins, and is as long as, the record that an archive ends with."""


def check_archive(stream: Any, size: int, where: str, *, state: bool = False) -> None:
    """Look at a file of `torch.save` before someone loads it: nothing of it is run and no tensor is read.

    Args:
        stream: the file, or :class:`Slice` of one.
        size: its bytes.
        where: what to call it in messages.
        state: whether it is a layer's `_extra_state`, whose tensors Transformer Engine would unpickle in turn: it must
            have none.

    Raises:
        BadInput: it names something outside `ALLOWED_IN_ARCHIVES`, is packed, claims more than it holds, or is in
            torch's old format.
    """
    try:
        # Python and PyTorch read archives with code of their own. All of this is for both to see the same.
        with zipfile.ZipFile(stream) as archive:
            files = archive.infolist()
            stored = all(file.compress_type == zipfile.ZIP_STORED and not file.flag_bits & 1 for file in files)
            if not stored or sum(file.file_size for file in files) > size:
                raise Refused("its archive is packed, or larger than the file; torch.save never packs")
            matches = [PARTS.fullmatch(file.orig_filename) for file in files]
            names = [match[2].lower() for match in matches if match]
            if len({match[1] if match else None for match in matches}) != 1 or not names:
                raise Refused("its archive is none of torch.save: other files are in it")
            stream.seek(max(0, size - len(END)))
            whole = min(file.header_offset for file in files) == 0 and stream.read().startswith(END[:4])
            if len(set(names)) < len(names) or not whole or archive.comment:
                raise Refused("its archive holds a file twice, or something before or after its files")
            root = files[0].orig_filename.split("/")[0]
            if archive.getinfo(f"{root}/data.pkl").file_size > PICKLE_BYTES:
                raise Refused(f"its pickle has more than {PICKLE_BYTES} bytes")
            content = archive.read(f"{root}/data.pkl")
        tensors = {name.removeprefix("data/"): file.file_size for name, file in zip(names, files)}
        if state and any(name.startswith("data/") and file.file_size for name, file in zip(names, files)):
            raise Refused(
                "it holds a tensor: the scales of fp8, in which Transformer Engine keeps a pickle. Our recipes train "
                "without fp8 and do not read it"
            )
    except Refused as error:
        raise BadInput(f"{where}: {error}") from None
    except (zipfile.BadZipFile, KeyError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise BadInput(
            f"{where}: no archive of torch.save ({error}); torch's format from before 2020 and other pickles are not "
            "read. Copy the file again, or use a checkpoint from a source you trust"
        ) from None
    unpickled(content, where, KNOWN_IN_ARCHIVES, tensors)


class Slice(io.RawIOBase):
    """The part of a file that starts at `offset` and has `length` bytes, as a file of its own."""

    def __init__(self, stream: IO[bytes], offset: int, length: int) -> None:
        super().__init__()
        self._stream, self._offset, self._length, self._at = stream, offset, length, 0

    def seekable(self) -> bool:
        """Yes."""
        return True

    def readable(self) -> bool:
        """Yes."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to a byte of the part; returns it."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._length}[whence]
        if start + offset < 0:
            raise ValueError(f"byte {start + offset} of a file")
        self._at = start + offset
        return self._at

    def readinto(self, buffer: Any) -> int:
        """Fill `buffer` up to the end of the part; returns the number of bytes."""
        self._stream.seek(self._offset + self._at)
        wanted = max(0, min(len(buffer), self._length - self._at))
        content = self._stream.read(wanted)
        buffer[: len(content)] = content
        self._at += len(content)
        return len(content)
