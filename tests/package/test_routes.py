"""Every way into and out of the unpacked bundle, without the checkout."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser


def test_the_package_is_the_archive_s(routes, bundle):
    assert Path(routes["package"]).is_relative_to(bundle.resolve())


@pytest.mark.parametrize("kind", ["inference", "train"])
def test_load_gives_a_network_with_every_weight(routes, kind):
    """MONAI leaves out what does not fit without a word. The head is for other classes in the training."""
    assert routes[kind] == []


def test_loading_makes_no_data_and_begins_no_run(routes):
    """A run that is under way in the folder stays, and so do the weights of an earlier one."""
    assert routes["begun by loading"] == []


@pytest.mark.parametrize("kind", ["inference", "train"])
def test_workflows_have_their_properties(routes, kind):
    assert routes[f"{kind} properties"] == []


@pytest.mark.parametrize("export", ["torchscript", "onnx"])
def test_exports_restore_as_the_network_does(routes, export):
    assert routes[export] < 1e-4


def test_scans_are_restored(in_bundle, bundle, phantoms):
    in_bundle(
        "-m", "monai.bundle", "run", "inferring", "--config_file", "configs/inference.json",
        "--dataset_dir", str(next((phantoms / "images").iterdir())), "--precision", "float32",
    )  # fmt: skip
    assert list((bundle / "runs" / "inference").glob("*_restored.nii.gz"))


def test_tensorrt_overlay_fits_the_inference(bundle):
    """The engine takes the place of the loaded network, and everything that the overlay sets is in the inference."""
    base = ConfigParser.load_config_file(bundle / "configs" / "inference.yaml")
    files = [str(bundle / "configs" / name) for name in ("inference.yaml", "inference_trt.yaml")]
    merged = ConfigParser.load_config_files(files)
    assert set(merged) - set(base) == {"engine_path"}
    assert merged["imports"] == [*base["imports"], "$import torch_tensorrt"]
    parser = ConfigParser(merged)
    assert parser.get_parsed_content("engine_path") == "./models/model_trt.ts"
    assert parser["network::network"] == "$@loaded_network.to(@device)"
    assert "torch.jit.load" in parser["loaded_network"]
