"""Settings and arguments that do not exist, with a message that suggests similar names."""

from __future__ import annotations

import inspect
import pydoc
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from difflib import get_close_matches
from pathlib import Path
from typing import Any, cast

from models_genesis_bundle.bundle_config.run_command import RunCommand
from models_genesis_bundle.bundle_config.setting_types import kind_of
from monai.bundle import ConfigComponent, ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver
from monai.bundle.utils import ID_REF_KEY, MACRO_KEY, merge_kv

_STEPS = {"imports", "initialize", "finalize", "run"}


def near_names(name: str, known: Iterable[str], before: str = "", quote: str = "`", cutoff: float = 0.6) -> str:
    """The one or two known names that are nearest to a misspelt one, joined by "or"; empty if no name is similar.

    ``before``, such as ``--split::``, precedes each name, and ``quote`` encloses both. ``cutoff``: see ``difflib``, 0 to 1.

    Examples:
        >>> near_names("max_epohcs", ["max_epochs", "seed"], before="--")
        '`--max_epochs`'
    """
    nearest = get_close_matches(name, list(known), n=2, cutoff=cutoff)
    return " or ".join(f"{quote}{before}{near}{quote}" for near in nearest)


def places(node: Mapping[Any, Any], above: str = "") -> Iterator[str]:
    """The places of all values of a configuration, including nested mappings."""
    for name, value in node.items():
        if isinstance(name, str):
            yield f"{above}{name}"
            if isinstance(value, Mapping):
                yield from places(value, f"{above}{name}::")


def unknown_settings(command: RunCommand, files: ConfigParser | None = None) -> dict[str, str]:
    """A message for each override that the configuration files do not have; ``files``: the merged files, if known."""
    files = ConfigParser(command.files_config()) if files is None else files
    unknown = {}
    for name in dict.fromkeys([*command.overrides, *command.words]):
        place = ReferenceResolver.normalize_id(name.lstrip("+~"))
        if place not in files and (text := _unknown(place, files, command.config_files, "--")) is not None:
            unknown[name] = text
    return unknown


def settings_of_unused(command: RunCommand, first: Mapping[str, Any], config: ConfigParser) -> Iterator[str]:
    """A message for each setting of a component that the ``first`` file uses and the whole configuration does not."""
    for name in command.overrides:
        top, *below = ReferenceResolver.split_id(name.lstrip("+~"))
        before, now = ({key: value for key, value in one.items() if key != top} for one in (first, config.get()))
        if below and _is_referred_to(top, before) and not _is_referred_to(top, now):
            yield f"--{name}: it has no effect, because the component that uses {top} is replaced. Leave this setting out."


def unknown_keys(command: RunCommand, files: ConfigParser, first: Mapping[str, Any]) -> Iterator[str]:
    """A message for each key of an overlay that the files before it do not have and nothing refers to.

    ``files``: all files, merged; ``first``: the content of the first one.
    """
    before = ConfigParser(deepcopy(dict(first)))
    for number, file in enumerate(command.config_files[1:], 1):
        overlay = ConfigParser.load_config_file(file)
        for key in overlay:
            place = ReferenceResolver.normalize_id(key.lstrip("+"))
            if place.startswith("_") or place in before or place in _STEPS | {command.run_id}:
                continue
            text = _unknown(place, before, command.config_files[:number])
            if text and not _is_referred_to(place, files.get()) and not _is_in_another_configuration(place, command):
                yield f"{file}: {key}: {text}"
        for key, value in overlay.items():
            merge_kv(before, key, value)


def unused_settings(node: Mapping[str, Any], parser: ConfigParser, above: str = "") -> Iterator[tuple[str, str]]:
    """A message for each undeclared plain value that nothing refers to and whose name resembles a setting, by place."""
    for name, value in node.items():
        place = f"{above}{name}"
        if place.startswith("_"):
            continue
        if isinstance(value, Mapping):
            if "_target_" not in value:
                yield from unused_settings(value, parser, f"{place}::")
        elif not (_is_expression(value) or kind_of(place) or _is_referred_to(place, parser.get())):
            declared = [other for other in node if kind_of(f"{above}{other}")]
            if meant := _meant(name, declared, above, parser):
                yield place, f"{place}: no component uses this setting; did you mean {meant}?"


