"""Auto3DSeg with pretrained weights: python -m models_genesis_bundle.auto3dseg initialise --work_dir W --weights model.pt"""

import logging
import sys

import fire
from models_genesis_bundle.auto3dseg import Auto3DSegError, initialise
from models_genesis_bundle.weights import CheckpointError


def initialise_command(
    work_dir: str, weights: str | list[str] | tuple[str, ...], algos: str | list[str] | tuple[str, ...] = ()
) -> None:
    """Make the stock algorithms that AutoRunner has generated start from pretrained weights.

    Ends with exit code 1 when no algorithm can use them.

    Args:
        work_dir: AutoRunner's work folder, after the generation of the algorithms.
        weights: a weight file, or several ("a.pt,b.pt"): each algorithm uses the first that fits.
        algos: only these algorithms ("segresnet,swinunetr") or folders ("segresnet_0").
    """
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    try:
        results = initialise(work_dir, _words(weights), _words(algos))
    except (Auto3DSegError, CheckpointError) as error:
        sys.exit(str(error))
    ready = [result.algorithm for result in results if result.weights]
    print(f"{len(ready)} of {len(results)} algorithms start from the given weights: {', '.join(ready) or 'none'}.")
    sys.exit(0 if ready else 1)


def _words(given: str | list[str] | tuple[str, ...]) -> list[str]:
    """The words of a list, or of a text with commas between them; Fire gives both."""
    return given.split(",") if isinstance(given, str) else [str(word) for word in given]


if __name__ == "__main__":
    fire.Fire({"initialise": initialise_command})
