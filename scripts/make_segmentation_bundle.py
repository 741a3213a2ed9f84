"""Share a segmentation: python scripts/make_segmentation_bundle.py --ckpt_path model.pt --output liver_segmentation"""

from typing import Any

from bundle_path import ROOT, start
from models_genesis_bundle.export import ExportError, make_segmentation_bundle
from models_genesis_bundle.weights import CheckpointError


def make_bundle(
    ckpt_path: str,
    output: str,
    network_config: str | None = None,
    licence: str = "not stated",
    metadata: dict[str, Any] | None = None,
    torchscript: bool = True,
) -> None:
    """Write a fine-tuned segmentation as a separate MONAI bundle, for MONAI Label, MONAI Deploy and colleagues.

    Ends with exit code 1 if the file is not a segmentation, without writing. docs/how-to/monai_label_deploy.md lists the files.

    Args:
        ckpt_path: checkpoints/model.pt of a run of configs/finetune_segmentation.yaml.
        output: the folder to write.
        network_config: for another network than GenesisUNet, a configuration with its network_def: the run's config.yaml.
        licence: licence of the weights.
        metadata: entries of metadata.json, such as "{'version': '1.1.0', 'authors': 'Jane Doe'}".
        torchscript: False: without models/model.ts, for a network that TorchScript does not support.
    """
    folder = make_segmentation_bundle(ckpt_path, output, ROOT, network_config, licence, metadata, torchscript)
    print(f"Written: {folder}")


if __name__ == "__main__":
    start(make_bundle, CheckpointError, ExportError, ValueError)
