"""Handlers between the loss and the optimizer's step of MONAI's trainers."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from ignite.engine import Engine
from monai.engines.utils import IterationEvents
from monai.utils.enums import CommonKeys


class NonFiniteStepError(RuntimeError):
    """A batch's loss or gradients were NaN or infinite; the message names the batch's sources."""


@dataclass(eq=False)
class RequireFiniteStep:
    """Raises an error before the optimizer step if the loss or a gradient is NaN or infinite, so that no weight changes.

    With a gradient scaler (``amp: true``), which skips such steps, gradients may be infinite. List it before ``GradientClipping``.

    Args:
        source_key: key of a batch with the paths of its files.

    Raises:
        NonFiniteStepError: in the run, with epoch, iteration, loss, parameters and sources.
    """

    source_key: str = "source"

    def attach(self, engine: Engine) -> None:
        """Check the loss before the backward pass, the gradients before the step."""
        engine.add_event_handler(IterationEvents.LOSS_COMPLETED, self.check_loss)
        engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self.check_gradients)

    def check_loss(self, engine: Engine) -> None:
        """Raise when the loss is not finite."""
        loss = engine.state.output[CommonKeys.LOSS]
        if not torch.isfinite(loss):
            self._stop(engine, f"The loss is {loss.item()}")

    def check_gradients(self, engine: Engine) -> None:
        """Raise when a gradient of the trainer's network is not finite."""
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


@dataclass(eq=False)
class GradientClipping:
    """Clips the norm of the gradients between the backward pass and the optimizer step.

    With ``accumulation_steps``, the sum of the gradients is clipped. A gradient scaler unscales them first.

    Args:
        max_norm: largest Euclidean norm of all gradients together; 0: no clipping.
    """

    max_norm: float

    def __post_init__(self) -> None:
        if self.max_norm < 0:
            raise ValueError(f"max_norm: expected a number above 0, or 0 for no clipping, found {self.max_norm}.")

    def attach(self, engine: Engine) -> None:
        """Clip after the backward passes of a ``SupervisedTrainer``."""
        if self.max_norm:
            engine.add_event_handler(IterationEvents.BACKWARD_COMPLETED, self.clip)

    def clip(self, engine: Engine) -> None:
        """Clip the gradients of the trainer's network when its optimizer steps."""
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
