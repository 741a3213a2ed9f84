"""A fine-tuning run starts from a published file as a user has it."""

import pytest
import torch
from bundle_commands import arguments, run_here
from models_genesis_bundle.weights import published_records, read_weights
from others_files import write_suprem_unet
from published_files import write_nnunet


@pytest.mark.parametrize(
    ("write", "overlays", "settings", "first"),
    [
        (
            write_suprem_unet,
            [],
            {"network_def::features": [4, 8, 16, 32], "patch_size": [32, 32, 16]},
            ("down_tr64.ops.0.conv1.weight", "encoder.stages.0.0.conv.weight"),
        ),
        (
            write_nnunet,
            ["configs/network_nnunet_luna16.yaml"],
            {"network_def::filters": [2, 4, 8, 16, 20, 20], "patch_size": [32, 32, 32]},
            ("conv_blocks_context.0.blocks.0.conv.weight", "input_block.conv1.conv.weight"),
        ),
    ],
    ids=["suprem", "nnunet"],
)
def test_segmentation_starts_from_a_published_file(phantoms, tmp_path, write, overlays, settings, first):
    """Frozen, the encoder still is the file's in the end; scans were prepared as the file's network needs them."""
    theirs = write(tmp_path / "published.pt").state_dict()
    settings |= {
        "initial_weights": tmp_path / "published.pt",
        "starting_point::require": "[encoder,decoder]",
        "freeze": "[encoder]",
        "starting_point::keep_weight_norms": False,
        "dataset_dir": phantoms,
        "label_names": "['lung','nodule']",
        "output_dir": tmp_path / "run",
        "max_epochs": 1,
        "precision": "float32",
        "panel_interval": 100,
    }
    files = ["configs/finetune_segmentation.yaml", *overlays]
    run_here("run", "training", "--config_file", str(files), *arguments(**settings))
    records = published_records(tmp_path / "published.pt")
    weights = read_weights(tmp_path / "run" / "checkpoints" / "model.pt")
    assert weights["preprocessing"] == records["preprocessing"]
    started = weights["initial_weights"]
    assert started["data"] == records["data"]
    assert started["transfer"]["encoder"].keys() <= {"loaded", "unused"}
    assert torch.equal(weights["model"][first[1]], theirs[first[0]])
