import nibabel
import numpy as np
import pytest
import torch
from models_genesis_bundle.data import (
    EpochIndex,
    LabelledPreprocessing,
    ScanCompose,
    ScanError,
    ScanPreprocessing,
    SeededDataset,
)
from monai.data import CacheDataset, DataLoader
from monai.transforms import Compose, Invertd, RandCropByPosNegLabeld, SpatialPadd
from PIL import Image
from scan_writers import affine, write_scan

SHAPE = (24, 20, 16)


def ball(shape=SHAPE):
    """A ball next to the centre, so that every rotation or flip of the grid moves it."""
    grid = np.meshgrid(*(np.arange(side) for side in shape), indexing="ij")
    centre = [0.35 * side for side in shape]
    return sum((axis - c) ** 2 for axis, c in zip(grid, centre, strict=True)) < (0.25 * min(shape)) ** 2


def pair(folder, image="image.nii.gz", label="label.nii.gz"):
    """A ball of 1000 HU in air, and its label map."""
    folder.mkdir(exist_ok=True)
    hu = np.where(ball(), 1000, -1000).astype(np.int16)
    return {
        "image": str(write_scan(folder / image, hu)),
        "label": str(write_scan(folder / label, ball().astype(np.uint8))),
        "patient": "ana",
    }


def write_label(item, array, matrix):
    nibabel.save(nibabel.Nifti1Image(array.astype(np.uint8), matrix), item["label"])
    return item


@pytest.mark.parametrize("orientation", ["RAS", "PIR", None])
@pytest.mark.parametrize("spacing", [None, 1.0, (3.0, 2.5, 2.0)])
def test_the_label_lies_on_the_image(tmp_path, orientation, spacing):
    preprocessing = ScanPreprocessing(spacing=spacing, orientation=orientation)
    item = pair(tmp_path)
    result = LabelledPreprocessing(preprocessing)(item)
    image, label = result["image"], result["label"]
    assert (image.dtype, label.dtype) == (torch.float32, torch.uint8)
    assert image.shape == label.shape
    assert torch.equal(image.affine, label.affine)
    assert torch.equal(image, preprocessing(item)["image"])
    assert label.unique().tolist() == [0, 1]
    assert ((image > 0.5) != (label == 1)).float().mean() < (0.02 if spacing else 1e-9)
    assert result["patient"] == "ana"


@pytest.mark.parametrize(
    ("image", "label"),
    [
        *((name, "label.nii.gz") for name in ("image.mhd", "image.nrrd", "image.nii", "dicom")),
        ("image.npy", "label.npy"),
    ],
)
def test_image_and_label_may_be_of_different_formats(tmp_path, image, label):
    result = LabelledPreprocessing(ScanPreprocessing())(pair(tmp_path, image, label))
    assert torch.equal(result["image"] > 0.5, result["label"] == 1)


def test_a_volume_of_several_with_one_label(tmp_path):
    item = pair(tmp_path)
    volumes = np.stack([np.full(SHAPE, 500), np.where(ball(), 1000, -1000)], axis=-1).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(volumes, affine()), item["image"])
    result = LabelledPreprocessing(ScanPreprocessing(volume=1))(item)
    assert torch.equal(result["image"] > 0.5, result["label"] == 1)


def test_pictures_in_2d(tmp_path):
    disc = ball((24, 20))
    for name, value in (("image", 200), ("label", 1)):
        Image.fromarray((disc * value).astype(np.uint8)).save(tmp_path / f"{name}.png")
    item = {name: str(tmp_path / f"{name}.png") for name in ("image", "label")}
    result = LabelledPreprocessing(ScanPreprocessing(spatial_dims=2))(item)
    assert result["label"].shape[1:] in ((24, 20), (20, 24))
    assert torch.equal(result["image"] > result["image"].mean(), result["label"] == 1)


def test_labels_are_mapped_and_checked(tmp_path):
    item = write_label(pair(tmp_path), 4 * ball(), affine())
    mapped = LabelledPreprocessing(ScanPreprocessing(), label_map={4: 3}, num_classes=4)(item)
    assert mapped["label"].unique().tolist() == [0, 3]
    with pytest.raises(
        ScanError, match=r"label\.nii\.gz: labels for 4 classes with the background lie in 0 … 3, found 4"
    ):
        LabelledPreprocessing(ScanPreprocessing(), num_classes=4)(item)


def test_another_shape_is_refused_with_both_files(tmp_path):
    item = write_label(pair(tmp_path), ball((24, 20, 15)), affine())
    message = r"label\.nii\.gz: its shape \(24, 20, 15\) differs from \(24, 20, 16\) of its image .*image\.nii\.gz"
    with pytest.raises(ScanError, match=message):
        LabelledPreprocessing(ScanPreprocessing(spacing=1.0))(item)


