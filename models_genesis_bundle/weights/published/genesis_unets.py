"""The U-Net of Models Genesis in PyTorch and Keras files, and SuPreM's weights of the same network."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

import torch
from models_genesis_bundle.weights.key_parts import renamed
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, ct_window, hub

STAGES = 4  # of the encoder; the decoder has one less

LUNA16 = ct_window(-1000.0, 1000.0, orientation="LPS")  # original spacing, axes of LUNA16's files
ABDOMEN = ct_window(-175.0, 250.0, spacing=1.5)
GENESIS: Mapping[str, Any] = {
    "licence": "non-commercial use only, by the licence of Arizona State University; a patent on the method is pending",
    "page": "https://huggingface.co/MrGiovanni/ModelsGenesis",
    "data": "CT scans of LUNA16, by the authors of Models Genesis",
}
SUPREM: Mapping[str, Any] = {
    "licence": "CC BY-NC-ND 4.0: non-commercial use only, and weights made from them must not be shared",
    "page": "https://github.com/MrGiovanni/SuPreM/blob/main/LICENSE",
    "data": "2 100 abdominal CT scans with labels of organs, by the authors of SuPreM",
}

FIRST = "down_tr64.ops.0.conv1.weight"
# The keys name the stages by the widths of the published file, even in files with other widths.
PYTORCH_KEYS = (
    *((rf"^down_tr{64 << stage}\.ops", f"encoder.stages.{stage}") for stage in range(STAGES)),
    *((rf"^up_tr{256 >> stage}\.up_conv", f"decoder.stages.{stage}.up") for stage in range(STAGES - 1)),
    *((rf"^up_tr{256 >> stage}\.ops", f"decoder.stages.{stage}.convs") for stage in range(STAGES - 1)),
    (r"^out_tr\.final_conv\.", "head."),
    (r"\.conv1\.", ".conv."),
    (r"\.bn1\.", ".norm."),
)

# Convolutions in the order of the forward pass, two in each stage. Keras appends _1, _2, … to a name that is already used.
UNITS = (
    *(f"encoder.stages.{stage}.{place}" for stage in range(STAGES) for place in range(2)),
    *(f"decoder.stages.{stage}.convs.{place}" for stage in range(STAGES - 1) for place in range(2)),
)
KERAS_KEYS = (
    *((rf"^(?:.*/)?depth_{number}_conv(?:_\d+)?/", f"{unit}.conv.") for number, unit in enumerate(UNITS)),
    *((rf"^(?:.*/)?depth_{number}_bn(?:_\d+)?/", f"{unit}.norm.") for number, unit in enumerate(UNITS)),
    (r"^(?:.*/)?conv3d(?:_\d+)*/", "head."),
    (r"\.(kernel|gamma)$", ".weight"),
    (r"\.beta$", ".bias"),
    (r"\.moving_mean$", ".running_mean"),
    (r"\.moving_variance$", ".running_var"),
)

# In evaluation, the PyTorch network also uses batch statistics, although the file has running statistics.
BATCH_STATISTICS = ["batch", {"track_running_stats": False}]
KERAS_NORM = ["batch", {"eps": 1e-3}]  # Keras' default; evaluation uses the moving statistics


def _read_pytorch(
    state: State, content: Mapping[str, Any], scans: dict[str, Any], has_head: bool
) -> Translation | None:
    if FIRST not in state or ("out_tr.final_conv.weight" in state) != has_head:
        return None
    return _translation(renamed(state, *PYTORCH_KEYS), BATCH_STATISTICS, "deconv", scans)


def _read_keras(state: State, content: Mapping[str, Any]) -> Translation | None:
    own = renamed(state, *KERAS_KEYS) if any(key.endswith("/kernel") for key in state) else {}
    if "head.weight" not in own:
        return None
    for key, value in list(own.items()):
        if value.dim() == 5:  # from (X, Y, Z, inputs, outputs); Keras does not flip kernels either
            own[key] = value.permute(4, 3, 0, 1, 2).contiguous()
        if key.endswith("running_var"):  # changes no result; Keras does not save it
            own[key.replace("running_var", "num_batches_tracked")] = torch.tensor(0)
    return _translation(own, KERAS_NORM, "nearest", LUNA16)


def _translation(own: dict[str, torch.Tensor], norm: Any, upsample: str, scans: dict[str, Any]) -> Translation | None:
    if not all(f"{unit}.conv.weight" in own for unit in UNITS):
        return None
    arguments = {
        "in_channels": own["encoder.stages.0.0.conv.weight"].shape[1],
        "out_channels": len(own["head.weight"]) if "head.weight" in own else 1,
        "features": [len(own[f"encoder.stages.{stage}.1.conv.weight"]) for stage in range(STAGES)],
        "norm": norm,
        "upsample": upsample,
        "output_activation": "sigmoid",
    }
    return Translation(own, "models_genesis_bundle.networks.genesis_unet.GenesisUNet", arguments, scans)


PYTORCH_UNET = Layout(
    title="Models Genesis' PyTorch U-Net",
    files=hub("MrGiovanni/ModelsGenesis", "Genesis_Chest_CT.pt"),
    read=partial(_read_pytorch, scans=LUNA16, has_head=True),
    **GENESIS,
)
KERAS_UNET = Layout(
    title="Models Genesis' Keras U-Net",
    files=hub("MrGiovanni/ModelsGenesis", "Genesis_Chest_CT.h5"),
    read=_read_keras,
    **GENESIS,
)
SUPREM_UNET = Layout(
    title="SuPreM's U-Net",
    files=hub("MrGiovanni/SuPreM", "supervised_suprem_unet_2100.pth"),
    read=partial(_read_pytorch, scans=ABDOMEN, has_head=False),  # its heads read a text
    **SUPREM,
)
