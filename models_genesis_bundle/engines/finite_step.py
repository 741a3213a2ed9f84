"""Stops a run whose loss or gradients are no longer numbers."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys

__all__ = ["NonFiniteStepError", "RequireFiniteStep"]


class NonFiniteStepError(RuntimeError):
    """A batch's loss or gradients were NaN or infinite; the message names the batch's sources."""


class RequireFiniteStep:
    """Raises before the optimizer step when a batch's loss or gradients are NaN or infinite, before any weight changes.

    With a gradient scaler (``amp: true``) infinite gradients are allowed: the scaler skips that step.

    Args:
        source_key: key of a batch that holds the paths of its items' files.
    """

    def __init__(self, source_key: str = "source") -> None:
        self.source_key = source_key

    def attach(self, engine: Engine) -> None:
        """Check the loss before the backward pass, the gradients before the step; attach it before handlers that change them."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.check_loss)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self.check_gradients)

    def check_loss(self, engine: Engine) -> None:
        """Raise when the loss is not finite.

        Raises:
            NonFiniteStepError: with epoch, iteration, loss and sources.
        """
        loss = engine.state.output[CommonKeys.LOSS]
        if not torch.isfinite(loss):
            self._stop(engine, f"The loss is {loss.item()}")

    def check_gradients(self, engine: Engine) -> None:
        """Raise when a gradient of the trainer's network is not finite.

        Raises:
            NonFiniteStepError: with epoch, iteration, loss, parameters and sources.
        """
        if getattr(engine, "scaler", None) is not None:
            return
        gradients = {name: weight.grad for name, weight in engine.network.named_parameters() if weight.grad is not None}
        if torch.isfinite(torch.nn.utils.get_total_norm(gradients.values())):
            return
        lost = [name for name, gradient in gradients.items() if not torch.isfinite(gradient).all()]
        if lost:
            loss = engine.state.output[CommonKeys.LOSS].item()
            where = f"{len(lost)} of {len(gradients)} parameters, {lost[0]} the first"
            self._stop(engine, f"The loss is {loss:.4g}, but the gradients of {where}, are NaN or infinite")

    def _stop(self, engine: Engine, what: str) -> None:
        sources = engine.state.batch.get(self.source_key, ["not recorded"])
        raise NonFiniteStepError(
            f"{what} in epoch {engine.state.epoch}, iteration {engine.state.iteration}; the batch is from "
            f"{', '.join(sorted(set(map(str, sources))))}. The run stops, and the checkpoints of the last good epoch are kept. "
            "Check these files; if they are correct, lower the learning rate, clip the gradients (`--max_gradient_norm 1`) "
            "or compute in full precision (`--precision float32`)."
        )
