"""What is known of each node from its folder: done, running, failed, or waiting. Any process may look."""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from nemo_kcpt.checkpoints.hf_folder import HfFolder
from nemo_kcpt.errors import BadInput
from nemo_kcpt.experiment.graph import Graph
from nemo_kcpt.experiment.nodes import REPORT, Node
from nemo_kcpt.experiment.process import fraction_done, relative
from nemo_kcpt.files import canonical_json, read_json, sha256_file, sha256_text, write_json
from nemo_kcpt.hf.chat_template import text_inputs
from nemo_kcpt.runs import MANIFEST, Stage, hash_files, read_manifest

DONE, RUNNING, FAILED, WAITING, STALE, BLOCKED = "done", "running", "failed", "waiting", "stale", "blocked"
STATE, BEGUN = "state.json", "begun.json"
TEXTS = "tokenizer, chat template and generation settings"
"""Behind the name of what a node reads: of a model's folder these count, too."""


@dataclass(frozen=True, kw_only=True)
class State:
    """How a node stands."""

    word: str
    """done, running, failed, waiting; stale: made from other inputs; blocked: something that it needs failed."""
    seconds: float | None = None
    """Seconds that it took, or has been running."""
    fraction: float | None = None
    """How far it is, if it says so."""
    reason: str | None = None
    """Why it failed."""


def is_model(path: Path) -> bool:
    """Whether a path is a Hugging Face model's folder."""
    return (path.expanduser() / "config.json").is_file()


def _identity(path: Path) -> str:
    """Identity of a user's file: a model's folder by its files' sizes and times, anything else by its bytes."""
    if is_model(path):
        return sha256_text(HfFolder(path).identity())
    return hash_files(path)


def _tokenizer(path: Path) -> str:
    """SHA-256 of tokenizer, chat template and generation settings of a model's folder or beside a `tokenizer.json`."""
    path = path.expanduser()
    if not is_model(path) and path.name != "tokenizer.json":
        return ""
    folder = path if path.is_dir() else path.parent
    return sha256_text(canonical_json({name: sha256_file(file) for name, file in text_inputs(folder).items()}))


