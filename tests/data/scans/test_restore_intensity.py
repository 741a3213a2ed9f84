import numpy as np
import pytest
import torch
from models_genesis_bundle.data import IntensityScaling, RestoreScanIntensityd, ScaleScanIntensityd
from monai.data import MetaTensor

HU = np.linspace(-900, 900, 64, dtype=np.float32).reshape(1, 4, 4, 4)


@pytest.mark.parametrize("kind", [np.asarray, torch.as_tensor, MetaTensor])
def test_hounsfield_units_come_back(kind):
    intensity = IntensityScaling()
    scaled = ScaleScanIntensityd("image", intensity)({"image": kind(HU.copy())})
    restored = RestoreScanIntensityd("image", intensity)(scaled)
    assert type(restored["image"]) is type(scaled["image"])
    np.testing.assert_allclose(restored["image"], HU, atol=1e-3)
    assert scaled["image"].max() <= 1, "the input stays as it was"


def test_only_the_named_keys():
    item = {"image": HU / 1000, "label": HU}
    restored = RestoreScanIntensityd(["image", "pred"], IntensityScaling(), allow_missing_keys=True)(item)
    assert restored["label"] is HU
    assert set(restored) == {"image", "label"}
    with pytest.raises(KeyError):
        RestoreScanIntensityd(["image", "pred"], IntensityScaling())(item)


@pytest.mark.parametrize("mode", ["percentile", "zscore"])
def test_without_a_way_back_a_scan_stays_scaled(mode):
    item = {"image": HU}
    assert RestoreScanIntensityd("image", IntensityScaling(mode))(item)["image"] is HU
