"""Fine-tuning for classification, its evaluation and inference, as a user runs them; the tasks in their data's layout."""

from __future__ import annotations

import csv
import json
import re
import shutil
from pathlib import Path

import itk
import nibabel
import numpy as np
import pytest
import torch
from bundle_commands import arguments, root_cause, run_here
from models_genesis_bundle.data import SkippedScansError, patient_hashes, phantom_candidates
from models_genesis_bundle.engines import read_metrics
from models_genesis_bundle.weights import TransferError, read_checkpoint, read_weights
from scan_writers import truncate

NETWORK = {
    "network_def::features": "[4,8]",
    "network_def::hidden": 8,
    "precision": "float32",
    "volumes::num_workers": 0,
}
SMALL = {**NETWORK, "initial_weights": "none", "cube_size": "[16,16,16]", "num_workers": 0, "curves_interval": 1}


def fine_tune(output_dir: Path, *overlays: str, **settings) -> Path:
    files = ["configs/finetune_classification.yaml", *(f"configs/{name}.yaml" for name in overlays)]
    merged = {**SMALL, "output_dir": output_dir, "max_epochs": 1, **settings}
    run_here("run", "training", "--config_file", str(files), *arguments(**merged))
    return output_dir / "checkpoints" / "model.pt"


def evaluate(ckpt_path: Path, output_dir: Path, **settings) -> dict:
    merged = {**NETWORK, "ckpt_path": ckpt_path, "output_dir": output_dir, "report::resamples": 50, **settings}
    run_here("run", "evaluating", "--config_file", "configs/evaluate_classification.yaml", *arguments(**merged))
    return json.loads((output_dir / "summary.json").read_text())


def infer(ckpt_path: Path, output_dir: Path, **settings) -> list[dict[str, str]]:
    merged = {**NETWORK, "ckpt_path": ckpt_path, "output_dir": output_dir, **settings}
    run_here("run", "inferring", "--config_file", "configs/inference_classification.yaml", *arguments(**merged))
    return rows_of(output_dir / "predictions.csv")


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture(scope="module")
def candidates(phantoms):
    """The phantoms' scans, with candidates at their nodules and elsewhere in the lung."""
    return {"dataset_dir": phantoms / "images", "candidates_file": phantom_candidates(phantoms)}


@pytest.fixture(scope="module")
def fine_tuned(candidates, pretrained, tmp_path_factory) -> Path:
    """The folder of a fine-tuning from the tiny pretrained weights, four epochs."""
    output_dir = tmp_path_factory.mktemp("fine_tuned")
    fine_tune(output_dir, initial_weights=pretrained / "checkpoints" / "model.pt", max_epochs=4, **candidates)
    return output_dir


def test_a_run_leaves_weights_with_all_that_evaluation_needs(fine_tuned, pretrained):
    lines = read_metrics(fine_tuned / "metrics.csv")
    assert [line["epoch"] for line in lines] == [1, 2, 3, 4]
    best = max(lines, key=lambda line: line["val_auc"])
    weights = read_weights(fine_tuned / "checkpoints" / "model.pt")
    assert weights["epoch"] == best["epoch"]
    assert weights["metrics"]["val_youden_threshold"] == pytest.approx(best["val_youden_threshold"])
    assert weights["cube_size"] == [16, 16, 16]
    assert weights["class_names"] == ["class 0", "class 1"]
    assert weights["data"]["classes"].keys() == {"0", "1"}
    beginning = read_weights(pretrained / "checkpoints" / "model.pt")
    assert weights["preprocessing"] == beginning["preprocessing"]
    assert weights["initial_weights"]["data"] == beginning["data"]
    assert (fine_tuned / "curves.png").stat().st_size > 5_000


def test_evaluation_reports_the_held_out_patients(fine_tuned, candidates, tmp_path):
    summary = evaluate(fine_tuned / "checkpoints" / "model.pt", tmp_path, covariate_key="diameter_mm", **candidates)
    rows = rows_of(tmp_path / "predictions.csv")
    assert summary["cases"] == len(rows) > 6
    assert summary["patients"] == summary["scans"] == 1
    trained = read_weights(fine_tuned / "checkpoints" / "model.pt")
    assert set(patient_hashes(row["patient"] for row in rows)).isdisjoint(trained["data"]["patient_hashes"])
    assert {"auc", "sensitivity", "specificity", "cpm", "expected_calibration_error"} <= summary["metrics"].keys()
    assert summary["settings"]["threshold"] == trained["metrics"]["val_youden_threshold"]
    assert summary["lesions"] == summary["cases_by_class"]["class 1"]
    assert (tmp_path / "classification.png").stat().st_size > 5_000


