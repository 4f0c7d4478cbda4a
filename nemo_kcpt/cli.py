"""`kcpt`: one sub-command per stage. `kcpt --help` imports none of them.

A stage is a module with a dataclass `Config` and `run(config, redo=False)`; its module docstring is its help.
"""

from __future__ import annotations

import argparse
import importlib
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import nemo_kcpt
from nemo_kcpt import logs
from nemo_kcpt.config import MISSING, config_help, keys_of, load_config, nearest
from nemo_kcpt.errors import KcptError
from nemo_kcpt.interrupts import is_interrupt, keep_interrupts
from nemo_kcpt.stages import ACTIONS, COMMANDS, HIDDEN, STAGES, find_stage
from nemo_kcpt.threads import wait_briefly

EPILOG = """Every stage reads and writes files, can be run again (finished work is skipped) and explains its keys:
  kcpt pack --help
Keys come from defaults < --config FILE.yaml < key=value on the command line (also written --key value,
and --key alone for keys that are true or false).
Exit codes: 0 done, 1 failed, 2 the input cannot be used, 130 interrupted."""


def _stage_help(name: str, module: object, arguments: str = "") -> str:
    return "\n".join(
        [
            f"kcpt {name}: {(getattr(module, '__doc__', '') or '').strip()}",
            "",
            f"usage: kcpt {name}{arguments} [--config FILE.yaml] [--redo] [--log FILE] [key=value | --key value ...]",
            "",
            "keys:",
            config_help(module.Config),  # type: ignore[attr-defined]
            "",
            "  --config FILE.yaml   read keys from a YAML file",
            "  --redo               make the result again even if it, or one from other inputs, is there",
            "  --log FILE           write every message and warning there",
        ]
    )


def _arguments(module: str, sources: Sequence[str]) -> str:
    """What follows an action in its usage: the sources, and where the result goes."""
    target = "--to OUT" if str(importlib.import_module(module).Config.out) == MISSING else "[--to OUT]"
    return "".join(f" {source.upper()}" for source in sources) + f" {target}"


def _help(name: str, words: Sequence[str]) -> str:
    """The help of a stage; of one with actions that of the one named, else of all."""
    actions = ACTIONS.get(name)
    if not actions:
        return _stage_help(name, importlib.import_module(find_stage(name, ())[0]))
    chosen = [word for word in words[:1] if word in actions] or list(actions)
    return "\n\n\n".join(
        _stage_help(f"{name} {action}", importlib.import_module(module), _arguments(module, sources))
        for action, (module, sources) in actions.items()
        if action in chosen
    )


def _run_stage(name: str, words: Sequence[str]) -> None:
    import dataclasses

    if "--help" in words or "-h" in words:
        print(_help(name, words))
        return
    path, words = find_stage(name, words)
    module = importlib.import_module(path)
    options = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    options.add_argument("--config", type=Path)
    options.add_argument("--redo", action="store_true")
    options.add_argument("--log", type=Path)
    known, rest = options.parse_known_args(list(words))
    logs.set_up(known.log)
    flags = {field.name for field in dataclasses.fields(module.Config) if field.type in (bool, "bool")}
    config = load_config(module.Config, file=known.config, overrides=keys_of(rest, flags))
    module.run(config, redo=known.redo)


def main(argv: Sequence[str] | None = None) -> int:
    """Run `kcpt` with `argv` (default: the process's arguments); returns the exit code."""
    wait_briefly()
    if argv is None:  # the process is this command's alone
        keep_interrupts()
    words = list(sys.argv[1:] if argv is None else argv)
    parser = argparse.ArgumentParser(
        prog="kcpt",
        usage="kcpt STAGE [--config FILE.yaml] [--redo] [--log FILE] [key=value | --key value ...]",
        description="nemo_kcpt teaches an LLM a body of documents with NeMo 2 and Megatron-Core.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"nemo_kcpt {nemo_kcpt.__version__}")
    listing = parser.add_argument_group("stages, in the order of the data's way")
    for name, (_, summary) in {**STAGES, **COMMANDS}.items():
        listing.add_argument(name, help=summary, nargs="?")
    if not words or words[0] in ("-h", "--help", "--version"):
        parser.parse_args(words or ["--help"])
        return 0
    if words[0] not in {**STAGES, **HIDDEN, **COMMANDS}:
        known = [*STAGES, *COMMANDS]
        print(f"kcpt: unknown stage '{words[0]}'; {nearest(words[0], known)}. See kcpt --help", file=sys.stderr)
        return 2
    try:
        if words[0] in COMMANDS:
            return int(importlib.import_module(COMMANDS[words[0]][0]).main(words[1:]))
        _run_stage(words[0], words[1:])
        sys.stdout.flush()
    except KcptError as error:
        print(f"kcpt {words[0]}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # `kcpt … | head` has read enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except OSError as error:  # no space, no permission: the message names the file
        print(f"kcpt {words[0]}: {error}", file=sys.stderr)
        return 1
    except BaseException as error:
        if not is_interrupt(error):
            raise
        print(
            f"\nkcpt {words[0]}: interrupted; finished work is kept, rerun the same command to resume", file=sys.stderr
        )
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
