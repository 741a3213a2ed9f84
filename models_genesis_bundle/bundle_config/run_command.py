"""What ``python -m monai.bundle run`` was called with."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai.bundle
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

__all__ = ["RunCommand"]

# `run` takes these from its keyword arguments, beside those in its signature.
WORKFLOW_ARGUMENTS = {"workflow_type", "workflow", "tracking", "properties_path", "args_file", "workflow_name"}


@dataclass(frozen=True)
class RunCommand:
    """The configuration files, the overrides and the tracking settings of a ``monai.bundle run``."""

    config_files: tuple[str, ...]
    overrides: Mapping[str, Any]
    tracking: str | None = None

    @classmethod
    def from_arguments(cls, arguments: Sequence[str] | None = None) -> RunCommand | None:
        """Read a command line (default: this process's); None when it is no ``monai.bundle run`` with configurations."""
        arguments = list(sys.argv if arguments is None else arguments)
        if not arguments or Path(arguments[0]).parts[-3:-1] != ("monai", "bundle") or arguments[1:2] != ["run"]:
            return None
        flags = _flags(arguments[2:])
        if isinstance(args_file := flags.get("args_file"), str):
            flags = {**ConfigParser.load_config_file(args_file), **flags}
        files = flags.get("config_file")
        if not files:
            return None
        own = set(inspect.signature(monai.bundle.run).parameters) | WORKFLOW_ARGUMENTS
        return cls(
            config_files=tuple(map(str, files)) if isinstance(files, list | tuple) else (str(files),),
            overrides={name: value for name, value in flags.items() if name not in own},
            tracking=flags.get("tracking"),
        )

    def files_config(self) -> dict[str, Any]:
        """The files merged, without the overrides; what tracking adds (its server, names) lies under them."""
        return {**_tracking_settings(self.tracking), **ConfigParser.load_config_files(list(self.config_files))}

    def resolved_config(self) -> dict[str, Any]:
        """The files merged, with the overrides in their places."""
        parser = ConfigParser(config=self.files_config())
        parser.update(dict(self.overrides))
        return parser.get()


def _tracking_settings(tracking: str | None) -> dict[str, Any]:
    if tracking is None:
        return {}
    settings = DEFAULT_EXP_MGMT_SETTINGS.get(tracking) or ConfigParser.load_config_files(tracking)
    return {name: value for name, value in settings["configs"].items() if name not in settings["handlers_id"]}


def _flags(arguments: Sequence[str]) -> dict[str, Any]:
    """The ``--name value``, ``--name=value`` and lone ``--name`` of a command line, with values as Fire reads them."""
    flags: dict[str, Any] = {}
    position = 0
    while position < len(arguments):
        argument = arguments[position]
        position += 1
        if not argument.startswith("--"):
            continue
        name, equals, value = argument[2:].partition("=")
        if not equals:
            lone = position == len(arguments) or arguments[position].startswith("--")
            value = "True" if lone else arguments[position]
            position += not lone
        flags[name.replace("-", "_")] = DefaultParseValue(value)
    return flags