def test_inference_gives_what_evaluation_gave(fine_tuned, candidates, phantoms, tmp_path):
    weights = fine_tuned / "checkpoints" / "model.pt"
    evaluate(weights, tmp_path / "test", threshold=0.5, **candidates)
    evaluated = {row["case"]: row for row in rows_of(tmp_path / "test" / "predictions.csv")}
    (scan,) = {row["scan"] for row in evaluated.values()}
    found = infer(
        weights,
        tmp_path / "new",
        threshold=0.5,
        **{**candidates, "dataset_dir": phantoms / "images" / f"{scan}.nii.gz"},
    )
    assert [row["seriesuid"] for row in found] == [scan] * len(evaluated)
    for row in found:
        assert float(row["probability_class 1"]) == pytest.approx(
            float(evaluated[row["case"]]["probability_class 1"]), abs=1e-5
        )
        assert row["prediction"] == evaluated[row["case"]]["prediction"]
    points = rows_of(candidates["candidates_file"])
    assert all(
        any(float(p["coordX"]) == float(row["coordX"]) for p in points if p["seriesuid"] == scan) for row in found
    )


def test_a_bad_scan_costs_no_other_and_shows_at_the_end(fine_tuned, candidates, phantoms, tmp_path):
    shutil.copytree(phantoms / "images", tmp_path / "scans")
    truncate(tmp_path / "scans" / "phantom_001.nii.gz")
    weights = fine_tuned / "checkpoints" / "model.pt"
    with pytest.raises(RuntimeError) as raised:
        infer(weights, tmp_path / "new", **{**candidates, "dataset_dir": tmp_path / "scans"})
    error = root_cause(raised.value)
    assert isinstance(error, SkippedScansError)
    assert re.search(r"1 of 4 scans .*\n.*phantom_001\.nii\.gz: it cannot be read", str(error))
    found = {row["seriesuid"] for row in rows_of(tmp_path / "new" / "predictions.csv")}
    assert found == {"phantom_000", "phantom_002", "phantom_003"}


def test_resume_is_exact(candidates, fine_tuned, pretrained, tmp_path):
    settings = {"initial_weights": pretrained / "checkpoints" / "model.pt", **candidates}
    fine_tune(tmp_path, max_epochs=2, **settings)
    fine_tune(tmp_path, max_epochs=4, resume=True, **settings)
    wanted, found = (read_checkpoint(run / "checkpoints" / "last.pt") for run in (fine_tuned, tmp_path))
    assert all(torch.equal(wanted["model"][key], value) for key, value in found["model"].items())
    assert found["lr_scheduler"] == wanted["lr_scheduler"]
    assert found["best"] == wanted["best"]


def test_a_frozen_encoder_stays_and_the_head_learns(candidates, pretrained, tmp_path):
    beginning = pretrained / "checkpoints" / "model.pt"
    settings = {"starting_point::keep_weight_norms": False, "device": "cpu", **candidates}
    weights = fine_tune(tmp_path, initial_weights=beginning, freeze="[encoder]", **settings)
    before, after = read_weights(beginning)["model"], read_weights(weights)["model"]
    assert all(torch.equal(before[key], after[key]) for key in before if key.startswith("encoder."))
    fresh = fine_tune(tmp_path / "fresh", freeze="[encoder]", learning_rate=0.0, **candidates)
    assert not torch.equal(read_weights(fresh)["model"]["head.classes.weight"], after["head.classes.weight"])


def test_the_head_is_the_same_whatever_the_network_starts_from(candidates, pretrained, tmp_path):
    heads = []
    for name in ("none", pretrained / "checkpoints" / "model.pt"):
        weights = fine_tune(tmp_path / Path(name).stem, initial_weights=name, learning_rate=0.0, **candidates)
        heads.append(read_weights(weights)["model"]["head.classes.weight"])
    assert torch.equal(*heads)


