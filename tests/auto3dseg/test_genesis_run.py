"""The genesis algorithm in Auto3DSeg: analysed, generated, trained in processes of their own, put together to an ensemble."""

from __future__ import annotations

import json
import sys
from copy import deepcopy
from pathlib import Path

import nibabel
import numpy as np
import pytest
import torch
from models_genesis_bundle.data import ScanPreprocessing
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import read_weights, write_weights
from monai.apps.auto3dseg import AutoRunner, BundleGen, import_bundle_algo_history
from monai.bundle import ConfigParser


@pytest.fixture(scope="module")
def data_source(phantoms, tmp_path_factory) -> dict:
    """Auto3DSeg's input: two phantoms for each fold, and one to segment whose file has other axes than the network."""
    folder = tmp_path_factory.mktemp("dataset")
    for kind in ("images", "labels"):
        (folder / kind).symlink_to(phantoms / kind)
    image = nibabel.load(phantoms / "images" / "phantom_000.nii.gz")
    turned = image.slicer[5:, :, 3:].as_reoriented(nibabel.orientations.axcodes2ornt("PIR"))
    nibabel.save(turned, folder / "turned.nii.gz")
    names = [f"phantom_{number:03d}.nii.gz" for number in range(4)]
    training = [{"image": f"images/{n}", "label": f"labels/{n}", "fold": k % 2} for k, n in enumerate(names)]
    testing = [{"image": "turned.nii.gz"}]
    (folder / "lists.json").write_text(json.dumps({"training": training, "testing": testing}))
    records = {"preprocessing": ScanPreprocessing().record()}
    weights = write_weights(folder / "model.pt", GenesisUNet(features=[4, 8]), **records)
    return {
        "modality": "CT", "datalist": str(folder / "lists.json"), "dataroot": str(folder),
        "class_names": ["lung", "nodule"], "precision": "float32", "panel_interval": 9,
        "initial_weights": str(weights),
    }  # fmt: skip


@pytest.fixture(scope="module")
def work_dir(root, data_source, tmp_path_factory) -> Path:
    """The work folder of an AutoRunner that ran to its end."""
    folder = tmp_path_factory.mktemp("auto3dseg")
    templates = root / "models_genesis_bundle" / "auto3dseg" / "templates"
    runner = AutoRunner(
        work_dir=str(folder), input=dict(data_source), algos="genesis", templates_path_or_url=str(templates)
    )
    runner.set_analyze_params({"device": "cpu", "do_ccp": False, "worker": 0})
    runner.set_device_info(cmd_prefix=sys.executable)
    runner.set_training_params({"num_epochs": 1, "patch_size": [32, 32, 16], "num_warmup_epochs": 1})
    runner.run()
    return folder


def test_each_fold_is_fine_tuned_from_the_weights_with_the_parameters_given_to_the_runner(work_dir, data_source):
    for fold in range(2):
        trained = read_weights(work_dir / f"genesis_{fold}" / "model" / "checkpoints" / "model.pt")
        assert trained["network"]["arguments"]["features"] == [4, 8]  # as the weights have it
        assert trained["patch_size"] == [32, 32, 16]
        assert trained["epoch"] == 1
        loaded = trained["initial_weights"]["transfer"]["encoder"]
        assert set(loaded) == {"loaded"}
        log = (work_dir / f"genesis_{fold}" / "training.log").read_text()
        assert f"Weights from {data_source['initial_weights']}" in log
        lists = json.loads((work_dir / f"genesis_{fold}" / "datalist.json").read_text())
        assert [Path(scan["image"]).name for scan in lists["validation"]] == [
            f"phantom_{fold:03d}.nii.gz",
            f"phantom_{fold + 2:03d}.nii.gz",
        ]


def test_the_history_knows_the_scores(work_dir):
    history = import_bundle_algo_history(str(work_dir), only_trained=True)
    assert [algo["identifier"] for algo in history] == ["genesis_0", "genesis_1"]
    for algo in history:
        folder = Path(algo["algo_instance"].get_output_path())
        trained = read_weights(folder / "model" / "checkpoints" / "model.pt")
        assert algo["best_metric"] == pytest.approx(trained["metrics"]["val_dice"], abs=1e-5)


def test_the_ensemble_segments_in_the_scans_own_geometry(work_dir, data_source):
    scan = {"image": str(Path(data_source["dataroot"]) / "turned.nii.gz")}
    (written,) = (work_dir / "ensemble_output").rglob("*.nii.gz")
    segmentation, image = nibabel.load(written), nibabel.load(scan["image"])
    assert segmentation.shape == image.shape
    np.testing.assert_allclose(segmentation.affine, image.affine, atol=1e-4)
    history = import_bundle_algo_history(str(work_dir), only_trained=True)
    chances = [
        algo["algo_instance"].predict([scan], {"sliding_window::overlap": 0.5, "mode": "mean"})[0] for algo in history
    ]
    for one in chances:
        assert one.shape == (3, *image.shape)
        torch.testing.assert_close(one.sum(0).as_tensor(), torch.ones(image.shape), atol=1e-3, rtol=0)
    mean = (chances[0] + chances[1]).argmax(0).numpy()
    assert np.mean(mean == segmentation.get_fdata()) > 0.999


def test_it_is_generated_from_a_mapping_and_again_with_other_settings(root, work_dir, tmp_path):
    templates = str(root / "models_genesis_bundle" / "auto3dseg" / "templates")
    generator = BundleGen(
        algo_path=str(tmp_path),
        algos={"genesis": {"_target_": "genesis.scripts.algo.GenesisAlgo", "template_path": templates}},
        data_stats_filename=str(work_dir / "datastats.yaml"),
        data_src_cfg_name=str(work_dir / "input.yaml"),
    )
    generator.generate(str(tmp_path), num_fold=2)
    algo = deepcopy(generator.get_history()[1]["algo_instance"])
    algo.export_to_disk(str(tmp_path), "genesis_1_again", fill_with_datastats=False, precision="bfloat16")
    first, again = (
        ConfigParser.load_config_file(str(tmp_path / name / "configs" / "hyper_parameters.yaml"))
        for name in ("genesis_1", "genesis_1_again")
    )
    assert again == {**first, "bundle_root": str(tmp_path / "genesis_1_again"), "precision": "bfloat16"}
    lists = [(tmp_path / name / "datalist.json").read_text() for name in ("genesis_1", "genesis_1_again")]
    assert lists[0] == lists[1]


def test_scans_of_differing_channels_are_skipped_with_the_reason(root, work_dir, tmp_path):
    statistics = ConfigParser.load_config_file(str(work_dir / "datastats.yaml"))
    statistics["stats_summary"]["image_stats"]["channels"]["max"] = 4
    ConfigParser.export_config_file(statistics, str(tmp_path / "datastats.yaml"), fmt="yaml")
    (algo,) = BundleGen(
        algo_path=str(tmp_path),
        algos="genesis",
        templates_path_or_url=str(root / "models_genesis_bundle" / "auto3dseg" / "templates"),
    ).algos
    algo.set_data_stats(str(tmp_path / "datastats.yaml"))
    algo.set_data_source(str(work_dir / "input.yaml"))
    skipped, reason = algo.pre_check_skip_algo()
    assert skipped
    assert "1 to 4 channels" in reason
