"""Holds what a run was asked for against its configurations, before anything else happens."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from typing import Any

from monai.bundle import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver

from models_genesis_bundle.bundle_config.renamed_settings import RENAMED
from models_genesis_bundle.bundle_config.run_command import RunCommand

__all__ = ["SettingsError", "check_settings"]


class SettingsError(ValueError):
    """Settings that a run cannot have; the message names each, what is wrong with it, and what to write instead."""


def check_settings(command: RunCommand | None = None) -> None:
    """Refuse settings of the command line that the configuration files do not have, and values that cannot be meant.

    MONAI adds an unknown setting silently, so that ``--max_epohcs 5`` would train for the default number of epochs. A new
    argument of a component (``--network_def::act relu``) is accepted, since components have arguments with defaults.

    A switch that is given as ``false`` is refused, too: the command line reads that as a text, and a text counts as true.

    Args:
        command: what to check; None: this process's, and nothing when it is no ``monai.bundle run``.

    Raises:
        SettingsError: naming all of them.
    """
    command = command or RunCommand.from_arguments()
    if command is None:
        return
    faults = [fault for name, value in command.overrides.items() for fault in _faults(name, value, command)]
    if faults:
        raise SettingsError("\n".join(faults))


def _faults(name: str, value: Any, command: RunCommand) -> Iterator[str]:
    config = ConfigParser(command.files_config())
    place = ReferenceResolver.normalize_id(name.lstrip("+~"))
    if place not in config:
        unknown = _unknown(place, config, command)
        if unknown is not None:
            yield f"--{name}: {unknown}"
    elif isinstance(config[place], bool) and not isinstance(value, bool) and value != "true":
        yield f"--{name} {value}: this is a switch; write `--{name} True` or `--{name} False`."


def _unknown(place: str, config: ConfigParser, command: RunCommand) -> str | None:
    """What to say of a place that the configuration does not have; None for a new argument of a component."""
    node: Any = config.get()
    walked: list[str] = []
    parts = ReferenceResolver.split_id(place)
    for part in parts:
        if isinstance(node, list):
            known = [str(position) for position in range(len(node))]
        else:
            known = [str(key) for key in node] if isinstance(node, Mapping) else []
        if part not in known:
            break
        node = node[int(part)] if isinstance(node, list) else node[part]
        walked.append(part)
    if isinstance(node, Mapping) and "_target_" in node and len(walked) == len(parts) - 1:
        return None
    files = ", ".join(command.config_files)
    if not walked and (now := [new for new in RENAMED.get(parts[0], ()) if new in config]):
        behind = "::".join(["", *parts[1:]])
        return f"this setting of {files} is called {' and '.join(f'`--{new}{behind}`' for new in now)} now."
    part = parts[len(walked)]
    near = difflib.get_close_matches(part, known, n=2)
    meant = " or ".join(f"`--{'::'.join([*walked, other])}`" for other in near)
    return f"no setting of {files} is called {part!r}" + (f"; did you mean {meant}?" if meant else ".")
