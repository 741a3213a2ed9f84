"""The check of a run's settings against its configurations, before the run begins."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from pathlib import Path
from typing import Any

from fire.parser import DefaultParseValue
from models_genesis_bundle.bundle_config.component_arguments import unknown_argument, unknown_arguments
from models_genesis_bundle.bundle_config.last_line import end_tracebacks_with_the_cause
from models_genesis_bundle.bundle_config.near_names import near_names
from models_genesis_bundle.bundle_config.renamed_settings import RENAMED
from models_genesis_bundle.bundle_config.run_command import RunCommand
from models_genesis_bundle.bundle_config.setting_types import kind_of
from models_genesis_bundle.messages import unwrapped
from monai.bundle import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver
from monai.bundle.utils import ID_REF_KEY, MACRO_KEY, merge_kv

__all__ = ["SettingsError", "check_settings", "unknown_settings"]

_STEPS = {"imports", "initialize", "finalize", "run"}
_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_REREAD = re.compile(r"#|(?<!\w)\d+_\d")  # read by Python as something else: a comment, 2024_03


class SettingsError(ValueError):
    """Settings that a run cannot have; the message names each, its fault, and what to write instead."""


def check_settings(command: RunCommand | None = None) -> None:
    """Refuse settings that do not exist, that the command line would change, or that have a wrong value.

    - A setting that the configuration files do not have. MONAI would add it silently, and ``--max_epohcs 5`` would train for the
      default number of epochs. An argument of a component that the files do not give (``--network_def::act relu``) is accepted
      when the component takes it. The same holds for keys of overlays.
    - A word that the command line reads as something else: ``None``, which MONAI drops; ``2024_03``, ``scan#1``; a switch given
      as ``false``, which is a text and counts as true.
    - A value of another type or out of range, see `SETTINGS`. Expressions are checked unless a component must be built for it.

    Settings of a workflow that Python runs (``monai.bundle.run(...)``, ``ConfigWorkflow(...)``) are checked in the configuration
    that holds them: an unused setting is refused if its name resembles another one.

    Args:
        command: to check; None: this process's, or the configuration that calls this function.

    Raises:
        SettingsError: naming all of them.
    """
    command = command or RunCommand.from_arguments()
    if command is not None:
        end_tracebacks_with_the_cause()
        faults = _faults_of_command(command)
    else:
        faults = _faults_of_config(_config_at_work())
    if faults:
        raise SettingsError("\n".join(faults))


def _faults_of_command(command: RunCommand) -> list[str]:
    files = ConfigParser(command.files_config())
    unknown = unknown_settings(command, files)
    resolved = ConfigParser(deepcopy(files.get()))
    resolved.update({name: value for name, value in command.overrides.items() if name not in unknown})
    misread = {**_misread(command, resolved), **_no_switches(command, files)}
    faults = [f"--{name}: {text}" for name, text in unknown.items()]
    faults += [*misread.values(), *_out_of_range(resolved, misread, command.words), *_unknown_keys(command, files)]
    return faults


def _faults_of_config(config: Mapping[str, Any]) -> list[str]:
    parser = ConfigParser(dict(config))
    unused = {place: near for place, near in _unused(config, parser) if near}
    faults = [f"{place}: nothing uses a setting of this name; did you mean {near}?" for place, near in unused.items()]
    return [*faults, *unknown_arguments(config, parser), *_out_of_range(parser, unused)]


def _config_at_work() -> dict[str, Any]:
    """A deep copy of the configuration whose parser calls this; empty without one."""
    frame = inspect.currentframe()
    while frame is not None:
        if isinstance(parser := frame.f_locals.get("self"), ConfigParser):
            return _copied(parser.get())
        frame = frame.f_back
    return {}


def _copied(node: Any) -> Any:
    if isinstance(node, Mapping):
        return {name: _copied(value) for name, value in node.items()}
    return [_copied(value) for value in node] if isinstance(node, list) else node


def _unused(node: Mapping[str, Any], parser: ConfigParser, above: str = "") -> Iterator[tuple[str, str]]:
    """Undeclared plain values outside components that nothing refers to, each with the settings that resemble it."""
    for name, value in node.items():
        place = f"{above}{name}"
        if isinstance(value, Mapping):
            if "_target_" not in value and not place.startswith("_"):
                yield from _unused(value, parser, f"{place}::")
        elif not (
            place.startswith("_") or _needs_parsing(value) or kind_of(place) or _is_referred_to(place, parser.get())
        ):
            others = [other for other in node if kind_of(f"{above}{other}")]
            now = " and ".join(f"`{new}`" for new in RENAMED.get(place, ()) if new in parser)
            yield place, now or near_names(name, others, above)


def _needs_parsing(value: Any) -> bool:
    if isinstance(value, list):
        return any(_needs_parsing(one) for one in value)
    return isinstance(value, Mapping) or (isinstance(value, str) and value.startswith(("$", "@", "%")))


def unknown_settings(command: RunCommand, files: ConfigParser | None = None) -> dict[str, str]:
    """The overrides that the configuration files (``files``, if already merged) do not have, each with a message."""
    files = ConfigParser(command.files_config()) if files is None else files
    unknown = {}
    for name in dict.fromkeys([*command.overrides, *command.words]):
        place = ReferenceResolver.normalize_id(name.lstrip("+~"))
        if place not in files and (text := _unknown(place, files, command.config_files, "--")) is not None:
            unknown[name] = text
    return unknown


def _unknown(place: str, config: ConfigParser, files: Sequence[str], dashes: str = "") -> str | None:
    """A message for a place that the configuration does not have; None for another argument of a component."""
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
        return unknown_argument(place, node, config, dashes)
    where = ", ".join(files)
    if not walked and (now := [new for new in RENAMED.get(parts[0], ()) if new in config]):
        behind = "::".join(["", *parts[1:]])
        return f"this setting of {where} is called {' and '.join(f'`{dashes}{new}{behind}`' for new in now)} now."
    part = parts[len(walked)]
    meant = near_names(part, known, dashes + "".join(f"{above}::" for above in walked))
    return f"no setting of {where} is called {part!r}" + (f"; did you mean {meant}?" if meant else ".")


def _unknown_keys(command: RunCommand, files: ConfigParser) -> Iterator[str]:
    """A message for each key of an overlay that the files before it do not have and nothing refers to."""
    first, *overlays = command.config_files
    if not overlays:
        return
    before = ConfigParser(ConfigParser.load_config_files([first]))
    for number, file in enumerate(overlays, 1):
        earlier, overlay = command.config_files[:number], ConfigParser.load_config_file(file)
        for key in overlay:
            place = ReferenceResolver.normalize_id(key.lstrip("+"))
            if place.startswith("_") or place in before or place in _STEPS | {command.run_id}:
                continue
            if _is_referred_to(place, files.get()):
                continue
            if (text := _unknown(place, before, earlier)) is not None and not _is_known_beside(place, command):
                yield f"{file}: {key}: {text}"
        for key, value in overlay.items():
            merge_kv(before, key, value)


def _is_referred_to(name: str, node: Any) -> bool:
    if isinstance(node, Mapping):
        return any(_is_referred_to(name, value) for value in node.values())
    if isinstance(node, list):
        return any(_is_referred_to(name, value) for value in node)
    pattern = rf"[{ID_REF_KEY}{MACRO_KEY}]{re.escape(name)}(?!\w)"
    return isinstance(node, str) and re.search(pattern, node) is not None


def _is_known_beside(name: str, command: RunCommand) -> bool:
    """Whether a configuration next to the first has the setting: an overlay may be for training and evaluation."""
    first = Path(command.config_files[0])
    others = {str(path) for path in first.parent.glob(f"*{first.suffix}")} - set(command.config_files)
    return any(name in ConfigParser.load_config_file(other) for other in others)


def _misread(command: RunCommand, resolved: ConfigParser) -> dict[str, str]:
    """By place, a message for each word that the command line reads as something else."""
    misread = {}
    for name, word in command.words.items():
        place, value = ReferenceResolver.normalize_id(name), DefaultParseValue(word)
        if value is None:
            kind, stays = kind_of(place), repr(resolved[place]) if place in resolved else "the default"
            instead = f"For null write `--{name} '$None'`."
            if kind is not None and not kind.accepts(None):
                instead = f"Expected {kind.expected}."
            if stays != "None":
                misread[place] = f"--{name} {word}: MONAI drops None, and {stays} would stay. {instead}"
        elif (
            value != word and not _QUOTED.fullmatch(word.strip())
            if isinstance(value, str)
            else _REREAD.search(_QUOTED.sub("", word))
        ):
            misread[place] = f"--{name} {word}: the command line reads it as {value!r}. {_in_quotes(name, word)}"
    return misread


def _in_quotes(name: str, word: str) -> str:
    quoted = f"'{word}'"
    return f'For a text write it in two kinds of quotes: `--{name} "{quoted}"`.'


def _no_switches(command: RunCommand, files: ConfigParser) -> dict[str, str]:
    """By place, a message for each switch that is neither true nor false."""
    return {
        name: f"--{name} {value}: this is a switch; write `--{name} True` or `--{name} False`."
        for name, value in command.overrides.items()
        if isinstance(files.get(name), bool) and not isinstance(value, bool) and value != "true"
    }


def _out_of_range(config: ConfigParser, but: Collection[str], words: Mapping[str, str] | None = None) -> list[str]:
    """A message for each value of another type or range than declared, except at the places in ``but``.

    ``words`` are the texts on the command line, by place.
    """
    wrong, broken = [], []
    for place in _places(config.get()):
        kind = kind_of(place)
        if kind is None or place in but or _needs_components(config[place], config):
            continue
        try:
            value = config.get_parsed_content(place)
        except Exception as error:  # of an expression: any
            broken.append(f"{place}: {config[place]} cannot be evaluated: {unwrapped(error)}.")
            continue
        if not kind.accepts(value):
            word = (words or {}).get(place)
            hint = f" {_in_quotes(place, word)}" if word and kind.takes_text else ""
            wrong.append(f"{place}: expected {kind.expected}, found {value!r}.{hint}")
    return wrong or broken  # a wrong value breaks expressions that refer to it


def _places(node: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    for name, value in node.items():
        if isinstance(name, str):
            yield f"{above}{name}"
            if isinstance(value, Mapping):
                yield from _places(value, f"{above}{name}::")


def _needs_components(node: Any, config: ConfigParser) -> bool:
    """Whether a value is, or depends on, something that has to be built."""
    if isinstance(node, Mapping):
        return "_target_" in node or any(_needs_components(value, config) for value in node.values())
    if isinstance(node, list):
        return any(_needs_components(value, config) for value in node)
    references = ReferenceResolver.match_refs_pattern(node) if isinstance(node, str) else {}
    return any(place not in config or _needs_components(config[place], config) for place in references)
