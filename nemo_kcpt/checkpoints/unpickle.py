"""The one place where the project unpickles what a user may have been sent: a checkpoint's pickles.

`.metadata` is a pickle of records, and `common.pt` and every entry of a `.distcp` file are archives of `torch.save`
with a pickle in them. All go through an unpickler that knows only the operations and the names listed here: names are
looked up in the list and never imported, records are made empty, and the few calls that are left are made by functions
of ours that make nothing larger than what the file holds. What a pickle can take is so bounded by the file's size.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, NoReturn

from nemo_kcpt.errors import BadInput

LARGEST_PATH = 4096
MOST_DIMENSIONS = 16
SINGLE = (str, int, float, bytes, type(None))
"""What is hashed and printed in no time, as lists in lists in lists are not."""

DCP, PLANNER = "torch.distributed.checkpoint.metadata", "torch.distributed.checkpoint.planner"
MEGATRON = "megatron.core.dist_checkpointing.strategies.torch"
TYPES = ("float64", "float32", "float16", "bfloat16", "int64", "int32", "int16", "int8", "uint8", "bool")
ALLOWED: dict[tuple[str, str], str] = {
    ("torch", "Size"): "sizes and offsets of tensors",
    **{("torch", name): "type of a tensor" for name in TYPES},
    ("torch.serialization", "_get_layout"): "layout of a tensor, by name",
    (DCP, "_MEM_FORMAT_ENCODING"): "memory format of a tensor, by number",
    (DCP, "TensorProperties"): "record: type, layout and memory format of a tensor",
    (DCP, "ChunkStorageMetadata"): "record: offsets and sizes of a part of a tensor",
    (DCP, "TensorStorageMetadata"): "record: a tensor",
    (DCP, "BytesStorageMetadata"): "record: an object that is no tensor",
    (DCP, "MetadataIndex"): "record: which part of which tensor",
    ("torch.distributed.checkpoint.filesystem", "_StorageInfo"): "record: file, offset and length of a part",
    (DCP, "StorageMeta"): "record: where and when the checkpoint was saved",
    ("pathlib", "PosixPath"): "path in it; read as text, never opened",
    (DCP, "Metadata"): "record: the whole of `.metadata`",
    (MEGATRON, "MCoreMetadata"): "record: Megatron's form of it; a stand-in of ours is made",
    (MEGATRON, "MCoreSavePlan"): "record: what a rank saved; a stand-in of ours is made",
    (PLANNER, "SavePlan"): "record: the same, as Megatron-Core 0.19 has it",
    (PLANNER, "WriteItem"): "record: in such a plan",
    (PLANNER, "WriteItemType"): "kind of such an item, by number",
    (PLANNER, "TensorWriteData"): "record: tensor of such an item",
    ("collections", "OrderedDict"): "dictionary, made empty",
}
"""Every name that `.metadata` may hold, and what for."""

STORAGES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
}
"""torch's names of what tensors are kept in, and the bytes of an element."""
NUMPY = ("numpy.core.multiarray", "numpy._core.multiarray")
"""Where NumPy 1 and 2 have what makes an array."""
ALLOWED_IN_ARCHIVES: dict[tuple[str, str], str] = {
    ("torch._utils", "_rebuild_tensor_v2"): "tensor; looked at, not made",
    **{("torch", name): "what a tensor is kept in; its size is held against the archive's" for name in STORAGES},
    ("collections", "OrderedDict"): "dictionary, made empty",
    ("torch", "Size"): "sizes of a tensor",
    ("pathlib", "PosixPath"): "where a training went on from, in what ModelCheckpoint saves; looked at, not made",
    **{("torch", name): "type of a tensor, in what callbacks save" for name in TYPES},
    ("torch", "device"): "device, in what callbacks save; looked at, not made",
    ("_codecs", "encode"): "bytes, as protocol 2 writes them; looked at, not made",
    ("builtins", "set"): "set; looked at, not made",
    ("__builtin__", "set"): "the same, as protocol 2 calls it",
    **{(module, "_reconstruct"): "array, made empty; see NumPyArray" for module in NUMPY},
    ("numpy", "ndarray"): "class of that array",
    ("numpy", "dtype"): "type of its numbers; see NumPyType",
}
"""Every name that the pickles of `common.pt` and `.distcp` files may hold, and what for."""

OPERATIONS = frozenset({
    "PROTO", "FRAME", "STOP", "MARK", "NONE", "NEWTRUE", "NEWFALSE", "BININT", "BININT1", "BININT2", "LONG1",
    "BINFLOAT", "SHORT_BINUNICODE", "BINUNICODE", "SHORT_BINBYTES", "BINBYTES", "EMPTY_LIST", "APPEND", "APPENDS",
    "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "EMPTY_DICT", "SETITEM", "SETITEMS", "BINGET",
    "LONG_BINGET", "BINPUT", "LONG_BINPUT", "MEMOIZE", "GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD",
    "BINPERSID",
})  # fmt: skip
"""What a pickle may do: nothing that allocates more than it brings along, and of classes only what is handled below."""


