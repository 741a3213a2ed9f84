"""Gradient clipping for MONAI's trainers."""

from __future__ import annotations

import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents

__all__ = ["GradientClipping", "step_is_due"]


class GradientClipping:
    """Scales the gradients down to a largest norm between the backward pass and the optimizer step.

    Where a step adds up the gradients of several iterations (``accumulation_steps``), their sum is clipped.

    Args:
        max_norm: largest Euclidean norm of all gradients together; 0: they are not clipped.
    """

    def __init__(self, max_norm: float) -> None:
        if max_norm < 0:
            raise ValueError(f"max_norm: expected a number above 0, or 0 for no clipping, found {max_norm}.")
        self.max_norm = max_norm

    def attach(self, engine: Engine) -> None:
        """Clip after the backward passes of a ``SupervisedTrainer``."""
        if self.max_norm:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self.clip)

    def clip(self, engine: Engine) -> None:
        """Clip the gradients of the trainer's network when its optimizer steps, unscaled first where a scaler is in use."""
        if not step_is_due(engine):
            return
        scaler = getattr(engine, "scaler", None)
        if scaler is not None:
            scaler.unscale_(engine.optimizer)
        torch.nn.utils.clip_grad_norm_(engine.network.parameters(), self.max_norm)


def step_is_due(engine: Engine) -> bool:
    """Whether the optimizer steps in this iteration, by the rule of MONAI's ``SupervisedTrainer``."""
    within_epoch = (engine.state.iteration - 1) % engine.state.epoch_length + 1
    return within_epoch % engine.accumulation_steps == 0 or within_epoch == engine.state.epoch_length