class States:
    """The states of a graph's nodes, read from `OUT/nodes/NAME/`.

    What versions before December 2026 have made is known by the fingerprints that they gave: those said nothing of the
    tokenizer, chat template and generation settings of a model's folder.

    Args:
        graph: whose nodes.
        identities: what stands for files of the user's in fingerprints, where it is not read from the files.
    """

    def __init__(self, graph: Graph, identities: Mapping[Path, str] = MappingProxyType({})) -> None:
        self.graph, self.identities, self._tokenizers = graph, dict(identities), dict[Path, str]()
        self.stages: dict[str, Stage] = {}
        self._older: dict[str, Stage] = {}
        for name, node in graph.nodes.items():  # in order: what a node needs comes before it
            if name != REPORT:
                self.stages[name], self._older[name] = self._stage(node), self._stage(node, older=True)

    @property
    def models(self) -> dict[Path, str]:
        """Folders of models that nodes read, and their identities."""
        return {path: identity for path, identity in self.identities.items() if is_model(path)}

    def folder(self, name: str) -> Path:
        """Where a node's state and manifest stand."""
        return self.graph.run / "nodes" / name

    def log(self, name: str) -> Path:
        """A node's log file."""
        return self.graph.run / "logs" / f"{name}.log"

    def _stage(self, node: Node, older: bool = False) -> Stage:
        """A node's identity: its command, what it reads and those of the nodes before it. Nothing need be there."""
        return Stage(node.name, self.folder(node.name), self.config_of(node), self.inputs_of(node, older))

    def made_by(self, name: str, fingerprint: str) -> bool:
        """Whether what has this fingerprint was made by the node as it is now, by this version or an older one."""
        if name == REPORT:
            node = self.graph.nodes[name]
            return fingerprint in (self._stage(node).fingerprint, self._stage(node, older=True).fingerprint)
        return fingerprint in (self.stages[name].fingerprint, self._older[name].fingerprint)

    def config_of(self, node: Node) -> dict[str, Any]:
        """What enters a node's fingerprint beside its inputs."""
        return {"command": [relative(word, self.graph.run) for word in node.command]}

    def adopt(self, name: str) -> None:
        """Give what an older version made the fingerprint of this one, so that its tokenizer counts from now on."""
        if name == REPORT or not (self.folder(name) / MANIFEST).is_file():
            return
        manifest, now = read_manifest(self.folder(name)), self.stages[name]
        if manifest["fingerprint"] == self._older[name].fingerprint != now.fingerprint:
            here = {"fingerprint": now.fingerprint, "inputs": now.inputs}
            write_json(self.folder(name) / MANIFEST, manifest | here)

    def inputs_of(self, node: Node, older: bool = False) -> dict[str, str]:
        """Fingerprints of what a node needs; of the report, of those that are done."""
        wanted = [name for name in node.after if node.name != REPORT or self.of(name).word == DONE]
        stages = self._older if older else self.stages
        inputs = {name: stages[name].fingerprint for name in wanted}
        inputs |= {name: self._read(node, path) for name, path in node.reads.items()}
        if not older:
            inputs |= {f"{name}: {TEXTS}": text for name, path in node.reads.items() if (text := self._texts(path))}
        return inputs

    def _texts(self, path: Path) -> str:
        if path not in self._tokenizers:
            self._tokenizers[path] = _tokenizer(path)
        return self._tokenizers[path]

    def _read(self, node: Node, path: Path) -> str:
        if path not in self.identities:
            try:
                self.identities[path] = _identity(path.expanduser())
            except BadInput as error:
                raise BadInput(f"step {node.name}: {error}") from None
        return self.identities[path]

    def of(self, name: str) -> State:
        """How a node stands now."""
        folder, node = self.folder(name), self.graph.nodes[name]
        if (folder / MANIFEST).is_file():
            manifest = read_manifest(folder)
            if not self.made_by(name, manifest["fingerprint"]):
                return State(word=WAITING if name == REPORT else STALE)
            if all(path.is_file() for path in node.products):
                return State(word=DONE, seconds=float(manifest["seconds"]))
            return State(word=WAITING)
        begun = folder / BEGUN
        if name != REPORT and begun.is_file() and not self.made_by(name, read_json(begun)["fingerprint"]):
            return State(word=STALE)  # what a stopped or failed one has left must not be continued
        if not (folder / STATE).is_file():
            return State(word=WAITING)
        state = read_json(folder / STATE)
        if state["state"] == FAILED:
            return State(word=FAILED, seconds=state.get("seconds"), reason=state.get("reason"))
        if state["host"] == socket.gethostname() and not _alive(state["pid"]):
            return State(word=WAITING, reason="was stopped")
        return State(word=RUNNING, seconds=time.time() - state["started"], fraction=fraction_done(node.metrics))

    def all(self) -> dict[str, State]:
        """Every node's; one that needs a failed one is blocked."""
        states: dict[str, State] = {}
        for name, node in self.graph.nodes.items():
            state = self.of(name)
            if state.word == WAITING and name != REPORT:
                bad = next(
                    (dependency for dependency in node.after if states[dependency].word in (FAILED, BLOCKED)), None
                )
                if bad is not None:
                    state = State(word=BLOCKED, reason=f"{bad} failed")
            states[name] = state
        return states

    def differences(self, name: str) -> str:
        """What changed of a stale node, in words."""
        folder = self.folder(name)
        made = read_manifest(folder) if (folder / MANIFEST).is_file() else read_json(folder / BEGUN)

        def differing(stage: Stage) -> list[str]:
            keys = {**made["inputs"], **stage.inputs}
            return [key for key in keys if made["inputs"].get(key) != stage.inputs.get(key)]

        now = min(self.stages[name], self._older[name], key=lambda stage: len(differing(stage)))
        changed = differing(now)
        old, new = _words(made["config"]["command"]), _words(now.config["command"])
        if old != new:
            gone, come = [word for word in old if word not in new], [word for word in new if word not in old]
            return f"was {' '.join(gone) or 'without'}, now {' '.join(come) or 'without'}"
        return f"{', '.join(changed)} changed"

    def write(self, name: str, word: str, started: float, reason: str | None = None) -> None:
        """Tell others what a node does."""
        state = {"state": word, "started": started, "pid": os.getpid(), "host": socket.gethostname()}
        state |= {"reason": reason, "seconds": round(time.time() - started, 1)}
        self.folder(name).mkdir(parents=True, exist_ok=True)
        write_json(self.folder(name) / STATE, state)

    def begin(self, name: str) -> None:
        """Note of what a node is being made, for the case that it is stopped and the experiment changed."""
        now = self.stages.get(name)
        if now is not None:
            begun = {"fingerprint": now.fingerprint, "config": now.config, "inputs": now.inputs}
            write_json(self.folder(name) / BEGUN, begun)

    def forget(self, name: str) -> None:
        """A node's state follows from its manifest from now on."""
        (self.folder(name) / STATE).unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _words(command: Sequence[str]) -> list[str]:
    """A step's words; of several commands for one process, which are one word of JSON, all of theirs."""
    words: list[str] = []
    for word in command:
        words += [part for arguments in json.loads(word) for part in arguments] if word.startswith("[[") else [word]
    return words