class Refused(Exception):
    """What is wrong with a pickle, without the file's name."""


@dataclass(frozen=True)
class _Known:
    """What a name in a pickle stands for.

    Args:
        make: gives the object that a call in the pickle makes, or its class if it is a record.
        record: whether it is made empty and then filled, rather than called.
    """

    make: Any
    record: bool = False


class Filled:
    """What a call in a pickle made, and the pickle may then fill: a stand-in, which only looks at what it is given."""

    def fill(self, state: Any) -> None:
        """Refuse what no checkpoint has."""
        raise NotImplementedError


class NumPyType(Filled):
    """The type of the numbers of NumPy's random generator, the one array that a training of the Bridge saves."""

    def __init__(self, *arguments: Any) -> None:
        if arguments != ("u4", False, True):
            raise Refused("an array of NumPy's of another type than its random generator's")

    def fill(self, state: Any) -> None:
        """Only the byte order."""
        if state != (3, "<", None, None, None, -1, -1, 0):
            raise Refused("a type of NumPy's that is filled with more than a byte order")


class NumPyArray(Filled):
    """The state of NumPy's random generator (MT19937), 624 numbers; its bytes are held against that by NumPy."""

    SIZE = (624,)

    def __init__(self, kind: Any, size: Any, *_: Any) -> None:
        if kind is not _LOOKED_AT or size != (0,):
            raise Refused("an array of NumPy's that is not made empty")

    def fill(self, state: Any) -> None:
        """Version, size, type, order and bytes."""
        known = isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], NumPyType)
        if not known or state[:2] != (1, self.SIZE) or state[3] is not False:
            raise Refused("an array of NumPy's that is not its random generator's")


class _Operations(dict[int, Callable[[Any], None]]):
    def __missing__(self, code: int) -> NoReturn:
        name = _NAMES.get(code)
        raise Refused(
            f"its pickle does {name}, which no checkpoint needs; the file may be hostile and was not read further. "
            "Use a checkpoint from a source you trust"
            if name
            else f"damaged (no pickle operation has the number {code}); copy it again, or take another checkpoint"
        )


_NAMES = {ord(operation.code): operation.name for operation in pickletools.opcodes}
_PYTHONS: Any = pickle._Unpickler
"""Python's unpickler in Python: a memo of the one in C takes gigabytes when told of an entry 2³²-1."""


class _Unpickler(_PYTHONS):
    """Knows `known`, and for an archive the sizes of the `tensors` in it by their names."""

    def __init__(self, content: bytes, known: Mapping[tuple[str, str], Any], tensors: Mapping[str, int]) -> None:
        super().__init__(io.BytesIO(content), fix_imports=False)
        self._known, self._tensors = known, tensors
        self._records = {value.make for value in known.values() if isinstance(value, _Known) and value.record}

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in self._known:
            raise Refused(
                f"it names {module}.{name}, which no Megatron checkpoint needs; the file may be hostile and was "
                "not read further. Use a checkpoint from a source you trust"
            )
        return self._known[module, name]

    def persistent_load(self, pid: Any) -> None:
        kind, element, key, _, count = pid
        if kind != "storage" or [type(element), type(key), type(count)] != [int, str, int] or count < 0:
            raise Refused("it refers to something that is no tensor's storage")
        if self._tensors.get(key) != element * count:
            raise Refused(
                f"tensor {key} should have {element * count} bytes, {self._tensors.get(key, 'none')} are there"
            )

    def load_reduce(self) -> None:
        arguments = self.stack.pop()
        function = self.stack[-1]
        if not isinstance(function, _Known) or function.record:
            raise Refused("it calls what is no function of the list; the file may be hostile")
        self.stack[-1] = function.make(*arguments)

    def load_newobj(self) -> None:
        arguments = self.stack.pop()
        kind = self.stack[-1]
        if not isinstance(kind, _Known) or not kind.record or arguments != ():
            raise Refused("it makes an object of what is no record of the list; the file may be hostile")
        self.stack[-1] = kind.make.__new__(kind.make)

    def load_build(self) -> None:
        state = self.stack.pop()
        record = self.stack[-1]
        if isinstance(record, Filled):
            record.fill(state)
            return
        if type(record) not in self._records:
            raise Refused("it sets attributes of what is no record of the list; the file may be hostile")
        if hasattr(record, "__setstate__"):
            if any(isinstance(value, (tuple, list, dict)) for value in state):
                raise Refused("a record is filled with what is no single value")
            record.__setstate__(state)
        else:
            vars(record).update(state)

    def load_setitem(self) -> None:
        self._check_keys(self.stack[-2:-1])
        super().load_setitem()

    def load_setitems(self) -> None:
        self._check_keys(self.stack[::2])
        super().load_setitems()

    def _check_keys(self, keys: list[Any]) -> None:
        """Single values, few of them in a tuple, or records of them and of sizes.

        Python dies of hashing tuples in tuples in tuples.
        """
        for key in keys:
            inside = vars(key).values() if type(key) in self._records else [key]
            if type(key) is tuple and len(key) <= MOST_DIMENSIONS:
                # Names, such as those of torch's types, are known ones, which are hashed by their identity.
                inside = [item for item in key if not isinstance(item, _Known)]
            # Of what is derived from tuples, only sizes are ever made.
            if not all(
                isinstance(item, SINGLE) or (isinstance(item, tuple) and type(item) is not tuple) for item in inside
            ):
                raise Refused("the key of a dictionary is no single value")

    dispatch = _Operations(
        {code: function for code, function in _PYTHONS.dispatch.items() if _NAMES[code] in OPERATIONS}
        | {
            pickle.REDUCE[0]: load_reduce,
            pickle.NEWOBJ[0]: load_newobj,
            pickle.BUILD[0]: load_build,
            pickle.SETITEM[0]: load_setitem,
            pickle.SETITEMS[0]: load_setitems,
        }
    )


