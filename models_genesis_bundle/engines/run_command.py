"""What ``python -m monai.bundle run`` was called with: to refuse misspelt settings and to record the resolved ones."""

from __future__ import annotations

import difflib
import inspect
import logging
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import monai.bundle
from fire.parser import DefaultParseValue
from monai.bundle import ConfigParser
from monai.bundle.utils import DEFAULT_EXP_MGMT_SETTINGS

__all__ = ["RunCommand", "UnknownOverrideError", "refuse_unknown_overrides"]

logger = logging.getLogger(__name__)

# `run` takes these from its keyword arguments, beside those in its signature.
WORKFLOW_ARGUMENTS = {"workflow_type", "workflow", "tracking", "properties_path", "args_file", "workflow_name"}


class UnknownOverrideError(ValueError):
    """A setting was given on the command line that no configuration file knows."""


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


def refuse_unknown_overrides(command: RunCommand | None = None) -> None:
    """Refuse a command-line setting that the configuration files do not have, and name the nearest one that they have.

    MONAI adds an unknown setting silently, so that ``--max_epohcs 5`` would train for the default number of epochs. A new
    argument of a component (``--network_def::act relu``) is accepted, since components have arguments with defaults.

    A switch that is given as ``false`` is refused, too: the command line reads that as a text, and a text counts as true.

    Raises:
        UnknownOverrideError: naming the setting, the nearest known ones and the configuration files.
        ValueError: a switch that is neither true nor false.
    """
    command = command or RunCommand.from_arguments()
    if command is None:
        return
    config = command.files_config()
    for override, value in command.overrides.items():
        _require_boolean(override, value, _require_known(override, config, command))


def _require_boolean(override: str, value: Any, default: Any) -> None:
    if isinstance(default, bool) and not isinstance(value, bool) and value != "true":
        raise ValueError(f"--{override} {value}: this is a switch; write `--{override} True` or `--{override} False`.")


def _require_known(override: str, config: Mapping[str, Any], command: RunCommand) -> Any:
    """The value that the files give the setting; None for a new argument of a component."""
    node: Any = config
    walked: list[str] = []
    for part in override.lstrip("+~").replace("#", "::").split("::"):
        if isinstance(node, list):
            known = [str(position) for position in range(len(node))]
        elif isinstance(node, Mapping):
            known = [str(key) for key in node]
        else:
            known = []
        if part not in known:
            if isinstance(node, Mapping) and "_target_" in node and part == override.split("::")[-1]:
                return None
            near = difflib.get_close_matches(part, known, n=2)
            meant = " or ".join(f"`--{'::'.join([*walked, name])}`" for name in near)
            raise UnknownOverrideError(
                f"--{override}: no setting of {', '.join(command.config_files)} is called {part!r}"
                + (f"; did you mean {meant}?" if meant else ".")
            )
        node = node[int(part)] if isinstance(node, list) else node[part]
        walked.append(part)
    return node


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
