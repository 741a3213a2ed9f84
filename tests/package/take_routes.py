"""Run in a folder of its own, with a downloaded bundle's as the argument: takes MONAI's routes into and out of the bundle.

Prints as JSON what they gave. Each has to find the bundle's package by itself.
"""

import json
import sys
from pathlib import Path
from unittest import mock

import monai
import numpy as np
import onnxruntime
import torch
from monai.bundle import ckpt_export, create_workflow, onnx_export, trt_export, verify_net_in_out

BUNDLE = Path(sys.argv[1])
CUBE = [1, 1, 48, 48, 24]
FILES = {
    "bundle_root": str(BUNDLE),
    "meta_file": str(BUNDLE / "configs" / "metadata.json"),
    "config_file": str(BUNDLE / "configs" / "inference.yaml"),
}
MODEL = {"net_id": "network_def", "ckpt_file": str(BUNDLE / "models" / "model.pt")}

stored = torch.load(MODEL["ckpt_file"], weights_only=True)
cube = torch.rand(CUBE, generator=torch.Generator().manual_seed(0))
path = list(sys.path)
found: dict = {}


def forget_package() -> None:
    sys.path[:] = path
    for name in [name for name in sys.modules if name.startswith("models_genesis_bundle")]:
        del sys.modules[name]


def load(kind: str) -> torch.nn.Module:
    forget_package()
    settings = Path("settings.json")
    settings.write_text(json.dumps({"bundle_root": str(BUNDLE)}))
    options = {"bundle_dir": BUNDLE.parent, "workflow_type": kind, "args_file": str(settings), "device": "cpu"}
    return monai.bundle.load(BUNDLE.name, **options)


def proportional(tensor: torch.Tensor, other: torch.Tensor) -> bool:
    return torch.allclose(tensor * other.norm(), other * tensor.norm(), rtol=1e-4)


def not_loaded(network: torch.nn.Module, same=torch.equal, but: tuple[str, ...] = ()) -> list[str]:
    """The tensors that are not the ``same`` as those of the file, leaving out the keys that start as ``but`` says."""
    state = network.state_dict()
    return [
        key
        for key in {*stored, *state}
        if not key.startswith(but or ("-",))
        and not (key in state and key in stored and same(state[key].float(), stored[key].float()))
    ]


restoration = load("inference").eval()
found["inference"] = not_loaded(restoration)
found["train"] = not_loaded(load("train"), same=proportional, but=("head.",))  # scaled: keep_weight_norms
found["begun by loading"] = [file.name for file in (*Path().iterdir(), *BUNDLE.glob("runs/finetune*"))]

for kind in ("train", "inference"):
    forget_package()
    config_file = str(BUNDLE / "configs" / f"{kind}.json")
    workflow = create_workflow(config_file=config_file, workflow_type=kind, bundle_root=str(BUNDLE))
    found[f"{kind} properties"] = workflow.check_properties()

forget_package()
verify_net_in_out(net_id="network_def", **FILES, device="cpu")

with torch.no_grad():
    expected = restoration(cube)
    forget_package()
    ckpt_export(**MODEL, **FILES, filepath="model.ts")
    found["torchscript"] = (torch.jit.load("model.ts").eval()(cube) - expected).abs().max().item()

forget_package()
onnx_export(**MODEL, **FILES, filepath="model.onnx", input_shape=CUBE)
session = onnxruntime.InferenceSession("model.onnx", providers=["CPUExecutionProvider"])
restored = session.run(None, {session.get_inputs()[0].name: cube.numpy()})[0]
found["onnx"] = float(np.abs(restored - expected.numpy()).max())

forget_package()
with (
    mock.patch("monai.bundle.scripts.convert_to_trt") as converter,  # which needs a GPU
    mock.patch("monai.bundle.scripts.save_net_with_metadata"),
):
    trt_export(**MODEL, **FILES, filepath="model_trt.ts", input_shape=CUBE, precision="fp32")
found["given to TensorRT"] = not_loaded(converter.call_args.kwargs["model"])

import models_genesis_bundle  # noqa: E402  (the routes above must find it by themselves)

found["package"] = str(Path(models_genesis_bundle.__file__).resolve())
print(json.dumps(found))
