"""Inferers and their settings: number format, memory format, and the outputs of restoration."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from models_genesis_bundle.networks import finest_output
from models_genesis_bundle.networks.pretrained import plain
from models_genesis_bundle.weights import unwrap
from monai.inferers import Inferer, SimpleInferer
from monai.networks.layers.utils import get_act_layer
from torch.overrides import TorchFunctionMode

CONVOLUTIONS = (torch.conv2d, torch.conv3d, torch.conv_transpose2d, torch.conv_transpose3d)


def precision_dtype(precision: str, device: str | torch.device) -> torch.dtype:
    """The data type for a ``precision`` setting on a device.

    Args:
        precision: ``"float32"``, ``"bfloat16"``, ``"float16"`` (only on a GPU, with the trainer's ``amp``), or ``"auto"``:
            bfloat16 if the device supports it natively, otherwise float16 on a GPU and float32 on a CPU.
        device: the device of the network.

    Raises:
        ValueError: for another name, and for float16 on a CPU.
    """
    device = torch.device(device)
    named = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}
    if precision == "auto":
        if device.type == "cuda":
            return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
        native = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
        return torch.bfloat16 if device.type == "cpu" and native else torch.float32
    if precision not in named:
        raise ValueError(f"precision: expected one of auto, {', '.join(named)}, found {precision!r}.")
    if precision == "float16" and device.type == "cpu":
        raise ValueError("precision: float16 needs a GPU; on a CPU use bfloat16 or float32.")
    return named[precision]


def to_memory_format(network: torch.nn.Module, channels_last: bool = True) -> torch.nn.Module:
    """Store convolution weights (2D or 3D) channels-last, which is the fastest memory format on CPUs and GPUs.

    Results change only by rounding. The order of the weights in a state dict does not change.
    """
    if not channels_last:
        return network
    dims = {parameter.dim() for parameter in network.parameters()}
    return network.to(memory_format=torch.channels_last_3d if 5 in dims else torch.channels_last)


class AutocastInferer(Inferer):
    """Runs another inferer under ``torch.autocast`` on any device, and returns float32.

    MONAI's ``amp: true`` works only with CUDA. bfloat16 has the range of float32 and needs no gradient scaler, so that only the
    forward pass must change. On a CPU, the smallest feature maps stay in float32: see ``Float32OnSmallMaps``.

    Args:
        dtype: data type of the forward pass; ``torch.float32`` disables autocast.
        inferer: runs the network; a ``SimpleInferer`` by default.
    """

    def __init__(self, dtype: torch.dtype, inferer: Inferer | None = None) -> None:
        super().__init__()
        self.dtype = dtype
        self.inferer = inferer or SimpleInferer()

    def __call__(self, inputs: torch.Tensor, network: torch.nn.Module, *args: Any, **kwargs: Any) -> Any:
        """Infer ``inputs`` of shape (B, C, X, Y[, Z])."""
        device = inputs.device.type
        exact_where_needed = Float32OnSmallMaps() if (device, self.dtype) == ("cpu", torch.bfloat16) else nullcontext()
        with torch.autocast(device, dtype=self.dtype, enabled=self.dtype != torch.float32), exact_where_needed:
            outputs = self.inferer(inputs, network, *args, **kwargs)
        return outputs.float()


class RestorationInferer(AutocastInferer):
    """An ``AutocastInferer`` for restoration: turns a network's output into the restored cube.

    - If the network has several outputs (deep supervision in training), the finest is used; see ``finest_output``.
    - Then the activation is applied, in float32, unless the network already ends with one (``GenesisUNet`` records this in
      ``config()``). With a sliding window, it is applied to each window before the windows are blended.
    - With a mask, voxels outside of it keep the values of the input: they have no error and no gradient. MONAI's
      ``PrepareBatchExtraInput`` passes the mask of a batch.

    Args:
        dtype: data type of the network's forward pass; ``torch.float32`` disables autocast.
        activation: the output activation, see MONAI's ``get_act_layer``; None: no activation.
        inferer: runs the network; a ``SimpleInferer`` by default.

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
            mask: bool, (B, 1, X, Y[, Z]): the voxels to restore; None: all.
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
                f"output_activation: expected {self.activation!r}, but {type(bare).__name__} already applies {own!r}. Set "
                "network_def::output_activation to the same value, or to null."
            )
        return own is not None


class Float32OnSmallMaps(TorchFunctionMode):
    """Context in which convolutions of maps with a side shorter than the kernel compute in float32, without autocast.

    oneDNN 3.12 (in torch 2.13 and 2.14) gives wrong results in bfloat16 on such maps. They are so small that float32 costs no
    time. The affected results are:

    - With AVX-512 BF16 and channels-last, the gradient of a 3D convolution's weights when the first side is shorter than the
      kernel (``compute_od_loop_common`` of ``jit_avx512_core_bf16_conv_kernel.cpp`` reads past the map's end): values are wrong
      or NaN. The same gradient of strided convolutions of maps whose last side is one voxel.
    - With AMX, the outputs of a strided convolution whose last side becomes one voxel
      (https://github.com/pytorch/pytorch/issues/169688).

    Remove this class when ``test_gradients_in_bfloat16_are_those_in_float32_but_for_rounding`` passes without it on both.
    """

    def __torch_function__(
        self, func: Callable, types: Any, args: tuple = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Call ``func``, a function of torch."""
        kwargs = kwargs or {}
        if func not in CONVOLUTIONS or not _is_small(*args, **kwargs):
            return func(*args, **kwargs)
        with torch.autocast("cpu", enabled=False):
            return func(*map(_as_float32, args), **{name: _as_float32(value) for name, value in kwargs.items()})


def _is_small(input: torch.Tensor, weight: torch.Tensor, *args: Any, **kwargs: Any) -> bool:
    """Whether a spatial side of a map is shorter than the kernel; the arguments are those of a convolution."""
    kernel = weight.shape[2:]
    return any(side < length for side, length in zip(input.shape[-len(kernel) :], kernel, strict=True))


def _as_float32(argument: Any) -> Any:
    return argument.float() if isinstance(argument, torch.Tensor) else argument
