import json

import numpy as np
import pytest
import torch
from models_genesis_bundle.data import IntensityScaling, RestoreScanIntensityd, ScaleScanIntensityd, ScanError
from monai.data import MetaTensor
from monai.transforms import Flip

SCAN = np.random.default_rng(0).gamma(2.0, 150.0, (1, 20, 20, 10)).astype(np.float32) - 1050
HU = np.linspace(-900, 900, 64, dtype=np.float32).reshape(1, 4, 4, 4)
SCALINGS = [
    IntensityScaling(),
    IntensityScaling("window", lower=-160, upper=240),
    IntensityScaling("percentile"),
    IntensityScaling("zscore"),
    IntensityScaling("zscore", mean=-775.8457, std=251.9326, clip=3),
    IntensityScaling("zscore", mean=100.0, std=80.0, lower=-160.0, upper=240.0),
]
every = pytest.mark.parametrize("scaling", SCALINGS, ids=lambda scaling: scaling.mode)


def test_the_window_is_mapped_linearly_and_clipped():
    hu = np.array([-3000, -1000, -500, 0, 1000, 3000], dtype=np.int16)
    np.testing.assert_allclose(IntensityScaling()(hu), [0, 0, 0.25, 0.5, 1, 1])
    np.testing.assert_allclose(IntensityScaling("window", -160, 240)(hu), [0, 0, 0, 0.4, 1, 1])


def test_percentiles_are_those_of_the_scan():
    low, high = np.percentile(SCAN, [2, 98])
    scaled = IntensityScaling("percentile", lower=2, upper=98)(SCAN)
    np.testing.assert_allclose(scaled, np.clip((SCAN - low) / (high - low), 0, 1), atol=1e-5)
    assert (scaled == 0).mean() == pytest.approx(0.02, abs=0.001)
    np.testing.assert_allclose(
        IntensityScaling("percentile")(3 * SCAN + 7), IntensityScaling("percentile")(SCAN), atol=1e-5
    )


def test_zscore_by_the_scan_and_by_given_numbers():
    scaled = IntensityScaling("zscore")(SCAN)
    assert scaled.mean() == pytest.approx(0, abs=0.01)
    assert scaled.std() == pytest.approx(1, abs=0.02)
    given = IntensityScaling("zscore", mean=-775.8457, std=251.9326, clip=3)(np.array([-775.8457, -523.9131, 3000]))
    np.testing.assert_allclose(given, [0, 1, 3], atol=1e-5)


def test_zscore_clips_as_nnunet_does_with_ct():
    """nnU-Net: clip to two percentiles of the foreground, subtract its mean, divide by its standard deviation."""
    scaled = IntensityScaling("zscore", mean=100.0, std=80.0, lower=-160.0, upper=240.0)(SCAN)
    np.testing.assert_allclose(scaled, (SCAN.clip(-160, 240) - 100) / 80, atol=1e-5)


@every
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, MetaTensor])
def test_type_shape_and_range_and_the_input_stays(scaling, kind):
    image = kind(SCAN.copy())
    scaled = scaling(image)
    assert type(scaled) is type(image)
    assert scaled.shape == image.shape
    assert str(scaled.dtype).endswith("float32")
    assert scaling.value_range[0] <= scaled.min() < scaled.max() <= scaling.value_range[1]
    assert np.array_equal(np.asarray(image), SCAN)


@every
def test_geometry_and_history_go_along(scaling):
    image = Flip(0)(MetaTensor(SCAN, affine=np.diag([2.0, 3, 4, 1]), meta={"filename_or_obj": "a.nii"}))
    scaled = scaling(image)
    assert torch.equal(scaled.affine, image.affine)
    assert scaled.meta["filename_or_obj"] == "a.nii"
    assert [step["class"] for step in scaled.applied_operations] == ["Flip"]


@pytest.mark.parametrize("scaling", [scaling for scaling in SCALINGS if scaling.is_invertible])
def test_inverting_gives_the_scan_back_where_it_was_not_clipped(scaling):
    hu = np.linspace(-1300, 1300, 600, dtype=np.float32)
    scaled, (low, high) = scaling(hu), scaling.value_range
    inside = (scaled > low) & (scaled < high)
    assert inside.sum() > 50
    np.testing.assert_allclose(scaling.invert(scaled)[inside], hu[inside], atol=0.01)


