"""Measurements of speed, for ``scripts/benchmark.py``."""

from models_genesis_bundle.benchmarks.deformations import benchmark_deformations

__all__ = ["benchmark_deformations"]
