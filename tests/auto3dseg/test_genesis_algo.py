"""What the genesis algorithm chooses from Auto3DSeg's input and data statistics, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from models_genesis_bundle.auto3dseg.genesis import GenesisInferer, fold_datalist, hyper_parameters, reason_to_skip
from models_genesis_bundle.auto3dseg.genesis.generation import voxel_budget
from models_genesis_bundle.auto3dseg.genesis.running import write_progress
from models_genesis_bundle.auto3dseg.genesis.settings import bundle_config, training_settings
from models_genesis_bundle.data import IntensityScaling, ScanError, ScanPreprocessing
from models_genesis_bundle.files import write_table
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import CheckpointError, write_weights
from monai.bundle import ConfigParser
from monai.utils import ensure_tuple

GIB = 2**30


def summary(shape=(300, 300, 100), low=(0.8, 0.8, 2.5), high=(0.8, 0.8, 2.5), labels=(0, 1, 2), channels=(1,)) -> dict:
    """The part of the data statistics that is read, as DataAnalyzer names it."""
    median = [(one + other) / 2 for one, other in zip(low, high, strict=True)]
    return {
        "image_stats": {
            "shape": {"median": list(shape)},
            "spacing": {"min": list(low), "median": median, "max": list(high)},
            "channels": {"min": channels[0], "max": channels[-1]},
        },
        "label_stats": {"labels": list(labels)},
    }


def source(**entries) -> dict:
    return {"modality": "CT", "datalist": "lists.json", "dataroot": "scans", **entries}


def generated(stats: dict, tmp_path: Path, **entries) -> dict:
    return hyper_parameters(source(**entries), stats, fold=1, bundle_root=tmp_path)


@pytest.fixture
def weights(tmp_path) -> Path:
    """Narrow weights pretrained on CT at 2 mm."""
    preprocessing = ScanPreprocessing(intensity=IntensityScaling("window", -500, 500), spacing=2.0)
    network = GenesisUNet(features=[4, 8], upsample="nearest")
    return write_weights(tmp_path / "model.pt", network, preprocessing=preprocessing.record())


def test_a_small_scan_fits_into_one_patch_and_a_large_one_gets_a_part_that_is_about_as_long_as_wide(tmp_path):
    assert generated(summary((36, 50, 37), (1, 1, 1), (1, 1, 1)), tmp_path)["patch_size"] == [40, 56, 40]
    spacing = (0.7, 0.7, 2.5)
    sides = generated(summary((512, 512, 100), spacing, spacing), tmp_path)["patch_size"]
    assert all(side % 8 == 0 for side in sides)
    assert 64 * 64 * 32 <= np.prod(sides) <= 1.2 * 96**3
    millimetres = np.multiply(sides, spacing)
    assert max(millimetres) - min(millimetres) < 8 * 2.5


def test_a_patch_is_no_longer_than_a_scan_that_is_not_resampled(tmp_path):
    """24 x 0.1 / 0.1 is above 24, and was rounded up to 32."""
    spacing = (0.1, 0.1, 0.1)
    assert generated(summary((24, 24, 24), spacing, spacing), tmp_path)["patch_size"] == [24, 24, 24]


def test_patches_grow_with_the_memory_and_shrink_with_the_batch_and_the_width():
    assert voxel_budget(patches=4, device_memory=0) == 64 * 64 * 32
    assert voxel_budget(patches=4, device_memory=80 * GIB) == 96**3
    middle = voxel_budget(patches=4, device_memory=16 * GIB)
    assert 64 * 64 * 32 < middle < 96**3
    assert voxel_budget(patches=8, device_memory=16 * GIB) == pytest.approx(middle / 2, abs=1)
    assert voxel_budget(patches=4, first_width=128, device_memory=16 * GIB) == pytest.approx(middle / 2, abs=1)


def test_a_ct_from_scratch_keeps_the_fine_tuning_defaults(tmp_path):
    chosen = generated(summary(), tmp_path)
    preprocessing = chosen["scan_preprocessing"]
    assert (preprocessing["intensity"], preprocessing["spacing"], chosen["initial_weights"]) == (None, None, "none")
    assert chosen["label_names"] == ["class_1", "class_2"]
    assert chosen["fold"] == 1
    assert "features" not in chosen["network_def"]
    json.dumps(chosen)


def test_mr_is_scaled_by_percentiles_and_scans_of_several_spacings_are_resampled_to_the_median(tmp_path):
    chosen = generated(summary(low=(0.5, 0.5, 1.0), high=(0.7, 0.7, 5.0)), tmp_path, modality="MRI")
    assert chosen["scan_preprocessing"]["intensity"] == "percentile"
    assert chosen["scan_preprocessing"]["spacing"] == [0.6, 0.6, 3.0]


def test_the_weights_say_what_the_network_is_and_how_scans_are_prepared(weights, tmp_path):
    stats = summary(shape=(40, 40, 40), low=(1.0, 1.0, 1.0), high=(1.0, 1.0, 4.0))
    chosen = generated(stats, tmp_path, initial_weights=str(weights))
    assert chosen["network_def"]["features"] == [4, 8]
    assert chosen["network_def"]["upsample"] == "nearest"
    assert chosen["network_def"]["output_activation"] is None
    assert chosen["scan_preprocessing"]["spacing"] is None
    assert chosen["patch_size"] == [24, 24, 56]  # 40 voxels of 1 x 1 x 2.5 mm at 2 mm
    of_mr = generated(stats, tmp_path, initial_weights=str(weights), modality="mri")
    assert of_mr["scan_preprocessing"]["intensity"] == "percentile"


@pytest.mark.parametrize(("recorded", "chosen"), [("LPS", None), ("SPL", "RAS"), (None, "RAS")])
def test_scans_are_turned_as_the_weights_want_unless_the_axes_would_change_places(recorded, chosen, tmp_path):
    records = {"preprocessing": ScanPreprocessing(orientation=recorded).record()}
    path = write_weights(tmp_path / "model.pt", GenesisUNet(features=[4, 8]), **records)
    assert generated(summary(), tmp_path, initial_weights=str(path))["scan_preprocessing"]["orientation"] == chosen


def test_the_input_overrules_what_would_be_chosen(tmp_path):
    given = {
        "roi_size": [32, 32, 16], "max_epochs": 7, "num_epochs": 300, "scan_preprocessing": {"spacing": 1.5},
        "class_names": ["liver", "tumour"],
        "network_def": {"features": [8, 16]}, "train": False, "output_dir": "elsewhere",
    }  # fmt: skip
    chosen = generated(summary(), tmp_path, **given)
    assert (chosen["patch_size"], chosen["max_epochs"]) == ([32, 32, 16], 7)
    assert (chosen["scan_preprocessing"]["spacing"], chosen["scan_preprocessing"]["orientation"]) == (1.5, None)
    assert chosen["label_names"] == ["liver", "tumour"]
    assert chosen["network_def"]["features"] == [8, 16]
    assert "train" not in chosen  # Auto3DSeg's switch, not the configuration's section
    assert chosen["output_dir"] == "@ckpt_path"


def test_a_misspelt_entry_of_the_input_is_named(tmp_path, caplog):
    generated(summary(), tmp_path, inital_weights_="model.pt")
    assert "did you mean 'initial_weights'" in caplog.text
    generated(summary(), tmp_path, spacing=1.5)
    assert "did you mean 'scan_preprocessing::spacing'" in caplog.text


def test_weights_that_are_not_there_end_the_generation(tmp_path):
    with pytest.raises(CheckpointError, match=r"absent\.pt"):
        generated(summary(), tmp_path, initial_weights="absent.pt")


@pytest.mark.parametrize(
    ("stats", "entries", "reason"),
    [
        (summary(channels=(1, 3)), {}, "1 to 3 channels"),
        (summary(), {"sigmoid": True}, "exclude each other"),
        (summary(), {"class_names": [{"name": "whole", "index": [1, 2]}]}, "exclude each other"),
    ],
)
def test_data_of_another_kind_are_skipped_with_the_reason(stats, entries, reason, tmp_path):
    assert reason in reason_to_skip(source(**entries), stats)
    with pytest.raises(ValueError, match=reason):
        generated(stats, tmp_path, **entries)


def test_labels_with_a_gap_want_a_label_map_and_names_must_be_as_many(tmp_path):
    stats = summary(labels=(0, 1, 2, 4))
    with pytest.raises(ValueError, match="without a gap"):
        generated(stats, tmp_path)
    chosen = generated(stats, tmp_path, label_map={4: 3})
    assert chosen["label_names"] == ["class_1", "class_2", "class_3"]
    assert chosen["labelled_preprocessing"]["label_map"] == {4: 3}
    with pytest.raises(ValueError, match="Do not name the background"):
        generated(summary(), tmp_path, class_names=["background", "liver", "tumour"])


def write_lists(folder: Path, entries: list[dict]) -> dict:
    (folder / "lists.json").write_text(json.dumps({"training": entries}))
    for entry in entries:
        for file in (*ensure_tuple(entry["image"]), entry["label"]):
            (folder / str(file)).parent.mkdir(exist_ok=True)
            (folder / str(file)).touch()
    return source(datalist=str(folder / "lists.json"), dataroot=str(folder))


def test_scans_of_several_channels_are_listed_with_all_their_files(tmp_path):
    entries = [{"image": [f"c{n}_t1.nii", f"c{n}_t2.nii"], "label": f"l{n}.nii", "fold": n} for n in range(2)]
    lists = fold_datalist(write_lists(tmp_path, entries), fold=1)
    (scan,) = lists["training"]
    assert scan["image"] == [str(tmp_path / "c0_t1.nii"), str(tmp_path / "c0_t2.nii")]
    assert scan["patient"] == "c0"
    assert generated(summary(channels=(2,)), tmp_path)["scan_preprocessing"]["channels"] == 2


def test_a_trained_algorithm_segments_scans_of_several_files(phantoms, tmp_path):
    settings = generated(summary(channels=(2,)), tmp_path, network_def={"features": [4, 8]}, precision="float32")
    config = tmp_path / "hyper_parameters.yaml"
    config.write_text(yaml.safe_dump(settings))
    records = {
        "preprocessing": ScanPreprocessing(channels=2).record(),
        "patch_size": [32, 32, 16],
        "label_names": ["a", "b"],
    }
    (tmp_path / "model" / "checkpoints").mkdir(parents=True)
    network = GenesisUNet(in_channels=2, out_channels=3, features=[4, 8], output_activation=None)
    write_weights(tmp_path / "model" / "checkpoints" / "model.pt", network, **records)
    inferer = GenesisInferer(config)
    files = [str(phantoms / "images" / f"phantom_00{number}.nii.gz") for number in range(2)]
    probabilities = inferer.infer({"image": files})
    assert probabilities.shape == (3, 64, 64, 48)
    with pytest.raises(ScanError, match="1 channels, but the network takes 2"):
        inferer.infer(files[0])


def test_the_fold_validates_and_the_others_train(tmp_path):
    entries = [{"image": f"images/{n}.nii", "label": f"labels/{n}.nii", "fold": n % 3} for n in range(6)]
    lists = fold_datalist(write_lists(tmp_path, entries), fold=2)
    assert [Path(scan["image"]).stem for scan in lists["validation"]] == ["2", "5"]
    assert [scan["patient"] for scan in lists["training"]] == ["0", "1", "3", "4"]
    assert lists["training"][0]["label"] == str(tmp_path / "labels" / "0.nii")


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([{"image": "ana/a.nii", "label": "l", "fold": 0}, {"image": "ana/b.nii", "label": "l", "fold": 1},
          {"image": "ben/c.nii", "label": "l", "fold": 1}], "ana.*Write a `fold` into"),
        ([{"image": "a.nii", "label": "l", "fold": 1}, {"image": "b.nii", "label": "l"}], "the validation list is empty"),
        ([{"image": ["t1.nii", 2], "label": "l", "fold": 0}], r"training\[0\] must be a path"),
    ],
)  # fmt: skip
def test_folds_that_would_not_be_a_fair_split_are_refused(entries, message, tmp_path):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        fold_datalist(write_lists(tmp_path, entries), fold=0)


def test_training_parameters_take_stock_names_and_leave_out_those_of_other_algorithms(root, caplog):
    files = [str(root / "configs" / "finetune_segmentation.yaml")]
    given = {"num_epochs": 3, "network_def::features": [4, 8], "num_warmup_epochs": 1, "resume": True}
    wanted = {"max_epochs": 3, "network_def::features": [4, 8], "resume": True}
    assert training_settings(given, files) == wanted
    assert "num_warmup_epochs" in caplog.text


def test_progress_is_the_best_score_and_its_epoch(tmp_path):
    scores = {1: 0.0, 2: None, 3: 0.6, 4: float("nan"), 5: 0.5}
    lines = [{"epoch": epoch} | ({} if score is None else {"val_dice": score}) for epoch, score in scores.items()]
    write_table(tmp_path / "metrics.csv", lines)
    (progress,) = ConfigParser.load_config_file(str(write_progress(tmp_path)))
    assert progress == {"best_avg_dice_score": 0.6, "best_avg_dice_score_epoch": 3}
    write_table(tmp_path / "metrics.csv", lines[1:2])
    with pytest.raises(ValueError, match="val_interval"):
        write_progress(tmp_path)


def test_a_package_without_its_configurations_says_how_to_name_them(tmp_path):
    with pytest.raises(FileNotFoundError, match="genesis_bundle"):
        bundle_config(tmp_path, "evaluate")


def test_the_settings_stand_alone_and_over_the_configuration(tmp_path, root):
    path = tmp_path / "hyper_parameters.yaml"
    path.write_text(yaml.safe_dump(generated(summary(), tmp_path)))
    parser = ConfigParser()
    parser.read_config(str(path))
    assert parser.get_parsed_content("ckpt_path") == str(tmp_path / "model")
    merged = ConfigParser.load_config_files([str(root / "configs" / "finetune_segmentation.yaml"), str(path)])
    assert merged["label_names"] == ["class_1", "class_2"]
    assert merged["loss"]["_target_"] == "DiceCELoss"
