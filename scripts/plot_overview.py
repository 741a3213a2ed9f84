"""Draw the README's picture from a phantom: python scripts/plot_overview.py --output docs/images/overview.png"""

from __future__ import annotations

import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from bundle_path import start
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, Rectangle
from models_genesis_bundle.bundle_config import genesis_pairs
from models_genesis_bundle.data import IntensityScaling, LabelledPreprocessing, ScanPreprocessing, make_phantoms
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.visualize import save_figure
from models_genesis_bundle.weights import load_weights

SIDES = (48, 48, 24)
CORNERS = ((20, 48), (88, 48), (46, 84), (98, 74))  # of the cubes in X and Y, in voxels of the phantom
COLOURS = ((0.1, 0.6, 0.6, 0.45), (0.95, 0.35, 0.1, 0.9))  # of the labels: lung, nodule
CHANNELS = (16, 32, 64, 128, 64, 32, 16)  # of the drawn network
TITLES = ("Scans without labels", "Cubes", "Deformed", "Restored", "Weights", "Your network")
NOTES = (
    "CT or MR",
    "drawn at random",
    "input",
    "output; the loss compares\nit with the cubes",
    "model.pt",
    "fine-tuned with few labels",
)


def plot(output: str = "docs/images/overview.png", weights: str = "models/model.pt", seed: int = 1) -> str:
    """Draw the way from scans to the user's network.

    Args:
        output: the PNG.
        weights: the shipped weights, which restore the cubes.
        seed: random seed of the phantom and the deformations.
    """
    scan, label = _phantom(seed)
    level = int((label == len(COLOURS)).sum(axis=(0, 1, 2)).argmax())  # the slice with most nodule voxels
    bottom = level - SIDES[2] // 2
    cubes = [scan[:, x : x + SIDES[0], y : y + SIDES[1], bottom : bottom + SIDES[2]] for x, y in CORNERS]
    pairs = genesis_pairs([{"image": cube} for cube in cubes], seed=seed)
    clean, deformed = (torch.stack([pairs[item][key] for item in range(len(cubes))]) for key in ("label", "image"))
    network = load_weights(GenesisUNet(features=(16, 32, 64, 128)), weights).eval()
    with torch.no_grad():
        restored = network(deformed)

    figure = Figure(figsize=(15, 3.3))
    axes = [figure.add_axes((0.008 + place * 0.167, 0.17, 0.15, 0.68)) for place in range(len(TITLES))]
    _draw_scan(axes[0], scan[0, :, :, level])
    for corner in CORNERS:
        axes[0].add_patch(Rectangle(corner, *SIDES[:2], fill=False, edgecolor="tab:orange", linewidth=2))
    for axis, batch in zip(axes[1:4], (clean, deformed, restored), strict=True):
        _draw_cubes(axis, batch)
    _draw_network(axes[4])
    _draw_scan(axes[5], scan[0, :, :, level])
    for value, colour in enumerate(COLOURS, start=1):
        mask = (label[0, :, :, level] == value)[..., None] * np.array(colour)
        axes[5].imshow(mask.swapaxes(0, 1), origin="lower", interpolation="nearest")
    for axis, title, note in zip(axes, TITLES, NOTES, strict=True):
        axis.set_title(title, fontsize=15)
        axis.set_xlabel(note, fontsize=11)
        axis.set(xticks=[], yticks=[], frame_on=False)
    for left, right in pairwise(axes):
        start, end = left.get_position().x1 + 0.002, right.get_position().x0 - 0.002
        figure.add_artist(FancyArrowPatch((start, 0.51), (end, 0.51), arrowstyle="-|>", mutation_scale=22, color="0.3"))
    return str(save_figure(figure, Path(output)))


def _phantom(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """A phantom, scaled to 0 … 1, and its label map: (1, X, Y, Z) each."""
    with tempfile.TemporaryDirectory() as folder:
        phantoms = make_phantoms(folder, count=1, seed=seed)
        paths = {"image": next((phantoms / "images").iterdir()), "label": next((phantoms / "labels").iterdir())}
        case = LabelledPreprocessing(ScanPreprocessing(intensity=IntensityScaling()))(paths)
    return np.asarray(case["image"]), np.asarray(case["label"])


def _draw_scan(axis: Axes, plane: np.ndarray) -> None:
    axis.imshow(plane.T, cmap="gray", vmin=0, vmax=1, origin="lower")


def _draw_cubes(axis: Axes, cubes: torch.Tensor) -> None:
    """The middle slices of four cubes, two by two."""
    planes = [np.pad(cube[0, :, :, SIDES[2] // 2].T, 2, constant_values=1.0) for cube in cubes.numpy()]
    axis.imshow(np.block([planes[:2], planes[2:]]), cmap="gray", vmin=0, vmax=1, origin="lower")


def _draw_network(axis: Axes) -> None:
    """A U-Net: a bar for each level, whose width grows with the channels."""
    for place, channels in enumerate(CHANNELS):
        height = 6.0 / 2 ** min(place, len(CHANNELS) - 1 - place)
        width = 0.25 + channels / 220
        axis.add_patch(Rectangle((place * 1.05 - width / 2, -height / 2), width, height, color="teal"))
    axis.set(xlim=(-0.7, 7.0), ylim=(-3.8, 3.8), aspect="equal")


if __name__ == "__main__":
    start(plot)
