"""Measurements of speed and memory, for ``scripts/benchmark.py``."""

from models_genesis_bundle.benchmarks.ddp import benchmark_ddp
from models_genesis_bundle.benchmarks.deformations import benchmark_deformations
from models_genesis_bundle.benchmarks.end_to_end import benchmark_end_to_end
from models_genesis_bundle.benchmarks.everything import benchmark_all
from models_genesis_bundle.benchmarks.loader import benchmark_loader
from models_genesis_bundle.benchmarks.memory import benchmark_memory
from models_genesis_bundle.benchmarks.step import benchmark_step

__all__ = [
    "benchmark_all",
    "benchmark_ddp",
    "benchmark_deformations",
    "benchmark_end_to_end",
    "benchmark_loader",
    "benchmark_memory",
    "benchmark_step",
]
