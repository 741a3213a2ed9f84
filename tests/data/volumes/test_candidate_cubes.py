"""The cubes lie around their points, for any axes of the scan."""

from __future__ import annotations

import json
from pathlib import Path

import itk
import numpy as np
import pytest
from models_genesis_bundle.data import CandidateCubes, ScanPreprocessing, Volumes, patient_hashes
from models_genesis_bundle.data.volumes.candidate_cubes import corners_around
from scan_writers import write_scan

SIZE = (8, 6, 5)
RAMP = np.arange(960, dtype=np.int16).reshape(10, 12, 8)
TURNED = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])  # as a sagittal series, with Z to the feet
OBLIQUE = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]


def write_marked(path: Path, voxel, direction, spacing=(2.0, 3.0, 4.0)) -> list[float]:
    """Write a dark scan with one bright voxel by ITK, and return the point of this voxel in the axes of ITK and LUNA16."""
    array = np.full((20, 18, 16), -1000, dtype=np.int16)
    x, y, z = voxel
    array[x, y, z] = 1000
    image = itk.image_from_array(np.ascontiguousarray(array.T))
    image.SetOrigin((-100.0, 40.0, 250.0))
    image.SetSpacing(spacing)
    image.SetDirection(np.ascontiguousarray(direction))
    itk.imwrite(image, str(path))
    return list(image.TransformIndexToPhysicalPoint(voxel))


def item(path, point=None, label=0, **more):
    place = {} if point is None else {"point": tuple(point), "scan": Path(path).name.split(".")[0]}
    return {"image": str(path), "patient": Path(path).name.split(".")[0], "label": label, **place, **more}


def cubes(directory, items, size=SIZE, *, preprocessing=None, **settings):
    preprocessing = preprocessing or ScanPreprocessing()
    volumes = Volumes(directory, items, preprocessing, num_workers=0, apply_rules=False) if items else None
    return CandidateCubes(items, volumes, size, **settings)


