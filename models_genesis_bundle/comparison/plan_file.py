"""The YAML of a plan, read so that no key is lost."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from models_genesis_bundle.comparison.plan_values import PlanError

__all__ = ["read_plan_file"]


def read_plan_file(path: Path) -> Any:
    """What stands in the file.

    Raises:
        PlanError: naming the file, when it is missing or no YAML, or a key is given twice.
    """
    try:
        return yaml.load(path.read_text(encoding="utf-8"), Loader=_PlanLoader)
    except OSError:
        raise PlanError(f"{path}: there is no such file, or none that can be read.") from None
    except yaml.YAMLError as error:
        raise PlanError(f"{path}: no YAML that can be read: {error}") from error


class _PlanLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice, where PyYAML would silently keep the last."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key!r} is given twice", node.start_mark)
        return super().construct_mapping(node, deep)
