"""Speed and memory of a training step by number format, memory format, optimizer and compilation."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial

import torch
from models_genesis_bundle.bundle_config import usable_device
from models_genesis_bundle.engines import RestorationInferer, precision_dtype, to_memory_format
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.optim import Muon
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.measuring import Row, describe_machine, interleaved_medians, report

FORMATS = {"float32": torch.float32, "tf32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16}


@dataclass(frozen=True)
class Variant:
    """Settings of a training step."""

    number_format: str = "float32"  # of the forward pass; tf32: float32 with rounded products, GPU only
    channels_last: bool = False  # memory format of the weights
    muon: bool = False  # the optimizer, else SGD
    any_kernel: bool = False  # cuDNN may choose its fastest kernels, whose results differ from run to run
    compiled: bool = False  # with torch.compile; the first step compiles

    def __str__(self) -> str:
        more = {"Muon": self.muon, "any kernel": self.any_kernel, "compiled": self.compiled}
        layout = "channels-last" if self.channels_last else "contiguous"
        return " ".join([self.number_format, layout, *(name for name, is_set in more.items() if is_set)])

    def step(self, features: Sequence[int], cubes: torch.Tensor) -> Callable[[], float]:
        """A function that makes one step of a new ``GenesisUNet``: forward, MSE, backward, optimizer.

        ``cubes`` (B, 1, X, Y, Z) in 0 … 1 are both input and target. The function waits for the device and returns the loss.
        """
        dtype = FORMATS[self.number_format]
        network = to_memory_format(GenesisUNet(features=features).to(cubes.device), self.channels_last)
        kind = Muon if self.muon else partial(torch.optim.SGD, momentum=0.9)
        optimizer = kind(network.parameters(), lr=1e-3)
        scaler = torch.amp.GradScaler(cubes.device.type, enabled=dtype == torch.float16)
        inferer = RestorationInferer(dtype, "sigmoid")
        forward = torch.compile(network) if self.compiled else network

        def step() -> float:
            optimizer.zero_grad()
            with _gpu_settings(self.number_format == "tf32", self.any_kernel):
                loss = torch.nn.functional.mse_loss(inferer(cubes, forward), cubes)
                scaler.scale(loss).backward()
            scaler.step(optimizer)
            scaler.update()
            return loss.item()

        return step


def benchmark_step(
    features: Sequence[int] = (64, 128, 256, 512),  # widths of the network; by default the published one's
    cube_size: Sequence[int] = (64, 64, 32),  # sides of the cubes in voxels
    batch_size: int = 1,  # cubes of a step; a GPU is busy from about 32
    compiled: bool | None = None,  # takes a minute or more; None: if there is a compiler
    bfloat16: bool | None = None,  # None: if the device supports it natively; emulated, a step takes minutes
    device: str | None = None,  # None: the GPU if there is one, or else the CPU
    matrix_side: int | None = None,  # rows and columns of the product's matrices; None: 8192 on a GPU, 2048 on a CPU
    seconds: float = 30.0,  # time to spend on all steps; at least two rounds are made
    json_path: str | os.PathLike | None = None,  # file for the rows
) -> list[Row]:
    """Time training steps and, as the ceiling of each number format, products of matrices, in turns.

    Returns:
        A row for each variant: ``network``, ``variant``, ``cubes_per_second`` (median), ``times_first``: relative to float32 with
        contiguous weights, ``tflops`` (10¹² operations a second), ``percent_of_ceiling`` and, on a GPU, ``peak_gib`` of memory.
    """
    place = usable_device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    if bfloat16 is None:
        bfloat16 = precision_dtype("auto", place) is torch.bfloat16
    if compiled is None:
        compiled = place.type == "cuda" or shutil.which(os.environ.get("CXX", "g++")) is not None
    side = matrix_side or (8192 if place.type == "cuda" else 2048)
    machine = describe_machine()
    cubes = torch.rand(batch_size, 1, *cube_size, device=place)
    calls: dict[str, Callable[[], object]] = {}
    peaks: dict[str, float] = {}
    variants = _variants(place.type == "cuda", bfloat16, compiled)
    for variant in variants:
        calls[str(variant)], peaks[str(variant)] = _with_peak_memory(partial(variant.step, features, cubes), place)
    for number_format in dict.fromkeys(variant.number_format for variant in variants):
        calls[f"product {number_format}"] = _matrix_product(side, number_format, place)
    medians = interleaved_medians(calls, seconds, least=2)

    flops = training_step_flops(features, cube_size)
    rows: list[Row] = []
    for variant in variants:
        speed = 1000 * batch_size / medians[str(variant)]
        ceiling = 2 * side**3 / medians[f"product {variant.number_format}"] / 1e9
        row: Row = {
            "network": f"{'-'.join(map(str, features))}, {batch_size}×{'×'.join(map(str, cube_size))}",
            "variant": str(variant),
            "cubes_per_second": speed,
            "times_first": speed / rows[0]["cubes_per_second"] if rows else 1.0,
            "tflops": speed * flops / 1e12,
            "percent_of_ceiling": 100 * speed * flops / 1e12 / ceiling,
        }
        rows.append(row | ({"peak_gib": peaks[str(variant)]} if place.type == "cuda" else {}))
    return report("step", machine, rows, json_path)


def training_step_flops(features: Sequence[int], cube_size: Sequence[int]) -> int:
    """Floating-point operations of all convolutions, forward and backward, for one cube; a multiply-add counts as two."""
    with torch.device("meta"), FlopCounterMode(display=False) as counter:
        GenesisUNet(features=features)(torch.rand(1, 1, *cube_size)).mean().backward()
    return counter.get_total_flops()


def _variants(gpu: bool, bfloat16: bool, compiled: bool) -> list[Variant]:
    formats = ["float32", *(["tf32", "float16"] if gpu else []), *(["bfloat16"] if bfloat16 else [])]
    variants = [Variant(name, channels_last) for name in formats for channels_last in (False, True)]
    default = variants[-1]  # as the trainers do with precision auto
    return [
        *variants,
        replace(default, muon=True),
        *([replace(default, any_kernel=True)] if gpu else []),
        *([replace(default, compiled=True)] if compiled else []),
    ]


def _with_peak_memory(
    make_step: Callable[[], Callable[[], float]], device: torch.device
) -> tuple[Callable[[], float], float]:
    """A step and its peak GPU memory in GiB."""
    if device.type != "cuda":
        return make_step(), 0.0
    before = torch.cuda.memory_allocated(device)
    torch.cuda.reset_peak_memory_stats(device)
    step = make_step()
    for _ in range(2):
        step()
    return step, (torch.cuda.max_memory_allocated(device) - before) / 2**30


def _matrix_product(side: int, number_format: str, device: torch.device) -> Callable[[], float]:
    left, right = torch.rand(2, side, side, dtype=FORMATS[number_format], device=device)

    def product() -> float:
        with _gpu_settings(number_format == "tf32", any_kernel=False):
            return (left @ right)[0, 0].item()

    return product


@contextmanager
def _gpu_settings(tf32: bool, any_kernel: bool) -> Iterator[None]:
    """Settings of CUDA and cuDNN inside the block; without effect on a CPU."""
    before = torch.backends.cuda.matmul.allow_tf32
    torch.backends.cuda.matmul.allow_tf32 = tf32
    try:
        with torch.backends.cudnn.flags(True, any_kernel, deterministic=not any_kernel, allow_tf32=tf32):
            yield
    finally:
        torch.backends.cuda.matmul.allow_tf32 = before
