import pickle

import itk
import nibabel
import numpy as np
import pytest
import torch
from models_genesis_bundle.data import LoadScand, ScanError, ScanPreprocessing
from models_genesis_bundle.data.scans.files import is_scan_file
from PIL import Image
from reading import VOXELS, load, refused
from scan_writers import SPACING, affine, truncate, write_scan

FORMATS = ("a.nii", "a.nii.gz", "a.nrrd", "a.nhdr", "a.mha", "a.mhd", "dicom")


@pytest.mark.parametrize("name", FORMATS)
def test_every_format_gives_the_same_voxels_at_the_same_places(tmp_path, name):
    scan = load(write_scan(tmp_path / name, VOXELS))
    assert scan.shape == (1, *VOXELS.shape)
    assert scan.dtype == torch.float32
    assert np.array_equal(scan[0], VOXELS)
    np.testing.assert_allclose(scan.affine, affine(), atol=1e-5)
    np.testing.assert_allclose(scan.pixdim, SPACING, rtol=1e-6)
    assert scan.meta["filename_or_obj"] == str(tmp_path / name)


@pytest.mark.parametrize("name", ["a.nrrd", "a.mha"])
def test_compressed_files(tmp_path, name):
    assert np.array_equal(load(write_scan(tmp_path / name, VOXELS, compression=True))[0], VOXELS)


@pytest.mark.parametrize("shape", [(12, 10, 8), (1, 12, 10, 8), (12, 10, 8, 1)])
def test_numpy_files_lie_on_a_grid_of_one_millimetre(tmp_path, shape):
    scan = load(write_scan(tmp_path / "a.npy", VOXELS.reshape(shape)))
    assert np.array_equal(scan[0], VOXELS)
    assert np.array_equal(scan.affine, np.eye(4))


@pytest.mark.parametrize(
    ("array", "rule"),
    [
        (VOXELS.astype(np.complex64), "complex"),
        (np.zeros(VOXELS.shape, dtype=[("R", "u1"), ("G", "u1")]), "colour"),
        (np.full(VOXELS.shape, "a"), "damaged"),
        (VOXELS[:0], "damaged"),
    ],
)
def test_numpy_files_without_real_numbers_are_refused(tmp_path, array, rule):
    np.save(tmp_path / "a.npy", array)
    with refused(rule):
        load(tmp_path / "a.npy")


def test_pictures_are_grey_with_their_width_along_x(tmp_path):
    grey = np.random.default_rng(0).integers(0, 255, (10, 20)).astype(np.uint8)
    Image.fromarray(grey).save(tmp_path / "grey.png")
    Image.fromarray(np.stack([grey] * 3, axis=-1)).save(tmp_path / "colour.png")
    Image.fromarray(grey.astype(np.uint16) * 256).save(tmp_path / "deep.png")
    for name, factor in (("grey", 1), ("colour", 1), ("deep", 256)):
        image = load(tmp_path / f"{name}.png", spatial_dims=2)
        assert image.shape == (1, 20, 10), name
        assert np.array_equal(image[0], grey.T * float(factor)), name


@pytest.mark.parametrize("name", ["a.nii.gz", "a.npy", "a.mha"])
def test_flat_scans_in_2d(tmp_path, name):
    image = load(write_scan(tmp_path / name, VOXELS[..., :1]), spatial_dims=2)
    assert image.shape == (1, 12, 10)
    assert np.array_equal(image[0], VOXELS[..., 0])


def test_one_of_several_volumes_is_taken_only_by_name(tmp_path):
    path = write_scan(tmp_path / "a.nii", np.stack([VOXELS, VOXELS + 1, VOXELS + 2], axis=-1))
    with pytest.raises(ScanError, match=r"shape \(12, 10, 8, 3\) has 4 axes instead of 3: 3 volumes. .*volume=0 … 2"):
        load(path)
    scan = load(path, volume=1)
    assert np.array_equal(scan[0], VOXELS + 1)
    assert load(write_scan(tmp_path / "b.nii", VOXELS), volume=1).shape == scan.shape, "one volume leaves no choice"
    with pytest.raises(ScanError, match=r"it contains 3 volumes\. There is no volume 3; choose one from 0 to 2"):
        load(path, volume=3)


@pytest.mark.parametrize("shape", [(12, 10), (12, 10, 1), (1, 12, 10), (12, 1, 8)])
def test_a_flat_image_is_refused_in_3d(tmp_path, shape):
    path = write_scan(tmp_path / "a.nii", np.resize(VOXELS, shape))
    with pytest.raises(ScanError, match=r"a\.nii: its shape .* has no 3 axes longer than 1. .* spatial_dims=2"):
        load(path)
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "a.png")
    with pytest.raises(ScanError, match=r"its shape \(8, 8\) has no 3 axes"):
        load(tmp_path / "a.png")


def test_voxels_that_are_no_numbers_are_counted(tmp_path):
    array = VOXELS.astype(np.float32)
    array[0, :3, 0] = np.nan
    array[5, 5, 5] = -np.inf
    with pytest.raises(ScanError, match="4 of its 960 voxels are NaN or infinite"):
        load(write_scan(tmp_path / "a.nii", array))