@pytest.mark.parametrize("orientation", ["RAS", "LPS", None])
@pytest.mark.parametrize("direction", [np.eye(3), np.diag([-1.0, 1.0, -1.0]), TURNED, OBLIQUE])
def test_the_point_of_an_mhd_is_in_the_middle_of_its_cube(tmp_path, direction, orientation):
    point = write_marked(tmp_path / "scan.mhd", (13, 4, 9), direction)
    steps = ScanPreprocessing(orientation=orientation)
    found = cubes(tmp_path / "store", [item(tmp_path / "scan.mhd", point)], preprocessing=steps)
    (place,) = np.argwhere(found[0]["image"][0] > 0.5)
    assert place.tolist() == [side // 2 for side in SIZE]


def test_the_point_stays_in_the_middle_when_the_scan_is_resampled(tmp_path):
    point = write_marked(tmp_path / "scan.mhd", (13, 4, 9), TURNED)
    steps = ScanPreprocessing(spacing=1.5)
    found = cubes(tmp_path / "store", [item(tmp_path / "scan.mhd", point)], (9, 9, 9), preprocessing=steps)
    image = found[0]["image"][0]
    centre = (np.argwhere(image > 0) * image[image > 0][:, None]).sum(axis=0) / image.sum()
    assert np.abs(centre - 4).max() <= 0.5 + 1e-3, "within half a voxel"


def test_points_of_flat_images():
    affine = np.array([[2.0, 0, 0], [0, 4.0, 0], [0, 0, 1]])
    corners = corners_around([(-6.0, -20.0)], affine, (10, 12), (4, 4))
    assert corners.tolist() == [[1, 3]], "the voxel (3, 5) at side // 2"


def test_cubes_reach_over_the_border_into_darkness(tmp_path):
    array = np.random.default_rng(0).integers(-500, 500, (10, 9, 8), dtype=np.int16)
    path = write_scan(tmp_path / "scan.nii.gz", array)
    scan = ScanPreprocessing()({"image": path})["image"]
    corner = np.asarray(scan.affine) @ [0, 0, 0, 1]
    found = cubes(tmp_path / "store", [item(path, corner[:3] * [-1, -1, 1])])[0]["image"][0]
    assert found[4:, 3:, 2:] == pytest.approx(scan.numpy()[0, :4, :3, :3], abs=5e-4)
    outside = np.ones(SIZE, dtype=bool)
    outside[4:, 3:, 2:] = False
    assert not found[outside].any()


@pytest.mark.parametrize("shape", [(9, 9, 9), (4, 12, 3)])
def test_an_image_without_point_gives_its_middle_cropped_or_padded(tmp_path, shape):
    path = write_scan(tmp_path / "scan.nii.gz", np.random.default_rng(0).integers(-500, 500, shape, dtype=np.int16))
    scan = ScanPreprocessing()({"image": path})["image"].numpy()[0]
    found = cubes(tmp_path / "store", [item(path)])[0]
    kept = np.minimum(scan.shape, SIZE)
    starts = (np.array(scan.shape) - kept) // 2
    inside = scan[tuple(slice(start, start + side) for start, side in zip(starts, kept, strict=True))]
    assert found["image"].sum() == pytest.approx(inside.sum(), rel=1e-3), "all of the middle, and no voxel twice"
    assert found["image"].max() == pytest.approx(inside.max(), abs=5e-4)
    assert set(found) == {"image", "source", "patient", "case", "label"}
    assert found["case"] == str(path)


def test_items_keep_what_belongs_to_them(tmp_path):
    paths = [write_scan(tmp_path / f"{name}.nii.gz", RAMP) for name in "ab"]
    corner = np.asarray(ScanPreprocessing()({"image": paths[0]})["image"].affine)[:3, 3] * [-1, -1, 1]
    items = [
        item(paths[0], corner, 1, diameter_mm=3.5),
        item(paths[1], corner, diameter_mm=4.0),
        item(paths[0], corner),
    ]
    found = cubes(tmp_path / "store", items, also=["diameter_mm"])
    assert [(cube["scan"], cube["label"]) for cube in found] == [("a", 1), ("a", 0), ("b", 0)], "scan by scan"
    assert found.labels == [1, 0, 0]
    assert found[2]["case"] == "b (10 -2 -3)", "the lowest corner in RAS"
    np.testing.assert_array_equal([cube["diameter_mm"] for cube in found], [3.5, np.nan, 4.0])
    record = json.loads(json.dumps(found.record()))
    assert record["classes"] == {"0": 2, "1": 1}
    assert record["patient_hashes"] == patient_hashes(["a", "b"])


@pytest.mark.parametrize(
    ("more", "message"),
    [
        ([{"diameter_mm": "5,5"}, {}], r"a\.nii\.gz: expected a number as 'diameter_mm'.*found '5,5'"),
        ([{"diameter": 5.5}, {}], r"no item has an entry 'diameter_mm'; the first has image, patient, label, diameter"),
        ([{"diameter_mm": 5, "lesion": "l1"}, {}], r"'lesion' in all items or in none, found it in 1 of 2"),
    ],
)
def test_further_entries_are_numbers_and_scans_and_lesions_are_complete(tmp_path, more, message):
    items = []
    for name, further in zip("ab", more, strict=True):
        items.append(item(write_scan(tmp_path / f"{name}.nii.gz", RAMP), **further))
    with pytest.raises(ValueError, match=message):
        cubes(tmp_path / "store", items, also=["diameter_mm"])


def test_an_empty_text_is_an_unknown_number(tmp_path):
    path = write_scan(tmp_path / "a.nii.gz", RAMP)
    found = cubes(tmp_path / "store", [item(path, diameter_mm="")], also=["diameter_mm"])
    assert np.isnan(found[0]["diameter_mm"])


def test_a_part_of_the_labels_keeps_each_class(tmp_path):
    items = []
    for number in range(10):
        array = np.random.default_rng(number).integers(-500, 500, (6, 6, 6), dtype=np.int16)
        items.append(item(write_scan(tmp_path / f"s{number}.nii.gz", array), label=int(number < 2)))
    whole = cubes(tmp_path / "store", items)
    some = cubes(tmp_path / "store", items, label_fraction=0.3, label_fraction_seed=1)
    assert len(some) == 3
    assert set(some.labels) == {0, 1}
    for cube in some:
        (same,) = (other for other in whole if other["patient"] == cube["patient"])
        assert np.array_equal(cube["image"], same["image"])
    assert some.record()["patients"] == 3
    few = cubes(tmp_path / "store", items, shots=2, label_fraction_seed=1)
    assert set(few.labels) == {0, 1}
    assert {cube["patient"] for cube in few} < {cube["patient"] for cube in some}


def test_items_of_a_scan_that_cannot_be_read_are_left_out(tmp_path, caplog):
    good = write_scan(tmp_path / "good.nii.gz", RAMP)
    (tmp_path / "bad.nii.gz").write_bytes(b"no scan")
    found = cubes(tmp_path / "store", [item(tmp_path / "bad.nii.gz", label=1), item(good)])
    assert [cube["patient"] for cube in found] == ["good"]
    assert "1 of 2 items are skipped" in caplog.text


def test_slices_around_points(tmp_path):
    array = np.random.default_rng(0).integers(-500, 500, (20, 18, 16), dtype=np.int16)
    path = write_scan(tmp_path / "scan.nii.gz", array)
    affine = np.asarray(ScanPreprocessing()({"image": path})["image"].affine)
    items = [item(path, (affine @ [*voxel, 1])[:3] * [-1, -1, 1]) for voxel in ((9, 9, 9), (12, 8, 4))]
    flat, thick = (cubes(tmp_path / "store", items, size) for size in ((8, 8), (8, 8, 6)))
    for one, other in zip(flat, thick, strict=True):
        assert one["image"].shape == (1, 8, 8)
        assert np.array_equal(one["image"], other["image"][..., 3]), "the point lies at size // 2"


def test_points_of_another_convention_are_refused_with_the_reach(tmp_path):
    point = write_marked(tmp_path / "scan.mhd", (13, 4, 9), np.eye(3))
    ras = (-point[0], -point[1], point[2])
    message = r"scan.mhd: 1 of 1 points lie outside .* -100.0 … -62.0, 40.0 … 91.0, .*LPS coordinates"
    with pytest.raises(ValueError, match=message):
        cubes(tmp_path / "store", [item(tmp_path / "scan.mhd", ras)])


def items_of(tmp_path, *places) -> list[dict]:
    return [item(write_scan(tmp_path / f"{name}.nii", RAMP), point) for name, point in places]


def test_lists_that_make_no_sense(tmp_path):
    for places, message in (
        ([], "the list of items is empty"),
        ([("a", None), ("b", (0, 0, 0))], "expected the entry 'point' in all items or in none, found it in 1 of 2"),
        ([("a", None), ("a", None)], "listed 2 times without a point"),
        ([("a", (0, 0))], "needs 3 coordinates"),
    ):
        with pytest.raises(ValueError, match=message):
            cubes(tmp_path / "store", items_of(tmp_path, *places))
    one, other = items_of(tmp_path, ("a", None), ("b", None))
    del other["label"]
    with pytest.raises(ValueError, match="expected the entry 'label' in all items or in none, found it in 1 of 2"):
        cubes(tmp_path / "store", [one, other])
