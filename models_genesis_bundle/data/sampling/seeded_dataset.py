"""A dataset whose random transforms depend on the item and the epoch alone."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from monai.transforms import Randomizable, apply_transform
from torch.utils.data import Dataset

from models_genesis_bundle.data.sampling.transform_random_states import RandomStates

__all__ = ["EpochIndex", "SeededDataset"]


class EpochIndex(NamedTuple):
    """Which item to load, in which epoch, and how often it was in the epoch before, as a sampler yields it."""

    epoch: int
    item: int
    repeat: int = 0


class SeededDataset(Dataset):
    """Applies a random transform whose draws follow from (``seed``, epoch, index, repeat).

    An item is thus the same in any worker, on any rank and after a restart: runs with 0 and with 8 workers train on the
    same cubes, and a resumed run goes on exactly.

    Args:
        data: the items, for example `ScanCubes`. With an attribute ``by_epoch`` they are asked for by `EpochIndex`.
        transform: a MONAI transform; when it is ``Randomizable`` it is seeded before every item.
        seed: start of the random draws.
        redraw: draw anew in every epoch; ``False`` gives the same items in all of them, as validation needs.
        prepare: makes of `data` what the transform gets, as ``CacheDataset`` with a deterministic transform does. A
            configuration's ``dataset::data`` then is the plain list of files that other programs put their own in place of.

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
