"""A network that is nothing but tensors, to receive what a file shall hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import torch

__all__ = ["bare_network"]


def bare_network(
    state: Mapping[str, torch.Tensor], encoder: Collection[str], in_channels: int | None = None
) -> torch.nn.Module:
    """A module with the keys and shapes of a state dict, all zeros; it computes nothing.

    Keys that share a tensor in the state dict share one here.

    Args:
        state: tensors by key.
        encoder: the keys of the encoder, in their order.
        in_channels: how many channels those of its kernels take that see the image; None: as many as now.
    """
    kernels = [key for key in encoder if state[key].dim() > 2]
    present = state[kernels[0]].shape[1] if kernels else None
    root = torch.nn.Module()
    shared: dict[int, torch.Tensor] = {}
    for key, value in state.items():
        *path, name = key.split(".")
        module = root
        for part in path:
            if part not in dict(module.named_children()):
                module.add_module(part, torch.nn.Module())
            module = module.get_submodule(part)
        shape = list(value.shape)
        if in_channels is not None and key in kernels and shape[1] == present:
            shape[1] = in_channels
        module.register_buffer(name, shared.setdefault(value.data_ptr(), value.new_zeros(shape)))
    return root
