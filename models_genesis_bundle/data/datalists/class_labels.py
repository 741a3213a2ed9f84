"""Classes as numbers and names."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.data.datalists.datalist_error import DatalistError

__all__ = ["class_number", "named_classes", "require_all_classes"]


def named_classes(num_classes: int, class_names: Sequence[str] | None = None) -> list[str]:
    """The names of the classes in the order of their numbers; without any, ``class 0``, ``class 1``, ….

    Raises:
        DatalistError: as many names as classes are needed, each once.
    """
    if class_names is None:
        return [f"class {number}" for number in range(num_classes)]
    names = [str(name) for name in class_names]
    if len(set(names)) != num_classes or len(names) != num_classes:
        raise DatalistError(
            "class_names", f"expected {num_classes} different names (num_classes), found {names}.", "Correct them."
        )
    return names


def class_number(value: Any, class_names: Sequence[str]) -> int | None:
    """The number of the class that a datalist's entry names: a whole number, true or false, or one of ``class_names``.

    Returns:
        0 … number of classes - 1, or None for anything else.
    """
    if isinstance(value, str) and value in class_names:
        return list(class_names).index(value)
    try:
        number = int(value)
    except (TypeError, ValueError):
        return None
    return number if number == float(value) and 0 <= number < len(class_names) else None


def require_all_classes(
    items: Sequence[Mapping[str, Any]], class_names: Sequence[str], section: str, source: Any
) -> None:
    """Refuse a list without one of the classes: nothing can be learnt of it, nor any AUC be computed.

    Raises:
        DatalistError: with the number of items of each class, and what to do.
    """
    counts = Counter(item["label"] for item in items)
    if any(not counts[number] for number in range(len(class_names))):
        found = ", ".join(f"{counts[number]} of {name!r}" for number, name in enumerate(class_names))
        raise DatalistError(
            source,
            f"the {section} list needs items of each class, found {found}.",
            "Change validation_fraction, test_fraction or the seed of the split, name it in a split_file, or correct "
            "num_classes and class_names.",
        )
