"""Which entries of a state dict are encoder, decoder and head."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence

import torch
from monai.utils import ensure_tuple

__all__ = ["UnknownLayoutError", "key_parts", "layout_name", "network_parts", "select_parts"]

# Per network, what the keys of each part begin with. A layout fits when each key belongs to one of its parts.
LAYOUTS: dict[str, dict[str, str]] = {
    "PlainConvUNet, ResidualEncoderUNet": {  # nnU-Net's; the decoder holds the encoder's tensors again
        "encoder": r"(decoder\.)?encoder\.(stem\.convs|stages\.\d+\.(\d+\.convs|blocks))\.",
        "decoder": r"decoder\.(stages\.\d+\.convs|transpconvs)\.",
        "head": r"decoder\.seg_layers\.",
    },
    "GenesisUNet, GenesisClassifier": {"encoder": r"encoder\.", "decoder": r"decoder\.", "head": r"head\."},
    "SegResNetDS": {
        "encoder": r"encoder\.",
        "decoder": r"up_layers\.\d+\.(?!head\.)",
        "head": r"up_layers\.\d+\.head\.",
    },
    "SegResNet": {
        "encoder": r"(convInit|down_layers)\.",
        "decoder": r"(up_layers|up_samples|conv_final\.0)\.",
        "head": r"conv_final\.2\.",
    },
    "DynUNet": {  # skip_layers holds the same tensors again, nested as the forward pass runs through them
        "encoder": r"(input_block|downsamples|bottleneck|skip_layers\.(next_layer\.)*(downsample|conv\d|norm\d))\.",
        "decoder": r"(upsamples|skip_layers\.(next_layer\.)*upsample)\.",
        "head": r"(output_block|deep_supervision_heads|skip_layers\.(next_layer\.)*super_head)\.",
    },
    "SwinUNETR": {"encoder": r"(swinViT|encoder\d+)\.", "decoder": r"decoder\d+\.", "head": r"out\."},
    "BasicUNet": {"encoder": r"(conv_0|down_\d+)\.", "decoder": r"upcat_\d+\.", "head": r"final_conv\."},
    "DiNTS": {
        "encoder": r"(stem_down|dints_space)\.",
        "decoder": r"(stem_up|stem_finals\.0)\.",
        "head": r"stem_finals\.1\.",
    },
}


class UnknownLayoutError(ValueError):
    """The keys of a state dict are those of no network whose parts are known."""


def key_parts(keys: Iterable[str]) -> dict[str, list[str]]:
    """Sort the keys of a state dict into ``encoder``, ``decoder`` and ``head``.

    Known are ``GenesisUNet`` and ``GenesisClassifier``, MONAI's ``SegResNetDS``, ``SegResNet``, ``DynUNet``, ``SwinUNETR``,
    ``BasicUNet`` and ``DiNTS``, and nnU-Net's ``PlainConvUNet`` and ``ResidualEncoderUNet``. The encoder is all that comes
    before the first upsampling, the blocks on the skip connections of ``SwinUNETR`` included; the head is what makes the
    outputs, deep supervision's included; the decoder lies between.

    Args:
        keys: the keys, without prefixes such as ``module.``.

    Returns:
        The keys of each part, in their order; an empty list for a part that the network does not have.

    Raises:
        UnknownLayoutError: when the keys are of no known network.
    """
    return _recognise(keys)[1]


def layout_name(keys: Iterable[str]) -> str:
    """The networks that have the keys of a state dict, by their class names, a comma between them.

    Raises:
        UnknownLayoutError: when the keys are of no known network.
    """
    return _recognise(keys)[0]


def _recognise(keys: Iterable[str]) -> tuple[str, dict[str, list[str]]]:
    keys = list(keys)
    for name, patterns in LAYOUTS.items():
        parts = {part: [key for key in keys if re.match(pattern, key)] for part, pattern in patterns.items()}
        if parts["encoder"] and sum(map(len, parts.values())) == len(keys):
            return name, parts
    raise UnknownLayoutError(
        f"Cannot tell encoder, decoder and head from the keys {', '.join(keys[:3]) or '(none)'}, …: known are "
        f"{', '.join(LAYOUTS)}. Give the network's class a method `parts()` that returns the keys of each part "
        "({'encoder': […], 'decoder': […], 'head': […]}), or name no part: transfer all, freeze none."
    )


def network_parts(network: torch.nn.Module) -> dict[str, list[str]]:
    """The keys of each part of a network: what its own method ``parts()`` says, else what ``key_parts`` recognises.

    Raises:
        UnknownLayoutError: when the network has no ``parts()`` and is not a known one.
        ValueError: when ``parts()`` leaves keys out or names them twice.
    """
    keys = list(network.state_dict())
    if not hasattr(network, "parts"):
        return key_parts(keys)
    parts = network.parts()
    if sorted(key for named in parts.values() for key in named) != sorted(keys):
        raise ValueError(f"{type(network).__name__}.parts(): must name each key of the state dict once.")
    return parts


def select_parts(names: str | Sequence[str], known: Collection[str], setting: str) -> tuple[str, ...]:
    """The parts that a setting names; ``"all"`` stands for every part.

    Args:
        names: one name or several; none is allowed.
        known: the parts there are.
        setting: what the setting is called, for the error.

    Raises:
        ValueError: naming a part that is not known.
    """
    wanted = ensure_tuple(names)
    unknown = [name for name in wanted if name not in known and name != "all"]
    if unknown:
        raise ValueError(f"{setting}: expected names out of {', '.join(known)} and all, found {', '.join(unknown)}.")
    return tuple(known) if "all" in wanted else wanted
