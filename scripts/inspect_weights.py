"""Show how training changed each layer: python scripts/inspect_weights.py --source models/model.pt"""

from bundle_path import start
from models_genesis_bundle.weights import CheckpointError, layer_spectra
from tabulate import tabulate


def inspect_weights(source: str) -> None:
    """Print how much the weights of each layer grew and in how many directions they act, see docs/reference/weights.md.

    Args:
        source: a weight file of this bundle, or a published one.
    """
    layers = [layer._asdict() for layer in layer_spectra(source)]
    print(tabulate(layers, headers="keys", tablefmt="pipe", floatfmt=".3g"))


if __name__ == "__main__":
    start(inspect_weights, CheckpointError)
