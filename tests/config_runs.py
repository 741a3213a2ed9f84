"""The configurations that are run, with the overlays that the docs name for them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

PRETRAIN_OVERLAYS = (
    "optimizer_adamw",
    "optimizer_muon",
    "ema",
    "multi_gpu",
    "data_mr",
    "data_zscore",
    "data_luna16",
    "pretext_autoencoder",
    "pretext_denoising",
    "pretext_masked",
)
NETWORK_WIDTHS = {  # overlays of other networks that are pretrained, made narrow
    "network_segresnet": {"network_def::init_filters": 8},
    "network_dynunet": {"network_def::filters": [4, 8, 8, 8, 8]},
    "network_swinunetr": {"network_def::feature_size": 12},
    "network_basicunet": {"network_def::features": [4, 4, 4, 4, 4, 4]},
    "network_resenc": {"network_def::features_per_stage": [4, 4, 4, 4, 4, 4]},
}
SEGMENTATION_OVERLAYS = (
    "data_mr",
    "optimizer_adam",
    "schedule_plateau",
    "schedule_sawtooth",
    "schedule_warmup",
    "network_segresnet",
    "network_suprem_segresnet",
    "network_dynunet",
    "network_nnunet_luna16",
    "network_swinunetr",
    "network_basicunet",
    "network_resenc",
    "network_slicewise_imagenet",
    "network_slicewise_genesis",
    "task_lidc_nodules",
    "task_hippocampus",
)
RUNS = [
    ("train", "training", ["pretrain"]),
    *(("train", "training", ["pretrain", overlay]) for overlay in PRETRAIN_OVERLAYS),
    *(("train", "training", ["pretrain", network, "optimizer_adamw"]) for network in NETWORK_WIDTHS),
    *(("train", "training", ["pretrain", network, "data_zscore", "optimizer_adamw"]) for network in NETWORK_WIDTHS),
    ("train", "training", ["pretrain", "network_segresnet", "data_mr", "ema", "multi_gpu"]),
    ("train", "training", ["pretrain", "pretext_masked", "spatial_2d", "ema", "multi_gpu"]),
    ("train", "training", ["pretrain", "pretext_masked", "optimizer_muon", "release"]),
    ("train", "training", ["pretrain", "federated"]),
    ("train", "training", ["pretrain", "optimizer_muon", "release"]),
    ("train", "training", ["pretrain", "optimizer_muon", "data_mr"]),
    ("train", "training", ["pretrain", "spatial_2d"]),
    ("train", "training", ["pretrain", "spatial_2d", "data_luna16"]),
    ("train", "training", ["pretrain", "spatial_2d", "data_xray"]),
    ("inference", "inferring", ["inference"]),
    *(("inference", "inferring", ["inference", network]) for network in NETWORK_WIDTHS),
    ("train", "training", ["finetune_segmentation"]),
    *(("train", "training", ["finetune_segmentation", overlay]) for overlay in SEGMENTATION_OVERLAYS),
    *(
        ("train", "training", ["finetune_segmentation", "loss_dice", "optimizer_adam", "schedule_plateau", task])
        for task in ("task_ncs", "task_lcs", "task_bms")
    ),
    ("inference", "evaluating", ["evaluate"]),
    ("inference", "inferring", ["inference_segmentation"]),
    ("train", "training", ["finetune_classification"]),
    *(("train", "training", ["finetune_classification", "optimizer_adam", task]) for task in ("task_ncc", "task_ecc")),
    ("train", "training", ["finetune_classification", "task_lidc_malignancy"]),
    *(("train", "training", ["finetune_classification", overlay]) for overlay in ("ema", "multi_gpu")),
    ("inference", "evaluating", ["evaluate_classification"]),
    ("inference", "inferring", ["inference_classification"]),
    ("inference", "embedding", ["embed"]),
    *(("inference", "embedding", ["embed", network]) for network in NETWORK_WIDTHS),
]


def targets(config: Any) -> Iterator[str]:
    if isinstance(config, dict):
        if "_target_" in config:
            yield config["_target_"]
        for value in config.values():
            yield from targets(value)
    elif isinstance(config, list):
        for value in config:
            yield from targets(value)
