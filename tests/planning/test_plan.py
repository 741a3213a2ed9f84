"""The settings for invented facts are those that an expert would choose."""

from __future__ import annotations

import pytest
import torch
from models_genesis_bundle.data.scans.quality import CT_IN_HU
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.planning import Device, make_plan
from models_genesis_bundle.planning.device import bytes_per_cube
from monai.bundle import ConfigParser
from scan_facts import scan

CPU = Device("CPU, 2 cores", memory=None, cores=2)
GPU = Device("a GPU", memory=80 * 2**30, cores=16)
CHEST = (-1024.0, -200.0, 650.0)
MR = (0.0, 180.0, 900.0)


def chests(count: int = 10, shape=(200, 200, 160), spacing=(1.5, 1.5, 1.5)):
    return [scan(shape, spacing, CHEST) for _ in range(count)]


def reason_of(plan, name):
    return next(setting.reason for setting in plan.settings if setting.name == name)


def test_ct_on_a_cpu():
    values = make_plan(chests(), CT_IN_HU, training_scans=8, device=CPU).values
    assert values["scan_preprocessing::intensity"]["mode"] == "window"
    assert (values["scan_preprocessing::intensity"]["lower"], values["scan_preprocessing::intensity"]["upper"]) == (
        -1000,
        1000,
    )
    assert values["scan_preprocessing::spacing"] == [1.5, 1.5, 1.5]
    assert values["cube_size"] == [40, 40, 40]
    assert values["network_def::features"] == [16, 32, 64, 128]
    assert (values["batch_size"], values["validate::dataloader::batch_size"], values["num_workers"]) == (4, 8, 1)
    assert (values["cubes_per_scan"], values["max_epochs"]) == (125, 12)
    assert "scan_dims" not in values
    assert "cube_sampler::rule::min_body" not in values


def test_ct_on_a_gpu():
    values = make_plan(chests(), CT_IN_HU, training_scans=100, device=GPU).values
    assert values["cube_size"] == [48, 48, 48]
    assert values["network_def::features"] == [64, 128, 256, 512]
    assert (values["batch_size"], values["cubes_per_scan"], values["max_epochs"]) == (16, 100, 100)
    assert values["num_workers"] == 8


def test_every_setting_has_a_reason(root):
    muon = ConfigParser.load_config_file(root / "configs" / "optimizer_muon.yaml")
    plan = make_plan(chests(), CT_IN_HU, 8, CPU, optimizer=muon)
    assert plan.values.items() >= muon.items()
    for setting in plan.settings:
        assert setting.reason[0] == setting.reason[0].upper(), setting
        assert setting.reason.endswith("."), setting


@pytest.mark.parametrize("kind", ["MR", "not in HU", "PT", "CT not in HU", ""])
def test_intensities_without_a_unit_are_scaled_by_percentiles(kind):
    intensity = make_plan([scan((150, 150, 150), (1, 1, 1), MR)] * 5, kind, 4, CPU).intensity
    assert (intensity.mode, intensity.lower, intensity.upper) == ("percentile", 0.5, 99.5)


def test_a_ct_of_little_contrast_gets_a_window_of_what_occurs():
    soft_tissue = (-131.0, 40.0, 214.0)
    intensity = make_plan([scan((150, 150, 150), (1, 1, 1), soft_tissue)] * 5, CT_IN_HU, 4, CPU).intensity
    assert (intensity.lower, intensity.upper) == (-150, 250)


def test_memory_of_a_small_gpu_limits_the_batch_and_then_the_cube():
    facts = chests()
    four, tiny = (Device("small", int(gib * 2**30), 4) for gib in (4, 0.9))
    assert make_plan(facts, CT_IN_HU, 8, four).values["batch_size"] == 4
    small = make_plan(facts, CT_IN_HU, 8, tiny)
    size = small.values["cube_size"]
    assert size == [32, 32, 32]
    assert 2 * bytes_per_cube([64, 128, 256, 512], size) < 0.6 * tiny.memory
    assert "do not fit" in reason_of(small, "cube_size")


def test_bytes_of_a_cube_are_those_that_autograd_keeps():
    """The sum of the tensors that are kept for a backward pass; weights that are kept twice count twice."""
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda tensor: kept.append(tensor.nbytes), lambda tensor: tensor):
        GenesisUNet(features=(4, 8))(torch.rand(1, 1, 16, 16, 16))
    assert bytes_per_cube((4, 8), (16, 16, 16)) == pytest.approx(sum(kept), rel=0.01)


def test_crops_as_large_as_a_cube_count_however_little_body_they_hold():
    values = make_plan([scan((44, 44, 6), (0.7, 0.7, 1.25), CHEST)] * 500, CT_IN_HU, 400, CPU).values
    assert values["cube_size"] == [40, 40, 16]
    assert values["cube_sampler::rule::min_body"] == 0
    assert (values["batch_size"], values["cubes_per_scan"]) == (8, 2)


def test_many_cubes_of_a_small_scan_are_not_planned():
    plan = make_plan([scan((48, 48, 48), (1, 1, 1), MR)] * 5, "MR", 4, CPU)
    assert plan.values["cube_size"] == [40, 40, 40]
    assert (plan.values["cubes_per_scan"], plan.values["max_epochs"]) == (14, 215)
    assert "1.73 cubes side by side; more than 14 cubes would overlap too much" in reason_of(plan, "cubes_per_scan")


def test_few_large_scans_give_at_most_160_cubes_each():
    plan = make_plan(chests(), CT_IN_HU, 2, CPU)
    assert (plan.values["cubes_per_scan"], plan.values["max_epochs"]) == (160, 38)
    assert "overlap" not in reason_of(plan, "cubes_per_scan")


def test_ten_thousand_scans_give_one_cube_each():
    values = make_plan(chests(), CT_IN_HU, 8000, CPU).values
    assert (values["cubes_per_scan"], values["max_epochs"]) == (1, 5)


def test_flat_images():
    values = make_plan([scan((2000, 2400), (0.15, 0.15), MR)] * 5, "X-ray", 4, CPU).values
    assert values["scan_dims"] == 2
    assert (values["cube_size"], values["scan_preprocessing::spacing"]) == ([224, 224], [0.15, 0.15])


def test_a_short_training_of_a_narrow_network():
    """The quick start sets the number of cubes and the widths; the rest is planned."""
    values = make_plan(chests(), CT_IN_HU, 8, CPU, training_cubes=1280, features=[8, 16, 32, 64]).values
    assert values["network_def::features"] == [8, 16, 32, 64]
    assert (values["cubes_per_scan"], values["max_epochs"]) == (16, 10)


def test_a_deeper_network_gets_sides_that_it_can_halve():
    values = make_plan(chests(), CT_IN_HU, 8, CPU, features=[8, 16, 32, 64, 128, 256]).values
    assert all(side % 32 == 0 for side in values["cube_size"])
