"""Reading of a scan in the tests of the readers, and the check that a scan is refused."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from models_genesis_bundle.data import LoadScand, ScanError
from monai.data import MetaTensor

VOXELS = np.random.default_rng(0).integers(-1000, 1000, (12, 10, 8)).astype(np.int16)


def load(path: Path, **arguments) -> MetaTensor:
    return LoadScand("image", **arguments)({"image": path})["image"]


@contextlib.contextmanager
def refused(rule: str, message: str | None = None) -> Iterator[pytest.ExceptionInfo[ScanError]]:
    """Expect a `ScanError` of a rule; only damaged files have the remedy for damage."""
    with pytest.raises(ScanError, match=message) as raised:
        yield raised
    assert raised.value.rule == rule
    assert ("truncated or damaged" in raised.value.remedy) == (rule == "damaged")
