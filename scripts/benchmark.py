"""Measure speed: python scripts/benchmark.py deformations --json_path deformations.json"""

import fire

from models_genesis_bundle.benchmarks import benchmark_deformations

if __name__ == "__main__":
    parts = {"deformations": benchmark_deformations}
    fire.Fire(parts, serialize=lambda rows: None)
