"""ImageNet weights for MONAI's EfficientNet encoders, from the user's cache or a download."""

from __future__ import annotations

import pickle
import re
from pathlib import Path

import torch
from models_genesis_bundle.files import file_sha256
from monai.networks.nets.efficientnet import url_map

__all__ = ["ImageNetWeightsError", "load_imagenet_weights"]

MEAN = (0.485, 0.456, 0.406)  # of ImageNet's red, green and blue in 0 … 1: what the weights expect taken off …
STANDARD_DEVIATION = (0.229, 0.224, 0.225)  # … and divided by


class ImageNetWeightsError(RuntimeError):
    """ImageNet weights could not be loaded; the message says where to put the file."""


def load_imagenet_weights(encoder: torch.nn.Module, backbone: str) -> None:
    """Load all weights that MONAI names for an EfficientNet, or raise.

    MONAI's own loader skips tensors that are not in the file, and does not check a file in the cache; this one compares
    the file with the beginning of its SHA-256, which is in its name.

    Args:
        encoder: MONAI's ``EfficientNetEncoder`` for RGB slices, also without the layers after its last stage.
        backbone: ``"efficientnet-b0"`` … ``"efficientnet-b7"``.

    Raises:
        ImageNetWeightsError: when the file is not in the cache and cannot be downloaded, is damaged, or of another network.
    """
    url = url_map[backbone]
    path = Path(torch.hub.get_dir()) / "checkpoints" / Path(url).name
    try:
        found = torch.hub.load_state_dict_from_url(url, map_location="cpu", check_hash=True, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        advice = (
            "the file there is damaged: remove it"
            if path.exists()
            else f"it is not there: download {url} and put it there, or set TORCH_HOME to the cache that has it"
        )
        reason = str(error).split(". ")[0]
        raise ImageNetWeightsError(
            f"{path}: no ImageNet weights of {backbone} ({reason}); {advice}, or start without them "
            "(`--network_def::pretrained false`)."
        ) from error
    if (digest := torch.hub.HASH_REGEX.search(path.name)) and not file_sha256(path).startswith(digest[1]):
        raise ImageNetWeightsError(
            f"{path}: no ImageNet weights of {backbone} (its SHA-256 does not begin as its name says); the file there is "
            "damaged: remove it, or start without them (`--network_def::pretrained false`)."
        )
    # The number of batches that a normalisation has seen is no weight, and older files lack it.
    own = {key: value for key, value in encoder.state_dict().items() if not key.endswith("num_batches_tracked")}
    # MONAI numbers the blocks within their stages (_blocks.stage.block), the file through all of them (_blocks.block).
    theirs = {key: re.sub(r"^_blocks\.\d+\.", "_blocks.", key) for key in own}
    missing = [name for key, name in theirs.items() if name not in found or found[name].shape != own[key].shape]
    if missing:
        raise ImageNetWeightsError(
            f"{path}: no ImageNet weights of {backbone}: {len(missing)} of {len(own)} tensors are missing or of another "
            f"shape, first {missing[0]}; put the file from {url} there."
        )
    encoder.load_state_dict({key: found[name] for key, name in theirs.items()}, strict=False)
