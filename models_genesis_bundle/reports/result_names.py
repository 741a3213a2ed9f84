"""The names of the results of each scan of an inference."""

from __future__ import annotations

import os
from collections.abc import Sequence

from models_genesis_bundle.data.scans.files import scan_stem

__all__ = ["result_names"]


def result_names(images: Sequence[str], dataset_dir: str) -> list[str]:
    """The path of each scan below the folder of the scans, without its suffix: ``patient_1/ct``.

    Args:
        images: the paths of the scans.
        dataset_dir: the folder of the scans, a JSON datalist or a single scan. If scans of a datalist are outside of its
            folder, the names are relative to the common folder of all scans.

    Returns:
        A name for each scan, with ``/`` between folders.

    Raises:
        ValueError: two scans of one name; the message names both.
    """
    paths = [os.path.abspath(image) for image in images]
    root = os.path.abspath(dataset_dir)
    if not os.path.isdir(root) or root in paths:
        root = os.path.dirname(root)
    if not all(path.startswith(os.path.join(root, "")) for path in paths):
        root = os.path.commonpath([os.path.dirname(path) for path in paths])
    image_of: dict[str, str] = {}
    for path in paths:
        name = os.path.join(os.path.relpath(os.path.dirname(path), root), scan_stem(path))
        name = os.path.normpath(name).replace(os.sep, "/")
        if name in image_of:
            raise ValueError(
                f"{image_of[name]} and {path}: the results of both scans would be called {name}. Rename one of them, or "
                "give them to two runs, each with an output_dir of its own."
            )
        image_of[name] = path
    return list(image_of)
