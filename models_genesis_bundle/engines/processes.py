"""Which process of a distributed run this is."""

from __future__ import annotations

import os

__all__ = ["is_main_process"]


def is_main_process() -> bool:
    """True in a run of one process and on rank 0 of ``torchrun``: the process that writes files."""
    return int(os.environ.get("RANK", "0")) == 0
