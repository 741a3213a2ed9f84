"""Scans, cubes and points become vectors: those of the right voxels, by the right weights, computed once."""

from __future__ import annotations

import csv
import gc
import re

import nibabel
import numpy as np
import pytest
import torch
from bundle_commands import arguments, root_cause, run_here
from config_runs import NETWORK_WIDTHS
from models_genesis_bundle.data import ScanPreprocessing, SkippedScansError
from models_genesis_bundle.embeddings import (
    PERTURBATIONS,
    STATISTICS,
    CubePlacesd,
    CubeVectors,
    Embedder,
    Embeddings,
    Perturber,
)
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet, StageMaps, encoder_of
from models_genesis_bundle.weights import load_weights, write_weights
from monai.bundle import ConfigParser
from monai.networks.nets import BasicUNet
from scan_writers import truncate, write_scan

NARROW = {**NETWORK_WIDTHS, "network_suprem_segresnet": {"network_def::init_filters": 8}}
VOXELS = np.random.default_rng(0).normal(0, 200, (20, 18, 10)).astype(np.int16)


class FirstVoxel(torch.nn.Module):
    """A vector of two numbers: the cube's first voxel, and its last."""

    def forward(self, cubes):
        flat = cubes.flatten(1)
        return torch.stack([flat[:, 0], flat[:, -1]], dim=1)


@pytest.fixture
def scans(tmp_path):
    """Three scans of three patients, the second one truncated."""
    files = [write_scan(tmp_path / "scans" / name / "ct.nii.gz", VOXELS + number) for number, name in enumerate("abc")]
    truncate(files[1])
    return files


@pytest.fixture
def weights(tmp_path):
    network = GenesisUNet(features=(4, 8), norm=("instance", {"affine": True}))
    return write_weights(
        tmp_path / "w.pt", network, preprocessing=ScanPreprocessing().record(), cube_size=[16, 16, 8], data=None
    )


def embed(tmp_path, weights, *overlays, **settings) -> Embeddings:
    files = ["configs/embed.yaml", *(f"configs/{name}.yaml" for name in overlays)]
    usual = {"dataset_dir": tmp_path / "scans", "output_dir": tmp_path / "out", "ckpt_path": weights}
    words = arguments(**{**usual, "device": "cpu", "precision": "float32", **settings})
    run_here("run", "embedding", "--config_file", str(files), *words)
    return Embeddings.read(tmp_path / "out" / "embeddings.npz")


