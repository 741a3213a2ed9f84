"""Puts the bundle's folder on Python's path; a script imports this before the package, which need not be installed."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
