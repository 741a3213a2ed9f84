"""What PyTorch and others put around a network, and before the keys of its weights."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import torch
from torch.nn.parallel import DataParallel, DistributedDataParallel

__all__ = ["PYTORCH_PREFIXES", "WRAPPER_PREFIXES", "unwrap", "wrapper_prefix"]

# DataParallel and DistributedDataParallel; torch.compile.
PYTORCH_PREFIXES = ("module.", "_orig_mod.")
# Those of Lightning modules as well.
WRAPPER_PREFIXES = (*PYTORCH_PREFIXES, "model.", "network.", "net.")


def unwrap(network: torch.nn.Module) -> torch.nn.Module:
    """The network itself, whatever ``DataParallel``, ``DistributedDataParallel`` or ``torch.compile`` put around it."""
    if isinstance(network, DataParallel | DistributedDataParallel):
        return unwrap(network.module)
    return unwrap(network._orig_mod) if hasattr(network, "_orig_mod") else network


def wrapper_prefix(
    keys: Collection[str], prefixes: Sequence[str] = WRAPPER_PREFIXES, own_keys: Collection[str] = ()
) -> str:
    """The prefixes of wrappers that all keys begin with, one after the other.

    Args:
        keys: keys of a state dict.
        prefixes: those that are looked for.
        own_keys: keys of the network; a prefix that all of them have is its own.
    """
    wrappers = [prefix for prefix in prefixes if not own_keys or not _all_begin(own_keys, prefix)]
    found = ""
    while keys and (longer := next((one for one in wrappers if _all_begin(keys, found + one)), "")):
        found += longer
    return found


def _all_begin(keys: Collection[str], prefix: str) -> bool:
    return all(key.startswith(prefix) for key in keys)
