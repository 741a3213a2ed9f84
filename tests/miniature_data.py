"""Small data sets in the layouts of known ones, from phantoms."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from models_genesis_bundle.data import phantom_candidates
from scan_writers import write_radiograph


def radiographs(folder: Path) -> Path:
    pixels = np.random.default_rng(0).integers(0, 2000, (40, 40)).astype(np.int16)
    for number in range(3):
        write_radiograph(folder / f"{number}.dcm", pixels)
    return folder


def luna16_folders(phantoms: Path, tmp_path: Path) -> Path:
    for number in range(10):
        folder = tmp_path / "luna16" / f"subset{number}"
        folder.mkdir(parents=True)
        image = nibabel.load(phantoms / "images" / f"phantom_{number % 4:03d}.nii.gz")
        nibabel.save(image, folder / f"1.3.6.1.4.{number}.nii.gz")
    candidates = pd.read_csv(phantom_candidates(phantoms)).drop(columns=["lesion", "diameter_mm"])
    pd.concat(
        candidates[candidates["seriesuid"] == f"phantom_{number % 4:03d}"].assign(seriesuid=f"1.3.6.1.4.{number}")
        for number in range(10)
    ).to_csv(tmp_path / "luna16" / "candidates_V2.csv", index=False)
    return tmp_path / "luna16"


def layout_of(task: str, phantoms: Path, folder: Path) -> dict:
    """A miniature of the task's data as it is distributed; returns the settings that the few patients need."""
    few = {"split::validation_fraction": 1, "split::test_fraction": 1}
    entries = []
    for number in range(4):
        image, label = (nibabel.load(phantoms / kind / f"phantom_{number:03d}.nii.gz") for kind in ("images", "labels"))
        classes = np.asarray(label.dataobj)
        if task == "ncs":
            name = f"LIDC-IDRI-{number:04d}_R_1.nii.gz"
            places, classes = (f"images/{name}", f"labels/{name}"), (classes == 2).astype(np.uint8)
        elif task == "lcs":
            places = (f"batch/volume-{number}.nii", f"batch/segmentation-{number}.nii")
        elif task == "bms":
            case = f"HGG/Brats18_CBICA_{number}_1/Brats18_CBICA_{number}_1"
            places, classes = (f"{case}_flair.nii.gz", f"{case}_seg.nii.gz"), np.where(classes == 2, 4, classes)
        else:
            places = (f"images/case_{number}.nii.gz", f"labels/case_{number}.nii.gz")
            if task == "lidc_nodules":
                classes = (classes == 2).astype(np.uint8)
            entries.append({"image": places[0], "label": places[1], "patient": f"p{number}"})
        for place, array in zip(places, (np.asarray(image.dataobj), classes), strict=True):
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, image.affine), folder / place)
    if not entries:
        return few
    lists = {"training": entries[:2], "validation": entries[2:3], "test": entries[3:]}
    (folder / "datalist.json").write_text(json.dumps(lists))
    return {"scan_preprocessing::spacing": 5.0} if task == "lidc_nodules" else {}


def two_channels(phantoms: Path, folder: Path, layout: str, unlabelled: bool = False) -> Path:
    """The phantoms as scans of two channels in units of their own.

    Args:
        phantoms: their folder.
        folder: receives the files.
        layout: ``nnunet`` (``imagesTr/case_0_0000.nii.gz``), ``brats`` (``p0/p0_flair.nii.gz``, next to ``t2``, a third
            channel), ``lists`` (a JSON whose images are lists of files) or ``4d`` (a JSON of files with both channels).
        unlabelled: leave the label maps out.

    Returns:
        What to give as `dataset_dir`.
    """
    entries = []
    for number in range(4):
        image, label = (nibabel.load(phantoms / kind / f"phantom_{number:03d}.nii.gz") for kind in ("images", "labels"))
        first = np.asarray(image.dataobj).astype(np.float32)
        channels = {"flair": first, "t1": 300.0 - 0.1 * first, "t2": first}
        names = {
            "nnunet": ["imagesTr/case_{0}_0000", "imagesTr/case_{0}_0001", "labelsTr/case_{0}"],
            "brats": ["p{0}/p{0}_flair", "p{0}/p{0}_t1", "p{0}/p{0}_seg", "p{0}/p{0}_t2"],
            "lists": ["flair/{0}", "t1/{0}", "labels/{0}"],
            "4d": ["images/{0}", "labels/{0}"],
        }[layout]
        places = [f"{name.format(number)}.nii.gz" for name in names]
        images = [np.stack([channels["flair"], channels["t1"]], axis=-1)] if layout == "4d" else [first, channels["t1"]]
        arrays = [*images, np.asarray(label.dataobj), channels["t2"]]
        for place, array in zip(places, arrays, strict=False):
            if unlabelled and place == places[len(images)]:
                continue
            (folder / place).parent.mkdir(parents=True, exist_ok=True)
            nibabel.save(nibabel.Nifti1Image(array, image.affine), folder / place)
        listed = places[:2] if layout == "lists" else places[0]
        entries.append({"image": listed, "label": places[len(images)], "patient": f"p{number}", "side": number % 2})
    if layout in ("nnunet", "brats"):
        return folder
    lists = {"training": entries[:2], "validation": entries[2:3], "test": entries[3:]}
    (folder / "datalist.json").write_text(json.dumps(lists))
    return folder / "datalist.json"
