"""The keys of a state dict: prefixes, renaming, and the parts encoder, decoder and head."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import torch
from monai.utils import ensure_tuple
from torch.nn.parallel import DataParallel, DistributedDataParallel

PYTORCH_PREFIXES = ("module.", "_orig_mod.")  # DataParallel and DistributedDataParallel; torch.compile
WRAPPER_PREFIXES = (*PYTORCH_PREFIXES, "model.", "network.", "net.")  # Lightning modules as well

# For each network, how the keys of its parts begin. A layout fits if each key belongs to one of its parts.
LAYOUTS: dict[str, dict[str, str]] = {
    "PlainConvUNet, ResidualEncoderUNet": {  # of nnU-Net; the decoder contains the encoder again
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
    "DynUNet": {  # skip_layers contains the same tensors again, nested
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
    """The keys of a state dict do not belong to a network whose parts are known."""


def unwrap(network: torch.nn.Module) -> torch.nn.Module:
    """The network inside ``DataParallel``, ``DistributedDataParallel`` and ``torch.compile``."""
    if isinstance(network, DataParallel | DistributedDataParallel):
        return unwrap(network.module)
    return unwrap(network._orig_mod) if hasattr(network, "_orig_mod") else network


def wrapper_prefix(keys: Collection[str], prefixes: Sequence[str], own_keys: Collection[str]) -> str:
    """The prefix of wrappers that all ``keys`` have. A prefix of all ``own_keys``, the keys of the network, does not count."""
    wrappers = [prefix for prefix in prefixes if not own_keys or not _all_begin(own_keys, prefix)]
    common = ""
    while keys and (longer := next((one for one in wrappers if _all_begin(keys, common + one)), "")):
        common += longer
    return common


def prefix_of_network(keys: Collection[str], own_keys: Collection[str]) -> str:
    """The prefix of the network's keys in a file with other tensors, such as ``unet.`` in a Lightning module.

    Empty if the file has keys of the network without a prefix, or if two prefixes fit equally well.
    """
    first, present = next(iter(own_keys), ""), set(keys)
    if not first or not present.isdisjoint(own_keys):
        return ""
    found = Counter(
        {
            prefix: sum(prefix + own in present for own in own_keys)
            for prefix in {key.removesuffix(first) for key in present if key.endswith(f".{first}")}
        }
    ).most_common(2)
    tied = len(found) == 2 and found[0][1] == found[1][1]
    return found[0][0] if found and not tied else ""


def _all_begin(keys: Collection[str], prefix: str) -> bool:
    return all(key.startswith(prefix) for key in keys)


def renamed(
    state: Mapping[str, torch.Tensor], *changes: tuple[str, str | Callable[[re.Match[str]], str]]
) -> dict[str, torch.Tensor]:
    """Rename the keys of tensors; ``changes`` are patterns and replacements for ``re.sub``, applied in order."""
    result = dict(state)
    for pattern, replacement in changes:
        result = {re.sub(pattern, replacement, key): value for key, value in result.items()}
    return result


def key_parts(keys: Iterable[str]) -> dict[str, list[str]]:
    """Sort the keys of a state dict into ``encoder``, ``decoder`` and ``head``.

    It recognises ``GenesisUNet`` and ``GenesisClassifier``, MONAI's ``SegResNetDS``, ``SegResNet``, ``DynUNet``, ``SwinUNETR``,
    ``BasicUNet`` and ``DiNTS``, and nnU-Net's ``PlainConvUNet`` and ``ResidualEncoderUNet``. The encoder is everything before the
    first upsampling, and the blocks on the skip connections of ``SwinUNETR``. The head is the output layers,
    including those of deep supervision. The decoder is the rest.

    Args:
        keys: the keys, without prefixes such as ``module.``.

    Returns:
        The keys of each part, in their order; an empty list for a part that the network does not have.

    Raises:
        UnknownLayoutError: the keys belong to no known network.
    """
    return recognised_layout(keys)[1]


def recognised_layout(keys: Iterable[str]) -> tuple[str, dict[str, list[str]]]:
    """The class names of the networks with these keys, joined by commas, and the keys of each part."""
    keys = list(keys)
    for name, patterns in LAYOUTS.items():
        parts = {part: [key for key in keys if re.match(pattern, key)] for part, pattern in patterns.items()}
        if parts["encoder"] and sum(map(len, parts.values())) == len(keys):
            return name, parts
    raise UnknownLayoutError(
        f"Cannot identify encoder, decoder and head from the keys {', '.join(keys[:3]) or '(none)'}, …. Known layouts: "
        f"{', '.join(LAYOUTS)}. Add a method `parts()` to the network's class that returns the keys of each part "
        "({'encoder': […], 'decoder': […], 'head': […]}), or do not name parts: transfer all, freeze none."
    )


def network_parts(network: torch.nn.Module) -> dict[str, list[str]]:
    """The keys of each part of a network, from its method ``parts()`` if it has one, otherwise from ``key_parts``.

    Raises:
        UnknownLayoutError: the network has no ``parts()`` and is not a known one.
        ValueError: ``parts()`` omits keys or names them twice.
    """
    keys = list(network.state_dict())
    if not hasattr(network, "parts"):
        return key_parts(keys)
    parts = network.parts()
    if sorted(key for named in parts.values() for key in named) != sorted(keys):
        raise ValueError(f"{type(network).__name__}.parts(): must name each key of the state dict once.")
    return parts


def select_parts(names: str | Sequence[str], known: Mapping[str, Collection[str]], setting: str) -> tuple[str, ...]:
    """The parts that a setting names; ``"all"`` means all parts with keys in ``known``. Unknown names are a ``ValueError``."""
    wanted = ensure_tuple(names)
    unknown = [name for name in wanted if name not in known and name != "all"]
    if unknown:
        raise ValueError(f"{setting}: expected names from {', '.join(known)}, or all, found {', '.join(unknown)}.")
    return tuple(part for part in known if known[part]) if "all" in wanted else wanted
