"""The input sizes that a network accepts, and its finest output."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch

DIVISORS = (2, 4, 8, 16, 32, 64)


def finest_output(outputs: torch.Tensor | Sequence[torch.Tensor], inputs: torch.Tensor) -> torch.Tensor:
    """The finest of several outputs (deep supervision); a single output is returned unchanged.

    MONAI's ``SegResNetDS`` returns a list, ``DynUNet`` stacks (B, outputs, C, X, Y[, Z]). In both the finest output comes first.

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


def require_fitting_size(
    network: torch.nn.Module, size: Sequence[int], setting: str = "cube_size", channels: int | None = None
) -> None:
    """Refuse a cube size that a network does not accept, or for which its output has another size.

    A copy of the network is run on PyTorch's ``meta`` device (shapes without arithmetic), in less than a second. A network that
    cannot run there, because it creates tensors on another device, is not checked.

    Args:
        network: from (B, C, X, Y[, Z]) to one or more maps of the same sides (see ``finest_output``).
        size: the sides of a cube in voxels.
        setting: the setting's name in the configuration, for the message.
        channels: the required number of input and output channels; None: not checked.

    Raises:
        ValueError: the size or the number of channels does not fit. The message names the setting, the nearest larger size that
            fits, the divisor of its sides, and the network's own message.
    """
    size, name = [int(side) for side in size], type(network).__name__
    copied = _on_meta(network)
    if problem := _problem(copied, size):
        for divisor in DIVISORS:
            larger = [-(-side // divisor) * divisor for side in size]
            if larger != size and not _problem(copied, larger):
                raise ValueError(
                    f"{setting}: {name} cannot take {size}. Sides divisible by {divisor} fit: "
                    f"`--{setting} '{larger}'`. The network says: {problem}"
                )
        dims = {weight.dim() - 2 for weight in network.parameters() if weight.dim() > 3}
        if dims and len(size) not in dims:
            raise ValueError(
                f"{setting}: expected {max(dims)} sides for {name}, found {size}. Change {setting}, or use another network. The "
                f"network says: {problem}"
            )
    elif channels is not None:
        for place, found in (("in_channels", _in_channels(copied)), ("out_channels", _output(copied, size).shape[1])):
            if found != channels:
                raise ValueError(
                    f"{place}: expected {channels}, the number of channels of a scan (scan_preprocessing::channels), found "
                    f"{found} in {name}."
                )


def _in_channels(network: torch.nn.Module) -> int:
    return next((weight.shape[1] for weight in network.parameters() if weight.dim() > 2), 1)


def _output(network: torch.nn.Module, size: list[int], cubes: int = 2) -> torch.Tensor:
    """The finest output for a batch of cubes."""
    batch = torch.empty(cubes, _in_channels(network), *size, device="meta")
    with torch.no_grad():
        return finest_output(network(batch), batch)


def require_batch_statistics(
    network: torch.nn.Module, size: Sequence[int], loader: Any, cubes_per_item: int = 1, setting: str = "cube_size"
) -> None:
    """Refuse a training whose last batch is a single cube that becomes a single voxel in the deepest map of the network.

    A normalisation then has only one value for each channel, and PyTorch would end the epoch with an error.

    Args:
        network: as for `require_fitting_size`, in training mode.
        size: the sides of a cube in voxels.
        loader: the training's ``DataLoader`` with a sampler.
        cubes_per_item: number of cubes in an item of the loader.
        setting: name of the setting with the sides, for the message.

    Raises:
        ValueError: the message has the numbers, the settings and the network's own message.
    """
    items, batch_size = len(loader.sampler), loader.batch_size
    if (items % batch_size or batch_size) * cubes_per_item > 1:
        return
    copied, size = _on_meta(network), [int(side) for side in size]
    problem = _problem(copied, size, cubes=1)
    if problem != _problem(copied, size):
        raise ValueError(
            f"batch_size: {items} training items in batches of {batch_size} leave one cube of {size}, which "
            f"{type(network).__name__} cannot be trained with. Set another batch_size, or a larger {setting}. The network says: "
            f"{problem}"
        )


def _on_meta(network: torch.nn.Module) -> torch.nn.Module:
    """A copy of the network on the meta device, without values."""
    on_meta: dict[int, Any] = {id(buffer): buffer.to("meta") for buffer in network.buffers()}
    on_meta |= {id(weight): torch.nn.Parameter(weight.detach().to("meta")) for weight in network.parameters()}
    return copy.deepcopy(network, on_meta)


def _problem(network: torch.nn.Module, size: list[int], cubes: int = 2) -> str:
    """The reason why a batch of cubes fails; empty if it does not fail."""
    try:
        sides = list(_output(network, size, cubes).shape[2:])
    except Exception as error:  # networks raise different errors for a size
        return str(error)
    return "" if sides == size else f"its output has the sides {sides}."
