"""Convert weights: python scripts/convert_weights.py --source model.pt --to nnunet --output genesis.pth"""

from typing import Any

from bundle_path import start
from models_genesis_bundle.weights import CheckpointError, UnknownLayoutError, convert


def convert_weights(source: str, to: str, output: str, **options: Any) -> None:
    """Write a weight file in the form of another framework, and say what became of each tensor.

    Ends with exit code 1 when the weights cannot become that, or when less than the encoder would go over; nothing is written
    then. docs/how-to/weights_out.md says what becomes what.

    Args:
        source: a weight file of this bundle, or a published one.
        to: segresnet, segresnet2d, segresnet_encoder, swinunetr, dints, dynunet, nnunet or nnssl; bundle: from a published
            file to this bundle's format.
        output: the file to write; for nnssl without an ending: a folder for the hub.
        options: in_channels (of the network that will be trained); plans and configuration (nnunet: its nnUNetPlans.json);
            patch_size (nnssl: voxels, Z, Y, X).
    """
    convert(source, to, output, **options)
    print(f"Written: {output}")


if __name__ == "__main__":
    start(convert_weights, CheckpointError, UnknownLayoutError)
