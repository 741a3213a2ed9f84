"""nnssl's checkpoint, for ``nnUNetv2_preprocess_like_nnssl`` and ``nnUNetv2_train_pretrained``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.weights.targets.nnunet import (
    NNUNET_NETWORKS,
    PRETRAIN_FOR_NNUNET,
    as_nnunet_names,
    check_nnunet_settings,
)
from models_genesis_bundle.weights.targets.nnunet_architecture import nnunet_architecture
from models_genesis_bundle.weights.targets.nnunet_keys import each_once, with_aliases
from models_genesis_bundle.weights.targets.target import State, Target

__all__ = ["NNSSL"]

logger = logging.getLogger(__name__)

WRITER = "models_genesis_bundle"

# Where the encoder and its first convolution are, as nnU-Net's networks say it themselves.
PLACES = {
    "PlainConvUNet": {
        "key_to_encoder": "encoder.stages",
        "key_to_stem": "encoder.stages.0",
        "keys_to_in_proj": ["encoder.stages.0.0.convs.0.conv", "encoder.stages.0.0.convs.0.all_modules.0"],
    },
    "ResidualEncoderUNet": {
        "key_to_encoder": "encoder.stages",
        "key_to_stem": "encoder.stem",
        "keys_to_in_proj": ["encoder.stem.convs.0.conv", "encoder.stem.convs.0.all_modules.0"],
    },
}
CITATIONS = [
    {
        "type": "Pretraining method",
        "name": "Models Genesis",
        "apa_citations": [
            "Zhou, Z., Sodha, V., Pang, J., Gotway, M. B., & Liang, J. (2021). Models Genesis. Medical Image Analysis, 67, 101840."
        ],
    }
]


def _content(
    state: State, preprocessing: Mapping[str, Any] | None, patch_size: Sequence[int] = (160, 160, 160)
) -> dict[str, Any]:
    """The checkpoint.

    Args:
        state: by nnU-Net's keys.
        preprocessing: of the training data.
        patch_size: sides in voxels, (Z, Y, X), that nnU-Net shall train on; nnssl's own recommendation by default.
    """
    mode = (preprocessing or {}).get("intensity", {}).get("mode")
    if mode != "zscore":
        logger.warning(
            "nnU-Net's route for nnssl checkpoints scales every scan to mean 0 and standard deviation 1, but these weights "
            "were trained on intensities of mode %s. Pretrain with configs/data_zscore.yaml for it, or use the target nnunet.",
            mode or "unknown",
        )
    state = each_once(state)
    name, arguments = nnunet_architecture(state)
    imported = ["conv_op", "norm_op", "dropout_op", "nonlin"]
    first = PLACES[name]["keys_to_in_proj"][0]
    return {
        "network_weights": with_aliases(state),
        "init_args": {},
        "trainer_name": WRITER,
        "citations": CITATIONS,
        "nnssl_adaptation_plan": {
            "architecture_plans": {
                "arch_class_name": name,
                "arch_kwargs": arguments,
                "arch_kwargs_requiring_import": imported,
            },
            "pretrain_plan": _pretrain_plan(preprocessing or {}, [int(side) for side in patch_size]),
            "pretrain_num_input_channels": state[f"{first}.weight"].shape[1],
            "recommended_downstream_patchsize": [int(side) for side in patch_size],
            **PLACES[name],
            "key_to_lpe": None,
            "architecture_kwargs": arguments,  # where nnU-Net's DynamicPretrainedTrainer looks for kernels and depth
        },
    }


def _pretrain_plan(preprocessing: Mapping[str, Any], patch_size: list[int]) -> dict[str, Any]:
    spacing = preprocessing.get("spacing")
    spacing = None if spacing is None else [float(side) for side in reversed(spacing)]
    style = "noresample" if spacing is None else "onemmiso" if spacing == [1.0, 1.0, 1.0] else "median"
    normalised = preprocessing.get("intensity", {}).get("mode") == "zscore"
    resampling = {"order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": f"{WRITER}_{style}",
        "preprocessor_name": "DefaultPreprocessor",
        "spacing_style": style,
        "spacing": spacing,
        "patch_size": patch_size,
        "normalization_schemes": ["ZScoreNormalization" if normalised else "RescaleTo01Normalization"],
        "use_mask_for_norm": [False],
        "resampling_fn_data": "resample_data_or_seg_to_shape",
        "resampling_fn_data_kwargs": {"is_seg": False, "order": 3, **resampling},
        "resampling_fn_mask": "resample_data_or_seg_to_shape",
        "resampling_fn_mask_kwargs": {"is_seg": True, "order": 1, **resampling},
    }
    return {
        "dataset_name": WRITER,
        "plans_name": WRITER,
        "original_median_spacing_after_transp": spacing or [1.0, 1.0, 1.0],
        "image_reader_writer": "SimpleITKIO",
        "transpose_forward": [0, 1, 2],
        "transpose_backward": [0, 1, 2],
        "configurations": {style: configuration},
        "experiment_planner_used": WRITER,
    }


def _adaptation_plan(content: dict[str, Any]) -> dict[str, Any]:
    """The file by which nnU-Net knows a repository of the hub as one of nnssl."""
    return {**content["nnssl_adaptation_plan"], "trainer_name": content["trainer_name"]}


def _config(content: dict[str, Any]) -> dict[str, Any]:
    """The file by which the hub counts downloads; nnU-Net does not read it."""
    plan = content["nnssl_adaptation_plan"]
    return {
        "library_name": "nnssl",
        "architectures": [plan["architecture_plans"]["arch_class_name"]],
        "pretraining": "Models Genesis",
        "trainer_name": content["trainer_name"],
        "num_input_channels": plan["pretrain_num_input_channels"],
    }


NNSSL = Target(
    "nnssl",
    NNUNET_NETWORKS,
    PRETRAIN_FOR_NNUNET,
    _content,
    as_nnunet_names,
    check_nnunet_settings,
    spatial_dims=3,
    zyx=True,
    folder={"adaptation_plan.json": _adaptation_plan, "config.json": _config},
    checkpoint_name="checkpoint_final.pth",
)
