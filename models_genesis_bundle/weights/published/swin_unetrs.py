"""MONAI's ``SwinUNETR``: the files of NVIDIA, SuPreM and VoCo."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from models_genesis_bundle.weights.published.genesis_unets import ABDOMEN, SUPREM
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, ct_window, hub, renamed

__all__ = ["NVIDIA_SWIN", "SUPREM_SWINUNETR", "VOCO"]

FIRST = "swinViT.patch_embed.proj.weight"
TRANSFORMER = r"^(?:swin_?[vV]i[tT]\.)?(?=patch_embed\.|layers\d|norm\.)"
VOCO_CLASSES = 21


def _read_nvidia(state: State, content: Mapping[str, Any]) -> Translation | None:
    """The transformer alone, or with the heads of its pretraining; its blocks may have the names of early MONAI."""
    own = renamed(state, (TRANSFORMER, "swinViT."), (r"\.mlp\.fc(\d)\.", r".mlp.linear\1."))
    alone = "patch_embed.proj.weight" in state
    if FIRST not in own or _second_version(own) or not (alone or "rotation_head.weight" in own):
        return None
    return _translation(own, ct_window(-1000.0, 1000.0))


def _read_suprem(state: State, content: Mapping[str, Any]) -> Translation | None:
    own = renamed(state, (r"^backbone\.", ""))
    if f"backbone.{FIRST}" not in state or "controller.weight" not in own or _second_version(own):
        return None
    return _translation(own, ABDOMEN)


def _read_voco(state: State, content: Mapping[str, Any]) -> Translation | None:
    """The second version of SwinUNETR: without decoder, perhaps with the heads of its pretraining, or for VoComni's 21 classes."""
    own = renamed(state, (r"^backbone\.", ""), (r"^swin_vit\.", "swinViT."))
    head = own.get("out.conv.conv.weight")
    if FIRST not in own or not _second_version(own) or not (head is None or len(head) == VOCO_CLASSES):
        return None
    return _translation(own, ABDOMEN)


def _second_version(own: State) -> bool:
    return any(key.startswith("swinViT.layers1c.") for key in own)


def _translation(own: dict[str, Any], scans: Mapping[str, Any]) -> Translation:
    head = own.get("out.conv.conv.weight")
    arguments = {
        "in_channels": own[FIRST].shape[1],
        "out_channels": 1 if head is None else len(head),
        "feature_size": len(own[FIRST]),
        "use_v2": _second_version(own),
    }
    return Translation(own, "monai.networks.nets.swin_unetr.SwinUNETR", arguments, scans)


NVIDIA_SWIN = Layout(
    "NVIDIA's self-supervised Swin transformer",
    {
        "model_swinvit.pt": "https://github.com/Project-MONAI/MONAI-extra-test-data/releases/download/0.8.1/model_swinvit.pt",
        **hub("MrGiovanni/SuPreM", "self_supervised_nv_swin_unetr_5050.pt"),
    },
    "Apache-2.0",
    "https://github.com/Project-MONAI/research-contributions/blob/main/LICENSE",
    "5 050 CT scans of chest, abdomen, head and neck, by the authors of Swin UNETR",
    _read_nvidia,
    lacks=r"encoder\d+\.",
)
SUPREM_SWINUNETR = Layout(
    "SuPreM's SwinUNETR", hub("MrGiovanni/SuPreM", "supervised_suprem_swinunetr_2100.pth"), read=_read_suprem, **SUPREM
)
VOCO = Layout(
    "VoCo's SwinUNETR",
    hub("Luffy503/VoCo", *(f"{kind}.pt" for size in "BLH" for kind in (f"VoCo_{size}_SSL_head", f"VoComni_{size}"))),
    "Apache-2.0",
    "https://huggingface.co/Luffy503/VoCo",
    "160 000 CT scans (PreCT-160K), by the authors of VoCo",
    _read_voco,
)
