"""Where an encoder comes from, and whether the code that it brings along may run.

Some encoders, the default among them, are Python files in their repository. Loading such a one runs code from the
internet with the user's rights. It is refused until the user has named exactly what he allows: of a repository the
commit, of a folder the digest of its code and settings.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from nemo_kcpt.errors import BadInput
from nemo_kcpt.files import read_json

DEFAULT_ENCODER = "tohoku-nlp/tohokunlp-bert-500m-sq8192-alpha"
"""Japanese encoder of 500M parameters that reads 8,192 tokens; it has code of its own."""

_REPOSITORY = re.compile(r"(?P<name>[A-Za-z0-9][\w.-]*(?:/[\w.-]+)?)(?:@(?P<revision>[\w./-]+))?")
_COMMIT = re.compile(r"[0-9a-f]{40}")
_SMALL = ("*.json", "*.py", "*.txt", "*.model", "*.jinja", "*.vocab")
"""What is fetched of a repository before its code is judged; the weights come after."""


@dataclass(frozen=True)
class Source:
    """An encoder's files."""

    folder: Path
    """Where they are: the user's folder, or the one in Hugging Face's cache for one commit."""
    name: str
    """The folder's name, or REPOSITORY@COMMIT; for reports."""
    repository: str = ""
    """Name on Hugging Face, for bert-score's table of layers; "" for a folder."""
    custom_code: bool = False
    """Whether it brings code of its own, which the user has allowed."""


def locate(encoder: str | Path, allow_code: str = "") -> Source:
    """Find an encoder, fetching it from Hugging Face if it is no folder.

    Args:
        encoder: a folder, or the name of a repository, `owner/name` or `owner/name@revision`.
        allow_code: the code that may run: `owner/name@commit` with the whole commit hash for a repository,
            `sha256:…` as the refusal prints it for a folder; "" allows none.

    Raises:
        BadInput: neither a folder nor a repository that can be loaded, or it has code that is not allowed.
    """
    if Path(encoder).is_dir():
        folder = Path(encoder)
        return Source(folder, folder.resolve().name, custom_code=_allowed(folder, str(encoder), allow_code, ""))
    match = _REPOSITORY.fullmatch(str(encoder)) if isinstance(encoder, str) else None
    if match is None:
        raise BadInput(f"encoder={encoder}: no such folder; give a Hugging Face encoder folder with a config.json")
    repository, revision = match["name"], match["revision"]
    allowed_name, _, allowed_commit = allow_code.partition("@")
    if revision is None and allowed_name == repository and _COMMIT.fullmatch(allowed_commit):
        revision = allowed_commit  # the branch may have moved on since it was read
    folder = _fetch(repository, revision, list(_SMALL))
    name = f"{repository}@{folder.name}"
    custom_code = _allowed(folder, name, allow_code, name if _COMMIT.fullmatch(folder.name) else "")
    if not any(folder.glob("*.safetensors")):
        _fetch(repository, folder.name, ["*.safetensors"])
    if not any(folder.glob("*.safetensors")):
        _fetch(repository, folder.name, ["pytorch_model*.bin"])
    return Source(folder, name, repository, custom_code)


def _fetch(repository: str, revision: str | None, patterns: list[str]) -> Path:
    """Download such files of a repository, or find them in the cache; returns the commit's folder."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=patterns))
    except Exception as error:  # of many kinds: network, name, rights, disk
        at = f"@{revision}" if revision else ""
        reason = next(iter(str(error).strip().splitlines()), type(error).__name__)
        raise BadInput(
            f"encoder={repository}{at}: no such folder here, and the Hugging Face repository of that name cannot be "
            f"fetched ({reason}). Where there is internet, run `hf download {repository}"
            f"{' --revision ' + revision if revision else ''} --local-dir FOLDER`, and give encoder=FOLDER"
        ) from error


def code_digest(folder: Path) -> str:
    """`sha256:` and 64 hex digits over names and bytes of all `.py` and `.json` files under `folder`.

    These are the code and the settings that choose it; the weights, which are only read, do not count.
    """
    digest = hashlib.sha256()
    for path in sorted(path for path in folder.rglob("*") if path.suffix in (".py", ".json") and path.is_file()):
        name, content = path.relative_to(folder).as_posix().encode(), path.read_bytes()
        digest.update(b"%d:%b%d:%b" % (len(name), name, len(content), content))
    return f"sha256:{digest.hexdigest()}"


def _custom_code(folder: Path) -> list[str]:
    """The classes (`file.Class`, or `other/repository--file.Class`) that config and tokenizer want from own code."""
    named: list[str] = []
    for file in ("config.json", "tokenizer_config.json"):
        settings = read_json(folder / file) if file == "config.json" or (folder / file).is_file() else {}
        if not isinstance(settings, dict):
            raise BadInput(f"{folder / file}: not a JSON object; the settings of a Hugging Face encoder were expected")
        classes = settings.get("auto_map") or {}
        for value in classes.values() if isinstance(classes, dict) else [classes]:
            named += [str(name) for name in (value if isinstance(value, list) else [value]) if name is not None]
    return sorted(set(named))


def _allowed(folder: Path, label: str, allow_code: str, commit: str) -> bool:
    """Whether the encoder has code of its own; `commit` is REPOSITORY@COMMIT, "" for a user's folder.

    Raises:
        BadInput: it has, and `allow_code` does not name it.
    """
    named = _custom_code(folder)
    if not named:
        return False
    elsewhere = [name for name in named if "--" in name]
    if elsewhere:
        raise BadInput(
            f"encoder={label}: it wants code of another repository ({', '.join(elsewhere)}), whose version nothing "
            "fixes; download the encoder and those files to one folder, and name them without `REPOSITORY--` in the "
            "auto_map of its config.json and tokenizer_config.json"
        )
    wanted = commit or code_digest(folder)
    if allow_code != wanted:
        where = f"https://huggingface.co/{commit.replace('@', '/tree/')}" if commit else f"the .py files in {folder}"
        other = f" ({allow_code} allows something else)" if allow_code else ""
        raise BadInput(
            f"encoder={label}: it brings code of its own ({', '.join(named)}), which would run with your rights. Read "
            f"{where}, and if you trust it, allow exactly this version with allow_code={wanted}{other}"
        )
    return True
