"""Runs any network for restoration: its finest output, after the output activation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from models_genesis_bundle.engines.precision import AutocastInferer
from models_genesis_bundle.networks import finest_output
from models_genesis_bundle.networks.pretrained import plain
from models_genesis_bundle.weights import unwrap
from monai.inferers import Inferer
from monai.networks.layers.utils import get_act_layer

__all__ = ["RestorationInferer"]


class RestorationInferer(AutocastInferer):
    """An ``AutocastInferer`` for restoration: turns a network's output into the restored cube.

    - Of several outputs (deep supervision in training) the finest is taken; see ``finest_output``.
    - The activation follows, in float32. A network that already ends with one, as ``GenesisUNet`` says in ``config()``,
      gets no second one. With a sliding window it acts on each window before they are blended.
    - With a mask, voxels outside of it stay as they are in the input: they have no error and no gradient. MONAI's
      ``PrepareBatchExtraInput`` passes the mask of a batch on.

    Args:
        dtype: of the network's forward pass; ``torch.float32``: no autocast.
        activation: the output activation, as MONAI's ``get_act_layer`` takes it; None: the network's outputs as they are.
        inferer: what runs the network, a ``SimpleInferer`` by default.

    Shape:
        Input (B, C, X, Y[, Z]); output the same, float32, in (0, 1) with ``"sigmoid"``.
    """

    def __init__(
        self, dtype: torch.dtype, activation: str | Sequence[Any] | None, inferer: Inferer | None = None
    ) -> None:
        super().__init__(dtype, inferer)
        self.activation = plain(activation)
        self.activate = torch.nn.Identity() if activation is None else get_act_layer(activation)

    def __call__(
        self,
        inputs: torch.Tensor,
        network: torch.nn.Module,
        *args: Any,
        mask: torch.Tensor | None = None,
        **kwargs: Any,
    ) -> torch.Tensor:
        """Restore ``inputs``.

        Args:
            inputs: the cubes.
            network: restores them.
            mask: bool, (B, 1, X, Y[, Z]): where the network's output is taken; None: everywhere.
            args: further arguments of the network.
            kwargs: further arguments of the network.

        Raises:
            ValueError: when the network ends with another activation than this one.
        """
        activated = self._ends_activated(network)

        def restore(cubes: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
            output = finest_output(network(cubes, *args, **kwargs), cubes).float()
            return output if activated else self.activate(output)

        restored = super().__call__(inputs, restore, *args, **kwargs)
        return restored if mask is None else torch.where(mask, restored, inputs)

    def _ends_activated(self, network: torch.nn.Module) -> bool:
        bare = unwrap(network)
        own = bare.config().get("output_activation") if hasattr(bare, "config") else None
        if own not in (None, self.activation):
            raise ValueError(
                f"output_activation: {type(bare).__name__} ends with {own!r}, but the outputs are to end with "
                f"{self.activation!r}. Let network_def::output_activation be the same, or null."
            )
        return own is not None
