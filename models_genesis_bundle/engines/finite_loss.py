"""Stops a run whose loss is no longer a number."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys

__all__ = ["NonFiniteLossError", "RequireFiniteLoss"]


class NonFiniteLossError(RuntimeError):
    """The loss was NaN or infinite; the message names the batch's sources."""


class RequireFiniteLoss:
    """Raises before the optimizer step when a batch's loss is NaN or infinite, so that no weight is spoilt.

    Args:
        source_key: the batch's key with the files that its items are from.
    """

    def __init__(self, source_key: str = "source") -> None:
        self.source_key = source_key

    def attach(self, engine: Engine) -> None:
        """Look at each loss before it is propagated."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.check)

    def check(self, engine: Engine) -> None:
        """Raise when the loss is not finite.

        Raises:
            NonFiniteLossError: with epoch, iteration, loss and sources.
        """
        loss = engine.state.output[CommonKeys.LOSS]
        if torch.isfinite(loss):
            return
        sources = engine.state.batch.get(self.source_key, ["not recorded"])
        raise NonFiniteLossError(
            f"The loss is {loss.item()} in epoch {engine.state.epoch}, iteration {engine.state.iteration}; the batch is from "
            f"{', '.join(sorted(set(map(str, sources))))}. The run stops, and the checkpoints of the last good epoch are kept. "
            "Look at these files; when they are in order, lower the learning rate or clip the gradients (`--max_gradient_norm 1`)."
        )
