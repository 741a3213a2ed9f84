"""A dataset whose random transforms depend on the item and the epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from monai.transforms import Randomizable, apply_transform
from torch.utils.data import Dataset

__all__ = ["EpochIndex", "SeededDataset"]


class EpochIndex(NamedTuple):
    """Which item to load, and in which epoch, as ``EpochSampler`` yields it."""

    epoch: int
    item: int


class SeededDataset(Dataset):
    """Applies a random transform whose draws follow from (``seed``, epoch, index).

    An item is thus the same in any worker, on any rank and after a restart: runs with 0 and with 8 workers train on the
    same cubes, and a resumed run goes on exactly.

    Args:
        data: the items, for example a ``CubeStore``.
        transform: a MONAI transform; when it is ``Randomizable`` it is seeded before every item.
        seed: start of the random draws.
        redraw: draw anew in every epoch; ``False`` gives the same items in all of them, as validation needs.
    """

    def __init__(
        self, data: Sequence[Any], transform: Callable | None = None, seed: int = 0, redraw: bool = True
    ) -> None:
        self.data = data
        self.transform = transform
        self.seed = seed
        self.redraw = redraw

    def __len__(self) -> int:
        return len(self.data)

    def __getitem__(self, index: int | EpochIndex) -> Any:
        epoch, number = index if isinstance(index, EpochIndex) else EpochIndex(0, index)
        item = self.data[number]
        if self.transform is None:
            return item
        if isinstance(self.transform, Randomizable):
            entropy = (self.seed, epoch if self.redraw else 0, number)
            draw = np.random.SeedSequence(entropy).generate_state(1)[0]
            self.transform.set_random_state(seed=int(draw))
        return apply_transform(self.transform, item, map_items=False)
