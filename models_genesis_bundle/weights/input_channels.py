"""Convolutions that see the input, made to fit another number of input channels."""

from __future__ import annotations

import torch

__all__ = ["fit_input_channels"]


def fit_input_channels(weight: torch.Tensor, channels: int) -> torch.Tensor:
    """Change how many input channels a convolution's weight takes.

    More channels: channel ``j`` gets the weights of channel ``j mod s``, ``s`` the present number, divided by how many
    channels share them. Fewer, ``t``: the weights of the channels ``i`` with ``i mod t = j`` are summed to channel ``j``.
    Either way, an image whose channels are all the same gives the response that it gave before; so a network that was
    pretrained on one CT channel sees the same features when each of four MR channels shows the same.

    Args:
        weight: (outputs, s, kernel sides …).
        channels: the number of input channels wanted, ``t``.

    Returns:
        (outputs, t, kernel sides …).
    """
    present = weight.shape[1]
    if channels > present:
        index = torch.arange(channels, device=weight.device) % present
        sharing = torch.bincount(index)[index].view(1, -1, *[1] * (weight.dim() - 2))
        return weight[:, index] / sharing
    index = torch.arange(present, device=weight.device) % channels
    fitted = weight.new_zeros(weight.shape[0], channels, *weight.shape[2:])
    return fitted.index_add_(1, index, weight)
