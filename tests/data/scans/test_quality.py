"""Rules exclude scans that pretraining cannot use, but not unusual scans."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from models_genesis_bundle.data.scans.quality import (
    CT_IN_HU,
    ScanFacts,
    intensity_kind,
    odd_intensity_kinds,
    quality_rule,
)
from monai.data import MetaTensor

SIDE = 40


def facts(voxels: np.ndarray, spacing=None, modality: str = "") -> ScanFacts:
    affine = np.diag([*(spacing or [1.0] * voxels.ndim), 1.0])
    return ScanFacts.of(MetaTensor(voxels[None].astype(np.float32), affine=affine, meta={"modality": modality}))


def noise(mean: float, deviation: float, seed: int = 0, shape=(SIDE, SIDE, SIDE)) -> np.ndarray:
    return np.random.default_rng(seed).normal(mean, deviation, shape).round()


def with_background(inside: np.ndarray, value: float, share: float) -> np.ndarray:
    """An object in the middle of a constant background that fills a share of the volume."""
    voxels = inside.copy()
    voxels[..., : round(share * voxels.shape[-1])] = value
    return voxels


def ct(seed: int = 0) -> np.ndarray:
    return with_background(noise(40, 30, seed), -1000, 0.4) + noise(0, 10, seed + 1)


def mr(seed: int = 0) -> np.ndarray:
    return np.abs(with_background(noise(400, 120, seed), 0, 0.4) + noise(0, 8, seed + 1))


def pet(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).exponential(0.4, (SIDE, SIDE, SIDE)) * (noise(0, 1, seed) > 0)


KINDS = {
    "CT": (ct(), "", CT_IN_HU),
    "CT with padding outside the field of view": (with_background(ct(), -3024, 0.3), "", CT_IN_HU),
    "lung nodule, cut tightly": (noise(-700, 200), "", CT_IN_HU),
    "CT that was not rescaled": (np.clip(ct() + 1024, 0, 4095), "", "not in HU"),
    "CT that was not rescaled, by its header": (np.clip(ct() + 1024, 0, 4095), "CT", "CT not in HU"),
    "CT scaled to 0 ... 1": ((np.clip(ct(), -1000, 1000) + 1000) / 2000, "", "not in HU"),
    "CT over its deviation": (ct() / 400, "", "not in HU"),
    "MR": (mr(), "", "not in HU"),
    "MR by its header": (mr(), "MR", "MR"),
    "MR of 8 bits": (np.clip(mr() / 10, 0, 255).round(), "", "not in HU"),
    "skull-stripped MR": (with_background(noise(400, 120).clip(0), 0, 0.85), "", "not in HU"),
    "PET": (pet(), "PT", "PT"),
    "radiograph": (noise(2000, 500, shape=(64, 64)).clip(0), "DX", "X-ray"),
    "soft tissue without air": (noise(50, 25), "", ""),
    "liver, no voxel below 0": (noise(100, 12), "", ""),
    "soft tissue without air, CT by its header": (noise(100, 12), "CT", CT_IN_HU),
}


@pytest.mark.parametrize("name", KINDS)
def test_the_kind_of_intensities_is_told_or_left_open(name):
    voxels, modality, kind = KINDS[name]
    assert intensity_kind(facts(voxels, modality=modality)) == kind


def test_facts_are_along_the_axes_of_the_patient():
    """Axes in a file may run to the front, the feet and the left; planning compares scans along the patient's."""
    affine = np.array([[0, 0, -4.0, 0], [2.0, 0, 0, 0], [0, -3.0, 0, 0], [0, 0, 0, 1]])
    voxels = np.arange(20 * 30 * 10, dtype=np.float32).reshape(1, 20, 30, 10)
    found = ScanFacts.of(MetaTensor(voxels, affine=affine, meta={"modality": "mr "}))
    assert found.shape == (10, 20, 30)
    assert found.spacing == (4.0, 2.0, 3.0)
    assert found.modality == "MR"
    assert (found.minimum, found.maximum) == (0, 5999)
    assert found.median == 2999.5
    assert found.padding == 1 / 6000


def test_facts_of_a_large_volume_are_those_of_all_voxels_but_for_rounding():
    voxels = np.random.default_rng(0).normal(0, 100, (200, 200, 150)).astype(np.float32)
    voxels[:, :50] = -1000
    voxels[3, 7, 11] = 5000
    found = facts(voxels)
    assert found.maximum == 5000, "a single voxel counts"
    assert found.padding == pytest.approx(0.25, abs=0.01)
    assert found.median == pytest.approx(np.percentile(voxels, 50), abs=1)


