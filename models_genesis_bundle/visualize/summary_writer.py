"""TensorBoard for distributed runs."""

from __future__ import annotations

from typing import Any

from models_genesis_bundle.engines.processes import is_main_process

__all__ = ["summary_writer"]


class SilentWriter:
    """Has every method of a ``SummaryWriter`` and writes nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *args, **kwargs: None


def summary_writer(log_dir: str) -> Any:
    """A TensorBoard writer for MONAI's handlers, which writes on the main process only."""
    if not is_main_process():
        return SilentWriter()
    from torch.utils.tensorboard import SummaryWriter

    return SummaryWriter(log_dir)
