"""The main output of a network with deep supervision."""

from __future__ import annotations

from collections.abc import Sequence

import torch

__all__ = ["finest_output"]


def finest_output(outputs: torch.Tensor | Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """The finest of several outputs (deep supervision); a single output unchanged.

    MONAI's ``SegResNetDS`` returns a list, ``DynUNet`` stacks (B, outputs, C, X, Y[, Z]); in both the finest comes first.

    Args:
        outputs: the network's outputs.
        inputs: (B, C, X, Y[, Z]), the network's inputs.

    Returns:
        (B, C, X, Y[, Z]).

    Examples:
        >>> from models_genesis_bundle.networks import finest_output
        >>> finest_output([torch.zeros(1, 2, 8, 8), torch.zeros(1, 2, 4, 4)], torch.zeros(1, 1, 8, 8)).shape
        torch.Size([1, 2, 8, 8])
    """
    if not isinstance(outputs, torch.Tensor):
        return outputs[0]
    return outputs[:, 0] if outputs.dim() > inputs.dim() else outputs
