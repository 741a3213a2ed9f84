"""The time of the deformations on one core, compared with plain loops and MONAI's nearest built-in transforms."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count

import numpy as np
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.transforms import (
    RandInPainting,
    RandLocalPixelShuffle,
    RandNonlinearIntensity,
    RandOutPainting,
)
from monai.transforms import RandCoarseDropout, RandCoarseShuffle, RandHistogramShift

from benchmarks import plain_loops
from benchmarks.measuring import Row, describe_machine, interleaved_medians, report, threads

PAIRS = 20  # cubes in a round of "genesis pair", because their times differ


def benchmark_deformations(
    config_file: str = "configs/pretrain.yaml",  # a pretraining configuration
    sizes: Sequence[Sequence[int]] = ((64, 64, 32), (128, 128, 128), (160, 160, 160)),  # sides of the cubes in voxels
    seconds_per_size: float = 10.0,  # time to spend on each size
    json_path: str | os.PathLike | None = None,  # file for the rows
) -> list[Row]:
    """Time each deformation, an average Genesis pair, plain loops and MONAI's nearest built-ins, in turns, on one thread.

    ``genesis pair`` is the pipeline of ``config_file``: the mean over a round of 20 cubes, the median over rounds. The plain
    loops draw from the same distributions and are timed at the first size only. ``RandCoarseShuffle`` gets a tenth of the windows.

    Returns:
        A row for each transform and size: ``size``, ``transform``, ``milliseconds`` (median), ``cubes_per_second`` and, for a
        plain loop, ``times_ours``: the ratio of its time to ours.
    """
    machine = describe_machine() | {"threads": 1}
    rows: list[Row] = []
    with threads(1):
        for number, size in enumerate(sizes):
            cube = np.random.default_rng(0).random((1, *size), dtype=np.float32)
            plain = _plain_loops(cube) if number == 0 else {}
            calls = {**_ours(cube, config_file), **_monai(cube), **plain}
            medians = interleaved_medians(calls, seconds_per_size)
            for name in medians:
                medians[name] /= PAIRS if name.endswith("genesis pair") else 1
            rows += [_row(size, name, medians) for name in medians]
    return report("deformations", machine, rows, json_path)


def _row(size: Sequence[int], name: str, medians: dict[str, float]) -> Row:
    time, ours = medians[name], name.removeprefix("plain loop: ")
    row = {"size": "×".join(map(str, size)), "transform": name, "milliseconds": time, "cubes_per_second": 1000 / time}
    return row if ours == name else row | {"times_ours": time / medians[ours]}


def _ours(cube: np.ndarray, config_file: str) -> dict[str, Callable[[], object]]:
    kinds = (RandLocalPixelShuffle, RandNonlinearIntensity, RandInPainting, RandOutPainting)
    pairs = genesis_pairs([{"image": cube}] * 1_000_000, config_file)
    number = count()
    return {
        **{kind.__name__: partial(kind(1.0), cube) for kind in kinds},
        "genesis pair": lambda: [pairs[next(number)] for _ in range(PAIRS)],
    }


def _plain_loops(cube: np.ndarray) -> dict[str, Callable[[], object]]:
    rng = np.random.default_rng(0)
    return {
        "plain loop: RandLocalPixelShuffle": lambda: plain_loops.shuffle(cube, rng),
        "plain loop: RandNonlinearIntensity": lambda: plain_loops.bend_intensities(cube, rng),
        "plain loop: RandInPainting": lambda: plain_loops.in_paint(cube, rng),
        "plain loop: RandOutPainting": lambda: plain_loops.out_paint(cube, rng),
        "plain loop: genesis pair": lambda: [plain_loops.genesis_pair(cube, rng) for _ in range(PAIRS)],
    }


def _monai(cube: np.ndarray) -> dict[str, Callable[[], object]]:
    holes = 1_000
    largest = [max(1, side // 10) for side in cube.shape[1:]]
    quarter = [side // 4 for side in cube.shape[1:]]
    return {
        f"MONAI RandCoarseShuffle ({holes} holes)": partial(RandCoarseShuffle(holes, largest, prob=1.0), cube),
        "MONAI RandHistogramShift": partial(RandHistogramShift(prob=1.0), cube),
        "MONAI RandCoarseDropout (5 holes)": partial(RandCoarseDropout(5, quarter, prob=1.0), cube),
    }