def _size(values: Any) -> Any:
    """torch.Size, of a length that tensors have: a pickle can refer to a long tuple a million times."""
    import torch

    if not isinstance(values, (tuple, list)) or len(values) > MOST_DIMENSIONS:
        raise Refused("a size of something else than a few numbers")
    return torch.Size(values)


def _lookup(make: Callable[[Any], Any]) -> _Known:
    """A call of a function that looks up a single value."""

    def made(value: Any) -> Any:
        if not isinstance(value, SINGLE):
            raise Refused("it looks up what is no single value")
        return make(value)

    return _Known(made)


def _path(*parts: Any) -> PurePosixPath:
    if not all(isinstance(part, str) for part in parts) or sum(map(len, parts)) > LARGEST_PATH:
        raise Refused("a path of something else than a few names")
    return PurePosixPath(*parts)


def known_in_metadata() -> dict[tuple[str, str], Any]:
    """What the names in a `.metadata` stand for, for :func:`unpickled`."""
    import torch
    from torch.distributed.checkpoint import filesystem, metadata, planner
    from torch.serialization import _get_layout

    own: dict[tuple[str, str], Any] = {
        ("torch", "Size"): _Known(_size),
        ("torch.serialization", "_get_layout"): _lookup(_get_layout),
        (DCP, "_MEM_FORMAT_ENCODING"): _lookup(metadata._MEM_FORMAT_ENCODING),
        ("pathlib", "PosixPath"): _Known(_path),
        (MEGATRON, "MCoreMetadata"): _Known(type("MCoreMetadata", (metadata.Metadata,), {}), record=True),
        (MEGATRON, "MCoreSavePlan"): _Known(type("MCoreSavePlan", (), {}), record=True),
        (PLANNER, "WriteItemType"): _lookup(planner.WriteItemType),
        ("collections", "OrderedDict"): _Known(lambda: OrderedDict()),
    }
    modules = {DCP: metadata, PLANNER: planner, "torch.distributed.checkpoint.filesystem": filesystem}
    for module, name in ALLOWED.keys() - own.keys():
        own[module, name] = getattr(torch, name) if module == "torch" else _Known(getattr(modules[module], name), True)
    return own


_LOOKED_AT = _Known(lambda *_: None)
KNOWN_IN_ARCHIVES: dict[tuple[str, str], Any] = {
    **dict.fromkeys(ALLOWED_IN_ARCHIVES, _LOOKED_AT),
    **{("torch", name): element for name, element in STORAGES.items()},
    ("collections", "OrderedDict"): _Known(lambda: OrderedDict()),
    ("torch", "Size"): _Known(_size),
    **{(module, "_reconstruct"): _Known(NumPyArray) for module in NUMPY},
    ("numpy", "dtype"): _Known(NumPyType),
}


def unpickled(content: bytes, where: str, known: Mapping[tuple[str, str], Any], tensors: Mapping[str, int]) -> Any:
    """What a pickle holds.

    Args:
        content: the pickle.
        where: what to call it in messages.
        known: what names in it stand for.
        tensors: of an archive, the bytes of each tensor's storage by its name.

    Raises:
        BadInput: it names or does what is not known, or is damaged.
    """
    try:
        return _Unpickler(content, known, tensors).load()
    except Refused as error:
        raise BadInput(f"{where}: {error}") from None
    except Exception as error:  # whatever a damaged pickle makes of itself
        reason = " ".join(str(error).split())[:200]
        raise BadInput(
            f"{where}: damaged ({type(error).__name__}: {reason}); copy it again, or take another checkpoint"
        ) from None