def unknown_arguments(node: Any, parser: ConfigParser, above: str = "") -> Iterator[str]:
    """A message for each argument that its component does not have."""
    for name, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        place = f"{above}{name}"
        if isinstance(node, Mapping) and "_target_" in node and (text := _unknown_argument(place, node, parser)):
            yield f"{place}: {text}"
        yield from unknown_arguments(value, parser, f"{place}::")


def _unknown(place: str, config: ConfigParser, files: Sequence[str], dashes: str = "") -> str | None:
    """A message for a place that the configuration does not have; None for an argument that a component accepts."""
    parts = ReferenceResolver.split_id(place)
    depth = next(count for count in range(len(parts)) if "::".join(parts[: count + 1]) not in config)
    node = config["::".join(parts[:depth])]
    if depth == len(parts) - 1 and isinstance(node, Mapping) and "_target_" in node:
        return _unknown_argument(place, node, config, dashes)
    known = node if isinstance(node, Mapping) else range(len(node)) if isinstance(node, list) else ()
    meant = _meant(parts[depth], map(str, known), dashes + "".join(f"{name}::" for name in parts[:depth]), config)
    return f"there is no setting {parts[depth]!r} in {', '.join(files)}" + (
        f"; did you mean {meant}?" if meant else "."
    )


def _meant(name: str, known: Iterable[str], before: str, config: ConfigParser) -> str:
    """The places that end with this name, for a setting at the top; otherwise the known names that resemble it."""
    below = [] if "::" in before else [place for place in places(config.get()) if place.endswith(f"::{name}")]
    return " or ".join(f"`{before}{place}`" for place in below[:2]) or near_names(name, known, before)


def _unknown_argument(place: str, component: Mapping[str, Any], parser: ConfigParser, dashes: str = "") -> str | None:
    """A message for an argument that a component does not have; None if it accepts the argument or has no known signature."""
    above, name = ReferenceResolver.split_id(place, last=True)
    target = ConfigComponent(component, locator=parser.locator).resolve_module_name()
    try:
        known = inspect.signature(
            cast(Callable, pydoc.locate(target) if isinstance(target, str) else target)
        ).parameters
    except (TypeError, ValueError, pydoc.ErrorDuringImport):  # no such target, an expression, or not written in Python
        return None
    takes_any = any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in known.values())
    if name in known or takes_any or name.startswith("_"):
        return None
    meant = near_names(name, known, f"{dashes}{above}::")
    return f"{str(target).rpartition('.')[2]} has no argument {name!r}; " + (
        f"did you mean {meant}?" if meant else f"its arguments are {', '.join(known)}."
    )


def _is_expression(value: Any) -> bool:
    if isinstance(value, list):
        return any(_is_expression(one) for one in value)
    return isinstance(value, Mapping) or (isinstance(value, str) and value.startswith(("$", "@", "%")))


def _is_referred_to(name: str, node: Any) -> bool:
    if isinstance(node, Mapping | list):
        return any(_is_referred_to(name, value) for value in (node.values() if isinstance(node, Mapping) else node))
    pattern = rf"[{ID_REF_KEY}{MACRO_KEY}]{re.escape(name)}(?!\w)"
    return isinstance(node, str) and re.search(pattern, node) is not None


def _is_in_another_configuration(name: str, command: RunCommand) -> bool:
    """Whether another configuration in the folder has the setting: an overlay may be for training and evaluation."""
    first = Path(command.config_files[0])
    others = {str(path) for path in first.parent.glob(f"*{first.suffix}")} - set(command.config_files)
    return any(name in ConfigParser.load_config_file(other) for other in others)
