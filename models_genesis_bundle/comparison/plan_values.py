"""The values of a plan: each is checked, and what is wrong is said with its key."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

__all__ = ["PlanError", "distinct", "mapping", "names", "number", "text", "truth", "whole"]


class PlanError(ValueError):
    """A plan that cannot be followed; the message names the key, what was expected, and what was found."""


def mapping(value: Any, where: str) -> dict[str, Any]:
    """The value as a mapping of keys to values."""
    if not isinstance(value, Mapping):
        raise PlanError(f"{where}: expected a mapping of keys to values, found {value!r}.")
    return dict(value)


def names(value: Any, where: str) -> tuple[str, ...]:
    """The value as a tuple of texts."""
    if not isinstance(value, list | tuple) or not all(isinstance(entry, str) for entry in value):
        raise PlanError(f"{where}: expected a list of names, found {value!r}.")
    return tuple(value)


def text(value: Any, where: str) -> str:
    """The value, which must be a text."""
    if not isinstance(value, str) or not value:
        raise PlanError(f"{where}: expected a text, found {value!r}.")
    return value


def truth(value: Any, where: str) -> bool:
    """The value, which must be true or false."""
    if not isinstance(value, bool):
        raise PlanError(f"{where}: expected true or false, found {value!r}.")
    return value


def distinct(value: Any, where: str) -> list[Any]:
    """The value, which must be a list of numbers, each there once."""
    if not isinstance(value, list) or not value:
        raise PlanError(f"{where}: expected a list of numbers, found {value!r}.")
    if any(value.count(entry) > 1 for entry in value):
        raise PlanError(f"{where}: a number is given twice in {value}.")
    return value


def whole(value: Any, where: str, low: int) -> int:
    """The value, which must be a whole number of at least `low`."""
    if not isinstance(value, int) or isinstance(value, bool) or value < low:
        raise PlanError(f"{where}: expected a whole number of at least {low}, found {value!r}.")
    return value


def number(value: Any, where: str, above: float, high: float) -> float:
    """The value, which must be a number above `above` and of at most `high`."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not above < value <= high:
        raise PlanError(f"{where}: expected a number above {above} and of at most {high}, found {value!r}.")
    return float(value)
