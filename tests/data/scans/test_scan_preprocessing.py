import json

import nibabel
import numpy as np
import pytest
from models_genesis_bundle.data import IntensityScaling, ScanError, ScanPreprocessing
from monai.transforms import Invertd
from PIL import Image
from scan_writers import affine, write_scan

VOXELS = np.random.default_rng(0).integers(-900, 900, (12, 10, 8)).astype(np.int16)


def world_x(shape, matrix):
    """A scan in which the value of a voxel is its place along the left-right axis, in millimetres."""
    grid = np.stack(np.meshgrid(*map(np.arange, shape), indexing="ij"), axis=-1)
    return grid @ matrix[0, :3] + matrix[0, 3]


@pytest.mark.parametrize("codes", ["RAS", "LPS", "PIR", "SAL"])
def test_every_file_is_turned_to_the_same_axes(tmp_path, codes):
    image = nibabel.Nifti1Image(VOXELS, np.diag([2.0, 3.0, 4.0, 1.0]))
    own, wanted = map(nibabel.orientations.axcodes2ornt, ("RAS", codes))
    turned = image.as_reoriented(nibabel.orientations.ornt_transform(own, wanted))
    nibabel.save(turned, tmp_path / "a.nii")
    scan = ScanPreprocessing()({"image": tmp_path / "a.nii"})["image"]
    np.testing.assert_allclose(scan[0], (VOXELS + 1000.0) / 2000, atol=1e-6)
    np.testing.assert_allclose(scan.affine, image.affine, atol=1e-6)
    assert nibabel.aff2axcodes(turned.affine) == tuple(codes)


def test_without_orientation_and_spacing_the_voxels_stay_as_the_file_has_them(tmp_path):
    scan = ScanPreprocessing(orientation=None)({"image": write_scan(tmp_path / "a.mha", VOXELS)})["image"]
    np.testing.assert_allclose(scan[0], (VOXELS + 1000.0) / 2000, atol=1e-6)
    np.testing.assert_allclose(scan.affine, affine(), atol=1e-5)


@pytest.mark.parametrize("spacing", [1.5, (1.0, 4.0, 2.5)])
def test_resampling_keeps_every_value_at_its_place_in_the_body(tmp_path, spacing):
    image = nibabel.Nifti1Image(world_x((12, 10, 8), affine()).astype(np.float32), affine())
    nibabel.save(image, tmp_path / "a.nii")
    preprocessing = ScanPreprocessing(intensity=IntensityScaling("window", -200, 200), spacing=spacing)
    scan = preprocessing({"image": tmp_path / "a.nii"})["image"]
    np.testing.assert_allclose(scan.pixdim, np.broadcast_to(spacing, 3), rtol=1e-5)
    extent = np.array(scan.shape[1:]) * scan.pixdim.numpy()
    np.testing.assert_allclose(extent, np.array([8 * 4, 12 * 2, 10 * 3]), atol=2.0 * np.max(spacing))
    expected = world_x(scan.shape[1:], scan.affine.numpy())
    found = scan[0].numpy() * 400 - 200
    np.testing.assert_allclose(found[1:-1, 1:-1, 1:-1], expected[1:-1, 1:-1, 1:-1], atol=0.01)


@pytest.mark.parametrize(("own", "sides"), [(0.001, "1×1×1"), (1000.0, "11001×9001×7001")])
def test_a_size_that_resampling_cannot_give_is_refused(tmp_path, own, sides):
    """A header with a wrong unit or a scan of one thick slice can cause this."""
    nibabel.save(nibabel.Nifti1Image(VOXELS, np.diag([own, own, own, 1.0])), tmp_path / "a.nii")
    with pytest.raises(ScanError, match=f"its voxels are .* resampled to 1×1×1 mm it has {sides} of them") as caught:
        ScanPreprocessing(spacing=1.0)({"image": tmp_path / "a.nii"})
    assert caught.value.rule == "resampled_size"
    assert ScanPreprocessing()({"image": tmp_path / "a.nii"})["image"].shape == (1, 12, 10, 8)


@pytest.mark.parametrize("spacing", [None, (2.0, 3.0, 4.0)])
def test_a_result_can_be_taken_back_to_the_file(tmp_path, spacing):
    path = write_scan(tmp_path / "a.mha", VOXELS)
    preprocessing = ScanPreprocessing(spacing=spacing)
    item = preprocessing({"image": path})
    invert = Invertd("pred", transform=preprocessing, orig_keys="image", nearest_interp=False)
    back = invert({**item, "pred": item["image"].clone()})["pred"]
    assert back.shape == (1, *VOXELS.shape)
    np.testing.assert_allclose(back.affine, affine(), atol=1e-4)
    if spacing is None:
        np.testing.assert_allclose(preprocessing.intensity.invert(back)[0], VOXELS, atol=0.01)


@pytest.mark.parametrize(
    "preprocessing",
    [
        ScanPreprocessing(),
        ScanPreprocessing(["image", "second"], IntensityScaling("zscore"), spacing=2, orientation=None, volume=1),
        ScanPreprocessing(spacing=(1, 2), spatial_dims=2),
    ],
)
def test_the_record_survives_json_and_fits_other_keys(preprocessing):
    record = json.loads(json.dumps(preprocessing.record()))
    again = ScanPreprocessing.from_record(record, keys="scan")
    assert again.record() == preprocessing.record()
    assert again.keys == ("scan",)
    assert len(again.transforms) == len(preprocessing.transforms)


def test_an_unusable_scan_is_a_scan_error_and_not_the_runtime_error_of_a_compose(tmp_path):
    with pytest.raises(ScanError, match=r"a\.nii: there is no such file"):
        ScanPreprocessing()({"image": tmp_path / "a.nii"})


def test_other_errors_are_not_taken_for_a_bad_scan():
    with pytest.raises(RuntimeError) as raised:
        ScanPreprocessing()({"image": 5})
    assert not isinstance(raised.value, ScanError)


def test_pictures_in_2d(tmp_path):
    picture = np.random.default_rng(0).integers(0, 255, (10, 20)).astype(np.uint8)
    Image.fromarray(picture).save(tmp_path / "a.png")
    preprocessing = ScanPreprocessing(intensity=IntensityScaling("window", 0, 255), spatial_dims=2, spacing=0.5)
    image = preprocessing({"image": tmp_path / "a.png"})["image"]
    assert image.ndim == 3
    np.testing.assert_allclose(image.shape[1:], (40, 20), atol=1)
    np.testing.assert_allclose(image[0, ::2, ::2][:20, :10], picture[::-1, ::-1].T / 255, atol=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spacing": 0}, "spacing must be above 0 mm"),
        ({"spacing": (1, 2)}, r"spacing: expected one value or 3, one for each axis, found \(1, 2\)"),
        ({"spacing": (1, -1, 1)}, "spacing must be above 0 mm"),
        ({"orientation": "RA"}, r"one of L and R, of P and A, of I and S, such as RAS, got 'RA'"),
        ({"orientation": "RLS"}, "got 'RLS'"),
        ({"orientation": "ras"}, "got 'ras'"),
        ({"orientation": "SAR", "spatial_dims": 2}, r"one of L and R, of P and A, such as RA, got 'SA'"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"ScanPreprocessing: .*{message}"):
        ScanPreprocessing(**arguments)