def test_weights_of_another_width_end_the_run(candidates, pretrained, tmp_path):
    with pytest.raises(RuntimeError) as raised:
        fine_tune(
            tmp_path,
            initial_weights=pretrained / "checkpoints" / "model.pt",
            **{**candidates, "network_def::features": "[8,16]"},
        )
    error = root_cause(raised.value)
    assert isinstance(error, TransferError)
    assert "Nothing was loaded" in str(error)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("balance", ["loss", "none"])
def test_imbalance_by_the_loss_or_not_at_all(candidates, tmp_path, balance):
    fine_tune(tmp_path, balance=balance, select_by="loss", **candidates)
    state = read_checkpoint(tmp_path / "checkpoints" / "last.pt")
    line = read_metrics(tmp_path / "metrics.csv")[-1]
    assert state["best"]["metric"] == pytest.approx(line["val_loss"])
    assert state["lr_scheduler"]["mode"] == "min"


@pytest.fixture
def three_kinds(phantoms, tmp_path):
    """A folder for each of three classes, of phantoms, brighter from class to class; two of each."""
    for number, kind in enumerate(("a", "b", "c")):
        for scan in sorted((phantoms / "images").glob("*.nii.gz")):
            image = nibabel.load(scan)
            folder = tmp_path / "kinds" / kind
            folder.mkdir(parents=True, exist_ok=True)
            data = np.asarray(image.dataobj) + 200 * number
            nibabel.save(nibabel.Nifti1Image(data, image.affine), folder / f"{kind}_{scan.name}")
    return tmp_path / "kinds"


def test_several_classes_in_folders(three_kinds, tmp_path):
    """Patients of the three folders have the same names, so that each list has all classes."""
    settings = {"dataset_dir": three_kinds, "num_classes": 3, "split::patient_regex": r"phantom_\d+"}
    weights = fine_tune(tmp_path / "run", **settings)
    assert read_weights(weights)["class_names"] == ["a", "b", "c"]
    summary = evaluate(weights, tmp_path / "test", dataset_dir=three_kinds)
    assert summary["cases_by_class"] == {"a": 1, "b": 1, "c": 1}
    assert {"auc_a", "auc_b", "auc_c", "auc_macro"} <= summary["metrics"].keys()
    found = infer(weights, tmp_path / "new", dataset_dir=three_kinds / "a")
    assert [row["case"] for row in found] == [f"a_phantom_{number:03d}" for number in range(4)]
    assert all(row["prediction"] in "abc" for row in found)


