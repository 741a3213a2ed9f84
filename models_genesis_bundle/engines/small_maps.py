"""Computes convolutions in float32 that bfloat16 gets wrong on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

__all__ = ["Float32OnSmallMaps"]

CONVOLUTIONS = (torch.conv2d, torch.conv3d, torch.conv_transpose2d, torch.conv_transpose3d)


class Float32OnSmallMaps(TorchFunctionMode):
    """While it is entered, convolutions of maps with a side shorter than their kernel leave autocast and compute in float32.

    oneDNN 3.12, which torch 2.13 and 2.14 compute with, gets bfloat16 wrong on such maps; they are so small that float32 costs
    nothing:

    - On processors with AVX-512 BF16, the gradient of a 3D convolution's weights when the first side is shorter than the
      kernel, as 2 voxels under a kernel of 3, in channels-last (``compute_od_loop_common`` of its
      ``jit_avx512_core_bf16_conv_kernel.cpp``): slices are taken for their neighbours and one is read past the map's end, so
      that values are wrong, or NaN when the memory there is.
    - There too, the same gradient of strided 2D and 3D convolutions of maps whose last side is one voxel.
    - With AMX, the outputs of a strided convolution whose last side comes out as one voxel
      (https://github.com/pytorch/pytorch/issues/169688).

    Remove this class when ``test_gradients_in_bfloat16_are_those_in_float32_but_for_rounding`` passes without it on processors of
    both kinds. No release is known that does.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``, which torch was about to call."""
        kwargs = kwargs or {}
        if func in CONVOLUTIONS and _is_small(*args, **kwargs):
            return _in_float32(func, *args, **kwargs)
        return func(*args, **kwargs)


def _is_small(input: torch.Tensor, weight: torch.Tensor, *args: Any, **kwargs: Any) -> bool:
    """Whether one of a map's spatial sides is shorter than the kernel's; the arguments are a convolution's."""
    kernel = weight.shape[2:]
    return any(side < length for side, length in zip(input.shape[-len(kernel) :], kernel, strict=True))


def _in_float32(
    convolution: Callable,
    input: torch.Tensor,
    weight: torch.Tensor,
    bias: torch.Tensor | None = None,
    *args: Any,
    **kwargs: Any,
) -> torch.Tensor:
    with torch.autocast(input.device.type, enabled=False):
        return convolution(input.float(), weight.float(), None if bias is None else bias.float(), *args, **kwargs)
