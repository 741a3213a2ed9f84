"""An HTML page that compares the restorations of one scan by several weight files."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from models_genesis_bundle.bundle_config import usable_device
from models_genesis_bundle.data import list_scans, scans_or_phantoms
from models_genesis_bundle.networks import require_fitting_size
from models_genesis_bundle.restorations.page import Column, Group, write_comparison_page
from models_genesis_bundle.restorations.reading import Reading, cube_codes, deformed_cubes, turned_back, upright_window
from models_genesis_bundle.restorations.restorer import FeatureColours, Restorer
from tqdm import tqdm


def compare_restorations(
    weights: Sequence[str | os.PathLike] | Mapping[str, str | os.PathLike],
    output: str | os.PathLike,
    scan: str | os.PathLike | None = None,
    network_configs: Mapping[str, str | os.PathLike] | None = None,
    cube_size: Sequence[int] | None = None,
    cubes: int = 8,
    stage: int | None = None,
    seed: int = 0,
    device: str | torch.device = "cpu",
    config_file: str | os.PathLike = "configs/pretrain.yaml",
) -> Path:
    """Write a page with the restorations of deformed cubes of a scan, by each weight file and by random weights.

    Args:
        weights: weight files, see ``find_weights``; a mapping also has their names on the page.
        output: the HTML file.
        scan: a file or a folder of DICOM slices; None: a phantom.
        network_configs: for each network that is no ``GenesisUNet``, by its name in `weights`: the ``config.yaml`` of its run,
            which has ``network_def``. A configuration can run code; use only one that you trust.
        cube_size: sides of the cubes in voxels; None: as in the pretraining of the first file.
        cubes: number of cubes for the table.
        stage: the encoder stage whose features are shown: 1 for the finest, None for the deepest.
        seed: random seed of the cubes, the deformations and the random weights.
        device: device of the networks.
        config_file: the pretraining configuration with the deformations.

    Raises:
        CheckpointError: a weight file cannot be used.
        ExportError: a configuration defines no network.
        TransferError: weights do not fit their network.
        FileNotFoundError: the scan does not exist.
        ScanError: the scan cannot be used.
        ValueError: settings do not fit the networks, the scan or this machine.

    Examples:
        ``compare_restorations({"shipped": "models/model.pt", "mine": "runs/pretrain/checkpoints/model.pt"}, "page.html")``
    """
    output, device = Path(output), usable_device(device)
    if cubes < 1:
        raise ValueError(f"cubes: expected 1 or more, found {cubes}.")
    if output.is_dir():
        raise ValueError(
            f"output: expected a path for the HTML file, found the folder {output}. Give a path of a file in it."
        )
    restorers = _restorers(weights, network_configs or {}, seed)
    first = restorers[0]
    dims, size = first.preprocessing.spatial_dims, tuple(cube_size or first.cube_size)
    if len(size) != len(first.cube_size):
        raise ValueError(f"cube_size: expected {len(first.cube_size)} sides, found {list(size)}.")
    with tempfile.TemporaryDirectory() as folder:
        scans = list_scans(scans_or_phantoms(scan, folder, count=1, seed=seed), spatial_dims=dims)
        if len(scans) > 1:
            raise ValueError(
                f"scan: expected one scan, found {len(scans)} in {scan}. Give one of them: {scans[0]['image']}."
            )
        readings = _by_reading(scans[0]["image"], restorers)
    window = upright_window(readings[0][0].codes, (*size, *[1] * (dims - len(size))))
    points, groups = None, []
    with tqdm(total=len(restorers), desc="Weight files") as progress:
        for reading, members in readings:
            reading = reading.padded(window)
            points = reading.draw_points(window, cubes, seed) if points is None else points
            clean = reading.cubes(points, window)
            deformed = deformed_cubes(clean, str(config_file), seed)
            slab, level = reading.slab(window)
            columns = []
            for restorer, scan_codes in members:
                progress.set_postfix_str(restorer.name)
                codes = cube_codes(scan_codes, window)
                network, inputs = restorer.network.to(device), restorer.input(clean, codes)
                try:
                    require_fitting_size(network, inputs.shape[2:])
                    colours = FeatureColours(network, inputs, stage, device)
                except ValueError as error:
                    raise ValueError(f"{restorer.name}: {error}") from error
                features = turned_back(colours(restorer.input(slab, codes)), codes)[0]
                restored = {kind: restorer.restore(batch, codes, device) for kind, batch in deformed.items()}
                columns.append(Column(restorer, restored, features, colours.share))
                network.cpu()
                progress.update()
            spacing = [length for length, side in zip(reading.spacing, window, strict=True) if side > 1]
            groups.append(Group(clean, deformed, spacing, slab[0], level, columns))
    return write_comparison_page(output, "a phantom" if scan is None else os.fspath(scan), groups)


def _restorers(
    weights: Sequence[str | os.PathLike] | Mapping[str, str | os.PathLike],
    network_configs: Mapping[str, str | os.PathLike],
    seed: int,
) -> list[Restorer]:
    """The networks of the files, and the first network with random weights."""
    sources = weights if isinstance(weights, Mapping) else {os.fspath(source): source for source in weights}
    if not sources:
        raise ValueError("weights: expected one weight file or more, found none.")
    if unknown := [name for name in network_configs if name not in sources]:
        raise ValueError(f"network_configs: expected names from {', '.join(sources)}, found {', '.join(unknown)}.")
    restorers = [Restorer.read(name, source, network_configs.get(name)) for name, source in sources.items()]
    first = restorers[0]
    for restorer in restorers:
        if restorer.dims != first.dims:
            raise ValueError(
                f"{restorer.name}: its network takes {restorer.dims}, but the network of {first.name} takes {first.dims}. "
                "They cannot restore the same cubes. Make a separate page for each."
            )
    return [*restorers, first.with_random_weights(seed)]


def _by_reading(image: str, restorers: Sequence[Restorer]) -> list[tuple[Reading, list[tuple[Restorer, str]]]]:
    """The different readings of a scan, each with its networks and the axis codes of their scans."""
    readings: dict[str, Reading] = {}
    groups: list[tuple[Reading, list[tuple[Restorer, str]]]] = []
    for restorer in restorers:
        record = str(restorer.preprocessing.record())
        if record not in readings:
            readings[record] = Reading.of(image, restorer.preprocessing)
        reading = readings[record]
        members = next((members for other, members in groups if other.is_like(reading)), None)
        if members is None:
            groups.append((reading, members := []))
        members.append((restorer, reading.codes))
    return groups
