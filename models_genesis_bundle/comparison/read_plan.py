"""Reading of a plan: a YAML file that is checked before anything runs."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, TypeVar

import yaml
from models_genesis_bundle.comparison.plan import ComparisonPlan, PlanPart, Task
from pydantic import ValidationError

__all__ = ["PlanError", "read_plan"]

Part = TypeVar("Part", bound=PlanPart)


class PlanError(ValueError):
    """A plan that cannot be followed; the message names the file, the key, what was expected, and what was found."""


def read_plan(path: str | os.PathLike, **replaced: Any) -> ComparisonPlan:
    """Read and check a plan.

    Args:
        path: the YAML file; its keys are those of `ComparisonPlan`, `Task`, `Recipe` and `Initialisation`. The task may be
            in a separate YAML file, which several plans may share.
        replaced: keys from elsewhere, such as the command line, which replace the file's; None is ignored.

    Returns:
        The plan, with absolute folders.

    Raises:
        PlanError: naming the file and each key that cannot be followed, and the nearest key for an unknown one.
    """
    content = _read_yaml(Path(path))
    if isinstance(content, dict):
        content |= {name: value for name, value in replaced.items() if value is not None}
        if isinstance(content.get("task"), str):
            task_path = Path(str(content.get("working_dir", ".")), content["task"])
            content["task"] = _checked(Task, _read_yaml(task_path), task_path)
    return _checked(ComparisonPlan, content, Path(path))


def _checked(part: type[Part], content: Any, path: Path) -> Part:
    try:
        return part.model_validate(content)
    except ValidationError as error:
        raise PlanError("\n".join(f"{path}: {_said(dict(entry))}" for entry in error.errors())) from None


def _said(error: dict[str, Any]) -> str:
    """Pydantic's finding in the words of this package."""
    keys = [str(key) for key in error["loc"] if key != "[key]"]
    if error["type"] == "missing":
        said = f"the key {keys.pop()!r} is missing."
    elif error["type"] == "value_error":
        said = str(error["ctx"]["error"])
    else:
        message = error["msg"].removeprefix("Input ").removeprefix("Tuple ")
        message = message.replace("a valid tuple", "a list").replace("a valid dictionary", "a mapping")
        said = f"{message}, found {error['input']!r}."
    return f"{'.'.join(keys)}: {said}" if keys else said


def _read_yaml(path: Path) -> Any:
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_PlanLoader)
    except OSError:
        raise PlanError(f"{path}: the file does not exist or cannot be read.") from None
    except yaml.YAMLError as error:
        raise PlanError(f"{path}: not a readable YAML file: {error}") from error


class _PlanLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)
