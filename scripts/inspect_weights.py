"""Look at what a training did to each layer: python scripts/inspect_weights.py --source models/model.pt"""

import sys

import bundle_path  # noqa: F401
import fire

from models_genesis_bundle.reports import as_table
from models_genesis_bundle.weights import CheckpointError, layer_spectra


def inspect_weights(source: str) -> None:
    """Print how far the weights of each layer grew and in how many directions they act, see docs/weights.md.

    Args:
        source: a weight file of this bundle, or a published one.
    """
    try:
        layers = layer_spectra(source)
    except CheckpointError as error:
        sys.exit(str(error))
    print(as_table([layer._asdict() for layer in layers]))


if __name__ == "__main__":
    fire.Fire(inspect_weights)
