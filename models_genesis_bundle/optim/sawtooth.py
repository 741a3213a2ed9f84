"""A learning-rate schedule that trains the decoder before the whole network."""

from __future__ import annotations

from functools import partial

from torch.optim import Optimizer
from torch.optim.lr_scheduler import LambdaLR

__all__ = ["sawtooth"]


def sawtooth(optimizer: Optimizer, warmup_epochs: int, max_epochs: int, power: float = 0.9) -> LambdaLR:
    """Two linear warm-ups, the first without the encoder, then a polynomial decay to 0.

    In the first ``warmup_epochs`` the encoder's rate is 0, so that its weights do not change while the new layers learn;
    the statistics of its batch normalisation follow the data. In the second, all rates rise from 0 again. Step it after each
    epoch.

    Args:
        optimizer: with groups named as ``parameter_groups`` names them.
        warmup_epochs: length of each of the two, 1 or more.
        max_epochs: of the whole training, more than ``2 * warmup_epochs``.
        power: of the decay.

    Raises:
        ValueError: for lengths out of range, and for an optimizer without a group of the encoder.

    Source:
        Wald et al., *An OpenMind for 3D medical vision self-supervised learning*, 2025, "sawtooth".

    Examples:
        >>> from models_genesis_bundle.networks import GenesisUNet
        >>> from models_genesis_bundle.optim import parameter_groups, sawtooth
        >>> groups = parameter_groups(GenesisUNet(features=(4, 8)), 0.1, layer_decay=0.5)
        >>> schedule = sawtooth(torch.optim.SGD(groups), warmup_epochs=2, max_epochs=10)
        >>> schedule.get_last_lr()
        [0.05, 0.025, 0.0, 0.0]
    """
    if warmup_epochs < 1 or max_epochs <= 2 * warmup_epochs:
        raise ValueError(
            f"warmup_epochs: expected 1 to {(max_epochs - 1) // 2} (two warm-ups within max_epochs={max_epochs}), "
            f"found {warmup_epochs}."
        )
    names = [str(group.get("name", "")) for group in optimizer.param_groups]
    in_encoder = [name.startswith("encoder") for name in names]
    if not any(in_encoder) or all(in_encoder):
        raise ValueError(
            "sawtooth: expected an optimizer with groups of the encoder and of other parts, as parameter_groups makes them, "
            f"found {', '.join(names)}. It cannot be combined with freeze."
        )
    factor = partial(_factor, warmup_epochs=warmup_epochs, max_epochs=max_epochs, power=power)
    return LambdaLR(optimizer, [partial(factor, starts_at=warmup_epochs if encoder else 0) for encoder in in_encoder])


def _factor(epoch: int, warmup_epochs: int, max_epochs: int, power: float, starts_at: int) -> float:
    """The factor of the learning rate in an epoch, counted from 0."""
    if epoch < starts_at:
        return 0.0
    if epoch < 2 * warmup_epochs:
        return (epoch % warmup_epochs + 1) / warmup_epochs
    return (1 - (epoch - 2 * warmup_epochs) / (max_epochs - 2 * warmup_epochs)) ** power