@pytest.mark.parametrize(
    ("voxels", "spacing", "rule"),
    [
        (noise(0, 50, shape=(40, 40, 2)), (1, 1, 5), "few_slices"),
        (noise(0, 50, shape=(2, 40, 40)), (5, 1, 1), "few_slices"),
        (noise(0, 50, shape=(40, 40, 3)), (1, 1, 2.5), None),
        (np.full((9, 9, 9), 7.0), (1, 1, 1), "constant"),
        (noise(0, 50, shape=(64, 64, 5)), (1.2, 1.2, 10), "localiser"),
        (noise(0, 50, shape=(64, 64, 8)), (1.4, 1.4, 10), None),  # short-axis cine MR
        (noise(0, 50, shape=(64, 64, 4)), (1.4, 1.4, 3), None),
        (with_background(noise(400, 50), 0, 0.975), (1, 1, 1), "mostly_padding"),
        (with_background(noise(400, 50), 0, 0.9), (1, 1, 1), None),  # skull-stripped
        (with_background(noise(0, 50, shape=(64, 64)), 0, 0.5), (1, 1), None),
        (noise(0, 50, shape=(64, 2)), (1, 10), None),  # 2D: slices do not count
        (np.zeros((64, 64)), (1, 1), "constant"),
        (noise(0, 1) > 1, (1, 1, 1), "label_map"),
        (noise(12, 3).clip(0, 24), (1, 1, 1), "label_map"),
        (noise(12, 3).clip(0, 24) / 2, (1, 1, 1), None),
        (noise(12, 3).clip(1, 24), (1, 1, 1), None),
    ],
)
def test_a_rule_leaves_out_what_cannot_be_used(voxels, spacing, rule):
    found = quality_rule(facts(voxels, spacing))
    assert (found and found[0]) == rule
    assert found is None or found[1].endswith(".")


CT = [facts(ct(seed)) for seed in range(20)]
MR = [facts(mr(seed)) for seed in range(20)]


def odd_among(scans) -> dict[int, str]:
    """The reasons by position, if there is a clear majority."""
    odd, clear = odd_intensity_kinds([intensity_kind(scan) for scan in scans])
    return odd if clear else {}


@pytest.mark.parametrize(
    "odd",
    [
        facts(mr()),
        facts(mr(), modality="MR"),
        facts(np.clip(ct() + 1024, 0, 4095)),
        facts((np.clip(ct(), -1000, 1000) + 1000) / 2000),
        facts(pet(), modality="PT"),
    ],
)
def test_a_scan_of_another_kind_among_cts_is_found(odd):
    reasons = odd_among([*CT[:7], odd, *CT[7:]])
    assert list(reasons) == [7]
    assert reasons[7].endswith(f"while 20 other scans are {CT_IN_HU}.")


@pytest.mark.parametrize("usual", [noise(50, 25), noise(100, 12), noise(-700, 200), with_background(ct(), -3024, 0.6)])
def test_crops_and_padded_scans_stay_among_cts(usual):
    assert odd_among([*CT, facts(usual)]) == {}


def test_a_ct_among_mrs_is_found_and_no_mr():
    crops = [facts(noise(60, 15, seed)) for seed in range(5)]  # of 8 bits, without background
    stripped = [facts(with_background(noise(400, 120).clip(0), 0, 0.85))]
    assert list(odd_among([CT[0], *MR, *crops, *stripped])) == [0]


def test_modalities_of_headers_are_compared():
    named = [replace(scan, modality="MR") for scan in MR]
    assert list(odd_among([*named, *MR[:3], facts(pet(), modality="PT")])) == [23]
    xrays = [facts(noise(2000, 500, shape=(64, 64)).clip(0), modality=name) for name in ("CR", "DX", "CR", "")]
    assert odd_among(xrays) == {}


@pytest.mark.parametrize(("cts", "mrs", "left_out"), [(3, 1, 1), (2, 1, 0), (10, 10, 0), (20, 6, 6), (1, 3, 1)])
def test_only_a_clear_majority_makes_the_others_odd(cts, mrs, left_out):
    assert len(odd_among([*CT[:cts], *MR[:mrs]])) == left_out


def test_without_a_majority_the_largest_kind_is_named():
    odd, clear = odd_intensity_kinds([intensity_kind(scan) for scan in [*MR[:10], *CT[:10]]])
    assert list(odd) == list(range(10)), "of equals, CT in HU stays"
    assert not clear
    assert odd_intensity_kinds([]) == ({}, True)
