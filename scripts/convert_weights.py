"""Convert weights: python scripts/convert_weights.py --source model.pt --to nnunet --output genesis.pth"""

from typing import Any

from bundle_path import start
from models_genesis_bundle.weights import CheckpointError, UnknownLayoutError, convert


def convert_weights(source: str, to: str, output: str, **options: Any) -> None:
    """Write a weight file in the format of another framework, and report the outcome for each tensor.

    Ends with exit code 1 when the weights or their encoder do not fit the format; see docs/how-to/weights_out.md.

    Args:
        source: a weight file of this bundle, or a published one.
        to: segresnet, segresnet2d, segresnet_encoder, swinunetr, dints, dynunet, nnunet or nnssl; bundle, from published files.
        output: the file to write; for nnssl without a suffix: a folder for the Hub.
        options: in_channels (of the network that will be trained); plans and configuration (nnunet: its nnUNetPlans.json);
            patch_size (nnssl: voxels, Z, Y, X).
    """
    convert(source, to, output, **options)
    print(f"Written: {output}")


if __name__ == "__main__":
    start(convert_weights, CheckpointError, UnknownLayoutError)
