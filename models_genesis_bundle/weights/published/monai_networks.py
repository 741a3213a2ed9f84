"""MONAI's networks: ``SegResNet`` of SuPreM, the encoder of CT-FM, and ``SwinUNETR`` of NVIDIA, SuPreM and VoCo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.weights.key_parts import renamed
from models_genesis_bundle.weights.published.genesis_unets import ABDOMEN, SUPREM
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, ct_window, hub
from models_genesis_bundle.weights.targets.nnunet import kernels_from_zyx

SUPREM_WIDTH, SUPREM_CLASSES = 16, 32
VOCO_CLASSES = 21
FIRST_SWIN = "swinViT.patch_embed.proj.weight"
TRANSFORMER = r"^(?:swin_?[vV]i[tT]\.)?(?=patch_embed\.|layers\d|norm\.)"


def _read_suprem_segresnet(state: State, content: Mapping[str, Any]) -> Translation | None:
    """The keys are MONAI's; the width and the number of classes identify SuPreM."""
    first, head = state.get("convInit.conv.weight"), state.get("conv_final.2.conv.weight")
    if first is None or head is None or first.shape[:2] != (SUPREM_WIDTH, 1) or len(head) != SUPREM_CLASSES:
        return None
    arguments = {
        "spatial_dims": 3,
        "init_filters": SUPREM_WIDTH,
        "in_channels": 1,
        "out_channels": SUPREM_CLASSES,
        "blocks_down": _blocks(state, "down_layers.{}.{}.conv1.conv.weight", first=1),
        "blocks_up": _blocks(state, "up_layers.{}.{}.conv1.conv.weight"),
    }
    return Translation(dict(state), "monai.networks.nets.segresnet.SegResNet", arguments, ABDOMEN)


def _read_ct_fm(state: State, content: Mapping[str, Any]) -> Translation | None:
    """An encoder, with or without the head of its pretraining; its arrays were (Z, Y, X), at 3 x 1 x 1 mm, axes SPL."""
    own = renamed(state, (r"^(?=conv_init\.|layers\.)", "encoder."))
    first = own.get("encoder.conv_init.weight")
    if first is None or "encoder.conv_init.weight" in state or "encoder.layers.0.blocks.0.conv1.weight" not in own:
        return None
    arguments = {
        "spatial_dims": 3,
        "init_filters": len(first),
        "in_channels": first.shape[1],
        "blocks_down": _blocks(own, "encoder.layers.{}.blocks.{}.conv1.weight"),
        "norm": "BATCH" if "encoder.layers.0.blocks.0.norm1.running_mean" in own else "INSTANCE",
    }
    scans = ct_window(-1024.0, 2048.0, spacing=(1.0, 1.0, 3.0), orientation="LPS")
    return Translation(kernels_from_zyx(own), "monai.networks.nets.segresnet_ds.SegResNetDS", arguments, scans)


def _blocks(state: State, key: str, first: int = 0) -> list[int]:
    """The number of blocks of each stage; the keys number the blocks of a stage from ``first``."""
    counts: list[int] = []
    while key.format(len(counts), first) in state:
        stage, place = len(counts), first
        while key.format(stage, place) in state:
            place += 1
        counts.append(place - first)
    return counts


def _read_nvidia(state: State, content: Mapping[str, Any]) -> Translation | None:
    """The transformer, with or without the heads of its pretraining; blocks may have the names of early MONAI versions."""
    own = renamed(state, (TRANSFORMER, "swinViT."), (r"\.mlp\.fc(\d)\.", r".mlp.linear\1."))
    pretrained = "patch_embed.proj.weight" in state or "rotation_head.weight" in own
    return _swin(own, ct_window(-1000.0, 1000.0)) if pretrained and not _second_version(own) else None


def _read_suprem_swinunetr(state: State, content: Mapping[str, Any]) -> Translation | None:
    return _swin(dict(state), ABDOMEN) if "controller.weight" in state and not _second_version(state) else None


def _read_voco(state: State, content: Mapping[str, Any]) -> Translation | None:
    """The second version of SwinUNETR: without decoder, or with VoComni's 21 classes."""
    own = renamed(state, (r"^swin_vit\.", "swinViT."))
    classes = len(own.get("out.conv.conv.weight", range(VOCO_CLASSES)))
    return _swin(own, ABDOMEN) if _second_version(own) and classes == VOCO_CLASSES else None


def _second_version(own: State) -> bool:
    return any(key.startswith("swinViT.layers1c.") for key in own)


def _swin(own: dict[str, Any], scans: dict[str, Any]) -> Translation | None:
    if FIRST_SWIN not in own:
        return None
    arguments = {
        "in_channels": own[FIRST_SWIN].shape[1],
        "out_channels": len(own.get("out.conv.conv.weight", [0])),
        "feature_size": len(own[FIRST_SWIN]),
        "use_v2": _second_version(own),
    }
    return Translation(own, "monai.networks.nets.swin_unetr.SwinUNETR", arguments, scans)


SUPREM_SEGRESNET = Layout(
    title="SuPreM's SegResNet",
    files=hub("MrGiovanni/SuPreM", "supervised_suprem_segresnet_2100.pth"),
    read=_read_suprem_segresnet,
    **SUPREM,
)
SUPREM_SWINUNETR = Layout(
    title="SuPreM's SwinUNETR",
    files=hub("MrGiovanni/SuPreM", "supervised_suprem_swinunetr_2100.pth"),
    read=_read_suprem_swinunetr,
    **SUPREM,
)
CT_FM = Layout(
    title="CT-FM's SegResEncoder",
    files=hub("project-lighter/ct_fm_feature_extractor", "model.safetensors", in_folder=True),
    licence="Apache-2.0",
    page="https://huggingface.co/project-lighter/ct_fm_feature_extractor",
    data="148 000 CT scans of the Imaging Data Commons, by the authors of CT-FM",
    read=_read_ct_fm,
)
NVIDIA_SWIN = Layout(
    title="NVIDIA's self-supervised Swin transformer",
    files={
        "model_swinvit.pt": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/model_swinvit.pt",
        **hub("MrGiovanni/SuPreM", "self_supervised_nv_swin_unetr_5050.pt"),
    },
    licence="Apache-2.0",
    page="https://github.com/Project-MONAI/research-contributions/blob/main/LICENSE",
    data="5 050 CT scans of chest, abdomen, head and neck, by the authors of Swin UNETR",
    read=_read_nvidia,
    lacks=r"encoder\d+\.",
)
VOCO = Layout(
    title="VoCo's SwinUNETR",
    files=hub(
        "Luffy503/VoCo", *(f"{kind}.pt" for size in "BLH" for kind in (f"VoCo_{size}_SSL_head", f"VoComni_{size}"))
    ),
    licence="Apache-2.0",
    page="https://huggingface.co/Luffy503/VoCo",
    data="160 000 CT scans (PreCT-160K), by the authors of VoCo",
    read=_read_voco,
)
