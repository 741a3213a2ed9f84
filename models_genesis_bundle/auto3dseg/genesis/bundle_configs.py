"""The bundle's configurations: next to the package, in a checkout or an unpacked bundle."""

from __future__ import annotations

import os
from pathlib import Path

import models_genesis_bundle

__all__ = ["bundle_config", "find_bundle"]


def find_bundle(folder: str | os.PathLike | None = None) -> Path:
    """The folder of the bundle.

    Args:
        folder: the user's; None: the one of the package.

    Raises:
        FileNotFoundError: when it has no configurations, as after the installation of the package alone.
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
