"""Look at what a training did to each layer: python scripts/inspect_weights.py --source models/model.pt"""

import sys

import bundle_path  # noqa: F401
import fire
from models_genesis_bundle.weights import CheckpointError, layer_spectra
from tabulate import tabulate


def inspect_weights(source: str) -> None:
    """Print how far the weights of each layer grew and in how many directions they act, see docs/reference/weights.md.

    Args:
        source: a weight file of this bundle, or a published one.
    """
    try:
        layers = layer_spectra(source)
    except CheckpointError as error:
        sys.exit(str(error))
    print(tabulate([layer._asdict() for layer in layers], headers="keys", tablefmt="pipe", floatfmt=".3g"))


if __name__ == "__main__":
    fire.Fire(inspect_weights)
