"""Every way into and out of the unpacked bundle, without the checkout and from another folder."""

from __future__ import annotations

from pathlib import Path

import pytest
from monai.bundle import ConfigParser


def test_the_package_is_the_archive_s(routes, bundle):
    assert Path(routes["package"]).is_relative_to(bundle.resolve())


def test_no_other_package_answers_for_it(without_checkout, tmp_path):
    """What is installed for developing is out of reach, else the tests here would pass on it."""
    find = "import importlib.util; print(importlib.util.find_spec('models_genesis_bundle'))"
    assert without_checkout(tmp_path, "-c", find) == "None\n"


def test_scripts_need_no_installation(without_checkout, bundle, tmp_path):
    printed = without_checkout(
        tmp_path, str(bundle / "scripts" / "inspect_weights.py"), "--source", str(bundle / "models" / "model.pt")
    )
    assert "stable_rank" in printed


def test_all_scripts_put_the_package_on_the_path(bundle):
    scripts = {path: path.read_text(encoding="utf-8") for path in bundle.glob("scripts/*.py")}
    using = {path: text for path, text in scripts.items() if "from models_genesis_bundle" in text}
    others = {path.name for path in scripts.keys() - using.keys()}
    assert others == {"bundle_path.py", "benchmark.py"}, "the modules of benchmark.py import it"
    for path, text in using.items():
        assert -1 < text.find("bundle_path") < text.find("from models_genesis_bundle"), path.name


@pytest.mark.parametrize("kind", ["inference", "train"])
def test_load_gives_a_network_with_every_weight(routes, kind):
    """MONAI leaves out what does not fit without a word. The head is for other classes in the training."""
    assert routes[kind] == []


def test_loading_makes_no_data_and_begins_no_run(routes):
    """A run that is under way in the folder stays, and so do the weights of an earlier one."""
    assert routes["begun by loading"] == ["settings.json"], "what the test wrote"


@pytest.mark.parametrize("kind", ["inference", "train"])
def test_workflows_have_their_properties(routes, kind):
    assert routes[f"{kind} properties"] == []


@pytest.mark.parametrize("export", ["torchscript", "onnx"])
def test_exports_restore_as_the_network_does(routes, export):
    assert routes[export] < 1e-4


def test_tensorrt_gets_every_weight(routes):
    """The model zoo's check gives no key, either."""
    assert routes["given to TensorRT"] == []


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
