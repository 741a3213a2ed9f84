"""The arguments in a configuration that its components do not take."""

from __future__ import annotations

import inspect
import pydoc
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

from models_genesis_bundle.bundle_config.near_names import near_names
from monai.bundle import ConfigComponent, ConfigParser
from monai.bundle.reference_resolver import ReferenceResolver

__all__ = ["unknown_argument", "unknown_arguments"]


def unknown_arguments(node: Any, parser: ConfigParser, above: str = "") -> Iterator[str]:
    """A message for each argument that its component does not take."""
    for name, value in node.items() if isinstance(node, Mapping) else enumerate(node) if isinstance(node, list) else ():
        place = f"{above}{name}"
        if isinstance(node, Mapping) and "_target_" in node and (text := unknown_argument(place, node, parser)):
            yield f"{place}: {text}"
        yield from unknown_arguments(value, parser, f"{place}::")


def unknown_argument(place: str, component: Mapping[str, Any], parser: ConfigParser, dashes: str = "") -> str | None:
    """A message for an argument that a component does not take; None where it does, or its signature is not known."""
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
    return f"{str(target).rpartition('.')[2]} takes no {name!r}; " + (
        f"did you mean {meant}?" if meant else f"it takes {', '.join(known)}."
    )