@pytest.mark.parametrize("mode", ["percentile", "zscore"])
def test_what_depends_on_the_scan_cannot_be_inverted(mode):
    scaling = IntensityScaling(mode)
    assert not scaling.is_invertible
    with pytest.raises(ValueError, match=f"{mode} scaling by the scan's own statistics cannot be inverted"):
        scaling.invert(SCAN)
    with pytest.raises(ValueError, match="the value -150 depends on the scan"):
        scaling.scaled_value(-150)


def test_a_threshold_lands_where_voxels_of_that_value_do():
    for scaling in (IntensityScaling(), SCALINGS[-1]):
        voxels = np.float32([-151, -150, -149])
        assert (scaling(voxels) >= scaling.scaled_value(-150)).tolist() == [False, True, True]
    with pytest.raises(ValueError, match="the value -150 is clipped away"):
        IntensityScaling("window", 0, 100).scaled_value(-150)


@every
def test_the_record_survives_json(scaling):
    assert IntensityScaling(**json.loads(json.dumps(scaling.record()))) == scaling


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"mode": "minmax"}, "mode must be one of window, percentile, zscore, got 'minmax'"),
        ({"lower": 10, "upper": 10}, "lower must be below upper, got 10.0 and 10.0"),
        ({"mode": "percentile", "upper": 101}, "percentiles must lie in 0 … 100"),
        ({"mode": "percentile", "lower": -1}, "percentiles must lie in 0 … 100"),
        ({"mean": 0.0, "std": 1.0}, "mean and std belong to zscore"),
        ({"mode": "zscore", "lower": 0}, "give both lower and upper"),
        ({"mode": "zscore", "mean": 0.0, "std": 1.0, "upper": 2.0}, "give both lower and upper"),
        ({"mode": "zscore", "mean": 0.0, "std": 1.0, "lower": 2.0, "upper": 2.0}, "lower must be below upper"),
        ({"mode": "zscore", "mean": 1.0}, "needs both mean and std"),
        ({"mode": "zscore", "mean": 1.0, "std": 0.0}, "std must be above 0"),
        ({"mode": "zscore", "clip": 0}, "clip must be above 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=f"IntensityScaling: .*{message}"):
        IntensityScaling(**arguments)


@pytest.mark.parametrize(
    ("mode", "reason"),
    [
        ("percentile", "percentiles 0.5 and 99.5 are both 7: nearly all voxels are equal"),
        ("zscore", "all voxels are equal"),
    ],
)
def test_a_scan_without_contrast_is_named(mode, reason):
    image = np.full((1, 20, 20, 10), 7, dtype=np.float32)
    if mode == "percentile":
        image[0, 0, 0, :3] = 9
    item = {"image": MetaTensor(image, meta={"filename_or_obj": "flat.nii"})}
    with pytest.raises(ScanError, match=rf"flat\.nii: it cannot be scaled: .*{reason}"):
        ScaleScanIntensityd("image", IntensityScaling(mode))(item)


@pytest.mark.parametrize("dtype", [np.float32, np.int16])
@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, MetaTensor])
def test_hounsfield_units_come_back(kind, dtype):
    intensity, image = IntensityScaling(), HU.astype(dtype)
    scaled = ScaleScanIntensityd("image", intensity)({"image": kind(image.copy())})
    restored = RestoreScanIntensityd("image", intensity)(scaled)
    assert type(restored["image"]) is type(scaled["image"])
    np.testing.assert_allclose(restored["image"], image, atol=1e-3)
    assert scaled["image"].max() <= 1, "the input stays as it was"


@pytest.mark.parametrize("transform", [ScaleScanIntensityd, RestoreScanIntensityd])
def test_only_the_named_keys(transform):
    item = {"image": HU, "label": HU}
    changed = transform(["image", "pred"], IntensityScaling(), allow_missing_keys=True)(item)
    assert set(changed) == {"image", "label"}
    assert changed["label"] is item["image"] is HU
    assert (changed["image"] != HU).any()
    with pytest.raises(KeyError):
        transform(["image", "pred"], IntensityScaling())(item)


@pytest.mark.parametrize("mode", ["percentile", "zscore"])
def test_without_a_way_back_a_scan_stays_scaled(mode):
    item = {"image": HU}
    assert RestoreScanIntensityd("image", IntensityScaling(mode))(item)["image"] is HU
