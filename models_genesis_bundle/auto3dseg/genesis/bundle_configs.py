"""Where the bundle's configurations lie: next to the package, in a checkout or an unpacked bundle."""

from __future__ import annotations

import os
from pathlib import Path

import models_genesis_bundle

__all__ = ["bundle_config", "find_bundle"]


def find_bundle(folder: str | os.PathLike | None = None) -> Path:
    """The folder of the bundle.

    Args:
        folder: as the user names it; None: the one that the package lies in.

    Raises:
        FileNotFoundError: when there are no configurations in it, as with a package that was installed without them.
    """
    bundle = Path(models_genesis_bundle.__file__).parents[1] if folder is None else Path(folder).absolute()
    bundle_config(bundle, "finetune_segmentation")
    return bundle


def bundle_config(bundle: str | os.PathLike, name: str) -> str:
    """The path of a configuration, such as ``finetune_segmentation``.

    Raises:
        FileNotFoundError: when the bundle has no such configuration.
    """
    path = Path(bundle) / "configs" / f"{name}.yaml"
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: there is no such file. Set `genesis_bundle` in Auto3DSeg's input, or in the algorithm's "
            "hyper_parameters.yaml, to the folder of the Models Genesis bundle: the one that holds configs/."
        )
    return str(path)
