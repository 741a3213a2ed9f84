"""A dataset whose items depend on seed, epoch and index alone, and its sampler."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Sized
from itertools import islice
from typing import Any, NamedTuple

import numpy as np
import torch.distributed as dist
from monai.transforms import Randomizable, apply_transform
from torch.utils.data import Dataset
from torch.utils.data.distributed import DistributedSampler

__all__ = ["EpochIndex", "EpochSampler", "RandomStates", "SeededDataset"]


class EpochIndex(NamedTuple):
    """An item of an epoch, and the number of its earlier draws in this epoch, as a sampler yields it."""

    epoch: int
    item: int
    repeat: int = 0


class SeededDataset(Dataset):
    """Applies a random transform whose draws depend on (`seed`, epoch, index, repeat) alone.

    An item is thus the same in any worker, on any rank and after a restart: runs with 0 and with 8 workers train on the
    same cubes, and a resumed run continues exactly.

    Args:
        data: the items, for example `ScanCubes`. With an attribute ``by_epoch`` they are indexed by `EpochIndex`.
        transform: a MONAI transform; if it is ``Randomizable`` it is seeded before every item.
        seed: seed of the draws.
        redraw: draw anew in every epoch; ``False`` gives the same items in all epochs, for validation.
        prepare: makes the input of the transform from `data`, as ``CacheDataset`` with a deterministic transform does. A
            configuration's ``dataset::data`` is then a plain list of files, which other programs can replace.

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
        self._states: RandomStates | None = None

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int | EpochIndex) -> Any:
        epoch, number, repeat = index if isinstance(index, EpochIndex) else EpochIndex(0, index)
        epoch = epoch if self.redraw else 0
        by_epoch = getattr(self.data, "by_epoch", False)
        item = self.data[EpochIndex(epoch, number, repeat) if by_epoch else number]
        if self.transform is None:
            return item
        if isinstance(self.transform, Randomizable):
            if self._states is None or not self._states.are_current():
                self._states = RandomStates(self.transform)
            self._states.seed((self.seed, epoch, number, repeat))
        return apply_transform(self.transform, item, map_items=False)


class EpochSampler(DistributedSampler):
    """Shuffles by (`seed`, epoch), shares the items between the ranks, and yields `EpochIndex`.

    MONAI's workflows call ``set_epoch`` of every ``DistributedSampler`` at the start of an epoch. Without a process group this
    one has the whole dataset, so that one configuration works for one process and for many.

    Args:
        dataset: only its length is used.
        seed: seed of the shuffling.
        shuffle: ``False`` keeps the order.

    Attributes:
        skip: number of items to leave out at the beginning of the next epoch, because the run was resumed after them.

    Examples:
        >>> from models_genesis_bundle.data import EpochSampler
        >>> sampler = EpochSampler(range(3), shuffle=False)
        >>> [index.item for index in sampler]
        [0, 1, 2]
    """

    def __init__(self, dataset: Sized, seed: int = 0, shuffle: bool = True) -> None:
        grouped = dist.is_available() and dist.is_initialized()
        super().__init__(
            dataset,
            num_replicas=dist.get_world_size() if grouped else 1,
            rank=dist.get_rank() if grouped else 0,
            seed=seed,
            shuffle=shuffle,
        )
        self.skip = 0

    def __iter__(self) -> Iterator[EpochIndex]:
        skip, self.skip = self.skip, 0
        return islice(self.items(), skip, None)

    def items(self) -> Iterator[EpochIndex]:
        """This rank's items of the epoch."""
        return (EpochIndex(self.epoch, index) for index in super().__iter__())


class RandomStates:
    """The random states of a transform and of all its parts.

    ``transform.set_random_state`` makes a new generator for each part, which takes longer than a deformation. Seeding the
    existing generators takes microseconds.

    Args:
        transform: gets states of its own, and so do its parts in attributes, lists, tuples and dictionaries.
    """

    def __init__(self, transform: Randomizable) -> None:
        self.transform = transform
        transform.set_random_state(seed=0)
        own = (part.R for part in _parts(transform, set()) if "R" in vars(part))
        self.states = list({id(state): state for state in own}.values())

    def are_current(self) -> bool:
        """False after other code, such as MONAI in a new worker, has given the transform other states."""
        return self.transform.R is self.states[0]

    def seed(self, entropy: Iterable[int]) -> None:
        """Seed every state from the same numbers, each differently."""
        seeds = np.random.SeedSequence(tuple(entropy)).generate_state(len(self.states))
        for state, seed in zip(self.states, seeds, strict=True):
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
