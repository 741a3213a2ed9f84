"""The random numbers of a process: their seed, and their states as values that a checkpoint can hold."""

from __future__ import annotations

import random
from typing import Any

import numpy as np
import torch
from monai.utils import set_determinism

__all__ = ["get_random_states", "seed_run", "set_random_states"]


def seed_run(seed: int, deterministic: bool = True) -> None:
    """Seed Python, NumPy and torch, and say how cuDNN chooses its kernels.

    Args:
        seed: 0 or more.
        deterministic: cuDNN takes kernels that give the same values in every run. False: it tries all, and takes the fastest.
    """
    set_determinism(seed)
    torch.backends.cudnn.deterministic = deterministic
    torch.backends.cudnn.benchmark = not deterministic


def get_random_states() -> dict[str, Any]:
    """States of Python's, NumPy's, torch's and CUDA's generators: tensors and plain values only."""
    algorithm, keys, position, has_gauss, cached_gauss = np.random.get_state()
    return {
        "python": random.getstate(),
        "numpy": (
            str(algorithm),
            torch.from_numpy(np.asarray(keys, dtype=np.int64)),
            position,
            has_gauss,
            cached_gauss,
        ),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
    }


def set_random_states(states: dict[str, Any]) -> None:
    """Restore what ``get_random_states`` gave; CUDA's only when the number of GPUs is the same."""
    version, internal, gauss = states["python"]
    random.setstate((version, tuple(internal), gauss))
    algorithm, keys, *rest = states["numpy"]
    np.random.set_state((algorithm, keys.numpy().astype(np.uint32), *rest))
    torch.set_rng_state(states["torch"].cpu())
    if torch.cuda.is_available() and len(states["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all([state.cpu() for state in states["cuda"]])
