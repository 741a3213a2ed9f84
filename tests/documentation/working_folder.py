"""A folder like the one in which a user types the documented commands, with the data and the weights that they name."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import nibabel
import numpy as np
from bundle_commands import ROOT
from miniature_data import layout_of, luna16_folders, radiographs
from models_genesis_bundle.data import ScanPreprocessing, phantom_candidates
from models_genesis_bundle.networks import GenesisClassifier, GenesisUNet
from models_genesis_bundle.weights import write_weights
from published_files import write_pytorch_unet


def make_working_folder(folder: Path, phantoms: Path) -> Path:
    """Weights lie where the commands look for them; ``data/`` holds a folder for each kind of data."""
    shutil.copytree(ROOT / "configs", folder / "configs")
    (folder / "scripts").symlink_to(ROOT / "scripts")
    write_run_weights(folder)
    (folder / "models" / "published").mkdir(parents=True)
    for weights in ("model.pt", "model_mr.pt"):
        shutil.copy(folder / "runs" / "pretrain" / "checkpoints" / "model.pt", folder / "models" / weights)
    write_pytorch_unet(folder / "models" / "published" / "Genesis_Chest_CT.pt")
    data = folder / "data"
    write_labelled(data / "labelled", phantoms)
    write_classified(data / "classified", phantoms)
    (data / "scans").symlink_to(phantoms / "images")
    for task, name in (("ncs", "lidc"), ("lcs", "lits"), ("bms", "brats")):
        layout_of(task, phantoms, data / name)
    (data / "emboli").mkdir()
    (data / "emboli" / "images").symlink_to(phantoms / "images")
    (data / "emboli" / "candidates.csv").symlink_to(phantom_candidates(phantoms))
    luna16_folders(phantoms, data)
    radiographs(data / "radiographs")
    return folder


def write_run_weights(folder: Path) -> None:
    """What the runs that a command builds upon leave, from tiny networks that nobody trained."""
    prepared = {"preprocessing": ScanPreprocessing().record()}
    segmentation = {"label_names": ["liver"], "label_map": None, "patch_size": [32, 32, 16], "split": {}}
    classes = {"class_names": ["benign", "malignant"], "positive_class": 1, "metrics": {}}
    classification = {**classes, "cube_size": [16, 16, 16], "split": {"class_key": "malignant", "seed": 0}}
    unet = {"features": (4, 8)}
    for run, network, records in (
        ("pretrain", GenesisUNet(**unet), {"cube_size": [32, 32, 16]}),
        ("pretrain_2d", GenesisUNet(spatial_dims=2, **unet), {"cube_size": [32, 32]}),
        ("finetune_segmentation", GenesisUNet(out_channels=2, output_activation=None, **unet), segmentation),
        ("finetune_classification", GenesisClassifier(hidden=8, **unet), classification),
    ):
        checkpoints = folder / "runs" / run / "checkpoints"
        checkpoints.mkdir(parents=True)
        write_weights(checkpoints / "model.pt", network, **prepared, **records)


def write_labelled(folder: Path, phantoms: Path) -> None:
    """Images and labels of one class in two folders."""
    (folder / "labels").mkdir(parents=True)
    (folder / "images").symlink_to(phantoms / "images")
    for path in (phantoms / "labels").glob("*.nii.gz"):
        label = nibabel.load(path)
        one_class = (np.asarray(label.dataobj) > 0).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(one_class, label.affine), folder / "labels" / path.name)


def write_classified(folder: Path, phantoms: Path) -> None:
    """Two images of both classes in each list of a datalist; copies of the phantoms are as many patients as that takes."""
    (folder / "images").mkdir(parents=True)
    sections: dict[str, list[dict]] = {"training": [], "validation": [], "test": []}
    for number in range(6):
        image = f"images/patient_{number}.nii.gz"
        shutil.copy(phantoms / "images" / f"phantom_{number % 4:03d}.nii.gz", folder / image)
        entry = {"image": image, "malignant": number % 2, "patient": str(number)}
        sections[list(sections)[number // 2]].append(entry)
    (folder / "datalist.json").write_text(json.dumps(sections))
