"""TensorBoard for distributed runs, and for configurations that are parsed without a run."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from models_genesis_bundle.engines.processes import is_main_process

__all__ = ["summary_writer"]


class SilentWriter:
    """Has every method of a ``SummaryWriter`` and writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


class LateWriter:
    """A ``SummaryWriter`` that opens its folder at the first write, after `RunFolder` has moved an earlier run away."""

    def __init__(self, log_dir: str) -> None:
        self.log_dir = log_dir

    @cached_property
    def _writer(self) -> Any:
        from torch.utils.tensorboard import SummaryWriter

        return SummaryWriter(self.log_dir)

    def close(self) -> None:
        """Close the folder, where it is open."""
        if "_writer" in vars(self):
            self._writer.close()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._writer, name)


def summary_writer(log_dir: str) -> Any:
    """A TensorBoard writer for MONAI's handlers, which writes on the main process only."""
    return LateWriter(log_dir) if is_main_process() else SilentWriter()
