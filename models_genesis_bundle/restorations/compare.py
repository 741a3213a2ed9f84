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
    """Write a page with the restorations, by weight files and by random weights, of the same deformed cubes of a scan.

    Args:
        weights: files as in ``find_weights``, or the same by their names on the page.
        output: the HTML file.
        scan: a file or a folder of DICOM slices; None: a phantom.
        network_configs: by the names of `weights`, a configuration with ``network_def`` for each network that is no
            ``GenesisUNet``: the run's ``config.yaml``. Configurations run code: give your own, or one that you trust.
        cube_size: sides of the cubes in voxels; None: as in the pretraining of the first file.
        cubes: number of cubes for the table.
        stage: the encoder stage whose features are shown: 1 for the finest, None for the deepest.
        seed: random seed of the cubes, the deformations and the random weights.
        device: device of the networks.
        config_file: the pretraining configuration with the deformations.

    Raises:
        CheckpointError: a weight file that cannot be used.
        ExportError: a configuration that defines no network.
        TransferError: weights that do not fit their network.
        FileNotFoundError: the scan does not exist.
        ScanError: the scan cannot be used.
        ValueError: settings that do not fit the networks, the scan or this machine.

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
        read = _by_reading(scans[0]["image"], restorers)
    window = upright_window(read[0][0].codes, (*size, *[1] * (dims - len(size))))
    points, groups = None, []
    with tqdm(total=len(restorers), desc="Weight files") as progress:
        for reading, members in read:
            reading = reading.padded(window)
            points = reading.draw_points(window, cubes, seed) if points is None else points
            clean = reading.cubes(points, window)
            deformed = deformed_cubes(clean, str(config_file), seed)
            slab, level = reading.slab(window)
            columns = []
            for restorer, scan_codes in members:
                progress.set_postfix_str(restorer.name)
                codes = cube_codes(scan_codes, window)
                network, own_cubes = restorer.network.to(device), restorer.input(clean, codes)
                try:
                    require_fitting_size(network, own_cubes.shape[2:])
                    colours = FeatureColours(network, own_cubes, stage, device)
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
    """The networks of the files, and the first with random weights."""
    sources = weights if isinstance(weights, Mapping) else {os.fspath(source): source for source in weights}
    if not sources:
        raise ValueError("weights: expected one weight file or more, found none.")
    if unknown := [name for name in network_configs if name not in sources]:
        raise ValueError(f"network_configs: expected names from {', '.join(sources)}, found {', '.join(unknown)}.")
    found = [Restorer.read(name, source, network_configs.get(name)) for name, source in sources.items()]
    for restorer in found:
        if restorer.dims != found[0].dims:
            raise ValueError(
                f"{restorer.name}: its network takes {restorer.dims}, but the network of {found[0].name} takes {found[0].dims}. "
                "They cannot restore the same cubes. Make a separate page for each."
            )
    return [*found, found[0].with_random_weights(seed)]


def _by_reading(image: str, restorers: Sequence[Restorer]) -> list[tuple[Reading, list[tuple[Restorer, str]]]]:
    """The scan as each preprocessing reads it, with the networks that read it so and the codes of each one's axes."""
    read: dict[str, Reading] = {}
    groups: list[tuple[Reading, list[tuple[Restorer, str]]]] = []
    for restorer in restorers:
        record = str(restorer.preprocessing.record())
        own = read[record] = read.get(record) or Reading.of(image, restorer.preprocessing)
        members = next((members for reading, members in groups if reading.is_like(own)), None)
        if members is None:
            groups.append((own, members := []))
        members.append((restorer, own.codes))
    return groups
