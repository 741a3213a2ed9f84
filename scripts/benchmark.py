"""Measure speed and memory: python scripts/benchmark.py all --output_dir runs/benchmarks, or one part with --json_path."""

import bundle_path  # noqa: F401
import fire

from models_genesis_bundle import benchmarks

if __name__ == "__main__":
    parts = {
        "all": benchmarks.benchmark_all,
        "ddp": benchmarks.benchmark_ddp,
        "deformations": benchmarks.benchmark_deformations,
        "end_to_end": benchmarks.benchmark_end_to_end,
        "loader": benchmarks.benchmark_loader,
        "memory": benchmarks.benchmark_memory,
        "step": benchmarks.benchmark_step,
    }
    fire.Fire(parts, serialize=lambda rows: None)
