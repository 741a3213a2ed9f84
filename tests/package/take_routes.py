"""Run in a downloaded bundle's folder: takes MONAI's routes into and out of it, and prints as JSON what they gave."""

import json
import os
from pathlib import Path

import monai
import numpy as np
import onnxruntime
import torch
from monai.bundle import ckpt_export, create_workflow, onnx_export, verify_net_in_out

FILES = {"meta_file": "configs/metadata.json", "config_file": "configs/inference.yaml"}
MODEL = {"net_id": "network_def", "ckpt_file": "models/model.pt"}
CUBE = [1, 1, 48, 48, 24]

stored = torch.load("models/model.pt", weights_only=True)
cube = torch.rand(CUBE, generator=torch.Generator().manual_seed(0))
found: dict = {}


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


restoration = monai.bundle.load("models_genesis", bundle_dir="..", workflow_type="inference", device="cpu").eval()
found["inference"] = not_loaded(restoration)
training = monai.bundle.load("models_genesis", bundle_dir="..", workflow_type="train", device="cpu")
found["train"] = not_loaded(training, same=proportional, but=("head.",))  # scaled: keep_weight_norms
found["begun by loading"] = [path.name for path in Path("runs").glob("finetune*")]

import models_genesis_bundle  # noqa: E402  (the routes above must find it by themselves)

found["package"] = str(Path(models_genesis_bundle.__file__).resolve())

for kind, file in (("train", "train.json"), ("inference", "inference.json")):
    workflow = create_workflow(config_file=f"configs/{file}", workflow_type=kind)
    found[f"{kind} properties"] = workflow.check_properties()

verify_net_in_out(net_id="network_def", **FILES, device="cpu")

with torch.no_grad():
    expected = restoration(cube)
    ckpt_export(**MODEL, **FILES, filepath="models/model.ts")
    found["torchscript"] = (torch.jit.load("models/model.ts").eval()(cube) - expected).abs().max().item()
onnx_export(**MODEL, **FILES, filepath="models/model.onnx", input_shape=CUBE)
session = onnxruntime.InferenceSession("models/model.onnx", providers=["CPUExecutionProvider"])
restored = session.run(None, {session.get_inputs()[0].name: cube.numpy()})[0]
found["onnx"] = float(np.abs(restored - expected.numpy()).max())
found["folder"] = os.getcwd()
print(json.dumps(found))
