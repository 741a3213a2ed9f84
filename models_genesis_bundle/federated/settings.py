"""The settings that all sites of a federated pretraining share."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

__all__ = ["read_settings"]


def read_settings(path: str) -> dict[str, Any]:
    """The settings of a JSON file, by id; none for an empty path."""
    return json.loads(Path(path).read_text(encoding="utf-8")) if path else {}
