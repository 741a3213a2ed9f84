"""Puts the bundle's folder on Python's path; scripts import this first, so that the package need not be installed."""

import logging
import sys
from collections.abc import Callable
from pathlib import Path

import fire

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))


def start(command: Callable[..., object], *errors: type[Exception], level: int = logging.INFO) -> None:
    """Run a command with the arguments of the command line; ``errors`` end it with their message and exit code 1."""
    logging.basicConfig(level=level, format="%(levelname)s: %(message)s")
    try:
        fire.Fire(command)
    except errors as error:
        sys.exit(str(error))
