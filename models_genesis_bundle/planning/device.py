"""The training's device, its memory, and the memory that a network needs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from models_genesis_bundle.networks import GenesisUNet

__all__ = ["Device", "bytes_per_cube"]


@dataclass(frozen=True)
class Device:
    """The device that trains.

    Args:
        is_gpu: whether it is a GPU.
        name: for the report.
        memory: bytes of a GPU; None if it does not limit the plan, as on a CPU.
        cores: CPU cores that this process may use.
    """

    is_gpu: bool
    name: str
    memory: int | None
    cores: int

    @classmethod
    def of(cls, device: str | torch.device) -> Device:
        """Describe a device of this machine."""
        device = torch.device(device)
        cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        if device.type == "cuda":
            found = torch.cuda.get_device_properties(device)
            return cls(True, f"{found.name}, {found.total_memory / 2**30:.0f} GiB", found.total_memory, cores)
        return cls(False, f"CPU, {cores} cores", None, cores)


def bytes_per_cube(features: Sequence[int], cube_size: Sequence[int]) -> int:
    """Bytes in float32 that autograd keeps for one cube between the forward and the backward pass of `GenesisUNet`.

    The network runs on PyTorch's ``meta`` device, which has shapes without values.
    """
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.numel() * tensor.element_size()
        return tensor

    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        GenesisUNet(spatial_dims=len(cube_size), features=features)(torch.empty(1, 1, *cube_size))
    return kept
