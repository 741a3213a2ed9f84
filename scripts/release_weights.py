"""Write the weights of a run for publication: python scripts/release_weights.py --source runs/release/checkpoints/model.pt"""

from pathlib import Path

from bundle_path import start
from models_genesis_bundle.files import file_sha256
from models_genesis_bundle.weights import CheckpointError, release_weights


def release(source: str, output: str = "models/model.pt", licence: str = "CC-BY-4.0") -> None:
    """Write the weights of ``source`` to ``output``, and print size and hash of the file for the model card."""
    written = Path(release_weights(source, output, licence))
    size = written.stat().st_size / 2**20
    print(f"{written}: {size:.2f} MiB, sha256 {file_sha256(written)}")


if __name__ == "__main__":
    start(release, CheckpointError)
