"""The training speed of a plan on this machine."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from models_genesis_bundle.bundle_config import genesis_pairs
from monai.bundle import ConfigParser
from tqdm import tqdm

__all__ = ["Speed", "measure_speed"]

_FEWEST_STEPS = 3
_SHARE_OF_FORWARD = 1 / 3  # of a training step, which is what validation takes


@dataclass(frozen=True)
class Speed:
    """Training cubes per second, and the fraction of the time in which the network waited for cubes."""

    cubes_per_second: float
    data_wait_fraction: float

    def hours(self, training_cubes: int, validation_cubes: int) -> float:
        """The duration of a training.

        Args:
            training_cubes: cubes of all epochs.
            validation_cubes: the same for validation.
        """
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

    batches = _endless(loader)
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


def _endless(loader: Any) -> Iterator[Any]:
    while True:
        yield from loader
