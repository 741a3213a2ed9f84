"""How long the deformations take on one core, beside MONAI's nearest built-in transforms."""

from __future__ import annotations

import json
import platform
from collections.abc import Callable, Sequence
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import torch
from monai.transforms import RandCoarseDropout, RandCoarseShuffle, RandHistogramShift

from models_genesis_bundle.benchmarks.timing import interleaved_medians
from models_genesis_bundle.data import genesis_pairs
from models_genesis_bundle.transforms import (
    RandInPainting,
    RandLocalPixelShuffle,
    RandNonlinearIntensity,
    RandOutPainting,
)

__all__ = ["benchmark_deformations"]

SIZES = ((64, 64, 32), (128, 128, 128), (160, 160, 160))


def benchmark_deformations(
    config_file: str = "configs/pretrain.yaml", seconds_per_size: float = 15.0, json_path: str | None = None
) -> list[dict[str, Any]]:
    """Time each deformation, an average Genesis pair and MONAI's nearest built-ins, in turns, on one thread.

    ``genesis pair`` is the real pipeline, built from ``config_file``: seeding for the cube, flips, copy, deformations with
    their probabilities, conversion to tensors. A pair's time is the mean over the draws of a round of 20 cubes. MONAI's
    ``RandCoarseShuffle`` gets a tenth of the windows that local pixel shuffling has.

    Args:
        config_file: a pretraining configuration.
        seconds_per_size: time to spend on each size.
        json_path: a file for the figures, too.

    Returns:
        A row for each transform and size: ``size``, ``transform``, ``milliseconds`` (median).
    """
    torch.set_num_threads(1)
    rows = []
    for size in SIZES:
        cube = np.random.default_rng(0).random((1, *size), dtype=np.float32)
        medians = interleaved_medians(_calls(cube, config_file), seconds_per_size)
        medians["genesis pair"] /= 20
        rows += [
            {"size": "×".join(map(str, size)), "transform": name, "milliseconds": value}
            for name, value in medians.items()
        ]
    print(_table(rows))
    if json_path:
        Path(json_path).write_text(json.dumps({"machine": platform.platform(), "rows": rows}, indent=2) + "\n")
    return rows


def _calls(cube: np.ndarray, config_file: str) -> dict[str, Callable[[], object]]:
    ours = {
        "RandLocalPixelShuffle": RandLocalPixelShuffle(1.0),
        "RandNonlinearIntensity": RandNonlinearIntensity(1.0),
        "RandInPainting": RandInPainting(1.0),
        "RandOutPainting": RandOutPainting(1.0),
    }
    holes = 1_000
    largest = [max(1, side // 10) for side in cube.shape[1:]]
    monai = {
        f"MONAI RandCoarseShuffle ({holes} holes)": RandCoarseShuffle(holes, spatial_size=largest, prob=1.0),
        "MONAI RandHistogramShift": RandHistogramShift(prob=1.0),
        "MONAI RandCoarseDropout (5 holes)": RandCoarseDropout(
            5, spatial_size=[s // 4 for s in cube.shape[1:]], prob=1.0
        ),
    }
    pairs = genesis_pairs([{"image": cube}] * 1_000_000, config_file)
    number = count()
    calls: dict[str, Callable[[], object]] = {
        name: partial(transform, cube) for name, transform in {**ours, **monai}.items()
    }
    return {**calls, "genesis pair": lambda: [pairs[next(number)] for _ in range(20)]}


def _table(rows: Sequence[dict[str, Any]]) -> str:
    sizes = list(dict.fromkeys(row["size"] for row in rows))
    lines = ["milliseconds (median)".ljust(42) + "".join(size.rjust(14) for size in sizes)]
    for name in dict.fromkeys(row["transform"] for row in rows):
        cells = [
            row["milliseconds"] for size in sizes for row in rows if (row["transform"], row["size"]) == (name, size)
        ]
        lines.append(name.ljust(42) + "".join(f"{cell:14.3f}" for cell in cells))
    return "\n".join(lines)
