"""The device that trains: its memory, the memory that a network needs, and its speed."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import joblib
import torch
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.networks import GenesisUNet
from monai.bundle import ConfigParser
from tqdm import tqdm


@dataclass(frozen=True)
class Device:
    """The device that trains."""

    name: str  # for the report
    memory: int | None  # bytes of a GPU; None for other devices, whose memory does not limit the plan
    cores: int  # CPU cores that this process may use

    @classmethod
    def of(cls, device: str | torch.device) -> Device:
        """Describe a device of this machine."""
        device, cores = torch.device(device), joblib.cpu_count()
        if device.type == "cuda":
            gpu = torch.cuda.get_device_properties(device)
            return cls(f"{gpu.name}, {gpu.total_memory / 2**30:.0f} GiB", gpu.total_memory, cores)
        return cls(f"CPU, {cores} cores", None, cores)


def bytes_per_cube(features: Sequence[int], cube_size: Sequence[int]) -> int:
    """Bytes in float32 that autograd keeps for one cube between the forward and the backward pass of `GenesisUNet`."""
    kept = 0

    def count(tensor: torch.Tensor) -> torch.Tensor:
        nonlocal kept
        kept += tensor.nbytes
        return tensor

    # The device "meta" has shapes without values.
    with torch.device("meta"), torch.autograd.graph.saved_tensors_hooks(count, lambda tensor: tensor):
        GenesisUNet(spatial_dims=len(cube_size), features=features)(torch.empty(1, 1, *cube_size))
    return kept


def measure_speed(config_files: Sequence[str], cubes: Sequence[dict[str, Any]], seconds: float) -> tuple[float, float]:
    """Measure the cubes per second in training steps, and the fraction of the time in which the network waits for cubes.

    The first step does not count, because it starts the worker processes and compiles.

    Args:
        config_files: a pretraining configuration and its overlays.
        cubes: items with ``image``, a cube of the planned size; they are deformed as in training.
        seconds: duration of the measurement; at least 3 steps are measured.
    """
    parser = ConfigParser()
    parser.read_config(list(config_files))
    batch_size = parser.get_parsed_content("batch_size")
    enough = list(itertools.islice(itertools.cycle(cubes), 8 * batch_size))
    parser.update({"train::dataset": genesis_pairs(enough, list(config_files))})
    names = ("device", "network", "optimizer", "loss", "train::inferer", "train::dataloader")
    device, network, optimizer, loss, inferer, loader = (parser.get_parsed_content(name) for name in names)

    network.train()
    steps: list[float] = []  # seconds
    waits: list[float] = []
    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    started = time.perf_counter()
    for batch in tqdm(batches, desc="Measuring the speed", unit="step"):
        waits.append(time.perf_counter() - started)
        optimizer.zero_grad()
        error = loss(inferer(batch["image"].to(device), network), batch["label"].to(device))
        error.backward()
        optimizer.step()
        error.item()  # waits for the device
        steps.append(time.perf_counter() - started)
        if len(steps) > 3 and sum(steps[1:]) >= seconds:
            break
        started = time.perf_counter()
    elapsed = sum(steps[1:])
    return batch_size * (len(steps) - 1) / elapsed, sum(waits[1:]) / elapsed