def test_a_constant_scan_is_refused(tmp_path):
    with pytest.raises(ScanError, match="it is constant: every voxel is -1024"):
        load(write_scan(tmp_path / "a.mha", np.full_like(VOXELS, -1024)))


@pytest.mark.parametrize("matrix", [np.diag([1.0, 1.0, 0.0, 1.0]), np.eye(4) + 1e30 * np.eye(4, k=3)])
def test_a_singular_or_endless_affine_is_refused(tmp_path, matrix):
    image = nibabel.Nifti1Image(VOXELS, None)
    image.header.set_sform(matrix, code=1)
    nibabel.save(image, tmp_path / "a.nii")
    with pytest.raises(ScanError, match="its affine is singular"):
        load(tmp_path / "a.nii")


@pytest.mark.parametrize("name", ["a.nii.gz", "a.nrrd"])
def test_a_sheared_scan_is_named_with_its_angle_and_straightened_by_a_spacing(tmp_path, caplog, name):
    """After a gantry tilt, the slices do not lie straight above each other."""
    sheared = np.diag([1.0, 1.0, 2.0, 1.0])
    sheared[1, 2] = 2 * np.tan(np.radians(18.5))
    if name == "a.nrrd":
        image = itk.image_from_array(np.ascontiguousarray(VOXELS.T))
        lengths = np.linalg.norm(sheared[:3, :3], axis=0)
        image.SetSpacing(lengths.tolist())
        image.SetDirection(np.diag([-1, -1, 1]) @ sheared[:3, :3] / lengths)
        itk.imwrite(image, str(tmp_path / name))
    else:
        nibabel.save(nibabel.Nifti1Image(VOXELS, sheared), tmp_path / name)
    scan = load(tmp_path / name)
    np.testing.assert_allclose(scan.affine, sheared, atol=1e-5)
    assert f"{name}: its axes are 18.5 degrees from perpendicular" in caplog.text
    resampled = ScanPreprocessing(spacing=1.5)({"image": tmp_path / name})["image"]
    np.testing.assert_allclose(resampled.affine[:3, :3], 1.5 * np.eye(3), atol=1e-5)
    caplog.clear()
    load(write_scan(tmp_path / "straight.nii", VOXELS))
    assert not caplog.records


@pytest.mark.parametrize("name", [*FORMATS[:-1], "a.npy"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.9])
def test_truncated_files_are_named(tmp_path, name, share):
    scan = write_scan(tmp_path / name, VOXELS)
    truncate(max(tmp_path.iterdir(), key=lambda file: file.stat().st_size), share)
    with pytest.raises(ScanError, match=rf"{name}: it cannot be read .* truncated or damaged"):
        load(scan)


def test_a_path_that_the_system_refuses_is_no_usable_scan(tmp_path):
    with pytest.raises(ScanError, match=r"it cannot be read \(OSError: "):
        load(tmp_path / f"{'a' * 300}.nii")
    assert not is_scan_file(tmp_path / ("a" * 300))


def test_absent_and_unknown_files_are_named(tmp_path):
    with refused("absent", r"none\.nii: there is no such file"):
        load(tmp_path / "none.nii")
    (tmp_path / "thesis.pdf").write_text("precious")
    with refused("unknown_format", r"thesis\.pdf: its suffix is not that of .* \.nii\.gz, .*\.png"):
        load(tmp_path / "thesis.pdf")


def test_a_numpy_file_that_wants_to_run_code_is_refused(tmp_path):
    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    np.save(tmp_path / "evil.npy", np.array([Harm()], dtype=object), allow_pickle=True)
    with pytest.raises(ScanError, match=r"evil\.npy: it cannot be read"):
        load(tmp_path / "evil.npy")
    assert not (tmp_path / "harmed").exists()


def test_an_error_tells_its_parts_and_survives_another_process(tmp_path):
    with pytest.raises(ScanError) as raised:
        load(write_scan(tmp_path / "a.nii", np.ones_like(VOXELS)))
    error = pickle.loads(pickle.dumps(raised.value))
    assert (error.file, error.rule) == (str(tmp_path / "a.nii"), "constant")
    assert (error.found, error.remedy) == ("it is constant: every voxel is 1.", "Leave it out.")
    assert str(error) == f"{error.file}: {error.found} {error.remedy}"


def test_the_input_and_other_keys_stay(tmp_path):
    path = write_scan(tmp_path / "a.nii", VOXELS)
    item = {"image": str(path), "patient": "p"}
    loaded = LoadScand("image")(item)
    assert item == {"image": str(path), "patient": "p"}
    assert loaded["patient"] == "p"


def test_a_missing_key_is_an_error_unless_allowed(tmp_path):
    item = {"image": write_scan(tmp_path / "a.nii", VOXELS)}
    with pytest.raises(KeyError):
        LoadScand(["image", "second"])(item)
    assert set(LoadScand(["image", "second"], allow_missing_keys=True)(item)) == {"image"}


def test_scans_have_two_or_three_axes():
    with pytest.raises(ValueError, match="spatial_dims must be 2 or 3, got 4"):
        LoadScand("image", spatial_dims=4)