def test_another_affine_is_refused_with_both_files_unless_it_is_to_be_ignored(tmp_path):
    shifted = affine()
    shifted[:3, 3] += (0, 3, 4)
    item = write_label(pair(tmp_path), ball(), shifted)
    message = r"label\.nii\.gz: its affine \[\[.* up to 5 mm away .* its image .*image\.nii\.gz.*ignore_label_affine"
    with pytest.raises(ScanError, match=message):
        LabelledPreprocessing(ScanPreprocessing())(item)
    result = LabelledPreprocessing(ScanPreprocessing(), ignore_label_affine=True)(item)
    assert torch.equal(result["image"] > 0.5, result["label"] == 1)
    assert torch.equal(result["image"].affine, result["label"].affine)


@pytest.mark.parametrize("change", [np.diag([-1.0, 1, 1, 1]), np.diag([1, 1, 1.05, 1])], ids=["mirrored", "stretched"])
def test_the_corners_tell_affines_apart_that_share_an_origin(tmp_path, change):
    item = write_label(pair(tmp_path), ball(), affine() @ change)
    with pytest.raises(ScanError, match="its affine"):
        LabelledPreprocessing(ScanPreprocessing())(item)


def test_a_rounded_affine_is_taken_as_the_images(tmp_path):
    rounded = affine()
    rounded[:3, 3] += 0.05
    item = write_label(pair(tmp_path), ball(), rounded)
    result = LabelledPreprocessing(ScanPreprocessing(spacing=1.5))(item)
    assert torch.equal(result["image"].affine, result["label"].affine)
    assert result["image"].shape == result["label"].shape


@pytest.mark.parametrize("by", ["preprocessing", "labelled"])
def test_a_prediction_goes_back_to_the_files_grid(tmp_path, by):
    preprocessing = ScanPreprocessing(spacing=1.5)
    labelled = LabelledPreprocessing(preprocessing)
    result = labelled(pair(tmp_path))
    transform = preprocessing if by == "preprocessing" else labelled
    invert = Invertd("pred", transform=transform, orig_keys="image", nearest_interp=True)
    back = invert({**result, "pred": (result["image"] > 0.5).float()})["pred"]
    assert back.shape == (1, *SHAPE)
    assert np.allclose(back.affine, affine())
    assert ((back[0] > 0.5).numpy() != ball()).mean() < 0.02


@pytest.mark.parametrize("further_steps", [[], [SpatialPadd("image", (48, 48, 48))]], ids=["alone", "in a chain"])
def test_a_cache_keeps_the_result_and_not_the_way_to_it(tmp_path, further_steps):
    item = pair(tmp_path)
    steps = ScanCompose([LabelledPreprocessing(ScanPreprocessing(spacing=2.0)), *further_steps])
    cached = CacheDataset([item], steps, progress=False)
    before = cached[0]
    for key in ("image", "label"):
        (tmp_path / f"{key}.nii.gz").unlink()
    assert torch.equal(cached[0]["image"], before["image"])
    assert torch.equal(cached[0]["label"], before["label"])


def test_patches_of_training_follow_from_seed_and_epoch(tmp_path):
    keys = ["image", "label"]
    items = [pair(tmp_path / name) for name in "ab"]
    cached = CacheDataset(items, LabelledPreprocessing(ScanPreprocessing()), progress=False)
    crop = RandCropByPosNegLabeld(keys, label_key="label", spatial_size=(16, 16, 32), pos=1, neg=0, num_samples=3)
    patches = SeededDataset(cached, Compose([SpatialPadd(keys, spatial_size=(16, 16, 32)), crop]), seed=4)

    def places(epoch):
        return [patch["label"].meta["crop_center"] for patch in patches[EpochIndex(epoch, 1)]]

    assert places(1) == places(1) != places(2)
    batch = next(iter(DataLoader(patches, batch_size=2)))
    assert batch["image"].shape == batch["label"].shape == (6, 1, 16, 16, 32)
    assert (batch["label"].flatten(1).max(dim=1).values == 1).all()


@pytest.mark.parametrize("key", ["image", "label"])
def test_an_unusable_file_is_a_scan_error_also_in_threads(tmp_path, key):
    item = pair(tmp_path)
    (tmp_path / f"{key}.nii.gz").write_bytes(b"half")
    with pytest.raises(ScanError, match=rf"{key}\.nii\.gz: it cannot be read"):
        LabelledPreprocessing(ScanPreprocessing())(item)
    with pytest.raises(ScanError, match=rf"{key}\.nii\.gz: it cannot be read"):
        CacheDataset([item], LabelledPreprocessing(ScanPreprocessing()), progress=False)


def test_a_preprocessing_of_other_keys_is_refused():
    with pytest.raises(ValueError, match="of the key 'image' alone, found the keys image, label"):
        LabelledPreprocessing(ScanPreprocessing(keys=["image", "label"]))
