"""The command line of ``python -m monai.bundle run``, and how its errors end."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any

import monai.bundle
from fire.parser import DefaultParseValue
from models_genesis_bundle.messages import unwrapped
from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

# Arguments of `run` that are not in its signature.
WORKFLOW_ARGUMENTS = {"workflow_type", "workflow", "tracking", "properties_path", "args_file", "workflow_name"}

_FLAG = re.compile("--|-[a-zA-Z]")  # Fire reads -name as --name, but -1 as a number


@dataclass(frozen=True)
class RunCommand:
    """The configurations and settings of a ``monai.bundle run``."""

    config_files: tuple[str, ...]  # the configuration and its overlays
    overrides: Mapping[str, Any]  # settings by place, as Fire reads them, without those that MONAI drops
    tracking: str | None = None  # the tracking settings: mlflow, or a file
    run_id: str = field(default="run", compare=False)  # the step that is run
    words: Mapping[str, str] = field(default_factory=dict, compare=False)  # texts of the settings on the command line

    @classmethod
    def from_arguments(cls, arguments: Sequence[str] | None = None) -> RunCommand | None:
        """Read a command line (default: this process's); None if it is not a ``monai.bundle run`` with configurations."""
        arguments = list(sys.argv if arguments is None else arguments)
        if not arguments or Path(arguments[0]).parts[-3:-1] != ("monai", "bundle") or arguments[1:2] != ["run"]:
            return None
        positional, words = _read(arguments[2:])
        flags = {name: value for name, word in words.items() if (value := DefaultParseValue(word)) is not None}
        if isinstance(args_file := flags.get("args_file"), str):
            flags = {**ConfigParser.load_config_file(args_file), **flags}
        files = flags.get("config_file")
        if not files:
            return None
        arguments_of_run = set(inspect.signature(monai.bundle.run).parameters) | WORKFLOW_ARGUMENTS
        return cls(
            config_files=tuple(map(str, files)) if isinstance(files, list | tuple) else (str(files),),
            overrides={name: value for name, value in flags.items() if name not in arguments_of_run},
            tracking=flags.get("tracking"),
            run_id=str(positional[0] if positional else flags.get("run_id", "run")),
            words={name: word for name, word in words.items() if name not in arguments_of_run},
        )

    def files_config(self) -> dict[str, Any]:
        """The merged files without the overrides, and the settings that MONAI's tracking adds, unless the files have them."""
        return {**_tracking_settings(self.tracking), **ConfigParser.load_config_files(list(self.config_files))}

    def resolved_config(self) -> dict[str, Any]:
        """The merged files with the overrides."""
        parser = ConfigParser(config=self.files_config())
        parser.update(dict(self.overrides))
        return parser.get()


def end_tracebacks_with_the_cause() -> None:
    """After the traceback of an uncaught error, print the original error without MONAI's wrappers."""

    def print_with_cause(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        sys.__excepthook__(kind, error, trace)
        cause = unwrapped(error)
        if cause is not error:
            print(f"\n{type(cause).__name__}: {cause}", file=sys.stderr)

    sys.excepthook = print_with_cause


def _tracking_settings(tracking: str | None) -> dict[str, Any]:
    if tracking is None:
        return {}
    settings = DEFAULT_EXP_MGMT_SETTINGS.get(tracking) or ConfigParser.load_config_files(tracking)
    return {name: value for name, value in settings["configs"].items() if name not in settings["handlers_id"]}


def _read(arguments: Sequence[str]) -> tuple[list[str], dict[str, str]]:
    """The positional words of a command line, and the words of its ``--name value``, ``--name=value`` and lone ``--name``."""
    positional: list[str] = []
    words: dict[str, str] = {}
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if not _FLAG.match(argument):
            positional.append(argument)
            continue
        name, equals, value = argument.lstrip("-").partition("=")
        if not equals:
            lone = position == len(arguments) or _FLAG.match(arguments[position]) is not None
            value = "True" if lone else arguments[position]
            position += not lone
        words[name.replace("-", "_")] = value
    return positional, words
