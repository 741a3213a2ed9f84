"""The sampler that tells a ``SeededDataset`` the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sized
from itertools import islice

import torch.distributed as dist
from torch.utils.data.distributed import DistributedSampler

from models_genesis_bundle.data.sampling.seeded_dataset import EpochIndex

__all__ = ["EpochSampler"]


class EpochSampler(DistributedSampler):
    """Shuffles by (``seed``, epoch), shares the items between the ranks, and yields ``EpochIndex``.

    MONAI's workflows call ``set_epoch`` of every ``DistributedSampler`` when an epoch starts, and without a process group
    this one has the whole data set, so that one configuration serves one process and many.

    Args:
        dataset: its length is what counts.
        seed: start of the shuffling.
        shuffle: ``False`` keeps the order.

    Attributes:
        skip: items of the next epoch that are left out at its beginning: a run that stopped within an epoch has had them.

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
