"""For classes of different size: a sampler that draws them equally often, and weights for the loss."""

from __future__ import annotations

from collections.abc import Iterator, Sequence, Sized

import numpy as np
import torch
from models_genesis_bundle.data.sampling.seeded_dataset import EpochIndex, EpochSampler
from sklearn.utils.class_weight import compute_class_weight

__all__ = ["BALANCES", "BalancedEpochSampler", "class_weights", "training_sampler"]


def class_weights(labels: Sequence[int], num_classes: int) -> torch.Tensor:
    """Weights for ``torch.nn.CrossEntropyLoss``: items / (`num_classes` · items of the class).

    Every class then has the same share in a mean over all items.

    Args:
        labels: class of each training item, 0 … `num_classes` - 1.
        num_classes: number of classes.

    Returns:
        (num_classes,), float32.

    Raises:
        ValueError: a class without an item, or an item of another class.

    Examples:
        >>> from models_genesis_bundle.data import class_weights
        >>> class_weights([0, 0, 0, 1], num_classes=2)
        tensor([0.6667, 2.0000])
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=num_classes)
    if len(counts) > num_classes or not counts.all():
        raise ValueError(
            f"class_weights: each of the classes 0 … {num_classes - 1} needs training items and no other may occur, "
            f"found {dict(enumerate(counts.tolist()))} items by class."
        )
    weights = compute_class_weight("balanced", classes=np.arange(num_classes), y=np.asarray(labels))
    return torch.as_tensor(weights, dtype=torch.float32)


BALANCES = ("sampler", "loss", "none")


class BalancedEpochSampler(EpochSampler):
    """Draws each item of an epoch from a class chosen with equal probability, and yields `EpochIndex`.

    Within a class, items are shuffled, and no item repeats before all were drawn. An epoch thus repeats the items of a rare
    class, each time with other augmentation, and has a new part of the items of a frequent one. The draws depend on (`seed`,
    epoch) alone; ranks take turns.

    Args:
        labels: class of each item.
        seed: seed of the draws.
        num_samples: items of an epoch, over all ranks; None for as many as there are.

    Raises:
        ValueError: no labels, or `num_samples` below 1.

    Examples:
        >>> from models_genesis_bundle.data import BalancedEpochSampler
        >>> len(list(BalancedEpochSampler(labels=[0, 0, 0, 1], num_samples=6)))
        6
    """

    def __init__(self, labels: Sequence[int], seed: int = 0, num_samples: int | None = None) -> None:
        self.labels = np.asarray(labels, dtype=np.int64)
        wanted = len(self.labels) if num_samples is None else num_samples
        if wanted < 1:
            raise ValueError(
                f"BalancedEpochSampler: needs labels and num_samples of 1 or more, got {len(self.labels)} labels and "
                f"num_samples={num_samples}."
            )
        super().__init__(range(wanted), seed=seed)

    def items(self) -> Iterator[EpochIndex]:
        """This rank's draws of the epoch."""
        return iter(self._draws()[self.rank : self.total_size : self.num_replicas])

    def _draws(self) -> list[EpochIndex]:
        rng = np.random.default_rng((self.seed, self.epoch))
        members = [np.flatnonzero(self.labels == label) for label in np.unique(self.labels)]
        chosen = rng.integers(len(members), size=self.total_size)
        draws: list[EpochIndex] = [EpochIndex(self.epoch, 0)] * self.total_size
        for label, items in enumerate(members):
            for count, position in enumerate(np.flatnonzero(chosen == label)):
                repeat, place = divmod(count, len(items))
                if place == 0:
                    items = rng.permutation(items)
                draws[position] = EpochIndex(self.epoch, int(items[place]), repeat)
        return draws


def training_sampler(
    dataset: Sized, labels: Sequence[int], balance: str = "sampler", seed: int = 0, num_samples: int | None = None
) -> EpochSampler:
    """The sampler for a ``balance`` setting.

    Args:
        dataset: the training items.
        labels: class of each.
        balance: ``"sampler"`` for a `BalancedEpochSampler`; ``"loss"`` (see `class_weights`) and ``"none"`` for every item once
            an epoch.
        seed: seed of the draws.
        num_samples: items of an epoch, with ``"sampler"``; None for as many as there are.

    Raises:
        ValueError: another `balance`, or `num_samples` without ``"sampler"``.
    """
    if balance not in BALANCES:
        raise ValueError(f"balance: expected one of {', '.join(BALANCES)}, found {balance!r}.")
    if balance == "sampler":
        return BalancedEpochSampler(labels, seed, num_samples)
    if num_samples is not None:
        raise ValueError(
            f"samples per epoch: {num_samples} can be asked for with balance 'sampler' only, not {balance!r}."
        )
    return EpochSampler(dataset, seed)
