"""The measurements of ``scripts/benchmark.py``."""

import bundle_path  # noqa: F401
