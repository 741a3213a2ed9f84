"""A dataset with items that depend only on seed, epoch and index, and its samplers."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.distributed as dist
from monai.data import DistributedSampler
from monai.transforms import Randomizable, apply_transform
from torch.utils.data import Dataset

_BALANCES = ("sampler", "loss", "none")


class EpochIndex(NamedTuple):
    """An item of an epoch from a sampler; `repeat` counts the earlier uses of the item in this epoch."""

    epoch: int
    item: int
    repeat: int = 0


class SeededDataset(Dataset):
    """Applies a random transform whose random numbers depend only on (`seed`, epoch, index, repeat).

    Therefore an item is the same in every worker, on every rank and after a restart, and a resumed run continues exactly.

    Args:
        data: the items, for example `ScanCubes`. If they have a true attribute ``by_epoch``, the index is an `EpochIndex`.
        transform: a MONAI transform; if it is ``Randomizable``, it is seeded before every item.
        seed: random seed.
        redraw: whether items change in every epoch; ``False`` is for validation.
        prepare: function from `data` to the inputs of the transform, such as a ``CacheDataset``. In a configuration,
            ``dataset::data`` can then be a plain list of files, which other programs can replace.

    Examples:
        >>> from monai.transforms import RandScaleIntensity
        >>> from models_genesis_bundle.data import EpochIndex, SeededDataset
        >>> dataset = SeededDataset([np.ones((1, 4, 4))], RandScaleIntensity(factors=0.5, prob=1.0), seed=0)
        >>> bool((dataset[EpochIndex(epoch=1, item=0)] == dataset[EpochIndex(epoch=1, item=0)]).all())
        True
    """

    def __init__(
        self,
        data: Sequence[Any],
        transform: Callable | None = None,
        seed: int = 0,
        redraw: bool = True,
        prepare: Callable[[Sequence[Any]], Sequence[Any]] | None = None,
    ) -> None:
        self.data: Any = data if prepare is None else prepare(data)
        self.transform = transform
        self.seed = seed
        self.redraw = redraw
        self._states: list[np.random.RandomState] = []

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int | EpochIndex) -> Any:
        epoch, number, repeat = index if isinstance(index, EpochIndex) else EpochIndex(0, index)
        epoch = epoch if self.redraw else 0
        item = self.data[EpochIndex(epoch, number, repeat) if getattr(self.data, "by_epoch", False) else number]
        if self.transform is None:
            return item
        if isinstance(self.transform, Randomizable):
            self._seed(self.transform, (self.seed, epoch, number, repeat))
        return apply_transform(self.transform, item, map_items=False)

    def _seed(self, transform: Randomizable, entropy: Sequence[int]) -> None:
        """Seed the random states of the transform and its parts; ``set_random_state`` is slower than a deformation."""
        if not self._states or transform.R is not self._states[0]:  # MONAI sets new states in a new worker
            transform.set_random_state(seed=0)
            states = (part.R for part in _parts(transform, set()) if "R" in vars(part))
            self._states = list({id(state): state for state in states}.values())
        seeds = np.random.SeedSequence(entropy).generate_state(len(self._states))
        for state, seed in zip(self._states, seeds, strict=True):
            state.seed(int(seed))


def _parts(value: Any, seen: set[int]) -> Iterator[Randomizable]:
    if id(value) in seen:
        return
    seen.add(id(value))
    if isinstance(value, Randomizable):
        yield value
        value = vars(value)
    within = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    for part in within:
        yield from _parts(part, seen)


class EpochSampler(DistributedSampler):
    """Shuffles by (`seed`, epoch), distributes the items over the ranks, and yields `EpochIndex`.

    MONAI's workflows call ``set_epoch`` of a ``DistributedSampler`` at the start of each epoch. Without a process group, this
    sampler yields the whole dataset, so that the same configuration works for one process and for many.

    Args:
        dataset: only its length is used.
        seed: random seed of the order.
        shuffle: ``False``, for validation, keeps the order and gives each item to one rank. Otherwise, or if there are fewer
            items than ranks, items are repeated so that all ranks have the same number.

    Attributes:
        skip: number of items to skip at the beginning of the next epoch, after which the run was resumed.

    Examples:
        >>> from models_genesis_bundle.data import EpochSampler
        >>> sampler = EpochSampler(range(3), shuffle=False)
        >>> [index.item for index in sampler]
        [0, 1, 2]
    """

    def __init__(self, dataset: Sized, seed: int = 0, shuffle: bool = True) -> None:
        grouped = dist.is_available() and dist.is_initialized()
        ranks = dist.get_world_size() if grouped else 1
        super().__init__(
            dataset,
            even_divisible=shuffle or len(dataset) < ranks,
            num_replicas=ranks,
            rank=dist.get_rank() if grouped else 0,
            shuffle=shuffle,
            seed=seed,
        )
        self.skip = 0

    def __iter__(self) -> Iterator[EpochIndex]:
        skip, self.skip = self.skip, 0
        return islice(self.items(), skip, None)

    def items(self) -> Iterator[EpochIndex]:
        """This rank's items of the epoch."""
        return (EpochIndex(self.epoch, index) for index in super().__iter__())


