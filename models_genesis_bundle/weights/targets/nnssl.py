"""nnssl's checkpoint, for ``nnUNetv2_preprocess_like_nnssl`` and ``nnUNetv2_train_pretrained``."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from models_genesis_bundle.weights.checkpoint_file import TargetError
from models_genesis_bundle.weights.targets.nnunet import IMPORTED, State, each_once, nnunet_architecture, with_aliases
from monai.utils import ensure_tuple

logger = logging.getLogger(__name__)

WRITER = "models_genesis_bundle"
STEM = {"PlainConvUNet": "encoder.stages.0", "ResidualEncoderUNet": "encoder.stem"}
IN_PROJ = {"PlainConvUNet": "encoder.stages.0.0.convs.0", "ResidualEncoderUNet": "encoder.stem.convs.0"}
CITATION = {
    "type": "Pretraining method",
    "name": "Models Genesis",
    "apa_citations": [
        "Zhou, Z., Sodha, V., Pang, J., Gotway, M. B., & Liang, J. (2021). Models Genesis. Medical Image Analysis, 67, 101840."
    ],
}


def nnssl_content(
    state: State, preprocessing: Mapping[str, Any] | None, patch_size: Sequence[int] = (160, 160, 160)
) -> dict[str, Any]:
    """The checkpoint; ``patch_size``: sides in voxels, (Z, Y, X), for nnU-Net's training, as nnssl recommends."""
    preprocessing = preprocessing or {}
    mode = preprocessing.get("intensity", {}).get("mode")
    if mode != "zscore":
        logger.warning(
            "nnU-Net scales every scan to mean 0 and standard deviation 1 for an nnssl checkpoint, but these weights were "
            "trained on intensities of mode %s. Pretrain with configs/data_zscore.yaml, or use the target nnunet.",
            mode or "unknown",
        )
    if any(".conv3." in key for key in state):
        raise TargetError(
            "nnU-Net does not plan a ResidualEncoderUNet with bottleneck blocks. Pretrain with BasicBlockD."
        )
    state = each_once(state)
    name, arguments = nnunet_architecture(state)
    sides = list(ensure_tuple(patch_size))
    if len(sides) != 3 or not all(isinstance(side, int) and side > 0 for side in sides):
        raise TargetError(f"patch_size: expected three sides in voxels, (Z, Y, X), found {patch_size!r}.")
    return {
        "network_weights": with_aliases(state),
        "init_args": {},
        "trainer_name": WRITER,
        "citations": [CITATION],
        "nnssl_adaptation_plan": {
            "architecture_plans": {
                "arch_class_name": name,
                "arch_kwargs": arguments,
                "arch_kwargs_requiring_import": list(IMPORTED),
            },
            "pretrain_plan": _pretrain_plan(preprocessing.get("spacing"), mode == "zscore", sides),
            "pretrain_num_input_channels": state[f"{IN_PROJ[name]}.conv.weight"].shape[1],
            "recommended_downstream_patchsize": sides,
            "key_to_encoder": "encoder.stages",
            "key_to_stem": STEM[name],
            "keys_to_in_proj": [f"{IN_PROJ[name]}.conv", f"{IN_PROJ[name]}.all_modules.0"],
            "key_to_lpe": None,
            "architecture_kwargs": arguments,  # nnU-Net's DynamicPretrainedTrainer reads kernels and depth here
        },
    }


def _pretrain_plan(xyz_spacing: Sequence[float] | None, zscored: bool, patch_size: list[int]) -> dict[str, Any]:
    spacing = None if xyz_spacing is None else [float(side) for side in reversed(xyz_spacing)]
    style = "noresample" if spacing is None else "onemmiso" if spacing == [1.0, 1.0, 1.0] else "median"
    resampling = {"order_z": 0, "force_separate_z": None}
    configuration = {
        "data_identifier": f"{WRITER}_{style}",
        "preprocessor_name": "DefaultPreprocessor",
        "spacing_style": style,
        "spacing": spacing,
        "patch_size": patch_size,
        "normalization_schemes": ["ZScoreNormalization" if zscored else "RescaleTo01Normalization"],
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


def nnssl_hub_files(content: dict[str, Any]) -> dict[str, Any]:
    """nnU-Net recognises a repository of nnssl by ``adaptation_plan.json``; the Hub counts downloads of ``config.json``."""
    plan = content["nnssl_adaptation_plan"]
    config = {
        "library_name": "nnssl",
        "architectures": [plan["architecture_plans"]["arch_class_name"]],
        "pretraining": "Models Genesis",
        "trainer_name": WRITER,
        "num_input_channels": plan["pretrain_num_input_channels"],
    }
    return {"adaptation_plan.json": {**plan, "trainer_name": WRITER}, "config.json": config}
