"""The check of a run's settings against its configurations, before the run begins."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any

from fire.parser import DefaultParseValue
from models_genesis_bundle.bundle_config.run_command import RunCommand, end_tracebacks_with_the_cause
from models_genesis_bundle.bundle_config.setting_types import kind_of
from models_genesis_bundle.bundle_config.unknown_settings import (
    places,
    settings_of_unused,
    unknown_arguments,
    unknown_keys,
    unknown_settings,
    unused_settings,
)
from models_genesis_bundle.messages import unwrapped
from monai.bundle import ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_PRETEXT = "weight_records::pretext"  # the overlay of a pretext task sets it
_WORD_SUFFICES = ("scan_preprocessing::intensity",)  # components that may also be a word, such as percentile
_REREAD = re.compile(r"#|(?<!\w)\d+_\d")  # Python reads these as something else: a comment, 2024_03


class SettingsError(ValueError):
    """Invalid settings; the message names each setting, what is wrong with it, and what to write instead."""


def check_settings(command: RunCommand | None = None) -> None:
    """Raise an error for settings that do not exist, have a wrong value, or mean something else on the command line.

    - A setting that the configuration files do not have: MONAI would add it silently, and ``--max_epohcs 5`` would train for the
      default number of epochs. A component's arguments (``--network_def::act relu``) are allowed. The same applies to overlays.
    - A value that the command line changes: ``None``, which MONAI ignores; ``2024_03``, ``scan#1``; a switch given as ``false``,
      which is text and counts as true.
    - A value of another type or out of range, see `SETTINGS`. Expressions are checked unless a component must be built for it.
    - A word, a switch or plain values in place of a component, such as ``--optimizer adamw``.
    - A setting of a component that an overlay leaves unused, such as ``parameters`` after ``configs/optimizer_muon.yaml``.
    - A reference to something that the configuration does not have, as in an overlay for another workflow.
    - Overlays of several pretext tasks: all would be applied, but only the last one recorded.

    For a workflow that Python runs (``monai.bundle.run(...)``, ``ConfigWorkflow(...)``) the settings are checked in its
    configuration: an unused setting is refused if its name resembles another one.

    Args:
        command: the command to check; None: the command of this process, or the configuration that calls this function.

    Raises:
        SettingsError: at least one such setting; the message names all of them.
    """
    command = command or RunCommand.from_arguments()
    if command is not None:
        end_tracebacks_with_the_cause()
    faults = _faults_of_config(_config_at_work()) if command is None else _faults_of_command(command)
    if faults:
        raise SettingsError("\n".join(faults))


def _faults_of_command(command: RunCommand) -> list[str]:
    files, first = ConfigParser(command.files_config()), ConfigParser.load_config_files([command.config_files[0]])
    unknown = unknown_settings(command, files)
    resolved = ConfigParser(deepcopy(files.get()))
    resolved.update({name: value for name, value in command.overrides.items() if name not in unknown})
    misread = _misread(command, resolved) | _no_switches(command, files)
    faults = [f"--{name}: {text}" for name, text in unknown.items()]
    faults += [*misread.values(), *_out_of_range(resolved, misread, command.words)]
    faults += [*unknown_keys(command, files, first), *_lost_components(ConfigParser(first), resolved)]
    faults += _several_pretext_tasks(command.config_files[1:])
    return faults or [*_dangling_references(first, resolved), *settings_of_unused(command, first, resolved)]


def _faults_of_config(config: Mapping[str, Any]) -> list[str]:
    parser = ConfigParser(dict(config))
    unused = dict(unused_settings(config, parser))
    return [*unused.values(), *unknown_arguments(config, parser), *_out_of_range(parser, unused)]


def _config_at_work() -> dict[str, Any]:
    """The configuration whose parser calls this function; empty if there is none."""
    frame = inspect.currentframe()
    while frame is not None:
        if isinstance(parser := frame.f_locals.get("self"), ConfigParser):
            return parser.get()
        frame = frame.f_back
    return {}


def _misread(command: RunCommand, resolved: ConfigParser) -> dict[str, str]:
    """A message for each value that the command line changes, by place."""
    misread = {}
    for name, word in command.words.items():
        place, value = ReferenceResolver.normalize_id(name), DefaultParseValue(word)
        if value is None:
            kind, stays = kind_of(place), repr(resolved[place]) if place in resolved else "the default"
            instead = f"For null write `--{name} '$None'`."
            if kind is not None and not kind.accepts(None):
                instead = f"Expected {kind.expected}."
            if stays != "None":
                misread[place] = f"--{name} {word}: MONAI ignores None, so {stays} would stay. {instead}"
        elif (
            value != word and not _QUOTED.fullmatch(word.strip())
            if isinstance(value, str)
            else _REREAD.search(_QUOTED.sub("", word))
        ):
            misread[place] = f"--{name} {word}: the command line reads it as {value!r}. {_in_quotes(name, word)}"
    return misread


def _in_quotes(name: str, word: str) -> str:
    quoted = f"'{word}'"
    return f'To give it as text, use two kinds of quotes: `--{name} "{quoted}"`.'


def _no_switches(command: RunCommand, files: ConfigParser) -> dict[str, str]:
    """A message for each switch that is neither true nor false, by place."""
    return {
        name: f"--{name} {value}: expected true or false; write `--{name} True` or `--{name} False`."
        for name, value in command.overrides.items()
        if isinstance(files.get(name), bool) and not isinstance(value, bool) and value != "true"
    }


def _lost_components(first: ConfigParser, resolved: ConfigParser) -> Iterator[str]:
    """A message for each component that an overlay or a setting replaces by something else."""
    for place in places(first.get()):
        component, found = first[place], resolved.get(place)
        word = isinstance(found, str) and not found.startswith(("$", "@", "%")) and place not in _WORD_SUFFICES
        plain = isinstance(found, bool) or (isinstance(found, Mapping) and "_target_" not in found)
        if isinstance(component, Mapping) and "_target_" in component and (word or plain) and kind_of(place) is None:
            yield (
                f"{place}: expected a component, such as {{'_target_': '{component['_target_']}', …}}, found {found!r}. Set its "
                f"arguments one by one, as `--{place}::name value`, or give an overlay with another component."
            )


def _several_pretext_tasks(overlays: Sequence[str]) -> Iterator[str]:
    tasks = [file for file in overlays if _PRETEXT in ConfigParser.load_config_file(file)]
    if len(tasks) > 1:
        yield f"config_file: expected one pretext task, found {len(tasks)}: {', '.join(tasks)}. Leave all but one of them out."


def _dangling_references(first: Mapping[str, Any], config: ConfigParser) -> Iterator[str]:
    """A message for each reference to something that the configuration does not have."""
    for place in places({name: value for name, value in config.get().items() if name in first}):
        value = config[place]
        for name in ReferenceResolver.match_refs_pattern(value) if isinstance(value, str) else ():
            if name not in config:
                yield (
                    f"{place}: {value} refers to {name}, which none of the configurations has. If an overlay sets it, the "
                    "overlay is for another kind of run. Leave it out, or define what it refers to."
                )


def _out_of_range(config: ConfigParser, but: Collection[str], words: Mapping[str, str] | None = None) -> list[str]:
    """A message for each value of a wrong type or range, except at places in ``but``; ``words``: the texts of the command line."""
    wrong, broken = [], []
    for place in places(config.get()):
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
            hint = f" {_in_quotes(place, word)}" if word and kind.accepts("any text") else ""
            wrong.append(f"{place}: expected {kind.expected}, found {value!r}.{hint}")
    return wrong or broken  # a wrong value breaks expressions that refer to it


def _needs_components(node: Any, config: ConfigParser) -> bool:
    """Whether a value is a component, or depends on one."""
    if isinstance(node, Mapping):
        return "_target_" in node or any(_needs_components(value, config) for value in node.values())
    if isinstance(node, list):
        return any(_needs_components(value, config) for value in node)
    references = ReferenceResolver.match_refs_pattern(node) if isinstance(node, str) else {}
    return any(place not in config or _needs_components(config[place], config) for place in references)
