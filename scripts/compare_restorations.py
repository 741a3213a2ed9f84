"""Look at weights: python scripts/compare_restorations.py --weights models/model.pt --output page.html"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import torch
import yaml
from bundle_path import ROOT, start
from fire.decorators import SetParseFns
from models_genesis_bundle.export import ExportError
from models_genesis_bundle.restorations import compare_restorations
from models_genesis_bundle.weights import CheckpointError


@SetParseFns(weights=yaml.safe_load)  # names need no quotes
def compare(
    weights: str | Sequence[str] | Mapping[str, str],
    scan: str | None = None,
    output: str = "restorations.html",
    network_configs: Mapping[str, str] | None = None,
    cube_size: Sequence[int] | None = None,
    cubes: int = 8,
    stage: int | None = None,
    seed: int = 0,
    device: str = "cuda:0" if torch.cuda.is_available() else "cpu",
) -> None:
    """Write a page that shows what weight files restore of a scan, their errors and features; see docs/how-to/embeddings.md.

    Args:
        weights: one file, a list "[models/model.pt, runs/pretrain/checkpoints/model.pt]", or files by names for the page,
            "{shipped: models/model.pt}"; also folders and repositories of the Hugging Face Hub.
        scan: a scan or a folder of DICOM slices; by default a phantom.
        output: the HTML file.
        network_configs: for networks other than GenesisUNet, the run's configuration by the name of the weights, "{'mine':
            'runs/pretrain/config.yaml'}".
        cube_size: sides of the cubes in voxels; by default as in the pretraining of the first file.
        cubes: number of cubes in the table.
        stage: the encoder stage whose features are shown; 1 is the finest, by default the deepest.
        seed: random seed of the cubes, the deformations and the random weights.
        device: device for the computation.
    """
    files = [weights] if isinstance(weights, str) else weights
    config_file = ROOT / "configs" / "pretrain.yaml"
    page = compare_restorations(
        files, output, scan, network_configs, cube_size, cubes, stage, seed, device, config_file
    )
    print(f"Written: {page}. Open it in a browser.")


if __name__ == "__main__":
    start(compare, CheckpointError, ExportError, OSError, ValueError, level=logging.WARNING)
