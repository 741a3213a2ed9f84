import numpy as np
import pytest
import torch
from models_genesis_bundle.transforms import GridDeformd, RandLocalPixelShuffled
from monai.data import MetaTensor


def test_every_cube_is_deformed_from_the_clean_scan():
    scan = MetaTensor(torch.arange(20 * 16 * 16.0).reshape(1, 20, 16, 16), meta={"filename_or_obj": "a.nii"})
    seen = []

    def transform(data):
        seen.append(data["image"].clone())
        return {"image": data["image"] * 0 - len(seen)}

    result = GridDeformd("image", transform, (16, 8, 16))({"image": scan})["image"]
    assert result.meta["filename_or_obj"] == "a.nii"
    assert len(seen) == 4
    assert all((cube >= 0).all() for cube in seen), "cubes overlap at the border, and are read undeformed"
    assert (result < 0).all()
    assert (scan >= 0).all()


def test_seeded_and_small_scans_refused():
    scan = np.random.default_rng(0).random((1, 32, 32, 16), dtype=np.float32)
    grid = GridDeformd("image", RandLocalPixelShuffled("image", prob=1.0, max_side=4), (16, 16, 16))
    first = grid.set_random_state(1)({"image": scan})["image"]
    assert np.array_equal(first, grid.set_random_state(1)({"image": scan})["image"])
    assert not np.array_equal(first, grid.set_random_state(2)({"image": scan})["image"])
    with pytest.raises(ValueError, match="pad it first"):
        grid({"image": scan[:, :8]})


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor])
def test_scans_of_whole_numbers_become_float32(kind):
    scan = kind(np.full((1, 16, 16, 16), 3, dtype=np.int16))
    result = GridDeformd("image", lambda data: {"image": data["image"] + 0.5}, (8, 8, 8))({"image": scan})["image"]
    assert (np.asarray(result) == 3.5).all()
    assert np.asarray(result).dtype == np.float32
    assert (np.asarray(scan) == 3).all()


def test_slices_of_a_volume_are_deformed_as_images():
    scan = np.random.default_rng(0).random((1, 32, 16, 3), dtype=np.float32)
    seen = []

    def transform(data):
        seen.append(data["image"])
        return {"image": data["image"] + len(seen)}

    result = GridDeformd("image", transform, (16, 16, 1))({"image": scan})["image"]
    assert [image.shape for image in seen] == [(1, 16, 16)] * 6
    for z in range(3):
        assert len(np.unique((result - scan)[:, :16, :, z].round())) == 1
        assert any(np.array_equal(image, scan[:, :16, :, z]) for image in seen)
