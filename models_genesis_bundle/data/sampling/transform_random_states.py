"""Reseeding of a whole pipeline of random transforms, fast enough for every item."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import numpy as np
from monai.transforms import Randomizable

__all__ = ["RandomStates"]


class RandomStates:
    """The random states of a transform and of all that it is made of.

    ``transform.set_random_state`` makes a new generator for each part, which costs more than a deformation does; to seed
    the generators that are there anew takes microseconds.

    Args:
        transform: gets states of its own; parts are found in its attributes, and in lists, tuples and dictionaries there.
    """

    def __init__(self, transform: Randomizable) -> None:
        self.transform = transform
        transform.set_random_state(seed=0)
        own = (part.R for part in _parts(transform, set()) if "R" in vars(part))
        self.states = list({id(state): state for state in own}.values())

    def are_current(self) -> bool:
        """False once somebody else, such as MONAI in a new worker, has given the transform other states."""
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
