import itertools
import json

import nibabel
import numpy as np
import pytest
from models_genesis_bundle.data import BodyRule, CubeRule, CubeSampler, IntensityScaling, LungRule
from models_genesis_bundle.data.volumes.cube_sampler import body_mask

CT = IntensityScaling()


def dense_score(hu, cube, threshold=-150):
    """The paper's score, voxel by voxel: 1 where dense, 0.5 where only the next slice along Z is, else 0."""
    x, y, z = (range(side.start, side.stop) for side in cube)
    scores = []
    for i, j, k in itertools.product(x, y, z):
        dense = hu[i, j, k] >= threshold
        next_dense = k + 1 < hu.shape[2] and hu[i, j, k + 1] >= threshold
        scores.append(1.0 if dense else 0.5 if next_dense else 0.0)
    return sum(scores) / len(scores)


def cubes_of(shape, size):
    for corner in itertools.product(*(range(have - side + 1) for have, side in zip(shape, size, strict=True))):
        yield tuple(slice(start, start + side) for start, side in zip(corner, size, strict=True))


@pytest.mark.parametrize("max_dense", [0.0, 0.15, 0.25])
def test_the_lung_rule_is_the_papers_score(max_dense):
    """Every place of a small scan, the scan's last slices among them; HU at the threshold itself are dense."""
    rng = np.random.default_rng(1)
    hu = rng.choice([-900, -151, -150, 40], p=[0.5, 0.3, 0.1, 0.1], size=(7, 6, 8)).astype(np.float32)
    hu[3:, :, 4:] = -900
    accepts = LungRule(max_dense=max_dense).prepare(CT(hu[None]), CT)
    places = list(cubes_of(hu.shape, (3, 2, 4)))
    expected = [dense_score(hu, cube) <= max_dense for cube in places]
    assert [accepts(cube) for cube in places] == expected
    assert 0 < sum(expected) < len(expected)


def test_the_largest_dense_share_is_still_kept():
    hu = np.full((4, 5, 4), -900, dtype=np.float32)
    hu[0, 0:2, :] = 0
    hu[1, 0, :] = 0
    cube = (slice(0, 4), slice(0, 5), slice(0, 4))
    assert dense_score(hu, cube) == 0.15
    assert LungRule().prepare(CT(hu[None]), CT)(cube)
    hu[3, 3, 3] = 0
    assert not LungRule().prepare(CT(hu[None]), CT)(cube)


@pytest.mark.parametrize(
    "intensity", [IntensityScaling("window", -500, 500), IntensityScaling("zscore", mean=-775.8, std=251.9)]
)
def test_the_threshold_is_in_hounsfield_units_whatever_the_scaling(intensity):
    hu = np.random.default_rng(2).uniform(-400, 0, (1, 6, 6, 8)).astype(np.float32)
    rule = LungRule(max_dense=0.5)
    places = list(cubes_of(hu.shape[1:], (3, 3, 4)))
    answers = [[rule.prepare(scaling(hu), scaling)(cube) for cube in places] for scaling in (CT, intensity)]
    assert answers[0] == answers[1]
    assert 0 < sum(answers[0]) < len(places)


def test_the_lung_rule_finds_lungs(phantoms):
    hu = nibabel.load(phantoms / "images" / "phantom_000.nii.gz").get_fdata(dtype=np.float32)
    lungs = nibabel.load(phantoms / "labels" / "phantom_000.nii.gz").get_fdata() > 0
    shares = {}
    for name, rule in (("lung", LungRule()), ("body", BodyRule())):
        sampler = CubeSampler((8, 8, 8), margin=(14, 18, 6), rule=rule)
        corners = sampler.sample(CT(hu[None]), CT, 40, np.random.default_rng(0))
        assert len(corners) == 40
        shares[name] = np.mean([lungs[sampler.cube_at(corner)].mean() for corner in corners])
    assert shares["lung"] > 0.8
    assert shares["lung"] > shares["body"] + 0.2


def test_the_lung_rule_says_what_it_cannot_work_on():
    image = np.zeros((1, 8, 8), dtype=np.float32)
    with pytest.raises(ValueError, match=r"needs 3D scans, .*Use BodyRule in 2D"):
        LungRule().prepare(image, CT)
    for intensity in (IntensityScaling("percentile"), IntensityScaling("zscore"), IntensityScaling("window", 0, 100)):
        with pytest.raises(ValueError, match="the value -150"):
            LungRule().prepare(image[..., None], intensity)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.9, 1.0])
def test_the_body_rule_keeps_what_holds_enough_body(phantoms, share):
    hu = nibabel.load(phantoms / "images" / "phantom_001.nii.gz").get_fdata(dtype=np.float32)
    scan = CT(hu[None])
    mask, _ = body_mask(scan)
    accepts = BodyRule(share).prepare(scan, CT)
    places = list(cubes_of(hu.shape, (20, 20, 12)))[::211]
    expected = [mask[cube].mean() >= share for cube in places]
    assert [accepts(cube) for cube in places] == expected
    assert any(expected)
    assert (sum(expected) < len(expected)) == (share > 0)


def test_the_body_rule_knows_its_place_in_a_reduced_mask():
    """The mask of 300 voxels along X has steps of 3 voxels; the body fills X from 120 to 239."""
    hu = np.full((1, 300, 40, 20), -1000, dtype=np.float32)
    hu[:, 120:240] = 40
    accepts = BodyRule(1.0).prepare(CT(hu), CT)
    full = (slice(0, 40), slice(0, 20))
    assert accepts((slice(120, 240), *full))
    assert accepts((slice(130, 150), *full))
    assert not accepts((slice(117, 140), *full))
    assert not accepts((slice(200, 243), *full))
    assert not accepts((slice(280, 300), *full))


def test_flat_images():
    image = np.zeros((1, 40, 40), dtype=np.float32)
    image[:, 20:] = 1
    accepts = BodyRule().prepare(image, IntensityScaling("percentile"))
    assert accepts((slice(15, 35), slice(0, 20)))
    assert not accepts((slice(5, 25), slice(0, 20)))


@pytest.mark.parametrize(("rule", "setting", "value"), [(BodyRule, "min_body", -0.1), (LungRule, "max_dense", 1.5)])
def test_settings_out_of_range_are_refused(rule, setting, value):
    with pytest.raises(ValueError, match=f"{setting} must lie in 0 … 1, got {value}"):
        rule(**{setting: value})


@pytest.mark.parametrize("rule", [BodyRule(0.7), LungRule(threshold=-200.0)])
def test_records_are_plain_and_name_the_rule(rule):
    assert isinstance(rule, CubeRule)
    record = rule.record()
    assert json.loads(json.dumps(record)) == record
    assert type(rule)(**{name: value for name, value in record.items() if name != "name"}) == rule
    assert record["name"] == type(rule).__name__
