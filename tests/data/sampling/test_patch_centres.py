"""Every class of a scan has the same number of patch centres, also a small class."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from models_genesis_bundle.data import PatchCentresd
from monai.data import MetaTensor
from monai.transforms import RandCropByPosNegLabeld

SHAPE = (1, 40, 40, 32)


def lungs_and_a_nodule() -> torch.Tensor:
    label = torch.zeros(SHAPE, dtype=torch.uint8)
    label[0, 5:35, 5:35, 4:28] = 1
    label[0, 20:22, 20:22, 10:12] = 2
    return label


def test_each_class_has_as_many_places_and_all_are_its_voxels():
    label = lungs_and_a_nodule()
    listed = PatchCentresd("label", voxels_per_class=500)({"label": MetaTensor(label)})
    values = label.numpy().ravel()
    assert set(values[listed["label_bg_indices"]]) == {0}
    assert np.bincount(values[listed["label_fg_indices"]]).tolist() == [0, 500, 500]
    assert len(listed["label_bg_indices"]) == 500


def test_a_large_class_is_thinned_out_evenly_and_a_small_one_repeated_evenly():
    label = lungs_and_a_nodule()
    places = PatchCentresd("label", voxels_per_class=4000)({"label": label})["label_fg_indices"]
    lung, nodule = places[:4000], places[4000:]
    assert len(np.unique(lung)) > 3900
    for axis in np.unravel_index(lung, SHAPE)[1:]:
        shares = np.bincount(axis)[axis.min() : axis.max() + 1] / 4000
        assert shares == pytest.approx(1 / len(shares), rel=0.2)
    _, repeats = np.unique(nodule, return_counts=True)
    assert repeats == pytest.approx(4000 / 8, abs=5)


def test_patches_are_centred_on_the_small_class_as_often():
    item = PatchCentresd("label")({"label": lungs_and_a_nodule()})
    lists = {"fg_indices_key": "label_fg_indices", "bg_indices_key": "label_bg_indices"}
    crop = RandCropByPosNegLabeld("label", "label", spatial_size=(3, 3, 3), pos=1, neg=0, num_samples=400, **lists)
    centres = [int(patch["label"][0, 1, 1, 1]) for patch in crop.set_random_state(0)(item)]
    assert 160 < centres.count(2) < 240
    assert centres.count(0) == 0


@pytest.mark.parametrize(("value", "places"), [(0, (10_000, 0)), (3, (0, 10_000))])
def test_what_a_scan_lacks_has_no_places(value, places):
    listed = PatchCentresd("label")({"label": torch.full(SHAPE, value, dtype=torch.uint8)})
    assert (len(listed["label_bg_indices"]), len(listed["label_fg_indices"])) == places


def test_a_list_of_no_voxels_is_refused():
    with pytest.raises(ValueError, match="voxels_per_class must be at least 1, got 0"):
        PatchCentresd("label", voxels_per_class=0)
