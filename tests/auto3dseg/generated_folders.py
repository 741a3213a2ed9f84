"""Writes folders as Auto3DSeg generates them, with the keys of its templates and small networks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

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


def read_settings(folder: Path) -> dict[str, Any]:
    return yaml.safe_load((folder / "configs" / "hyper_parameters.yaml").read_text())


def _write(folder: Path, files: dict[str, dict[str, Any]]) -> Path:
    (folder / "configs").mkdir(parents=True)
    for name, content in files.items():
        text = yaml.safe_dump(content, default_flow_style=None, sort_keys=False)
        (folder / "configs" / f"{name}.yaml").write_text(text)
    return folder
