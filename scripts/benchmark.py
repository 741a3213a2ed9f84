"""Measure speed and memory: python scripts/benchmark.py all --output_dir runs/benchmarks, or one part with --json_path."""

from collections.abc import Callable
from pathlib import Path

import fire
from benchmarks.deformations import benchmark_deformations
from benchmarks.loading import benchmark_loader, benchmark_memory
from benchmarks.step import benchmark_step
from benchmarks.trainer import benchmark_ddp, benchmark_end_to_end

PARTS: dict[str, Callable[..., object]] = {
    "deformations": benchmark_deformations,
    "loader": benchmark_loader,
    "step": benchmark_step,
    "end_to_end": benchmark_end_to_end,
    "memory": benchmark_memory,
    "ddp": benchmark_ddp,
}


def benchmark_all(output_dir: str = "runs/benchmarks") -> None:
    """Measure every part with its default settings, and the step of the shipped network.

    Args:
        output_dir: folder for a JSON file of each part.
    """
    for name, benchmark in PARTS.items():
        benchmark(json_path=Path(output_dir, f"{name}.json"))
    benchmark_step((16, 32, 64, 128), (48, 48, 24), batch_size=6, json_path=Path(output_dir, "step_shipped.json"))


if __name__ == "__main__":
    fire.Fire({"all": benchmark_all, **PARTS}, serialize=lambda rows: None)
