"""Writes folders as Auto3DSeg generates them, with the keys of its templates and small networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

SEGRESNET = {
    "_target_": "SegResNetDS",
    "init_filters": 8,
    "blocks_down": [1, 1],
    "norm": "INSTANCE_NVFUSER",
    "in_channels": "@input_channels",
    "out_channels": "@output_classes",
    "dsdepth": 2,
}
SEGRESNET_2D = {**SEGRESNET, "norm": "BATCH", "spatial_dims": 2}
CT_TRANSFORMS = [{"_target_": "LoadImaged"}, {"_target_": "ScaleIntensityRanged", "a_min": -1000.0, "a_max": 1000.0}]


def write_segresnet(work_dir: Path, name: str = "segresnet_0", **settings: Any) -> Path:
    content = {
        "bundle_root": str(work_dir / name),
        "ckpt_path": "$@bundle_root + '/model'",
        "input_channels": 1,
        "output_classes": 3,
        "normalize_mode": "meanstd",
        "intensity_bounds": [-175.0, 250.0],
        "resample_resolution": [1.0, 1.0, 4.0],
        "anisotropic_scales": False,
        "learning_rate": 2.0e-4,
        "network": SEGRESNET,
        "finetune": {"enabled": False, "ckpt_name": "$@bundle_root + '/model/model.pt'"},
    }
    return _write(work_dir / name, {"hyper_parameters": {**content, **settings}})


def write_swinunetr(work_dir: Path, name: str = "swinunetr_0", **settings: Any) -> Path:
    content = {
        "bundle_root": str(work_dir / name),
        "input_channels": 2,
        "output_classes": 3,
        "use_pretrain": True,
        "pretrained_path": "$@bundle_root + '/pretrained_model/swin_unetr.pt'",
        "finetune": {"activate": False, "pretrained_ckpt_name": "$@bundle_root + '/best_metric_model.pt'"},
    }
    network = {
        "_target_": "SwinUNETR",
        "feature_size": 12,
        "in_channels": "@input_channels",
        "out_channels": "@output_classes",
    }
    files = {
        "hyper_parameters": {**content, **settings},
        "network": {"network": network},
        "transforms_train": {"transforms_train": {"_target_": "Compose", "transforms": CT_TRANSFORMS}},
    }
    return _write(work_dir / name, files)


def write_dints(work_dir: Path, name: str = "dints_0") -> Path:
    architecture = "@training_network#arch_ckpt"
    content = {
        "bundle_root": str(work_dir / name),
        "training": {"input_channels": 1, "output_classes": 3},
        "finetune": {"activate_finetune": False, "pretrained_ckpt_name": "$@bundle_root + '/best_metric_model.pt'"},
    }
    network = {
        "arch_ckpt_path": "$@bundle_root + '/scripts/arch_code.pth'",
        "arch_ckpt": f"$torch.load({architecture}_path, map_location=torch.device('cuda'), weights_only=False)",
        "dints_space": {
            "_target_": "TopologyInstance",
            "num_blocks": 2,
            "num_depths": 2,
            "use_downsample": True,
            "arch_code": [f"${architecture}['code_a']", f"${architecture}['code_c']"],
            "device": "$torch.device('cuda')",
        },
        "network": {
            "_target_": "DiNTS",
            "dints_space": "$@training_network#dints_space",
            "in_channels": "@training#input_channels",
            "num_classes": "@training#output_classes",
            "use_downsample": True,
            "node_a": f"${architecture}['node_a']",
        },
    }
    folder = _write(work_dir / name, {"hyper_parameters": content, "network": {"training_network": network}})
    (folder / "scripts").mkdir()
    codes = {"code_a": np.ones((2, 4)), "code_c": np.ones((2, 4)), "node_a": np.ones((3, 2), dtype=np.int64)}
    torch.save(codes, folder / "scripts" / "arch_code.pth")
    return folder


def read_settings(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "configs" / "hyper_parameters.yaml").read_text())


def _write(folder: Path, files: dict[str, dict[str, Any]]) -> Path:
    (folder / "configs").mkdir(parents=True)
    for name, content in files.items():
        text = yaml.safe_dump(content, default_flow_style=None, sort_keys=False)
        (folder / "configs" / f"{name}.yaml").write_text(text)
    return folder
