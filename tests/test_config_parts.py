"""Parts of the configurations compute what they are for."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from models_genesis_bundle.bundle_config import RunFolder
from models_genesis_bundle.data import IntensityScaling, ScanPreprocessing
from models_genesis_bundle.messages import unwrapped
from models_genesis_bundle.networks import GenesisUNet
from models_genesis_bundle.weights import write_weights
from monai.bundle import ConfigParser

Z_SCORED = ScanPreprocessing(intensity=IntensityScaling("zscore", clip=5.0)).record()


@pytest.fixture
def parsed(root, monkeypatch):
    """Merges configurations, and replaces settings."""
    monkeypatch.chdir(root)

    def merge(*names: str, **settings) -> ConfigParser:
        parser = ConfigParser(ConfigParser.load_config_files([f"configs/{name}.yaml" for name in names]))
        parser.update(settings)
        return parser

    return merge


def test_a_tensorrt_engine_that_ends_with_an_activation_gets_no_second_one(parsed, tmp_path):
    """TorchScript keeps no ``config()``, from which the inferer learns of the network's own."""
    network = GenesisUNet(features=(4, 8)).eval()
    weights = write_weights(
        tmp_path / "model.pt", network, preprocessing=ScanPreprocessing().record(), cube_size=[16, 16, 8]
    )
    torch.jit.script(network).save(str(tmp_path / "engine.ts"))
    paths = {"ckpt_path": str(weights), "engine_path": str(tmp_path / "engine.ts"), "device": "cpu"}
    parser = parsed("inference", "inference_trt", **paths)
    parser["imports"].remove("$import torch_tensorrt")
    inferer, engine = (parser.get_parsed_content(name) for name in ("inferer", "network"))
    cube = torch.rand(1, 1, 16, 16, 8)
    with torch.no_grad():
        torch.testing.assert_close(inferer(cube, engine), network(cube))


@pytest.mark.parametrize("evaluation", ["evaluate", "evaluate_classification"])
def test_an_evaluation_makes_the_phantoms_of_its_fine_tuning(parsed, evaluation):
    parser = parsed(evaluation, weights={"split": {"seed": 3}})
    assert parser.get_parsed_content("source::seed") == 3


@pytest.mark.parametrize(
    ("config", "step"),
    [
        *((name, "training") for name in ("pretrain", "finetune_segmentation", "finetune_classification")),
        *((name, "evaluating") for name in ("evaluate", "evaluate_classification")),
        *((name, "inferring") for name in ("inference", "inference_segmentation", "inference_classification")),
        ("embed", "embedding"),
    ],
)
def test_phantoms_are_made_only_in_a_folder_that_the_run_may_use(parsed, tmp_path, config, step):
    other = RunFolder(str(tmp_path))
    with ThreadPoolExecutor() as threads:  # a run of this thread would have ended
        threads.submit(other.begin).result()
    before = set(tmp_path.rglob("*"))
    parser = parsed(config, output_dir=str(tmp_path), network="$None")
    with pytest.raises(RuntimeError) as raised:
        parser.get_parsed_content(step)
    assert "another run is writing to this folder" in str(unwrapped(raised.value))
    assert set(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("optimizer", ["optimizer_adamw", "optimizer_muon"])
def test_the_learning_rate_of_an_optimizer_does_not_depend_on_the_order_of_overlays(parsed, optimizer):
    for overlays in ((optimizer, "data_zscore"), ("data_zscore", optimizer)):
        assert parsed("pretrain", *overlays).get_parsed_content("learning_rate") == 1e-3


@pytest.mark.parametrize(
    ("overlays", "settings", "expected"),
    [
        ([], {}, (1.0, "sigmoid")),
        (["data_mr"], {}, (1.0, "sigmoid")),
        (["data_zscore"], {}, (0.1, None)),
        ([], {"scan_preprocessing::intensity": "zscore"}, (0.1, None)),
    ],
)
def test_z_scores_have_no_sigmoid_and_a_smaller_learning_rate(parsed, overlays, settings, expected):
    parser = parsed("pretrain", *overlays, **settings)
    assert tuple(parser.get_parsed_content(name) for name in ("learning_rate", "output_activation")) == expected


@pytest.mark.parametrize("config", ["finetune_segmentation", "evaluate", "inference_segmentation"])
def test_windows_reach_over_small_scans_into_the_darkest_value_as_training_patches_do(parsed, config):
    """The mean of z-scores is 0."""
    weights = {"weights": {"preprocessing": Z_SCORED, "patch_size": [16, 16, 16]}}
    own = {"initial_weights": "none", "scan_preprocessing::intensity": "zscore", "patch_size": [16, 16, 16]}
    parser = parsed(config, **(own if config == "finetune_segmentation" else weights))
    seen = []
    parser.get_parsed_content("sliding_window")(torch.zeros(1, 1, 8, 8, 8), lambda x: seen.append(x.min()) or x)
    assert seen == [-5]


def test_a_scan_to_restore_is_padded_with_the_darkest_value(parsed):
    parser = parsed("inference", weights={"preprocessing": Z_SCORED, "cube_size": [16, 16, 16]})
    padded = parser.get_parsed_content("preprocessing::transforms::1")({"image": torch.zeros(1, 8, 8, 8)})["image"]
    assert np.unique(padded).tolist() == [-5, 0]


def test_the_validation_loss_with_weighted_classes_does_not_depend_on_the_batches(parsed):
    settings = {"balance": "loss", "device": "cpu", "class_weights": "$torch.tensor([0.6, 3.0])"}
    parser = parsed("finetune_classification", **settings)
    metric, loss = (parser.get_parsed_content(name) for name in ("validate::loss", "loss"))
    logits, labels = torch.randn(10, 2, generator=torch.Generator().manual_seed(0)), torch.tensor([1, 1] + [0] * 8)
    for batch in (slice(0, 3), slice(3, 10)):
        metric.update((logits[batch], labels[batch]))
    assert metric.compute() == pytest.approx(loss(logits, labels).item())
