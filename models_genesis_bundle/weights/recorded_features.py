"""The width of the network that weights are of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["recorded_features"]

SHIPPED = (16, 32, 64, 128)  # of models/model.pt


def recorded_features(network: Mapping[str, Any], otherwise: Sequence[int] = SHIPPED) -> list[int]:
    """Channels by level of the ``GenesisUNet`` in a weight file, so that a configuration builds the network that fits it.

    Args:
        network: the file's record of its network (see ``network_record``); empty without a file or a record.
        otherwise: what is returned where the record does not say; by default the channels of the weights that ship.
    """
    return list(network.get("arguments", {}).get("features", otherwise))