class BalancedEpochSampler(EpochSampler):
    """Chooses a class with equal probability for each item of an epoch, and yields `EpochIndex`.

    The items of a class are shuffled, and none is repeated before all were used. An epoch repeats the items of a rare class with
    different augmentation, and has only some items of a frequent class. The choice depends only on (`seed`, epoch).

    Args:
        labels: class of each item.
        seed: random seed.
        num_samples: number of items in an epoch, over all ranks; None for the number of labels.

    Raises:
        ValueError: there are no labels, or `num_samples` is below 1.

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
        """This rank's items of the epoch."""
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
        return iter(draws[self.rank : self.total_size : self.num_replicas])


def training_sampler(
    dataset: Sized, labels: Sequence[int], balance: str = "sampler", seed: int = 0, num_samples: int | None = None
) -> EpochSampler:
    """The sampler for a ``balance`` setting.

    Args:
        dataset: the training items.
        labels: class of each item.
        balance: ``"sampler"`` for a `BalancedEpochSampler`; ``"loss"`` (see `class_weights`) or ``"none"`` for an `EpochSampler`.
        seed: random seed.
        num_samples: with ``"sampler"``, the number of items in an epoch; None for the number of labels.

    Raises:
        ValueError: `balance` has another value, or `num_samples` is given without ``"sampler"``.
    """
    if balance not in _BALANCES:
        raise ValueError(f"balance: expected one of {', '.join(_BALANCES)}, found {balance!r}.")
    if balance == "sampler":
        return BalancedEpochSampler(labels, seed, num_samples)
    if num_samples is not None:
        raise ValueError(
            f"num_samples: only balance='sampler' takes a number, found {num_samples} with balance={balance!r}."
        )
    return EpochSampler(dataset, seed)


def class_weights(labels: Sequence[int], num_classes: int) -> torch.Tensor:
    """Weights (num_classes,) for ``torch.nn.CrossEntropyLoss``: items / (`num_classes` · items of the class).

    Every class then has the same total weight.

    Args:
        labels: class of each training item, 0 … `num_classes` - 1.
        num_classes: number of classes.

    Raises:
        ValueError: a class has no item, or an item has another class.

    Examples:
        >>> from models_genesis_bundle.data import class_weights
        >>> class_weights([0, 0, 0, 1], num_classes=2)
        tensor([0.6667, 2.0000])
    """
    counts = np.bincount(np.asarray(labels, dtype=np.int64), minlength=num_classes)
    if len(counts) > num_classes or not counts.all():
        raise ValueError(
            f"class_weights: expected training items of every class 0 … {num_classes - 1} and of no other, found these numbers "
            f"of items by class: {dict(enumerate(counts.tolist()))}."
        )
    return torch.as_tensor(len(labels) / (num_classes * counts), dtype=torch.float32)
