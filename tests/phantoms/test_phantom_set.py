import json
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
from unittest import mock

import nibabel
import numpy as np
import pytest
from models_genesis_bundle.phantoms import make_phantoms, scans_or_phantoms
from models_genesis_bundle.phantoms.anatomy import draw_chest
from scipy import ndimage

SMALL = {"size": (64, 64, 48), "spacing": (5.0, 5.0, 6.0)}


@pytest.fixture(scope="module")
def chest():
    return draw_chest((96, 96, 80), (3.4, 3.4, 4.0), np.random.default_rng(1))


def load(directory, kind, index, person="phantom"):
    return nibabel.load(directory / kind / f"{person}_{index:03d}.nii.gz")


def test_tissues_have_their_hounsfield_units(chest):
    hu, labels = chest
    lung = ndimage.binary_erosion(labels == 1, iterations=2)
    assert -900 < np.median(hu[lung]) < -780
    body = ndimage.binary_fill_holes(hu > -300)
    assert np.median(hu[~ndimage.binary_dilation(body, iterations=4)]) < -950
    soft = hu[(hu > -200) & (hu < 150)]
    assert ((soft > -140) & (soft < -70)).mean() > 0.05, "fat"
    assert ((soft > 0) & (soft < 110)).mean() > 0.3, "muscle, blood, liver"
    assert 0.005 < (hu > 350).mean() < 0.08, "bone"


def test_lungs_are_two_and_nodules_lie_in_them(chest):
    hu, labels = chest
    parts, count = ndimage.label(ndimage.binary_opening(labels > 0, iterations=2))
    sizes = np.sort(np.bincount(parts.ravel())[1:])[::-1]
    assert count >= 2
    assert sizes[1] > 0.4 * sizes[0]
    assert (labels == 2).any()
    around = ndimage.binary_dilation(labels == 2, iterations=2)
    assert (labels[around] > 0).mean() > 0.5
    assert np.median(hu[labels == 2]) > np.median(hu[labels == 1]) + 150


def test_people_differ(chest):
    other = draw_chest((96, 96, 80), (3.4, 3.4, 4.0), np.random.default_rng(2))
    overlap = ((chest[1] > 0) & (other[1] > 0)).sum() / ((chest[1] > 0) | (other[1] > 0)).sum()
    assert 0.4 < overlap < 0.97


def test_files_geometry_and_datalist(tmp_path):
    directory = make_phantoms(tmp_path / "set", count=2, **SMALL)
    image, label = load(directory, "images", 1), load(directory, "labels", 1)
    assert image.get_data_dtype() == np.int16
    assert label.get_data_dtype() == np.uint8
    assert image.shape == label.shape == (64, 64, 48)
    assert np.array_equal(image.affine, label.affine)
    assert image.header.get_zooms() == (5, 5, 6)
    assert nibabel.aff2axcodes(image.affine) == ("R", "A", "S")
    datalist = json.loads((directory / "dataset.json").read_text())
    assert "hantom" in datalist["name"]
    assert [item["patient"] for item in datalist["training"]] == ["phantom_000", "phantom_001"]
    assert all((directory / item[key]).exists() for item in datalist["training"] for key in ("image", "label"))


def test_same_seed_same_voxels_and_reuse(tmp_path):
    one = make_phantoms(tmp_path / "one", count=1, seed=4, **SMALL)
    before = (one / "images" / "phantom_4_000.nii.gz").stat().st_mtime_ns
    make_phantoms(one, count=2, seed=4, **SMALL)
    assert (one / "images" / "phantom_4_000.nii.gz").stat().st_mtime_ns == before
    two = make_phantoms(tmp_path / "two", count=2, seed=4, **SMALL)
    first, second = ([load(made, "images", n, "phantom_4").get_fdata() for n in range(2)] for made in (one, two))
    assert np.array_equal(first, second)
    assert not np.array_equal(first[0], first[1])


def test_sets_of_other_seeds_share_no_name(tmp_path):
    """Otherwise, weights of one set would seem to be trained on the test patients of another."""
    sets = [make_phantoms(tmp_path / str(seed), count=2, seed=seed, **SMALL) for seed in (0, 1, 10)]
    names = [path.name for directory in sets for path in (directory / "images").iterdir()]
    assert len(names) == len(set(names)) == 6


def test_an_interrupted_set_is_completed(tmp_path):
    directory = make_phantoms(tmp_path / "set", count=2, **SMALL)
    wanted = load(directory, "labels", 1).get_fdata()
    (directory / "labels" / "phantom_001.nii.gz").unlink()
    (directory / "images" / "phantom_001.nii.gz").write_bytes(b"half")
    make_phantoms(directory, count=2, **SMALL)
    assert np.array_equal(load(directory, "labels", 1).get_fdata(), wanted)
    assert load(directory, "images", 1).get_fdata().std() > 100


def test_of_an_interrupted_set_fewer_phantoms_can_be_made(tmp_path):
    directory = make_phantoms(tmp_path / "set", count=4, **SMALL)
    for file in sorted((directory / "labels").iterdir())[1:]:
        file.unlink()
    make_phantoms(directory, count=2, **SMALL)
    listed = json.loads((directory / "dataset.json").read_text())["training"]
    assert [entry["patient"] for entry in listed] == ["phantom_000", "phantom_001"]
    assert load(directory, "labels", 1).shape == SMALL["size"]


def test_two_processes_at_once(tmp_path):
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        made = [pool.submit(make_phantoms, tmp_path / "set", 2, **SMALL) for _ in range(2)]
        assert {future.result() for future in made} == {tmp_path / "set"}
    assert load(tmp_path / "set", "images", 1).get_fdata().std() > 100


def test_other_settings_and_foreign_files_are_refused(tmp_path):
    directory = make_phantoms(tmp_path / "set", count=1, **SMALL)
    with pytest.raises(FileExistsError, match="other settings"):
        make_phantoms(directory, count=1, seed=9, **SMALL)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("precious")
    with pytest.raises(FileExistsError, match="not phantoms"):
        make_phantoms(tmp_path / "mine", count=1, **SMALL)
    with pytest.raises(ValueError, match="at least 1"):
        make_phantoms(tmp_path / "none", count=0)


def test_the_users_data_are_passed_on_as_they_are(tmp_path, caplog):
    caplog.set_level("INFO")
    mine = str(tmp_path / "mine")
    for labelled in (False, True):
        assert scans_or_phantoms(mine, str(tmp_path / "phantoms"), labelled=labelled) == mine
    assert not caplog.records
    assert not list(tmp_path.iterdir())


def test_without_data_phantoms_are_made_once_and_said(tmp_path, caplog):
    caplog.set_level("INFO")
    with mock.patch("models_genesis_bundle.phantoms.phantom_set.make_phantoms", partial(make_phantoms, **SMALL)):
        images = scans_or_phantoms(None, str(tmp_path / "phantoms"), count=2)
        before = [path.stat().st_mtime_ns for path in sorted((tmp_path / "phantoms").rglob("*.nii.gz"))]
        labelled = scans_or_phantoms(None, str(tmp_path / "phantoms"), count=2, labelled=True)
    assert images == str(tmp_path / "phantoms/images")
    assert (labelled, len(before)) == (str(tmp_path / "phantoms"), 4)
    assert (tmp_path / "phantoms/dataset.json").exists()
    assert before == [path.stat().st_mtime_ns for path in sorted((tmp_path / "phantoms").rglob("*.nii.gz"))]
    assert "No dataset_dir was given: 2 phantoms (synthetic chest CTs)" in caplog.text
