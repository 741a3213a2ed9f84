"""The training's device: its memory, what a network needs of it, and its speed."""

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

__all__ = ["Device", "Speed", "bytes_per_cube", "measure_speed"]

_FEWEST_STEPS = 3
_SHARE_OF_FORWARD = 1 / 3  # of a training step, which is what validation takes


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
        cores = joblib.cpu_count()
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


@dataclass(frozen=True)
class Speed:
    """Training cubes per second, and the fraction of the time in which the network waited for cubes."""

    cubes_per_second: float
    data_wait_fraction: float

    def hours(self, training_cubes: int, validation_cubes: int) -> float:
        """The duration of a training with as many cubes in all epochs."""
        return (training_cubes + _SHARE_OF_FORWARD * validation_cubes) / self.cubes_per_second / 3600


def measure_speed(config_files: Sequence[str], cubes: Sequence[dict[str, Any]], seconds: float) -> Speed:
    """Time training steps with the network, the optimizer and the loader that the configurations name.

    The first step, which starts the worker processes and compiles, does not count.

    Args:
        config_files: a pretraining configuration and its overlays.
        cubes: items with ``image``, a cube of the planned size; they are deformed as in training.
        seconds: how long to measure; at least 3 steps are made.
    """
    parser = ConfigParser()
    parser.read_config(list(config_files))
    batch_size = parser.get_parsed_content("batch_size")
    enough = list(itertools.islice(itertools.cycle(cubes), 8 * batch_size))
    parser.update({"train::dataset": genesis_pairs(enough, list(config_files))})
    names = ("device", "network", "optimizer", "loss", "train::inferer", "train::dataloader")
    device, network, optimizer, loss, inferer, loader = (parser.get_parsed_content(name) for name in names)

    batches = itertools.chain.from_iterable(itertools.repeat(loader))
    network.train()
    started = asked = time.perf_counter()
    waited = 0.0
    steps = -1
    with tqdm(desc="Measuring the speed", unit="step") as progress:
        while steps < _FEWEST_STEPS or time.perf_counter() - started < seconds:
            batch = next(batches)
            waited += time.perf_counter() - asked
            optimizer.zero_grad()
            error = loss(inferer(batch["image"].to(device), network), batch["label"].to(device))
            error.backward()
            optimizer.step()
            error.item()  # waits for the device
            asked = time.perf_counter()
            steps += 1
            progress.update()
            if steps == 0:
                started, waited = asked, 0.0
    elapsed = asked - started
    return Speed(steps * batch_size / elapsed, waited / elapsed)