def test_a_run_embeds_what_can_be_read_and_another_start_what_is_missing(scans, weights, tmp_path):
    with pytest.raises(RuntimeError) as raised:
        embed(tmp_path, weights, perturbations="['noise','flip']")
    error = root_cause(raised.value)
    assert isinstance(error, SkippedScansError)
    assert re.search(r"1 of 3 scans .*\n.*b/ct\.nii\.gz: it cannot be read", str(error))
    del raised, error
    gc.collect()  # the traceback holds the run, and the run its folder's lock
    partly = Embeddings.read(tmp_path / "out" / "embeddings.npz")
    assert partly.case.tolist() == ["a/ct", "c/ct"]
    before = (tmp_path / "out" / "a" / "ct_vectors.npz").stat().st_mtime_ns
    write_scan(scans[1], VOXELS)
    found = embed(tmp_path, weights, perturbations="['noise','flip']", sw_batch_size=1)
    assert (tmp_path / "out" / "a" / "ct_vectors.npz").stat().st_mtime_ns == before, "what is there stays"
    assert found.case.tolist() == ["a/ct", "b/ct", "c/ct"]
    assert found.patient.tolist() == ["a", "b", "c"]
    assert found.image.tolist() == [str(scan) for scan in scans]
    assert found.vectors.shape == (3, 8)
    assert found.kinds == ["noise", "flip"]
    np.testing.assert_allclose(found.voxel, [[9.5, 8.5, 4.5]] * 3, atol=1e-4)
    assert found.record["weights"]["file"] == "w.pt"
    assert found.record["places"] == "scan"
    with (tmp_path / "out" / "embeddings.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["case"] for row in rows] == found.case.tolist()
    assert float(rows[0]["p50"]) == pytest.approx(found.statistics[0][STATISTICS.index("p50")], rel=1e-6)
    assert found.table().shape == (3, len(rows[0]) + 8)


def test_vectors_are_the_network_s_and_random_weights_give_others(scans, weights, tmp_path):
    write_scan(scans[1], VOXELS)
    usual = {"places": "centre", "stage": 1, "pooling": "max", "cube_size": "[8,8,8]"}
    found = embed(tmp_path, weights, **usual)
    assert found.vectors.shape == (3, 4)
    network = GenesisUNet(features=(4, 8), norm=("instance", {"affine": True})).eval()
    load_weights(network, weights)
    scan = ScanPreprocessing()({"image": str(scans[0])})["image"]
    with torch.no_grad():
        x, y, z = ((side - 8) // 2 for side in scan.shape[1:])
        wanted = network.encode(scan[None, :, x : x + 8, y : y + 8, z : z + 8])[0].amax((2, 3, 4))
    np.testing.assert_allclose(found.vectors[:1], wanted, rtol=1e-4)
    random = embed(tmp_path, weights, scratch=True, **usual)
    assert random.record["scratch"]
    np.testing.assert_array_equal(random.statistics, found.statistics)
    assert not np.allclose(random.vectors, found.vectors, rtol=0.01)


def test_candidates_have_a_vector_each_and_a_changed_list_is_embedded_anew(scans, weights, tmp_path):
    for number, scan in enumerate(scans):
        write_scan(scan.parent / f"s{number}.nii.gz", VOXELS)
        scan.unlink()
    affine = nibabel.load(scans[0].parent / "s0.nii.gz").affine
    voxels = [(5, 6, 3), (12, 9, 7)]
    points = [(affine @ (*voxel, 1))[:3] * (-1, -1, 1) for voxel in voxels]

    def run(count):
        lines = [f"s2,{x},{y},{z}" for x, y, z in points[:count]] * 2
        (tmp_path / "c.csv").write_text("\n".join(["seriesuid,coordX,coordY,coordZ", *lines]))
        return embed(tmp_path, weights, candidates_file=tmp_path / "c.csv")

    assert len(run(1)) == 1
    found = run(2)
    assert len(found) == 2
    np.testing.assert_allclose(found.point, points, atol=1e-4)
    np.testing.assert_allclose(found.voxel, voxels, atol=1e-4)
    assert all(case.startswith("c/s2 (") for case in found.case)


@pytest.mark.parametrize("name", NARROW)
def test_every_network_that_is_pretrained_gives_its_stages(root, name):
    if name == "network_swinunetr":
        pytest.importorskip("einops")
    own = ConfigParser.load_config_file(root / f"configs/{name}.yaml")
    config = ConfigParser({**own, "in_channels": 1, "out_channels": 1})
    config["imports"] = ["$import torch"]
    config.update(NARROW[name])
    network = config.get_parsed_content("network_def").to("meta").eval()
    cubes = torch.empty(1, 1, 64, 64, 32, device="meta")
    sides = [one.shape[2] for one in StageMaps(network)(cubes)]
    assert sides == sorted(set(sides), reverse=True), "each stage has one map"
    assert len(sides) >= 4
    assert sides[-1] <= 8
    assert Embedder(network)(cubes).dim() == 2


def test_a_stage_is_chosen_by_number():
    cubes = torch.rand(2, 1, 16, 16, 16)
    network = GenesisUNet(features=(4, 8, 16)).eval()
    with torch.no_grad():
        maps = network.encode(cubes)
        assert torch.equal(Embedder(network)(cubes), maps[2].flatten(2).mean(2))
        assert torch.equal(Embedder(network, stage=2, pooling="max")(cubes), maps[1].flatten(2).amax(2))
    with pytest.raises(ValueError, match=r"stages 1 … 3, found 4"):
        Embedder(network, stage=4)(cubes)
    with pytest.raises(ValueError, match="expected 1"):
        Embedder(network, stage=0)
    with pytest.raises(ValueError, match="one of mean, max, found 'sum'"):
        Embedder(network, pooling="sum")


def test_classifiers_and_networks_of_your_own():
    other = BasicUNet(spatial_dims=2, features=(4, 4, 4, 4, 8, 4)).eval()
    parts = [name for name, _ in other.named_children() if name.startswith(("conv_0", "down"))]
    classifier = GenesisClassifier(spatial_dims=2, encoder=encoder_of(other, parts), features=8, hidden=4).eval()
    image = torch.rand(1, 1, 32, 32)
    assert [one.shape[1] for one in StageMaps(classifier)(image)] == [4, 4, 4, 4, 8]
    assert [one.shape[1] for one in StageMaps(GenesisClassifier(spatial_dims=2, features=(4, 6)))(image)] == [4, 6]
    own = torch.nn.Sequential(torch.nn.Conv2d(1, 3, 3), torch.nn.Conv2d(3, 5, 3))
    assert [one.shape[1] for one in StageMaps(own, ["0", "1"])(image)] == [3, 5]
    with pytest.raises(ValueError, match=r"the encoder of Sequential is not known.* 0, 1"):
        StageMaps(own)


def test_a_grid_covers_the_scan_and_places_are_those_of_the_file(tmp_path):
    """In a file with other axes than the preprocessed scan; each cube's middle holds the voxel that the file has there."""
    image = nibabel.load(write_scan(tmp_path / "ct.nii.gz", VOXELS))
    axes = nibabel.orientations.axcodes2ornt("SLP")
    own = nibabel.orientations.io_orientation(image.affine)
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(own, axes))
    nibabel.save(turned, tmp_path / "turned.nii.gz")
    scan = ScanPreprocessing()({"image": str(tmp_path / "turned.nii.gz")})
    file = nibabel.load(tmp_path / "turned.nii.gz")
    shape = np.array(scan["image"].shape[1:])
    size = np.array([7, shape[1] // 2 * 2 + 3, 7])  # the middle one is larger than the scan
    placed = CubePlacesd(cube_size=size, places="grid")(scan)
    seen = np.zeros(shape, bool)
    for x, y, z in placed["corner"]:
        assert x >= 0
        assert z >= 0
        seen[x : x + 7, max(y, 0) : y + size[1], z : z + 7] = True
    assert seen.all()
    assert len(placed["corner"]) == -(-shape[0] // 7) * -(-shape[2] // 7)
    window = placed["image"] * 2000 - 1000
    for corner, voxel, point in zip(placed["corner"], placed["voxel"], placed["point"], strict=True):
        middle = tuple((corner + (size - 1) // 2).tolist())
        np.testing.assert_allclose(voxel, voxel.round(), atol=1e-4)
        stored = file.dataobj[tuple(voxel.round().astype(int))]
        assert float(window[(0, *middle)]) == pytest.approx(float(np.clip(stored, -1000, 1000)), abs=0.5)
        np.testing.assert_allclose((file.affine @ (*voxel, 1))[:3] * (-1, -1, 1), point, atol=1e-3)


def test_a_slice_of_a_volume_is_flat_for_the_network():
    seen = []

    class Sees(torch.nn.Module):
        def forward(self, cubes):
            seen.append(tuple(cubes.shape))
            return cubes.flatten(2).mean(2)

    scan = torch.rand(1, 1, 8, 8, 3)
    corners = torch.tensor([[[0, 0, 0], [0, 0, 2]]])
    found = CubeVectors((8, 8, 1), Perturber(), ["shift"])(scan, Sees(), corners)
    assert seen == [(2, 1, 8, 8)] * 2
    np.testing.assert_allclose(found["vectors"][0, :, 0], scan[0, 0].mean((0, 1))[[0, 2]], rtol=1e-5)


def test_cubes_are_cut_at_their_corners_whatever_the_batch_and_dark_outside():
    scan = torch.arange(64.0).reshape(1, 1, 4, 4, 4) + 1
    corners = torch.tensor([[[0, 0, 0], [2, 2, 2], [-1, 0, 0], [9, 0, 0]]])
    for batch_size in (1, 3):
        found = CubeVectors((2, 2, 2), Perturber((0.0, 99.0)), batch_size=batch_size)(scan, FirstVoxel(), corners)
        assert found["vectors"][0].tolist() == [[1, 22], [43, 64], [0, 6], [0, 0]]
        assert found["statistics"].shape == (1, 4, len(STATISTICS))
        assert found["statistics"][0, 3].tolist() == [0] * len(STATISTICS)
    pooled = CubeVectors((2, 2, 2), Perturber((0.0, 99.0)), pooling="max", batch_size=3)(scan, FirstVoxel(), corners)
    assert pooled["vectors"].tolist() == [[[43, 64]]]


def test_each_perturbation_does_what_it_says():
    scan = torch.rand(1, 1, 12, 12, 8, generator=torch.Generator().manual_seed(0))
    corners = torch.tensor([[[2, 2, 0]]])
    perturber = Perturber(noise=0.05, shift=2, slices=4)
    found = CubeVectors((8, 8, 8), perturber, PERTURBATIONS)(scan, FirstVoxel(), corners)
    first = {name: value[0, 0, 0].item() for name, value in found.items() if name.startswith("vectors")}
    assert first["vectors"] == scan[0, 0, 2, 2, 0]
    assert first["vectors_shift"] == scan[0, 0, 4, 4, 2]
    assert first["vectors_flip"] == scan[0, 0, 9, 2, 0]
    assert first["vectors_thickness"] == pytest.approx(scan[0, 0, 2, 2, :4].mean().item(), abs=1e-5)
    assert 0 < abs(first["vectors_noise"] - first["vectors"]) < 0.25
    again = CubeVectors((8, 8, 8), perturber, ["noise"])(scan, FirstVoxel(), corners)
    assert torch.equal(again["vectors_noise"], found["vectors_noise"]), "the seed tells the noise"
    noisy = perturber.cubes("noise", torch.ones(1, 1, 8, 8, 8), torch.Generator())
    assert noisy.max() <= 1, "within the range of intensities"
    assert noisy.std() > 0.01
    with pytest.raises(ValueError, match="needs cubes of three axes"):
        perturber.cubes("thickness", torch.rand(1, 1, 8, 8), torch.Generator())
    with pytest.raises(ValueError, match="found blur"):
        CubeVectors((8, 8, 8), perturber, ["blur"])


def test_flat_images_are_embedded_where_they_lie(tmp_path):
    scan = write_scan(tmp_path / "flat.nii.gz", VOXELS[..., 4])
    prepared = ScanPreprocessing(spatial_dims=2)({"image": str(scan)})
    placed = CubePlacesd(cube_size=(4, 4), places="centre")(prepared)
    assert placed["corner"].shape == placed["point"].shape == (1, 2)
    for places, points in (("points", None), ("grid", [(0.0, 0.0)])):
        with pytest.raises(ValueError, match="Use places=points if"):
            CubePlacesd(cube_size=(4, 4), places=places)({**prepared, **({"points": points} if points else {})})
    np.testing.assert_allclose(placed["voxel"] % 1, 0.5, atol=1e-4)
