"""All measurements, one after the other."""

from __future__ import annotations

import os
from pathlib import Path

from models_genesis_bundle.benchmarks.ddp import benchmark_ddp
from models_genesis_bundle.benchmarks.deformations import benchmark_deformations
from models_genesis_bundle.benchmarks.end_to_end import benchmark_end_to_end
from models_genesis_bundle.benchmarks.loader import benchmark_loader
from models_genesis_bundle.benchmarks.memory import benchmark_memory
from models_genesis_bundle.benchmarks.step import benchmark_step

__all__ = ["benchmark_all"]


def benchmark_all(output_dir: str | os.PathLike = "runs/benchmarks") -> None:
    """Measure every part with its default settings, the step for the published and for the shipped network.

    Args:
        output_dir: receives a JSON file for each part.
    """
    folder = Path(output_dir)
    benchmark_deformations(json_path=folder / "deformations.json")
    benchmark_loader(json_path=folder / "loader.json")
    benchmark_step(json_path=folder / "step_published.json")
    benchmark_step((16, 32, 64, 128), (48, 48, 24), batch_size=6, json_path=folder / "step_shipped.json")
    benchmark_end_to_end(json_path=folder / "end_to_end.json")
    benchmark_memory(json_path=folder / "memory.json")
    benchmark_ddp(json_path=folder / "ddp.json")
