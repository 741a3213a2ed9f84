"""How fast a training step is, by number format, memory format and compilation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from typing import Any

import torch

from models_genesis_bundle.benchmarks.machine import describe_machine
from models_genesis_bundle.benchmarks.report import Row, report
from models_genesis_bundle.benchmarks.timing import interleaved_medians
from models_genesis_bundle.benchmarks.training_step import training_step, training_step_flops
from models_genesis_bundle.engines import precision_dtype

__all__ = ["benchmark_step"]

FORMATS = {"float32": torch.float32, "bfloat16": torch.bfloat16}


def benchmark_step(
    features: Sequence[int] = (64, 128, 256, 512),
    cube_size: Sequence[int] = (64, 64, 32),
    batch_size: int = 1,
    compiled: bool | None = None,
    bfloat16: bool | None = None,
    device: str | None = None,
    matrix_side: int | None = None,
    seconds: float = 30.0,
    json_path: str | os.PathLike | None = None,
) -> list[Row]:
    """Time a training step in float32, channels-last, in bfloat16 and compiled, and a matrix product, in turns.

    The first row, float32 with contiguous weights, is what the others are compared with. The matrix product of the same number
    format, measured in the same rounds, is the ceiling of what the device computes.

    Args:
        features: widths of the network; by default the published one's.
        cube_size: sides of the cubes in voxels.
        batch_size: cubes of a step; a GPU is filled by 32 and more.
        compiled: also with ``torch.compile``, which compiles for a minute or more; None: where there is a compiler.
        bfloat16: also in bfloat16; None: where the device computes it natively (emulated it takes minutes a step).
        device: where to compute; None: the GPU, or the CPU where there is none.
        matrix_side: rows and columns of the product's matrices; None: 8192 on a GPU, 2048 on a CPU.
        seconds: time to spend on all steps; at least two rounds are made.
        json_path: a file for the figures, too.

    Returns:
        A row for each variant: ``network``, ``variant``, ``cubes_per_second`` (median), ``times_first``, ``tflops`` (achieved
        10¹² operations a second) and ``percent_of_ceiling``.
    """
    place = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if bfloat16 is None:
        bfloat16 = precision_dtype("auto", place) is torch.bfloat16
    if compiled is None:
        compiled = place.type == "cuda" or shutil.which(os.environ.get("CXX", "g++")) is not None
    side = matrix_side or (8192 if place.type == "cuda" else 2048)
    machine = describe_machine()
    cubes = torch.rand(batch_size, 1, *cube_size, device=place)
    variants = _variants(bfloat16, compiled)
    calls: dict[str, Callable[[], object]] = {
        name: training_step(features, cubes, **settings) for name, settings in variants.items()
    }
    calls |= {f"product {name}": _matrix_product(side, FORMATS[name], place) for name in list(FORMATS)[: 1 + bfloat16]}
    medians = interleaved_medians(calls, seconds, least=2)

    flops = training_step_flops(features, cube_size)
    rows: list[Row] = []
    for name in variants:
        speed = 1000 * batch_size / medians[name]
        number_format = name.split()[0]
        ceiling = 2 * side**3 / medians[f"product {number_format}"] / 1e9
        rows.append(
            {
                "network": f"{'-'.join(map(str, features))}, {batch_size}×{'×'.join(map(str, cube_size))}",
                "variant": name,
                "cubes_per_second": speed,
                "times_first": speed / rows[0]["cubes_per_second"] if rows else 1.0,
                "tflops": speed * flops / 1e12,
                "percent_of_ceiling": 100 * speed * flops / 1e12 / ceiling,
            }
        )
    return report("step", machine, rows, json_path)


def _variants(bfloat16: bool, compiled: bool) -> dict[str, dict[str, Any]]:
    """Arguments of `training_step` by name; a name starts with the number format."""
    variants: dict[str, dict[str, Any]] = {
        "float32 contiguous": {},
        "float32 channels-last": {"channels_last": True},
    }
    if bfloat16:
        variants["bfloat16 contiguous"] = {"dtype": torch.bfloat16}
        variants["bfloat16 channels-last"] = {"dtype": torch.bfloat16, "channels_last": True}
    if compiled:
        fastest = list(variants)[-1]
        variants[f"{fastest} compiled"] = {**variants[fastest], "compiled": True}
    return variants


def _matrix_product(side: int, dtype: torch.dtype, device: torch.device) -> Callable[[], float]:
    left, right = torch.rand(2, side, side, dtype=dtype, device=device)
    return lambda: (left @ right)[0, 0].item()
