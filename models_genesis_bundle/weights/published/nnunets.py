"""nnU-Net's networks: ``Generic_UNet`` of Models Genesis, and ``ResidualEncoderUNet`` of nnssl."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.weights.key_parts import renamed
from models_genesis_bundle.weights.published.genesis_unets import GENESIS
from models_genesis_bundle.weights.published.layout import Layout, State, Translation, hub
from models_genesis_bundle.weights.targets.nnunet import (
    UNETS,
    each_once,
    kernels_from_zyx,
    nnunet_architecture,
    with_classes,
)


def _read_nnunet(state: State, content: Mapping[str, Any]) -> Translation | None:
    """A ``Generic_UNet`` as ``DynUNet``, without biases in front of normalisations; the missing biases of the heads are zero."""
    poolings = sum(key.startswith("tu.") and key.endswith(".weight") for key in state)
    convolutions = [
        *(f"conv_blocks_context.{depth}.blocks.0.conv.weight" for depth in range(poolings)),
        f"conv_blocks_context.{poolings}.0.blocks.0.conv.weight",
    ]
    head = f"seg_outputs.{poolings - 1}"
    kernels = [state[key] for key in (*convolutions, f"{head}.weight") if key in state and state[key].dim() == 5]
    recognised = poolings >= 2 and len(kernels) == poolings + 2 and f"{head}.bias" not in state
    if not recognised or kernels[0].shape[1] != 1 or len(kernels[-1]) != 2:
        return None
    own = renamed(state, *_dynunet_changes(poolings))
    for key, value in list(own.items()):
        if key.startswith(("output_block.", "deep_supervision_heads.")):
            own[key.replace("weight", "bias")] = torch.zeros(len(value))
    strides = [list(state[f"tu.{number}.weight"].shape[2:]) for number in reversed(range(poolings))]
    arguments = {
        "spatial_dims": 3,
        "in_channels": 1,
        "out_channels": 2,
        "kernel_size": [list(kernel.shape[2:]) for kernel in kernels[:-1]],
        "strides": [[1, 1, 1], *strides],
        "upsample_kernel_size": strides,
        "filters": [len(kernel) for kernel in kernels[:-1]],
        "norm_name": ["INSTANCE", {"affine": True}],
        "act_name": ["leakyrelu", {"inplace": True, "negative_slope": 0.01}],
        "deep_supervision": False,
        "res_block": False,
    }
    # The authors give the numbers of the z-score, in HU. nnU-Net reads scans as (Z, Y, X).
    scans = ScanPreprocessing(intensity=IntensityScaling("zscore", mean=-775.8457, std=251.9326), orientation="SPL")
    return Translation(own, "monai.networks.nets.dynunet.DynUNet", arguments, scans.record())


def _dynunet_changes(poolings: int) -> list[tuple[str, str]]:
    """The changes to ``DynUNet``'s keys. The deepest head is first in the file, the finest is first here."""
    stages = ["input_block", *(f"downsamples.{depth}" for depth in range(poolings - 1))]
    heads = ["output_block", *(f"deep_supervision_heads.{above}" for above in range(poolings - 1))]
    changes = [(r"^tu\.(\d+)\.", r"upsamples.\1.transp_conv.conv.")]
    changes += [(rf"^seg_outputs\.{number}\.", f"{head}.conv.conv.") for number, head in enumerate(reversed(heads))]
    for place in (0, 1):
        for depth, stage in enumerate(stages):
            changes.append((rf"^conv_blocks_context\.{depth}\.blocks\.{place}\.", f"{stage}.{place + 1}"))
        changes.append((rf"^conv_blocks_context\.{poolings}\.{place}\.blocks\.0\.", f"bottleneck.{place + 1}"))
        decoder = rf"^conv_blocks_localization\.(\d+)\.{place}\.blocks\.0\."
        changes.append((decoder, rf"upsamples.\1.conv_block.{place + 1}"))
    return [*changes, (r"\.([12])conv\.", r".conv\1.conv."), (r"\.([12])instnorm\.", r".norm\1.")]


def _read_nnssl(state: State, content: Mapping[str, Any]) -> Translation | None:
    """A file with a plan. Its axes are assumed to be (Z, Y, X) in RAS directions, its strides those of ResEnc-L."""
    plan = content.get("nnssl_adaptation_plan")
    if not isinstance(plan, Mapping) or "encoder.stem.convs.0.conv.weight" not in state:
        return None
    pretraining = plan.get("pretrain_plan") or {}
    own = kernels_from_zyx(each_once(state), pretraining.get("transpose_forward", (0, 1, 2)))
    heads = [key for key in own if key.startswith("decoder.seg_layers.") and key.endswith("weight")]
    name, arguments = nnunet_architecture(own)
    arguments |= {
        "input_channels": own["encoder.stem.convs.0.conv.weight"].shape[1],
        "num_classes": len(own[heads[-1]]) if heads else 1,
        "strides": [1, *[2] * (arguments["n_stages"] - 1)],
        "n_conv_per_stage_decoder": 1,
    }
    target = f"{UNETS}.{name}"
    return Translation(own, target, with_classes(arguments), _nnssl_preprocessing(pretraining))


def _nnssl_preprocessing(pretraining: Mapping[str, Any]) -> dict[str, Any] | None:
    """The preprocessing in the plan; None unless the mean and standard deviation of each scan scale its intensities."""
    configurations = pretraining.get("configurations") or {}
    configuration: Mapping[str, Any] = next(iter(configurations.values()), {})
    if configuration.get("normalization_schemes") != ["ZScoreNormalization"]:
        return None
    spacing, axes = configuration.get("spacing"), pretraining.get("transpose_forward", (0, 1, 2))
    if spacing is not None:  # in the order of the arrays' axes
        spacing = [side for _, side in sorted(zip(axes, spacing, strict=True), reverse=True)]
    return ScanPreprocessing(intensity=IntensityScaling("zscore"), spacing=spacing).record()


NNUNET = Layout(
    title="Models Genesis' nnU-Net",
    files=hub("MrGiovanni/ModelsGenesis", "genesis_nnunet_luna16_006.model"),
    read=_read_nnunet,
    **GENESIS,
)
NNSSL = Layout(
    title="nnssl's ResEnc-L U-Net",
    files={
        name: address
        for method in ("MAE", "MG", "SimCLR", "SwinUNETR", "VF", "VoCo")
        for name, address in hub(f"MIC-DKFZ/ResEncL-OpenMind-{method}", "checkpoint_final.pth", in_folder=True).items()
    },
    licence="CC BY 4.0",
    page="https://huggingface.co/MIC-DKFZ/ResEncL-OpenMind-MAE",
    data="114 000 brain MR scans (OpenMind), by the authors of nnssl, or what the file's own plan names",
    read=_read_nnssl,
)