def write_candidates(path: Path, rows: list[dict[str, str]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["seriesuid", "coordX", "coordY", "coordZ", "class"], extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_task_ncc_on_the_folders_of_luna16(phantoms, candidates, pretrained, tmp_path):
    """Ten folders of MHD, written through ITK, and candidates_V2.csv as it is distributed: no lesions, no diameters."""
    root, rows = tmp_path / "LUNA16", []
    for number in range(10):
        name = f"phantom_{number % 4:03d}"
        uid = f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{number}"
        (root / f"subset{number}").mkdir(parents=True)
        scan = itk.imread(str(phantoms / "images" / f"{name}.nii.gz"))
        itk.imwrite(scan, str(root / f"subset{number}" / f"{uid}.mhd"))
        rows += [
            {**row, "seriesuid": uid} for row in rows_of(candidates["candidates_file"]) if row["seriesuid"] == name
        ]
    data = {"dataset_dir": root, "candidates_file": write_candidates(root / "candidates_V2.csv", rows)}
    beginning = pretrained / "checkpoints" / "model.pt"
    settings = {"initial_weights": beginning, "max_negatives_per_scan": 2, **data}
    weights = fine_tune(tmp_path / "run", "optimizer_adam", "task_ncc", **settings)
    content = read_weights(weights)
    trained = content["data"]
    uids = [f"1.3.6.1.4.1.14519.5.2.1.6279.6001.{number}" for number in range(5)]
    assert trained["patient_hashes"] == patient_hashes(uids)
    assert trained["classes"]["0"] == 2 * 5
    assert content["class_names"] == ["no nodule", "nodule"]
    state = read_checkpoint(tmp_path / "run" / "checkpoints" / "last.pt")
    assert state["optimizer"]["param_groups"][0]["lr"] == 1e-3
    assert state["best"]["metric"] == pytest.approx(content["metrics"]["val_loss"])
    summary = evaluate(weights, tmp_path / "test", **data)
    assert summary["scans"] == 3
    assert summary["cases"] == sum(row["seriesuid"][-1] in "789" for row in rows), (
        "all candidates, not two of each scan"
    )
    assert 0 <= summary["metrics"]["cpm"]["mean"] <= 1
    found = infer(weights, tmp_path / "new", **{**data, "dataset_dir": root / "subset9"})
    assert {row["seriesuid"][-1] for row in found} == {"9"}


def test_task_ecc_on_scans_with_a_csv(phantoms, candidates, pretrained, tmp_path):
    """NIfTI in a folder for each patient, candidates with the lesion that they hit."""
    root, rows = tmp_path / "ctpa", []
    for number in range(6):
        source = phantoms / "images" / f"phantom_{number % 4:03d}.nii.gz"
        scan = root / f"patient{number}" / f"pe_{number}.nii.gz"
        scan.parent.mkdir(parents=True)
        scan.write_bytes(source.read_bytes())
        own = [row for row in rows_of(candidates["candidates_file"]) if f"{row['seriesuid']}.nii.gz" == source.name]
        rows += [{**row, "seriesuid": f"pe_{number}"} for row in own]
    data = {"dataset_dir": root, "candidates_file": write_candidates(tmp_path / "pe.csv", rows)}
    settings = {
        "split::validation_fraction": 1,
        "split::test_fraction": 2,
        "initial_weights": pretrained / "checkpoints" / "model.pt",
    }
    weights = fine_tune(tmp_path / "run", "optimizer_adam", "task_ecc", **settings, **data)
    assert read_weights(weights)["data"]["patients"] == 3
    summary = evaluate(weights, tmp_path / "test", **data)
    assert summary["patients"] == summary["scans"] == 2
    bare = infer(weights, tmp_path / "new", **data)
    assert len(bare) == len(rows)


def test_task_lidc_malignancy_on_tight_crops(phantoms, pretrained, tmp_path):
    """Crops of a few slices with a datalist.json that names masks, votes, patients and the split."""
    rng = np.random.default_rng(0)
    scan = nibabel.load(phantoms / "images" / "phantom_000.nii.gz")
    sections: dict[str, list] = {"training": [], "validation": [], "test": []}
    (tmp_path / "images").mkdir()
    for number in range(16):
        section = "training" if number < 6 else "validation" if number < 8 else "test"
        diameter = 4.0 + number % 8
        x, y, z = rng.integers(10, 30, 3)
        crop = scan.slicer[x : x + 4, y : y + 5, z : z + 2 + number % 3]
        name = f"LIDC-IDRI-{number:04d}_R_1.nii.gz"
        nibabel.save(crop, tmp_path / "images" / name)
        sections[section].append(
            {
                "image": f"images/{name}", "label": f"labels/{name}", "malignant": number % 2,
                "malignancy": 1 + 2 * (number % 2), "diameter_mm": diameter, "patient": f"LIDC-IDRI-{number:04d}",
            }
        )  # fmt: skip
    (tmp_path / "datalist.json").write_text(json.dumps(sections))
    beginning = pretrained / "checkpoints" / "model.pt"
    settings = {"initial_weights": beginning, "cube_size": "[24,24,24]", "label_fraction": 0.5, "seed": 3}
    weights = fine_tune(tmp_path / "run", "task_lidc_malignancy", dataset_dir=tmp_path, **settings)
    content = read_weights(weights)
    assert content["data"]["classes"].keys() == {"0", "1"}
    assert content["data"]["cubes"] == 3
    assert content["preprocessing"]["spacing"] == [1.0, 1.0, 1.0]
    matched = {"covariate_key": "diameter_mm", "report::caliper": 1.0}
    summary = evaluate(weights, tmp_path / "test", dataset_dir=tmp_path, **matched)
    assert summary["cases"] == 8
    labels, diameters = np.array([0, 1] * 4), np.arange(4.0, 12.0)
    better = (diameters[labels == 1][:, None] > diameters[labels == 0]).mean()
    assert summary["metrics"]["auc_of_diameter_mm"]["mean"] == pytest.approx(better)
    assert "auc_matched_by_diameter_mm" in summary["metrics"]
    assert summary["settings"]["caliper"] == 1.0
    found = infer(weights, tmp_path / "new", dataset_dir=tmp_path / "images")
    assert len(found) == 16
