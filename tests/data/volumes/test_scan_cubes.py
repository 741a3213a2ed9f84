"""Cubes have the voxels of the volumes, at places that depend only on seed, epoch and index."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from models_genesis_bundle.data import (
    BodyRule,
    CubeSampler,
    EpochIndex,
    EpochSampler,
    IntensityScaling,
    LungRule,
    ScanCubes,
    ScanPreprocessing,
    SeededDataset,
    SkippedScansError,
    Volumes,
    list_scans,
    patient_hashes,
)
from monai.data import DataLoader
from organs import organ, write_nifti

SIZE = (16, 16, 12)


@pytest.fixture(scope="module")
def scans(phantoms):
    return list_scans(phantoms / "images")


@pytest.fixture(scope="module")
def volumes(scans, tmp_path_factory):
    return Volumes(tmp_path_factory.mktemp("cache"), scans, ScanPreprocessing(), num_workers=0)


def cubes(volumes, scans, size=SIZE, *, rule=None, margin=0, small_scans="pad", cubes_per_scan=3, **settings):
    sampler = CubeSampler(size, margin=margin, rule=rule or BodyRule(), small_scans=small_scans)
    return ScanCubes(volumes, scans, sampler, cubes_per_scan, **settings)


def own(tmp_path, scans, intensity=None, **settings):
    """Cubes of scans that a test has written."""
    preprocessing = ScanPreprocessing(intensity=intensity)
    return cubes(Volumes(tmp_path / "cache", scans, preprocessing, num_workers=0, apply_rules=False), scans, **settings)


@pytest.mark.parametrize("draw", ["fresh", "fixed"])
def test_every_cube_is_the_one_at_its_place(volumes, scans, draw):
    found = cubes(volumes, scans, draw=draw)
    assert len(found) == 12
    for number in range(12):
        item = found[EpochIndex(5, number)]
        assert (item["cube"], item["source"]) == (number, scans[number // 3]["image"])
        scan = ScanPreprocessing()({"image": item["source"]})["image"].numpy()
        place = CubeSampler(SIZE).cube_at(found.corner_of(number, 5))
        np.testing.assert_allclose(item["image"], scan[(0, *place)][None], atol=0.0005, rtol=0)
        assert type(item["image"]) is np.ndarray
        assert item["image"].dtype == np.float32


def test_fixed_cubes_lie_where_they_always_did(volumes, scans):
    """The published results depend on it; the places are those of version 0.1.0."""
    found = cubes(volumes, scans[:2], draw="fixed", cubes_per_scan=2, seed=7)
    places = [(26, 40, 15), (8, 26, 26), (15, 45, 30), (1, 28, 20)]
    assert [found.corner_of(number, epoch=3) for number in range(4)] == places


def test_each_epoch_takes_other_places_until_all_were_taken(volumes, scans):
    found = cubes(volumes, scans[:1], cubes_per_scan=8)
    count = found.counts[0]
    assert count > 1000
    places = [found.corner_of(number % 8, epoch=number // 8) for number in range(2 * count)]
    assert len(set(places[:count])) == count, "no place comes twice before all have come"
    assert set(places[:count]) == set(places[count:])
    assert places[:count] != places[count:]


def test_fresh_places_of_few_are_all_taken_in_each_epoch(tmp_path):
    found = own(tmp_path, [write_nifti(tmp_path / "tight.nii", organ(17, 16, 12))], cubes_per_scan=5)
    assert len(found) == 2
    for epoch in range(4):
        assert {found.corner_of(number, epoch) for number in range(2)} == {(0, 0, 0), (1, 0, 0)}


def test_places_depend_on_neither_the_folder_nor_the_company_nor_the_processes(volumes, scans, tmp_path):
    few = cubes(volumes, [scans[2], scans[0]])
    every = cubes(volumes, scans)
    np.testing.assert_array_equal(few.corners(scans[2]["image"]), every.corners(scans[2]["image"]))
    (tmp_path / "moved").mkdir()
    moved = {"image": str(tmp_path / "moved" / Path(scans[2]["image"]).name), "patient": scans[2]["patient"]}
    Path(moved["image"]).symlink_to(scans[2]["image"])
    again = own(tmp_path, [moved])
    np.testing.assert_array_equal(again.corners(moved["image"]), every.corners(scans[2]["image"]))


def test_runs_that_name_the_patients_differently_do_not_replace_each_others_places(volumes, scans):
    one = cubes(volumes, scans, cubes_per_scan=4)
    other = cubes(volumes, [{**scan, "patient": f"patient of {scan['patient']}"} for scan in scans], cubes_per_scan=4)
    assert not np.array_equal(one.corners(scans[0]["image"]), other.corners(scans[0]["image"]))
    assert np.array_equal(one[0]["image"], cubes(volumes, scans, cubes_per_scan=4)[0]["image"])


def test_processes_draw_the_same_places(volumes, scans, tmp_path):
    """A job has only the record of its volume; with all records, it would take too long to send the jobs of many scans."""
    others = Volumes(tmp_path, scans, ScanPreprocessing(), num_workers=0)
    assert len(others.alone(scans[1]["image"])) == 1
    others.num_workers = 2
    wanted, found = cubes(volumes, scans), cubes(others, scans)
    for scan in scans:
        np.testing.assert_array_equal(found.corners(scan["image"]), wanted.corners(scan["image"]))


def test_workers_and_ranks_read_the_same_cubes(volumes, scans):
    dataset = SeededDataset(cubes(volumes, scans), seed=1)
    assert np.array_equal(pickle.loads(pickle.dumps(dataset))[3]["image"], dataset[3]["image"])
    read = {}
    for workers, context in ((0, None), (2, "fork")):
        sampler = EpochSampler(dataset, seed=1)
        sampler.set_epoch(4)
        loader = DataLoader(
            dataset, sampler=sampler, batch_size=5, num_workers=workers, multiprocessing_context=context
        )
        read[workers] = np.concatenate([batch["image"] for batch in loader])
    assert np.array_equal(read[0], read[2])


def test_validation_sees_the_same_cubes_in_each_epoch(volumes, scans):
    dataset = SeededDataset(cubes(volumes, scans, draw="fresh"), redraw=False)
    assert np.array_equal(dataset[EpochIndex(0, 2)]["image"], dataset[EpochIndex(9, 2)]["image"])


def test_a_rotated_and_zoomed_cube_follows_from_its_index(volumes, scans):
    turned = cubes(volumes, scans, rotation=20, zoom=(0.8, 1.25))
    one, again, other = (turned[EpochIndex(*index)]["image"] for index in ((2, 5), (2, 5), (3, 5)))
    assert one.shape == (1, *SIZE)
    assert np.array_equal(one, again)
    assert not np.array_equal(one, other)
    assert not np.array_equal(one, cubes(volumes, scans)[EpochIndex(2, 5)]["image"])


def test_a_rotation_of_zero_and_a_zoom_of_one_change_nothing(volumes, scans):
    barely = cubes(volumes, scans, zoom=(1.0, 1.0 + 1e-9))
    plain = cubes(volumes, scans)
    for number in range(12):
        np.testing.assert_allclose(barely[number]["image"], plain[number]["image"], atol=1e-4)


def test_a_small_scan_is_padded_on_both_sides_with_the_darkest_value(tmp_path):
    scans = [write_nifti(tmp_path / "small.nii", organ(10, 20, 11))]
    found = own(tmp_path, scans, rule=BodyRule(0), intensity=IntensityScaling("zscore", clip=3), draw="fixed")
    x, y, z = found.corner_of(0)
    assert (x, z) == (-3, 0)
    assert 0 <= y <= 4
    image = found[0]["image"][0]
    assert (image[:3] == -3).all()
    assert (image[13:] == -3).all()
    assert (image[..., 11:] == -3).all()
    assert (image[3:13, :, :11] == -3).mean() < 0.01


def test_small_scans_and_scans_without_a_place_are_named(tmp_path, caplog):
    air = np.full((30, 30, 30), -1000.0)
    air[:6] = 40
    scans = [
        write_nifti(tmp_path / "large.nii", organ(30, 30, 30)),
        write_nifti(tmp_path / "small.nii", organ(10, 20, 20)),
        write_nifti(tmp_path / "air.nii", air),
    ]
    found = own(tmp_path, scans, small_scans="skip")
    assert found.images == [scans[0]["image"]]
    assert "2 of 3 scans could not be used:" in caplog.text
    assert "small.nii: its shape (10, 20, 20) is below the cube (16, 16, 12)." in caplog.text
    assert "air.nii: no cube of (16, 16, 12) with margin (0, 0, 0)" in caplog.text
    assert "satisfies BodyRule(min_body=0.5)" in caplog.text
    with pytest.raises(SkippedScansError, match=r"None of the 1 scans could be used:\n.*air\.nii: no cube"):
        own(tmp_path, scans[2:])


def test_scans_that_are_all_excluded_already_are_named(tmp_path):
    scans = [
        write_nifti(tmp_path / "usable.nii", organ(30, 30, 30)),
        write_nifti(tmp_path / "flat.nii", np.ones((30, 30, 30))),
    ]
    volumes = Volumes(tmp_path / "cache", scans, ScanPreprocessing(), num_workers=0)
    with pytest.raises(SkippedScansError, match=r"None of the 1 scans could be used:\n.*flat\.nii: it is constant"):
        cubes(volumes, scans[1:])


def test_margin_and_rule_hold_for_every_place(volumes, scans):
    found = cubes(volumes, scans, margin=(14, 18, 6), rule=LungRule(max_dense=0.3))
    corners = np.concatenate([found.corners(scan["image"]) for scan in scans])
    assert len(corners) > 100
    assert (corners >= (14, 18, 6)).all()
    assert (corners + SIZE <= np.array((64, 64, 48)) - (14, 18, 6)).all()
    dense = [(found[number]["image"] >= 0.425).mean() for number in range(len(found))]
    assert 0.02 < max(dense) <= 0.3 + 0.001, "-150 HU is 0.425 of the window"


def test_a_damaged_list_of_places_is_refused_with_the_remedy(tmp_path):
    scans = [write_nifti(tmp_path / "a.nii", organ(30, 30, 30))]
    own(tmp_path, scans)
    (file,) = (tmp_path / "cache").rglob("*.places")
    file.write_bytes(bytes([file.read_bytes()[0] ^ 1]) + file.read_bytes()[1:])
    with pytest.raises(ValueError, match=r"\.places: this list of places is damaged\. Remove the file"):
        _ = own(tmp_path, scans)[0]


def test_the_record_names_no_patient(volumes, scans):
    record = cubes(volumes, scans).record()
    assert json.loads(json.dumps(record)) == record
    assert (record["scans"], record["patients"], record["cubes"]) == (4, 4, 12)
    assert record["patient_hashes"] == patient_hashes(f"phantom_00{number}" for number in range(4))
    assert "phantom" not in json.dumps(record)
    assert record["settings"]["sampler"]["cube_size"] == list(SIZE)
    assert record["settings"]["draw"] == "fresh"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"cubes_per_scan": 0}, "cubes_per_scan must be 1 or more, got 0"),
        ({"draw": "new"}, "draw must be 'fresh' or 'fixed', got 'new'"),
        ({"rotation": 200}, "rotation must lie in 0 … 180 degrees"),
        ({"zoom": (1.2, 0.8)}, "two factors above 0 in ascending order"),
        ({"draw": "fixed", "rotation": 5}, "rotation and zoom need draw='fresh'"),
        ({"size": (16, 16)}, r"cube_size \(16, 16\) does not fit spatial_dims=3"),
    ],
)
def test_bad_arguments(volumes, scans, settings, message):
    with pytest.raises(ValueError, match=f"ScanCubes: {message}" if "zoom" not in settings else message):
        cubes(volumes, scans, **settings)


# --- slices: cubes one voxel thick ---


@pytest.mark.parametrize("size", [(16, 12, 1), (1, 16, 12)], ids=["axial", "sagittal"])
def test_a_slice_is_that_of_the_scan_without_its_thin_axis(volumes, scans, size):
    found = cubes(volumes, scans[1:2], size, cubes_per_scan=20)
    scan = ScanPreprocessing()(scans[1])["image"].numpy()
    for number in range(20):
        place = CubeSampler(size).cube_at(found.corner_of(number))
        assert found[number]["image"].shape == (1, 16, 12)
        np.testing.assert_allclose(found[number]["image"].ravel(), scan[(0, *place)].ravel(), atol=3e-4)


def test_slices_of_air_are_not_taken(tmp_path):
    voxels = np.full((40, 40, 40), -1000.0)
    voxels[5:35, 5:35, 20:] = organ(30, 30, 20)
    found = own(tmp_path, [write_nifti(tmp_path / "half.nii", voxels)], size=(32, 32, 1))
    assert found.corners(str(tmp_path / "half.nii"))[:, 2].min() >= 20
