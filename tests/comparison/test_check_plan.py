"""Plans whose comparison could not be carried out, or would not be one, are refused before anything runs."""

from __future__ import annotations

import hashlib
import re

import pytest
import torch
import yaml
from fake_commands import plan_content, write_plan
from models_genesis_bundle.comparison import ComparisonError, check_plan, read_plan
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.weights import write_checkpoint


def check(tmp_path, content):
    return check_plan(read_plan(write_plan(tmp_path, content)))


def test_a_sound_plan_gives_the_hashes_of_its_weights(tmp_path):
    assert check(tmp_path, plan_content()) == {"scratch": None, "genesis": hashlib.sha256(b"weights").hexdigest()}


def test_files_that_are_not_there_are_named(tmp_path):
    content = plan_content()
    content["initialisations"]["genesis"] = "weights/gone.pt"
    with pytest.raises(ComparisonError, match=r"initialisations.genesis: there is no weight file .*weights/gone.pt"):
        check(tmp_path, content)
    content = plan_content()
    content["task"]["evaluation"][0] = "configs/evalaute.yaml"
    with pytest.raises(
        ComparisonError,
        match=r"evaluation of scratch: there is no configuration .* did you mean 'configs/evaluate.yaml'",
    ):
        check(tmp_path, content)


@pytest.mark.parametrize(
    ("setting", "value", "scratch"),
    [
        ("intensity", "percentile", "{'mode': 'window'"),
        ("spacing", 1.5, "the scan's own"),
        ("orientation", "LPS", "RAS"),
    ],
)
def test_preprocessing_that_the_weights_would_give_to_one_arm_only_is_refused(tmp_path, setting, value, scratch):
    path = write_plan(tmp_path)
    scaling = IntensityScaling("percentile", 0.5, 99.5)
    planned = ScanPreprocessing(intensity=scaling, spacing=1.5, orientation="LPS").record()
    record = {**ScanPreprocessing().record(), setting: planned[setting]}
    write_checkpoint(
        {"model": {"conv.weight": torch.zeros(1)}, "preprocessing": record}, tmp_path / "weights" / "genesis.pt"
    )
    assert check_plan(read_plan(path))  # these configurations do not read it
    training = yaml.safe_load((tmp_path / "configs" / "train.yaml").read_text())
    training["scan_preprocessing"] = {"record": None, "intensity": None, "spacing": None, "orientation": None}
    (tmp_path / "configs" / "train.yaml").write_text(yaml.safe_dump(training))
    with pytest.raises(
        ComparisonError, match=rf"^scan_preprocessing::{setting} differs between the arms \(scratch: {scratch}"
    ):
        check_plan(read_plan(path))
    training["scan_preprocessing"][setting] = value  # for all arms
    (tmp_path / "configs" / "train.yaml").write_text(yaml.safe_dump(training))
    check_plan(read_plan(path))


def test_settings_that_the_configurations_do_not_have_are_named(tmp_path):
    content = plan_content()
    content["task"]["overrides"] = {"max_epohcs": 5}
    with pytest.raises(ComparisonError, match=r"training of scratch: --max_epohcs: .* did you mean `--max_epochs`"):
        check(tmp_path, content)
    content["task"]["overrides"] = {"penalty": 1}
    with pytest.raises(ComparisonError, match=r"--penalty: .*`evaluation_overrides` for settings of one of them"):
        check(tmp_path, content)
    content["task"] |= {"overrides": {}, "evaluation_overrides": {"penalty": 1}}
    check(tmp_path, content)


def test_settings_of_every_fraction_are_checked(tmp_path):
    content = plan_content()
    content["task"]["fraction_overrides"] = {0.5: {}, 1.0: {"max_epohcs": 5}}
    with pytest.raises(ComparisonError, match=r"training of scratch: --max_epohcs"):
        check(tmp_path, content)


def test_a_configuration_that_cannot_take_a_label_fraction_is_refused(tmp_path):
    path = write_plan(tmp_path)
    (tmp_path / "configs" / "train.yaml").write_text("{output_dir: out, seed: 0, initial_weights: none, resume: false}")
    with pytest.raises(ComparisonError, match="--label_fraction: there is no setting"):
        check_plan(read_plan(path))


def test_what_a_recipe_names_is_checked(tmp_path):
    content = plan_content()
    content["recipes"] = {"plain": {}, "warm": {"training_overrides": {"max_epohcs": 5}}}
    with pytest.raises(ComparisonError, match=r"training of scratch by the recipe warm: --max_epohcs"):
        check(tmp_path, content)
    content["recipes"]["warm"] = {"training": ["configs/tasc.yaml"]}
    with pytest.raises(ComparisonError, match=r"there is no configuration .* did you mean 'configs/task.yaml'"):
        check(tmp_path, content)


def test_two_arms_with_the_same_weights_are_refused_under_any_name(tmp_path):
    content = plan_content()
    content["initialisations"]["copy"] = "weights/copy.pt"
    write_plan(tmp_path)
    (tmp_path / "weights" / "copy.pt").write_bytes(b"weights")
    with pytest.raises(ComparisonError, match="genesis and copy load the same parts of identical weight files"):
        check(tmp_path, content)
    content["initialisations"] = {"scratch": "none", "again": None}
    with pytest.raises(ComparisonError, match="scratch and again start from scratch"):
        check(tmp_path, content)


def test_a_baseline_from_scratch_beside_scratch_is_fine(tmp_path):
    content = plan_content()
    content["initialisations"]["other"] = {
        "initial_weights": "none",
        "baseline": True,
        "configs": ["configs/other_network.yaml"],
        "overrides": {"network_def::features": [4, 8]},
    }
    assert check(tmp_path, content)["other"] is None


def test_the_plan_of_the_guide_names_settings_that_the_configurations_have(root, tmp_path):
    block, parts, others, baseline, recipes = re.findall(
        r"```yaml\n(.*?)```", (root / "docs" / "how-to" / "comparison.md").read_text(), re.DOTALL
    )
    content = yaml.safe_load(block)
    (tmp_path / "model.pt").write_bytes(b"weights")
    content |= yaml.safe_load(recipes)
    task = yaml.safe_load(others)["task"]
    content["task"]["training_overrides"] |= task["training_overrides"]
    content["task"]["overrides"] |= task["overrides"]
    content["initialisations"] |= yaml.safe_load(parts)["initialisations"] | yaml.safe_load(baseline)["initialisations"]
    content["initialisations"]["genesis"] = str(tmp_path / "model.pt")
    content["initialisations"]["genesis_encoder"]["initial_weights"] = str(tmp_path / "model.pt")
    path = tmp_path / "plan.yaml"
    path.write_text(yaml.safe_dump({**content, "working_dir": str(root)}, sort_keys=False))
    assert list(check_plan(read_plan(path))) == ["scratch", "genesis", "genesis_encoder", "imagenet_2d"]
