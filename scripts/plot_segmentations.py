"""Draw the segmentations of several networks: docs/how-to/comparison.md, "Look at the cases"."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
import yaml
from bundle_path import start
from fire.decorators import SetParseFns
from models_genesis_bundle.visualize import save_figure, segmentation_figure, segmentation_slices
from models_genesis_bundle.visualize.slices import PLANES
from monai.metrics import compute_dice
from monai.transforms import LoadImage

READ = LoadImage(ensure_channel_first=True)  # (1, X, Y, Z)
ENDING = "_segmentation.nii.gz"  # of files of configs/inference_segmentation.yaml


@SetParseFns(predictions=yaml.safe_load)  # names need no quotes
def plot(
    predictions: Mapping[str, str],
    images: str,
    labels: str,
    label_names: Sequence[str] = ("foreground",),
    output: str = "segmentations.png",
    plane: str = "axial",
    num_cases: int = 3,
) -> str:
    """Draw the same cases of several networks next to each other, with the outlines of label and prediction.

    The cases are spread evenly from the largest gain in Dice, from the first network to the last, to the largest loss.

    Args:
        predictions: folders of label maps, ``<case>_segmentation.nii.gz``, by the network's name.
        images: the folder of the scans, ``<case>.nii.gz``, on the grid of the label maps.
        labels: the folder of the true label maps, ``<case>.nii.gz``.
        label_names: names of the classes 1, 2, ….
        output: the PNG.
        plane: ``axial``, ``coronal`` or ``sagittal``.
        num_cases: number of cases, 1 or more.
    """
    if not isinstance(predictions, Mapping) or not predictions:
        sys.exit(f'--predictions: expected folders by name, as "{{scratch: DIR, own: DIR}}", found {predictions!r}.')
    if plane not in PLANES:
        sys.exit(f"--plane: expected one of {', '.join(PLANES)}, found {plane!r}.")
    found = {
        name: {_case(file): file for file in Path(folder).rglob(f"*{ENDING}")} for name, folder in predictions.items()
    }
    cases = [case for case in next(iter(found.values())) if all(case in files for files in found.values())]
    if not cases:
        sys.exit(f"--predictions: no <case>{ENDING} is in all of {', '.join(predictions.values())}.")
    scores = {
        case: _mean_dice([files[case] for files in found.values()], Path(labels, f"{case}.nii.gz"), len(label_names))
        for case in cases
    }
    ranked = sorted(cases, key=lambda case: scores[case][0] - scores[case][-1])
    rows = []
    for place in np.unique(np.linspace(0, len(ranked) - 1, min(num_cases, len(ranked))).round().astype(int)):
        case = ranked[place]
        image, label = (READ(Path(folder, f"{case}.nii.gz")) for folder in (images, labels))
        slices = [
            replace(one, plane=f"{name}: Dice {dice:.3f}")
            for (name, files), dice in zip(found.items(), scores[case], strict=True)
            for one in segmentation_slices(image, label, READ(files[case]), label.affine)
            if one.plane == plane
        ]
        rows.append((case, slices))
    return str(save_figure(segmentation_figure(rows, label_names), Path(output)))


def _case(file: Path) -> str:
    return file.name.removesuffix(ENDING)


def _mean_dice(predictions: Sequence[Path], label: Path, num_classes: int) -> list[float]:
    """The Dice of each prediction, as the mean over the classes in the label."""
    truth, found = READ(label)[None], torch.stack([READ(file) for file in predictions])
    dice = compute_dice(found, truth.expand_as(found), include_background=False, num_classes=num_classes + 1)
    return dice.nanmean(1).tolist()


if __name__ == "__main__":
    start(plot)
