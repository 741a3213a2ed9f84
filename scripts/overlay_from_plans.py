"""Make an overlay from nnU-Net's plans: python scripts/overlay_from_plans.py --plans nnUNetPlans.json --output overlay.yaml"""

from pathlib import Path

from bundle_path import start
from models_genesis_bundle.planning import settings_from_plans, write_overlay
from models_genesis_bundle.weights import CheckpointError


def overlay_from_plans(plans: str, output: str, configuration: str = "3d_fullres", channel: int = 0) -> None:
    """Write an overlay for configs/pretrain.yaml from nnU-Net's plans, and print the next commands, see docs/how-to/weights_out.md.

    Ends with exit code 1 when the plans cannot be read, or pretraining does not support them; nothing is written then.

    Args:
        plans: the nnUNetPlans.json in nnUNet_preprocessed.
        output: the YAML to write.
        configuration: name of the configuration in the plans: 3d_fullres, 3d_lowres, 3d_cascade_fullres or 2d.
        channel: for images with several channels, the channel whose intensities are used, counted from 0.
    """
    settings = settings_from_plans(plans, configuration, channel)
    files = f"\"['configs/pretrain.yaml','{output}','configs/optimizer_adamw.yaml']\""
    train = f"python -m monai.bundle run training --config_file {files} --dataset_dir /folder/of/scans"
    convert = (
        f"python scripts/convert_weights.py --source runs/pretrain/checkpoints/model.pt --to nnunet --output genesis.pth "
        f"--plans {plans} --configuration {configuration}"
    )
    about = f"Pretrains the network of {plans}, {configuration}. Written by scripts/overlay_from_plans.py; next:"
    write_overlay(Path(output), settings, f"{about}\n  {train}\n  {convert}")
    print(f"Written: {output}. Next:\n{train}\n{convert}")


if __name__ == "__main__":
    start(overlay_from_plans, CheckpointError)
